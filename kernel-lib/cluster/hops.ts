/** Owns a packet's way as hops: each place and device it met, its header before and after, what changed, and why. */
import type { Link } from "../net/device";
import type { Netns } from "../net/netns";
import type { MatchedRule, PacketData, PacketEvent, PacketEventKind } from "../net/passage";
import type { Time } from "../sim/clock";
import type { Entry } from "../sim/journal";
import type { Setting } from "./question";
import { ruleLine } from "./rules";

/** A line of the journal about a packet. */
export interface Line {
  readonly entry: Entry;
  readonly event: PacketEvent;
}

/** A packet's headers, as text and numbers. */
export interface Header {
  /** With its port, if the protocol has one: `10.244.1.2:60100`, `[fd00::2]:60100`. */
  readonly source: string;
  readonly target: string;
  /** `TCP SYN`, `UDP`, `ICMP echo`. */
  readonly word: string;
  readonly ttl: number;
  /** Octets of the IP packet. */
  readonly size: number;
  readonly sourceMac?: string;
  readonly targetMac?: string;
  /** Of a VXLAN packet: the network inside, and the packet in it. */
  readonly vni?: number;
  readonly inner?: Header;
}

/** What a hop did to the packet. */
export interface Change {
  /**
   * `untranslated`: a reply got the address back that its connection's NAT had hidden; `proxied`: a proxy took the
   * connection, and goes on with one of its own.
   */
  readonly kind: "dnat" | "snat" | "untranslated" | "encapsulated" | "decapsulated" | "proxied";
  /** Which address; none for a tunnel. */
  readonly field?: "source" | "target";
  readonly from?: string;
  readonly to?: string;
  readonly text: string;
}

/** Why it went on as it did. `fdb`: a forwarding database, a bridge's or a VXLAN device's. */
export interface Reason {
  readonly kind: "route" | "rule" | "fdb";
  readonly text: string;
  /** The rule, if it is one. */
  readonly rule?: MatchedRule;
}

/** How the way ends. `lost`: it left, and got nowhere. */
export interface End {
  readonly fate: "deliver" | "consume" | "drop" | "reject" | "lost";
  readonly why: string;
}

/** What a hop happened at: a pod, a node's bridge or tunnel device, a node's own kernel, the router, the workstation. */
export type HopKind = "pod" | "bridge" | "tunnel" | "host" | "router" | "workstation";

/** One hop. A node has one for its bridge or itself, and one for its tunnel. */
export interface Hop {
  /** From 1, over the way out and the way of the answer. */
  readonly number: number;
  readonly way: "out" | "back";
  readonly kind: HopKind;
  /** `pod/curl`, `node/node-1`, `router`, `workstation`. */
  readonly where: string;
  /** The node that the place is on, or is. */
  readonly node?: string;
  /** The device that stands for the hop: `cni0`, `flannel.1`, `eth0`. */
  readonly device: string;
  /** By which device it came in, and by which it left. */
  readonly input?: string;
  readonly output?: string;
  /** Microseconds since the first packet was sent: when it came, and when it left or ended. */
  readonly time: Time;
  readonly left: Time;
  readonly before: Header;
  readonly after: Header;
  readonly changes: readonly Change[];
  readonly reasons: readonly Reason[];
  readonly end?: End;
}

/** The hops of one way; numbered from `first`. */
export function hopsOf(ground: Setting, lines: readonly Line[], begin: Time, way: Hop["way"], first: number): Hop[] {
  const groups = visits(lines).flatMap((visit) => split(visit, tunnelsOf(ground, visit)));
  return groups.map((group, at) => {
    const isLast = at === groups.length - 1;
    return hopOf(ground, group, { begin, way, number: first + at, isLast });
  });
}

/** Lines one after another in the same namespace. */
function visits(lines: readonly Line[]): readonly (readonly Line[])[] {
  const found: Line[][] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last?.[0]?.event.netns === line.event.netns) last.push(line);
    else found.push([line]);
  }
  return found;
}

/**
 * The tunnel device of a node is a hop of its own: before it the packet is itself, behind it the outer one. And so is
 * each bridge, where a node has several one behind the other.
 */
