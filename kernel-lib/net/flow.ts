/** Owns asking where a packet would go: the same way through the same hooks, without clock, and without changing anything. */
import type { Entry } from "../sim/journal";
import { type Ip, parseIp } from "./address";
import { type Choose, explore, type Possibility } from "./explore";
import type { Netns } from "./netns";
import type { Conveyor } from "./network";
import type { Packet } from "./packet";
import type { Ended, MatchedRule, PacketEvent } from "./passage";

/** The first packet of a flow. */
export interface Flow {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly target: Ip;
  readonly targetPort: number;
  /** Default: the address that the namespace would choose. */
  readonly source?: Ip;
  /** Default: a port that no connection uses. */
  readonly sourcePort?: number;
  /** The packet comes in by this device instead of from a local socket. */
  readonly input?: string;
  readonly mark?: number;
}

/** Where it ends. */
export type FlowEnd =
  | "delivered"
  /** It reached a namespace, where nobody listens. */
  | "refused"
  /** A rule told the sender so (REJECT). */
  | "rejected"
  | "dropped";

export interface FlowResult {
  readonly end: FlowEnd;
  /** The namespace where it ended, and why. */
  readonly netns: string;
  readonly why: string;
  /** Who holds the socket that would take it. */
  readonly owner?: string;
  /** As it looked at its end, after all NAT. */
  readonly packet: Packet;
  readonly source: Ip;
  readonly sourcePort: number;
  readonly target: Ip;
  readonly targetPort: number;
  /** Rules that matched, in order, with the namespace they are in. */
  readonly rules: readonly (MatchedRule & { readonly netns: string })[];
  /** Everything on the way, as the journal of a live run would have it. */
  readonly entries: readonly Entry[];
}

export interface WalkOptions {
  readonly choose: Choose;
  /** Keep what the journal would say (default). Without it a walk is several times faster and has no rules to show. */
  readonly entries?: boolean;
}

/** How many steps one walk may take: a routing loop ends by its TTL long before. */
const stepLimit = 10_000;

/** An ephemeral port that sockets of this simulation do not take by themselves. */
const unusedPort = 61000;

/** Sends the first packet of a flow from `netns` through whatever is on its way, with the choices given. */
export function walkFlow(netns: Netns, flow: Flow, options: WalkOptions): FlowResult {
  const { network } = netns;
  const live = network.conveyor;
  const queue: (() => void)[] = [];
  const entries: Entry[] = [];
  let ended: Ended | undefined;
  let id = 0;
  const conveyor: Conveyor = {
    dry: true,
    watched: options.entries ?? true,
    after: (_, run) => {
      queue.push(run);
    },
    choose: (_, weights) => options.choose(weights),
    tell: (entry) => {
      entries.push(entry);
    },
    ended: (end) => {
      if (end.packet.id === id) ended = end;
    },
  };
  network.conveyor = conveyor;
  try {
    const packet = firstPacket(netns, flow);
    id = packet.id;
    if (flow.input === undefined) netns.send(packet);
    else netns.arrive(packet, netns.device(flow.input));
    for (let steps = 0; queue.length > 0; steps++) {
      if (steps >= stepLimit) throw new Error(`a packet did not come to an end within ${stepLimit} steps`);
      queue.shift()?.();
    }
    return result(netns, packet, ended, entries);
  } finally {
    network.conveyor = live;
  }
}

/** Everything that can become of a flow, each with its probability: `explain`. */
export function explainFlow(
  netns: Netns,
  flow: Flow,
  options: { entries?: boolean } = {},
): readonly Possibility<FlowResult>[] {
  return explore((choose) => walkFlow(netns, flow, { choose, ...options }));
}

function firstPacket(netns: Netns, flow: Flow): Packet {
  const source = flow.source ?? netns.sourceFor(flow.target) ?? parseIp("0.0.0.0");
  const ports = { sourcePort: flow.sourcePort ?? unusedPort, targetPort: flow.targetPort };
  switch (flow.protocol) {
    case "tcp":
      return netns.network.packet(source, flow.target, {
        protocol: "tcp",
        ...ports,
        flags: "S",
        sequence: 0,
        acknowledgement: 0,
        payload: "",
      });
    case "udp":
      return netns.network.packet(source, flow.target, { protocol: "udp", ...ports, payload: "" });
    case "sctp":
      return netns.network.packet(source, flow.target, { protocol: "sctp", ...ports });
  }
}

function result(netns: Netns, packet: Packet, ended: Ended | undefined, entries: readonly Entry[]): FlowResult {
  const last = ended?.packet ?? packet;
  const { body } = last;
  const ports = body.protocol === "icmp" ? { sourcePort: 0, targetPort: 0 } : body;
  return {
    end: ended ? endOf(ended) : "dropped",
    netns: ended?.netns ?? netns.name,
    why: ended?.why ?? "it reached nobody",
    ...(ended?.owner === undefined ? {} : { owner: ended.owner }),
    packet: last,
    source: last.source,
    sourcePort: ports.sourcePort,
    target: last.target,
    targetPort: ports.targetPort,
    rules: entries.flatMap(({ detail }) => rulesOf(detail as PacketEvent, packet.id)),
    entries,
  };
}

function rulesOf(event: PacketEvent, id: number): readonly (MatchedRule & { readonly netns: string })[] {
  return event.rule && event.packet.id === id ? [{ ...event.rule, netns: event.netns }] : [];
}

function endOf(ended: Ended): FlowEnd {
  switch (ended.fate) {
    case "deliver":
    case "consume":
      return "delivered";
    case "drop":
      return "dropped";
    case "reject":
      return ended.refused ? "refused" : "rejected";
  }
}
