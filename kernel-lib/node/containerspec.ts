/** Owns how a container of a pod is made: its command, environment and files, from the pod's spec and the image. */

import type { Kinds } from "../api/kinds";
import { keyOf } from "../api/meta";
import type { Store } from "../api/store";
import { Files } from "../apps/files";
import type { Image } from "../apps/image";
import { formatIp } from "../net/address";
import type { Netns } from "../net/netns";
import type { Sim } from "../sim/sim";
import type { PayloadFolders } from "./atomicwriter";
import type { ContainerSpec } from "./container";
import { containerEnv, expand } from "./env";
import type { KernelNumbers, Namespaces } from "./kernelnumbers";
import type { NodeNet } from "./node";
import { isTokenVolume } from "./payload";
import { hostnameOf, podFiles } from "./podfiles";
import { isProbed } from "./probes/probes";
import type { SpecContainer } from "./stages";
import { followMounts, type Mount, mountCopies, type VolumeTree } from "./volumes";

/** What of the kubelet goes into a container. */
export interface ContainerHost {
  readonly sim: Sim;
  readonly store: Store;
  readonly node: NodeNet;
  readonly clusterDomain: string;
  readonly dnsIp: string;
  readonly numbers: KernelNumbers;
  /** The node's own files, for hostPath volumes; undefined: such volumes bring nothing. */
  readonly files: Files | undefined;
}

/** The place of a container: its pod as it is now. */
export interface ContainerPlace {
  readonly host: ContainerHost;
  readonly pod: Kinds["Pod"];
  readonly podIps: readonly string[];
  readonly netns: Netns;
  readonly id: string;
  /** Of its pod's sandbox. */
  readonly namespaces: Namespaces;
  /** What the Services of its namespace said when the container was made. */
  readonly services: () => ReadonlyMap<string, string>;
  /** The tree that a mount shows, and the folder in it; undefined for what is copied into the container or unknown. */
  volume(mount: Mount): VolumeTree | undefined;
  /** Where the copies of its pod's volumes lie. */
  readonly folders: PayloadFolders;
}

/** What a node asks that has no resolv.conf: the router of its network. */
const usualResolver = "nameserver 192.168.1.1\n";

/**
 * A container's spec for the runtime, as of this moment. `command` replaces the image's entrypoint and, without
 * `args`, its command too.
 * @throws EnvError, MountError
 */
export function containerSpec(spec: SpecContainer, image: Image, place: ContainerPlace): ContainerSpec {
  const { host, pod, podIps, id, namespaces, services } = place;
  const { sim, store, node, clusterDomain, dnsIp, numbers } = host;
  const given = containerEnv(spec, { store, pod, podIps, hostIps: node.ips.map(formatIp), services });
  const hostname = hostnameOf(pod, node.name);
  const env = new Map([...pathFirst(image.env, hostname), ...given]);
  if (!env.has("HOME")) env.set("HOME", "/root");
  const words = (list: readonly string[]): readonly string[] =>
    list.map((word) => expand(word, (name) => given.get(name)));
  const command = spec.command?.length ? words(spec.command) : undefined;
  const args = spec.args?.length ? words(spec.args) : command ? [] : image.command;
  const nodeResolver = host.files?.read("/etc/resolv.conf") ?? usualResolver;
  const written = podFiles({ pod, podIps, nodeName: node.name, clusterDomain, dnsIp, nodeResolver });
  const files = new Files(sim.clock, image.files);
  const copies = { pod, sim, store, folders: place.folders };
  mountCopies(spec, copies, files);
  for (const [path, text] of Object.entries(written)) files.write(path, text);
  for (const mount of spec.volumeMounts ?? []) {
    const tree = place.volume(mount);
    if (tree) files.mount(mount.mountPath, tree.files, `${tree.base}/${mount.subPath ?? ""}`);
  }
  return {
    name: spec.name,
    pod: keyOf(pod),
    id,
    image,
    argv: [...(command ?? image.entrypoint), ...args],
    env,
    folder: spec.workingDir ?? image.folder,
    stdin: spec.stdin ?? false,
    tty: spec.tty ?? false,
    hostname,
    files,
    get netns() {
      return place.netns;
    },
    namespaces: {
      ...namespaces,
      pid: numbers.nextNamespace("pid"),
      mnt: numbers.nextNamespace("mnt"),
      cgroup: numbers.nextNamespace("cgroup"),
    },
    numbers,
    followMounts: () => followMounts(spec, copies, files),
  };
}

/** The runtime puts PATH and HOSTNAME in front of what else the image brings. */
function pathFirst(imageEnv: { readonly [name: string]: string }, hostname: string): readonly [string, string][] {
  const { PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...rest } = imageEnv;
  return [["PATH", PATH], ["HOSTNAME", hostname], ...Object.entries(rest)];
}

/**
 * Whether nothing but time and the pod's own spec goes into its one container: then it may be made when somebody looks,
 * and cannot fail by then.
 */
export function isPlain({ spec }: Kinds["Pod"]): boolean {
  const [container] = spec.containers;
  if (!container || spec.containers.length > 1 || spec.initContainers?.length || spec.hostNetwork) return false;
  if (container.lifecycle || isProbed(container)) return false;
  if (spec.volumes?.some((volume) => !isTokenVolume(volume) && !volume.emptyDir)) return false;
  if (container.envFrom?.length || container.env?.some(({ valueFrom }) => valueFrom)) return false;
  if (container.ports?.some(({ hostPort }) => hostPort)) return false;
  return ![...(container.command ?? []), ...(container.args ?? [])].some((word) => word.includes("$("));
}

/** The first word of a container's command, as far as it is known without its environment. */
export function executableOf(spec: SpecContainer, image: Image): string {
  return (
    (spec.command?.length
      ? spec.command[0]
      : (image.entrypoint[0] ?? (spec.args?.length ? spec.args[0] : image.command[0]))) ?? ""
  );
}
