/** Owns Kubernetes' requirements of a pod network as checks that are really made: who reaches whom, and seen as whom. */
import { anyIpv6, family, formatIp, type Ip } from "../net/address";
import type { Netns } from "../net/netns";
import type { Message } from "../net/packet";
import { SocketError, type UdpSocket } from "../net/socket";
import type { Cluster } from "./cluster";
import { showAsTable } from "./table";

/** Somebody who asks, and is asked. */
interface Station {
  /** `pod/web`, `pod/kube-system/coredns-…`, `node/node-1`. */
  readonly name: string;
  readonly kind: "pod" | "node";
  readonly node: string;
  readonly netns: Netns;
  readonly ips: readonly Ip[];
}

/** The groups of paths that are checked. */
export type PathKind =
  | "pod → pod, same node"
  | "pod → pod, other node"
  | "node → pod, same node"
  | "node → pod, other node"
  | "pod → node";

/** One datagram there, and the answer back. */
export interface NetworkProbe {
  readonly path: PathKind;
  readonly from: string;
  readonly to: string;
  readonly target: string;
  /** Who answered: not always the one that was meant, where two have one address. Undefined: nobody. */
  readonly answeredBy: string | undefined;
  /** The sender's address as the receiver saw it. */
  readonly seenAs: string | undefined;
  /** The right one answered. */
  readonly reached: boolean;
  /** The receiver saw an address of the sender's own, and not one that stood in for it. */
  readonly withoutNat: boolean;
}

/** What came out; shows itself as a table. */
export interface NetworkCheck {
  readonly probes: readonly NetworkProbe[];
  /**
   * Kubernetes' requirements (kubernetes.io, "The Kubernetes network model"): all pods reach all pods without NAT, and the
   * node's own programs reach its pods.
   */
  readonly holds: boolean;
}

const kinds: readonly PathKind[] = [
  "pod → pod, same node",
  "pod → pod, other node",
  "node → pod, same node",
  "node → pod, other node",
  "pod → node",
];

/** Asked by nobody else. */
const port = 33_999;

/** Sends a datagram from every pod and node to every pod, and from every pod to every node, and waits for the answers. */
export async function checkNetwork(cluster: Cluster): Promise<NetworkCheck> {
  const stations = [...podsOf(cluster), ...nodesOf(cluster)];
  const seen = new Map<string, { readonly by: string; readonly source: Ip }>();
  const answered = new Map<string, string>();
  const listeners = stations.map((station) => listen(station, seen));
  const askers = stations.map((station) => ask(station, answered));
  const plans = plan(stations);
  for (const [at, { from, target }] of plans.entries()) askers[from]?.send(String(at), { ip: target, port });
  await cluster.settle();
  for (const socket of [...listeners, ...askers]) socket?.close();
  const probes = plans.map(({ from, to, target, path }, at): NetworkProbe => {
    const sender = stations[from] as Station;
    const meant = stations[to] as Station;
    const heard = seen.get(String(at));
    const by = answered.get(String(at));
    return {
      path,
      from: sender.name,
      to: meant.name,
      target: formatIp(target),
      answeredBy: by,
      seenAs: heard && formatIp(heard.source),
      reached: by === meant.name,
      withoutNat: heard !== undefined && isOwn(sender, heard.source),
    };
  });
  const required = probes.filter(({ path }) => path.startsWith("pod → pod") || path === "node → pod, same node");
  const holds = required.every(({ reached, withoutNat }) => reached && withoutNat);
  return shown({ probes, holds }, cluster.options.cni);
}

function podsOf(cluster: Cluster): readonly Station[] {
  return cluster.store.list("Pod").flatMap((pod): readonly Station[] => {
    const { name, namespace = "default" } = pod.metadata;
    const node = pod.spec.nodeName;
    const net = node === undefined ? undefined : cluster.nodes.get(node)?.kubelet.podNet(`${namespace}/${name}`);
    if (node === undefined || !net || net.hostNetwork || pod.status.phase !== "Running") return [];
    const short = namespace === "default" ? name : `${namespace}/${name}`;
    return [{ name: `pod/${short}`, kind: "pod", node, netns: net.netns, ips: net.ips }];
  });
}

