/** Owns the list of processes of a place: a node's services, pause processes, shims and containers, or what one container sees. */
import { executableName } from "../../apps/image";
import type { Container, ContainerProcess } from "../../node/container";
import { hostNamespaces, type Namespaces } from "../../node/kernelnumbers";
import type { PodWorker } from "../../node/pod";
import type { Time } from "../../sim/clock";
import type { Cluster } from "../cluster";
import type { Links } from "../shell/filesystem";
import type { Place } from "../shell/tool";

/** One process as the place numbers it. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly user: string;
  readonly started: Time;
  readonly command: string;
  readonly namespaces: Namespaces;
  /** The container or the sandbox that it is the first process of. */
  readonly container?: Container;
  readonly sandboxOf?: PodWorker;
  /** What a signal does to a process of a container that is not its first. */
  readonly hear?: ContainerProcess["hear"];
}

/** What systemd has started on every node before the first pod comes. */
const services: readonly (readonly [pid: number, parent: number, command: string])[] = [
  [1, 0, "/sbin/init"],
  [412, 1, "/usr/lib/systemd/systemd-journald"],
  [633, 1, "/usr/bin/containerd"],
  [702, 1, "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"],
  [871, 1, "/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml"],
];

/** containerd runs the pause image as this user (65535), which has no name on a node. */
const pauseUser = "65535";

/** All processes of a place, by process id. Without the one that asks. The workstation is a bare machine. */
export function processesOf(cluster: Cluster, place: Place): readonly ProcessInfo[] {
  const { container } = place;
  if (container) {
    return container.processes.map(({ pid, parent, started, command, hear }) => {
      const told = hear ? { hear } : {};
      return { pid, parent, user: "root", started, command, namespaces: container.spec.namespaces, ...told };
    });
  }
  const begin: Time = 0;
  const own = services
    .filter(([, , command]) => place.kind === "node" || !/kubelet|containerd/.test(command))
    .map(([pid, parent, command]): ProcessInfo => {
      return { pid, parent, user: "root", started: begin, command, namespaces: hostNamespaces };
    });
  const pods = cluster.nodes.get(place.name)?.kubelet.pods ?? [];
  return [...own, ...pods.flatMap(podProcesses)].sort((one, other) => one.pid - other.pid);
}

function podProcesses(worker: PodWorker): readonly ProcessInfo[] {
  const list: ProcessInfo[] = [];
  for (const sandbox of worker.sandboxes) {
    const { pause } = sandbox;
    if (!pause || sandbox.stopped !== undefined) continue;
    const { started, namespaces, pid, shimPid } = pause;
    const shim = `/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id ${sandbox.id} -address /run/containerd/containerd.sock`;
    list.push({ pid: shimPid, parent: 1, user: "root", started, command: shim, namespaces: hostNamespaces });
    list.push({ pid, parent: shimPid, user: pauseUser, started, command: "/pause", namespaces, sandboxOf: worker });
    for (const container of worker.containers) {
      const first = container.processes[0]?.hostPid ?? shimPid;
      for (const process of container.processes) {
        list.push({
          ...{ pid: process.hostPid, started: process.started, command: process.command, user: "root" },
          parent: process.pid === 1 || process.parent === 0 ? shimPid : first,
          namespaces: container.spec.namespaces,
          ...(process.pid === 1 ? { container } : process.hear ? { hear: process.hear } : {}),
        });
      }
    }
  }
  return list;
}

/** The namespaces of the shell at a place: a container's own, or the machine's. */
export function namespacesOf(place: Place): Namespaces {
  return place.container?.spec.namespaces ?? hostNamespaces;
}

/** What /proc has at a place: the links that name namespaces, and the words by which a process was started. */
export function namespaceLinks(cluster: Cluster, place: Place): Links {
  const find = (who: string): Namespaces | undefined =>
    who === "self"
      ? namespacesOf(place)
      : processesOf(cluster, place).find(({ pid }) => String(pid) === who)?.namespaces;
  return {
    target(path) {
      const [, who = "", type = ""] = /^\/proc\/(self|\d+)\/ns\/(\w+)$/.exec(path) ?? [];
      const namespaces = type === "" ? undefined : find(who);
      if (!namespaces || !Object.hasOwn(namespaces, type)) return undefined;
      return `${type}:[${namespaces[type as keyof Namespaces]}]`;
    },
    list(path) {
      const [, who] = /^\/proc\/(self|\d+)\/ns$/.exec(path) ?? [];
      const namespaces = who === undefined ? undefined : find(who);
      return namespaces && Object.keys(namespaces).sort();
    },
    text(path) {
      const [, pid, file] = /^\/proc\/(\d+)\/(cmdline|comm)$/.exec(path) ?? [];
      const found = pid === undefined ? undefined : processesOf(cluster, place).find((one) => String(one.pid) === pid);
      if (!found) return undefined;
      const words = wordsOf(found, place.container ?? found.container);
      return file === "comm"
        ? `${executableName(words[0]?.split(/: | /)[0] ?? "").slice(0, 15)}\n`
        : `${words.join("\0")}\0`;
    },
  };
}

/** A process's arguments; one that has written a title over them (`nginx: master process …`) has one word. */
function wordsOf({ command }: ProcessInfo, container: Container | undefined): readonly string[] {
  const argv = container?.spec.argv ?? [];
  if (command === argv.join(" ")) return argv;
  return /^[\w-]+: /.test(command) ? [command] : command.split(" ");
}

/** The name of a pod's namespace under /run/netns, as containerd gives it; undefined for the node's own. */
export function netnsName(worker: PodWorker): string | undefined {
  const [sandbox] = worker.sandboxes;
  if (!sandbox?.pause || sandbox.stopped !== undefined) return undefined;
  if (sandbox.pause.namespaces.net === hostNamespaces.net) return undefined;
  const { id } = sandbox;
  return `cni-${[id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20, 32)].join("-")}`;
}
