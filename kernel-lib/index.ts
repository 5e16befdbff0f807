/** Owns the face of kernel-lib: what a notebook may import. */

// The cluster and its prompt.
export { Cluster } from "./cluster/cluster";
// Showing values on the page.
export { type DisplayPlace, display, type MimeBundle, newDisplay } from "./cluster/display";
export {
  currentCluster,
  file,
  type NodeHandle,
  node,
  type ShellCommand,
  type ShellResult,
  type ShellTag,
  sh,
  startCluster,
  type Terminal,
  terminal,
} from "./cluster/lab";
export type { ClusterOptions } from "./cluster/options";
