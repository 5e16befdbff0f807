/** Owns walks: a connection's first packet through the same hooks as a live one, without a clock; to ask, or to commit. */
import type { Time } from "../sim/clock";
import type { Entry } from "../sim/journal";
import { type Ip, parseIp, type SocketAddress } from "./address";
import { type Choose, explore, type Possibility } from "./explore";
import type { Netns } from "./netns";
import type { Conveyor } from "./network";
import type { Packet } from "./packet";
import type { Conclude, ConnectionEnd, Ended, MatchedRule, PacketEvent, Walked } from "./passage";
import { SocketError } from "./socket";
import { ephemeralPort } from "./sockets";

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
  /** Set if it went through a proxy: where that took it, and from whom. The end is its own connection's. */
  readonly via?: { readonly netns: string; readonly source: Ip; readonly target: Ip; readonly targetPort: number };
  /** Everything on the way, as the journal of a live run would have it. */
  readonly entries: readonly Entry[];
  /** How much a Linux kernel would have tested for this packet, in all namespaces on the way. */
  readonly walked: Readonly<Walked>;
}

export interface WalkOptions {
  readonly choose: Choose;
  /** Keep what the journal would say (default). Without it a walk is several times faster and has no rules to show. */
  readonly entries?: boolean;
}

/** How a connection of a flow-level run is made. */
export interface RunOptions {
  /** Keep what the journal would say; without it (default) a run is several times faster and has no rules to show. */
  readonly entries?: boolean;
  /** It stays open until its `close` is called; otherwise it is over at once: asked, answered, closed by both sides. */
  readonly open?: boolean;
}

/** A connection of a flow-level run. */
export interface FlowRun extends FlowResult {
  /** Both sides close it. Nothing happens if it is closed already, or was never delivered. */
  close(): void;
}

/** How many steps one walk may take: a routing loop ends by its TTL long before. */
const stepLimit = 10_000;

/** How many proxies in a row a walk follows: one that passes on to itself has no end. */
const proxyLimit = 8;

/** An ephemeral port that sockets of this simulation do not take by themselves. */
const unusedPort = 61000;

/** Carries one packet on without clock and links: what would come later waits in a row. */
class Walk implements Conveyor {
  readonly dry = true;
  readonly asks: boolean;
  readonly watched: boolean;
  readonly choose: Conveyor["choose"];
  readonly walked: Walked = { rules: 0, lookups: 0 };
  readonly entries: Entry[] = [];
  /** What the namespaces on the way remember of the connection since. */
  readonly remembered: Conclude[] = [];
  end: Ended | undefined;
  #id = 0;
  #proxies = 0;
  readonly #queue: (() => void)[] = [];

  constructor(asks: boolean, watched: boolean, choose: Conveyor["choose"]) {
    this.asks = asks;
    this.watched = watched;
    this.choose = choose;
  }

  after(_: Time, run: () => void): void {
    this.#queue.push(run);
  }

  tell(entry: Entry): void {
    this.entries.push(entry);
  }