function nodesOf(cluster: Cluster): readonly Station[] {
  return [...cluster.nodes.values()].map(({ name, net }) => {
    return { name: `node/${name}`, kind: "node", node: name, netns: net.netns, ips: net.ips };
  });
}

interface Plan {
  readonly from: number;
  readonly to: number;
  readonly target: Ip;
  readonly path: PathKind;
}

/** Every pair but nodes among themselves, by every address of whom is asked. */
function plan(stations: readonly Station[]): readonly Plan[] {
  return stations.flatMap((sender, from) =>
    stations.flatMap((meant, to): readonly Plan[] => {
      const path = pathOf(sender, meant);
      if (from === to || path === undefined) return [];
      const shared = meant.ips.filter((ip) => sender.ips.some((own) => family(own) === family(ip)));
      return shared.map((target) => ({ from, to, target, path }));
    }),
  );
}

function pathOf(from: Station, to: Station): PathKind | undefined {
  if (to.kind === "node") return from.kind === "pod" ? "pod → node" : undefined;
  const where = from.node === to.node ? "same node" : "other node";
  return `${from.kind} → pod, ${where}`;
}

/** Answers each datagram with its own name; a socket of `::` hears both families. Undefined where the port is taken. */
function listen(station: Station, seen: Map<string, { by: string; source: Ip }>): UdpSocket | undefined {
  try {
    return station.netns.sockets.openUdp(
      { ip: anyIpv6, port, owner: "network check" },
      {
        received(socket, { payload, source }) {
          const question = textOf(payload);
          if (!seen.has(question)) seen.set(question, { by: station.name, source: source.ip });
          socket.send(`${question} ${station.name}`, source);
        },
      },
    );
  } catch (error) {
    if (error instanceof SocketError) return undefined;
    throw error;
  }
}

function ask({ netns }: Station, answered: Map<string, string>): UdpSocket {
  return netns.sockets.openUdp(
    { ip: anyIpv6, owner: "network check" },
    {
      received(_socket, { payload }) {
        const [question = "", by = ""] = textOf(payload).split(" ");
        answered.set(question, by);
      },
    },
  );
}

function textOf(payload: string | Message): string {
  return typeof payload === "string" ? payload : "";
}

function isOwn({ netns }: Station, ip: Ip): boolean {
  return [...netns.devices.values()].some(({ addresses }) => addresses.some((address) => address.ip === ip));
}

function shown(check: NetworkCheck, cni: string): NetworkCheck {
  const rows = kinds.flatMap((kind) => {
    const probes = check.probes.filter(({ path }) => path === kind);
    if (probes.length === 0) return [];
    const reached = probes.filter((probe) => probe.reached);
    const plain = reached.filter((probe) => probe.withoutNat);
    const odd = probes.find((probe) => !probe.reached) ?? probes.find((probe) => !probe.withoutNat);
    const count = (some: readonly NetworkProbe[]): string => `${some.length} of ${probes.length}`;
    return [[kind, count(reached), count(plain), odd ? sentence(odd) : ""]];
  });
  const columns = [
    { title: "path" },
    { title: "reached", align: "right" },
    { title: "without NAT", align: "right" },
    { title: "for example" },
  ] as const;
  const verdict = check.holds ? "every pod reaches every pod without NAT" : "Kubernetes' requirements do not hold";
  return showAsTable(check, `Network ${cni}: ${verdict}`, { columns, rows });
}

function sentence({ from, to, target, answeredBy, seenAs, reached }: NetworkProbe): string {
  const way = `${from} → ${to} (${target})`;
  if (reached) return `${way}: seen as ${seenAs}`;
  if (answeredBy !== undefined) return `${way}: ${answeredBy} answered`;
  return `${way}: ${seenAs === undefined ? "nobody answered" : "the answer did not come back"}`;
}