function split(lines: readonly Line[], tunnels: ReadonlySet<string>): readonly (readonly Line[])[] {
  const found: Line[][] = [[]];
  for (const [at, line] of lines.entries()) {
    const before = lines[at - 1]?.event;
    const { event } = line;
    const fails = event.kind === "drop" && tunnels.has(line.entry.about);
    const enters = event.kind === "encapsulate" || fails;
    const leaves = before?.kind === "decapsulate" && event.device !== before.device;
    const left = before !== undefined && lines[at - 2]?.event.kind === "decapsulate" && before.kind === "receive";
    const nextBridge = event.kind === "receive" && before?.kind === "bridge";
    if ((enters || leaves || left || nextBridge) && found.at(-1)?.length !== 0) found.push([]);
    found.at(-1)?.push(line);
  }
  return found;
}

/** The VXLAN devices of the namespace. */
function tunnelsOf({ network }: Setting, [line]: readonly Line[]): ReadonlySet<string> {
  const devices = line && network.namespaces.get(line.event.netns)?.devices.values();
  return new Set([...(devices ?? [])].filter(({ link }) => link.type === "vxlan").map(({ name }) => name));
}

interface About {
  readonly begin: Time;
  readonly way: Hop["way"];
  readonly number: number;
  readonly isLast: boolean;
}

function hopOf(ground: Setting, lines: readonly Line[], { begin, way, number, isLast }: About): Hop {
  const events = lines.map(({ event }) => event);
  const [first, final] = [lines[0], lines.at(-1)];
  if (!first || !final) throw new Error("a hop has at least one line");
  const netns = ground.network.namespaces.get(first.event.netns);
  const input = events.find(({ kind }) => kind === "receive")?.device;
  const output = last(events, ({ kind }) => kind === "transmit" || kind === "bridge")?.device;
  const tunnels = tunnelsOf(ground, lines);
  const tunnel = lines.find(({ entry, event }) => tunnelKinds.has(event.kind) && tunnels.has(entry.about));
  const failed = final.event.kind === "drop" && netns?.devices.has(final.entry.about) ? final.entry.about : undefined;
  const bridge = tunnel ? undefined : bridgeOf(netns, lines, [input, output, failed]);
  const where = whereOf(ground, first.event.netns);
  const node = nodeOf(ground, first.event.netns);
  // What a proxy takes is no end: it goes on from here.
  const own = events.reduce((found, { kind }, at) => (kind === "send" ? at : found), 0);
  const end = endOf(lines.slice(own)) ?? (isLast ? lost(final.entry.what) : undefined);
  const device = tunnel?.entry.about ?? bridge ?? input ?? output ?? failed ?? "lo";
  return {
    number,
    way,
    kind: kindOf(ground, first.event.netns, tunnel !== undefined, bridge !== undefined),
    where,
    ...(node !== undefined && { node }),
    device,
    ...(input !== undefined && { input }),
    ...(output !== undefined && { output }),
    time: first.entry.at - begin,
    left: final.entry.at - begin,
    before: headerOf(first.event.before ?? first.event.packet, first.event),
    after: headerOf(final.event.packet, final.event),
    changes: lines.flatMap((line) => changesOf(line, events)),
    reasons: lines.flatMap(reasonsOf),
    ...(end && { end }),
  };
}

/** The bridge that the packet crossed, or went in or out by. */
function bridgeOf(
  netns: Netns | undefined,
  lines: readonly Line[],
  used: readonly (string | undefined)[],
): string | undefined {
  const crossed = lines.find(({ event }) => event.kind === "bridge")?.entry.about;
  if (crossed !== undefined) return crossed;
  for (const name of used) {
    const device = name === undefined ? undefined : netns?.devices.get(name);
    const found = device?.master ?? device;
    if (found && isBridge(found.link)) return found.name;
  }
  return undefined;
}

function isBridge({ type }: Link): boolean {
  return type === "bridge";
}

function kindOf({ store }: Setting, netns: string, tunnel: boolean, bridge: boolean): HopKind {
  if (netns === "workstation" || netns === "router") return netns;
  if (netns === "client") return "workstation";
  if (!store.get("Node", netns)) return netns.includes("/") ? "pod" : "router";
  return tunnel ? "tunnel" : bridge ? "bridge" : "host";
}

function last<T>(list: readonly T[], wanted: (item: T) => boolean): T | undefined {
  for (let at = list.length - 1; at >= 0; at--) {
    const item = list[at];
    if (item !== undefined && wanted(item)) return item;
  }
  return undefined;
}