  /** What carries the packet over a tunnel is answered by none that would go back the same way. */
  began(conclude: Conclude, { id }: Packet): void {
    if (id === this.#id) this.remembered.push(conclude);
  }

  ended(end: Ended): void {
    if (end.packet.id === this.#id) this.end = end;
  }

  /** A proxy's socket has taken it: it goes on with a connection of the proxy's own, to another if one is not reached. */
  #passedOn(netns: Netns, flow: Flow, found: FlowResult): FlowResult {
    const passesOn = this.end?.passesOn;
    const proxy = netns.network.namespaces.get(found.netns);
    if (!passesOn || !proxy || found.end !== "delivered" || this.#proxies >= proxyLimit) return found;
    this.#proxies++;
    const client = { ip: found.source, port: found.sourcePort };
    const asked = this.asks ? passesOn.asked(client, (weights) => this.choose(proxy, weights)) : undefined;
    const via = { netns: found.netns, source: found.source, target: found.target, targetPort: found.targetPort };
    let last: FlowResult | undefined;
    for (let tries = 0; ; tries++) {
      const target = asked ? asked[tries] : passesOn.taken(client, tries);
      if (!target) break;
      const onward = proxyFlow(flow, target);
      last = this.send(proxy, this.asks ? onward : { ...onward, sourcePort: freePort(proxy, onward) });
      if (last.end === "delivered") break;
    }
    const why = `${found.owner ?? "the proxy"} finds no endpoint, and closes the connection`;
    const ended = last ?? { ...found, end: "refused" as const, why };
    return { ...ended, rules: [...found.rules, ...(last?.rules ?? [])], via };
  }

  /** Sends the first packet of a flow, to its end. */
  send(netns: Netns, flow: Flow): FlowResult {
    const { network } = netns;
    const live = network.conveyor;
    network.conveyor = this;
    try {
      const packet = firstPacket(netns, flow);
      this.#id = packet.id;
      this.end = undefined;
      this.#queue.length = 0;
      if (flow.input === undefined) netns.send(packet);
      else netns.arrive(packet, netns.device(flow.input));
      for (let step = 0; step < this.#queue.length; step++) {
        if (step >= stepLimit) throw new Error(`a packet did not come to an end within ${stepLimit} steps`);
        this.#queue[step]?.();
      }
      return this.#passedOn(netns, flow, result(netns, packet, this));
    } finally {
      network.conveyor = live;
    }
  }
}

/** A client of a proxy's has no port of its own yet; a question needs none that is free. */
function proxyFlow(flow: Flow, target: SocketAddress): Flow {
  return { protocol: flow.protocol, target: target.ip, targetPort: target.port };
}

/** Asks where the first packet of a flow from `netns` would go, with the choices given, and changes nothing. */
export function walkFlow(netns: Netns, flow: Flow, options: WalkOptions): FlowResult {
  return new Walk(true, options.entries ?? true, (_, weights) => options.choose(weights)).send(netns, flow);
}

/**
 * Makes a connection at flow level: its first packet meets the same hook functions as a live one, in every namespace on
 * the way, and what these decide holds (connection tracking and NAT, affinity, counters, IPVS's schedulers; each draws
 * from its node's own random stream). The packets after it are not sent: what is remembered of the connection is put
 * into the state that a request, its answer and both FINs leave behind (TIME_WAIT), or `open` into ESTABLISHED. So
 * entries go as in Linux: by their timeouts as the clock goes on, by a SYN that uses the same ports again, and where
 * the table is full (nf_conntrack_max) the oldest closed ones make room. No socket hears of it.
 */
export function runFlow(netns: Netns, flow: Flow, options: RunOptions = {}): FlowRun {
  const walk = new Walk(false, options.entries ?? false, drawLots);
  const sourcePort = flow.sourcePort ?? freePort(netns, flow);
  const found = walk.send(netns, flow.sourcePort === undefined ? { ...flow, sourcePort } : flow);
  let open = found.end === "delivered";
  const conclude = (end: ConnectionEnd): void => {
    for (const each of walk.remembered) each(end);
  };
  if (found.end === "refused") conclude("refused");
  if (open && options.open) {
    portsInUse(netns).add(sourcePort);
    conclude("established");
  } else if (open) {
    open = false;
    conclude("closed");
  }
  const close = (): void => {
    if (!open) return;
    open = false;
    portsInUse(netns).delete(sourcePort);
    conclude("closed");
  };
  return Object.assign(found, { close });
}

const drawLots: Conveyor["choose"] = (place, weights) => place.random.choose(weights);

/** The ports of connections of flow-level runs that are still open: they have no socket that would hold them. */
const openPorts = new WeakMap<Netns, Set<number>>();

function portsInUse(netns: Netns): Set<number> {
  const known = openPorts.get(netns) ?? new Set();
  openPorts.set(netns, known);
  return known;
}

function freePort(netns: Netns, { protocol, target, targetPort }: Flow): number {
  const used = openPorts.get(netns);
  const taken = (candidate: number): boolean => used?.has(candidate) ?? false;
  const connects = protocol === "tcp";
  const port = connects
    ? netns.sockets.connectPort({ ip: target, port: targetPort }, taken)
    : ephemeralPort(netns, taken);
  if (port === undefined) throw new SocketError("EADDRNOTAVAIL", "connect: Cannot assign requested address");
  return port;
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

function result(netns: Netns, packet: Packet, { end: ended, entries, walked }: Walk): FlowResult {
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
    walked,
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
