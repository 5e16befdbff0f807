/** Owns the face of kernel-lib: what a notebook may import. */

// Looking at it: the way of a packet, what the rules say, many requests at once, and charts of them.
export { type Chart, chart } from "./cluster/charts";
// The cluster and its prompt.
export { Cluster } from "./cluster/cluster";
// Showing values on the page.
export { type DisplayPlace, display, type MimeBundle, newDisplay } from "./cluster/display";
export type { Explanation, Outcome } from "./cluster/explain";
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
export type { Load, LoadOptions } from "./cluster/load";
export type { ClusterOptions } from "./cluster/options";
export type { Question } from "./cluster/question";
export type { RequestOutcome } from "./cluster/request";
export type { Step, Trace } from "./cluster/trace";