const tunnelKinds: ReadonlySet<PacketEventKind> = new Set(["encapsulate", "decapsulate", "drop"]);
const fates: ReadonlySet<PacketEventKind> = new Set(["deliver", "consume", "drop", "reject"]);

function endOf(lines: readonly Line[]): End | undefined {
  const found = last(lines, ({ event }) => fates.has(event.kind));
  if (!found) return undefined;
  const sent = lines[lines.indexOf(found) - 1]?.event.kind === "transmit";
  const fate = found.event.kind === "drop" && sent ? "lost" : (found.event.kind as End["fate"]);
  return { fate, why: found.entry.what };
}

function lost(lastly: string): End {
  return { fate: "lost", why: `nothing was heard of it again (${lastly})` };
}

function changesOf({ entry, event }: Line, all: readonly PacketEvent[]): readonly Change[] {
  const { packet, before } = event;
  if (event.kind === "send" && all[0] !== event) {
    const [from, to] = [endText(packet, "source"), endText(packet, "target")];
    return [{ kind: "proxied", from, to, text: `the proxy connects on: ${from} → ${to}` }];
  }
  if (event.kind === "encapsulate") {
    const outer = all.find(({ packet: sent }) => sent.vni !== undefined)?.packet;
    if (!outer) return [];
    const text = `into UDP (VNI ${outer.vni}): +${outer.size - packet.size} octets`;
    return [{ kind: "encapsulated", from: outer.source, to: outer.target, text }];
  }
  if (event.kind === "decapsulate") return [{ kind: "decapsulated", text: "taken out of the UDP packet" }];
  if (event.kind !== "nat" || !before) return [];
  const reply = /^(IPVS: )?reply /.test(entry.what);
  return (["source", "target"] as const).flatMap((field): readonly Change[] => {
    const [from, to] = [endText(before, field), endText(packet, field)];
    if (from === to) return [];
    const kind = reply ? "untranslated" : field === "source" ? "snat" : "dnat";
    const side = field === "source" ? "source" : "destination";
    return [{ kind, field, from, to, text: `${side} ${from} → ${to}` }];
  });
}

function reasonsOf({ entry, event }: Line): readonly Reason[] {
  const { kind, rule } = event;
  if (kind === "route") return [{ kind, text: entry.what.replace(/^route: /, "") }];
  if (kind === "rule" && rule) return [{ kind, text: ruleLine(rule), rule }];
  if (kind === "bridge" || kind === "encapsulate") return [{ kind: "fdb", text: entry.what }];
  return [];
}

/** What a picture tells of a packet. @param event adds the MAC addresses of its frame */
export function headerOf(packet: PacketData, event?: PacketEvent): Header {
  return {
    source: endText(packet, "source"),
    target: endText(packet, "target"),
    word: wordFor(packet),
    ttl: packet.ttl,
    size: packet.size,
    ...(event?.sourceMac !== undefined && { sourceMac: event.sourceMac }),
    ...(event?.targetMac !== undefined && { targetMac: event.targetMac }),
    ...(packet.vni !== undefined && { vni: packet.vni }),
    ...(packet.inner && { inner: headerOf(packet.inner) }),
  };
}

/** What kind of packet it is, in the words of its protocol. */
function wordFor({ protocol, flags, icmp, vni }: PacketData): string {
  if (vni !== undefined) return "VXLAN";
  if (protocol === "icmp") return `ICMP ${icmp}`;
  if (protocol !== "tcp") return protocol.toUpperCase();
  const words = { S: "SYN", ".": "ACK", F: "FIN", R: "RST", P: "PSH" };
  const all = [...(flags ?? "")].map((flag) => words[flag as keyof typeof words] ?? flag);
  return `TCP ${all.join("-")}`;
}

/** An address of a packet, with its port if it has one. */
function endText(packet: PacketData, side: "source" | "target"): string {
  const ip = packet[side];
  const port = side === "source" ? packet.sourcePort : packet.targetPort;
  return port === undefined ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}

/** A namespace in a reader's words: `node/node-1`, `pod/curl`. */
export function whereOf({ store, network }: Setting, netns: string): string {
  if (store.get("Node", netns)) return `node/${netns}`;
  return network.namespaces.has(netns) && netns.includes("/") ? `pod/${netns.replace(/^default\//, "")}` : netns;
}

function nodeOf({ store }: Setting, netns: string): string | undefined {
  return store.get("Node", netns) ? netns : store.get("Pod", netns)?.spec.nodeName;
}
