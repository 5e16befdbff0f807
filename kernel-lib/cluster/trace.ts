/** Owns a packet's way: one real request, and each step of its first packet and of the first answer, with the reason. */
import { formatIp } from "../net/address";
import type { MatchedRule, PacketEvent, PacketEventKind } from "../net/passage";
import type { Time } from "../sim/clock";
import { type Hop, headerOf, hopsOf, type Line, whereOf } from "./hops";
import { datagram, echo } from "./probe";
import { type Asked, ask, type Ground, type Probe, type Question } from "./question";
import { type RequestOutcome, request } from "./request";
import { showTrace } from "./traceview";

/** One step of the way. */
export interface Step {
  /** Microseconds since the first packet was sent. */
  readonly time: Time;
  /** The way out, or the way of the answer. */
  readonly way: "out" | "back";
  /** Which pod or node: `pod/curl`, `node/node-1`. */
  readonly where: string;
  readonly kind: PacketEventKind;
  /** What happened, and why. */
  readonly what: string;
  /** The rule that matched, if it is one. */
  readonly rule?: MatchedRule;
  /** The packet's addresses after this step: `10.244.1.2:60100 → 10.244.2.2:80`. */
  readonly packet: string;
}

/** What is asked of a trace. */
export interface TraceQuestion extends Question {
  /** What is sent; `tcp` unless given. An echo request (`icmp`) is sent to a host: `pod/x`, `node/x`, `workstation`, an IP. */
  readonly protocol?: Probe;
}

/** The Service that was asked for: no place on the way, but the address that the way began with. */
export interface AskedService {
  readonly name: string;
  readonly address: string;
}

/** A request, and the way of its first packet and of the first answer; shows itself as a diagram and a table. */
export interface Trace extends Question {
  readonly protocol: Probe;
  readonly service?: AskedService;
  readonly outcome: RequestOutcome;
  /** Place by place: header before and after, what changed, and why. */
  readonly hops: readonly Hop[];
  /** The same in single steps. */
  readonly steps: readonly Step[];
}

const probes = { tcp: request, udp: datagram, icmp: echo } as const;

/** Sends one request, datagram or echo request, and tells the way it took. @throws Error about a word of the question */
export async function trace(ground: Ground, question: TraceQuestion): Promise<Trace> {
  const { from, to, protocol = "tcp" } = question;
  if (!Object.hasOwn(probes, protocol))
    throw new Error(`protocol: ${JSON.stringify(protocol)} is none of tcp, udp, icmp`);
  const asked = ask(ground, question, protocol);
  const lines: Line[] = [];
  const reader = ground.network.sim.journal.follow((entry) => {
    const event = entry.detail as PacketEvent | undefined;
    if (event?.type === "packet") lines.push({ entry, event });
  });
  let outcome: RequestOutcome;
  try {
    outcome = await ground.driver.run(`trace from ${from}`, (process) => probes[protocol](ground, process, asked));
  } finally {
    reader.stop();
  }
  const service = asked.service === undefined ? undefined : serviceOf(asked);
  return showTrace({
    from,
    to,
    protocol,
    ...(service && { service }),
    outcome,
    ...waysOf(ground, asked, protocol, lines),
  });
}

function serviceOf({ to, ip }: Asked): AskedService {
  return { name: to.replace(/^service\//, "svc/"), address: formatIp(ip) };
}

/** The first packet is the client's first; the first answer is what then comes back to its address. */
function waysOf(ground: Ground, asked: Asked, probe: Probe, lines: readonly Line[]): Pick<Trace, "hops" | "steps"> {
  const first = lines.findIndex(
    ({ event }) => event.kind === "send" && event.netns === asked.netns.name && isAskedPacket(event, asked, probe),
  );
  const sent = lines[first];
  if (!sent) return { hops: [], steps: [] };
  const { id } = sent.event.packet;
  const out = wayOf(lines.slice(first), id);
  const answer = lines.find(({ event }, at) => at > first && isAnswer(event, id, out));
  const back = answer ? wayOf(lines.slice(lines.indexOf(answer)), answer.event.packet.id) : [];
  const begin = sent.entry.at;
  const whole = [...out, ...proxiedWay(lines, out)];
  const hopsOut = hopsOf(ground, whole, begin, "out", 1);
  return {
    hops: [...hopsOut, ...hopsOf(ground, back, begin, "back", hopsOut.length + 1)],
    steps: [
      ...whole.map((line) => stepOf(ground, line, begin, "out")),
      ...back.map((line) => stepOf(ground, line, begin, "back")),
    ],
  };
}

/** The first packet of the connection that a proxy (userspace mode) makes of its own, when a rule led to its socket. */
function proxiedWay(lines: readonly Line[], out: readonly Line[]): readonly Line[] {
  const taken = out.at(-1);
  const redirected = out.some(({ event }) => event.rule?.effect?.does === "redirect");
  if (taken?.event.kind !== "deliver" || !redirected) return [];
  const { netns, packet } = taken.event;
  const after = lines.slice(lines.indexOf(taken) + 1);
  const own = after.find(({ event }) => {
    const begins = event.packet.protocol === "udp" || event.packet.flags === "S";
    return event.kind === "send" && event.netns === netns && begins && event.packet.target !== packet.source;
  });
  return own ? wayOf(after.slice(after.indexOf(own)), own.event.packet.id) : [];
}

function isAskedPacket({ packet }: PacketEvent, asked: Asked, probe: Probe): boolean {
  if (packet.target !== formatIp(asked.ip) || packet.protocol !== probe) return false;
  if (probe === "icmp") return packet.icmp === "echo";
  return packet.targetPort === asked.port && (probe === "udp" || packet.flags === "S");
}

/** An ICMP error about the packet; or what is sent back to its source, as the last one on the way saw it. */
function isAnswer({ kind, packet }: PacketEvent, id: number, out: readonly Line[]): boolean {
  if (kind !== "send" || packet.vni !== undefined) return false;
  if (packet.inner?.id === id) return true;
  const last = out.at(-1)?.event;
  return last !== undefined && arrived.has(last.kind) && packet.target === last.packet.source;
}

const arrived: ReadonlySet<PacketEventKind> = new Set(["deliver", "consume", "reject"]);

/** The lines of one packet worth telling: itself, and the tunnel around it as far as it is carried. */
export function wayOf(lines: readonly Line[], id: number): readonly Line[] {
  const own = lines.filter(({ event }) => event.packet.id === id || (event.packet.inner?.id === id && carries(event)));
  // What becomes of the outer packet becomes of the inner one: told once, in the words of where it happened.
  const lost = own.findIndex(({ event }) => event.packet.vni !== undefined && failures.has(event.kind));
  const told = lost < 0 ? own : own.slice(0, lost + 1);
  return withoutDetours(told).filter(({ event }) => !unremarkable.has(event.kind));
}

const failures: ReadonlySet<PacketEventKind> = new Set(["drop", "reject"]);

/** What the tunnel does with the outer packet: only where it went, or that it ended before its time. */
function carries({ kind, packet }: PacketEvent): boolean {
  return (
    packet.vni !== undefined && (kind === "transmit" || kind === "receive" || kind === "drop" || kind === "reject")
  );
}

const unremarkable: ReadonlySet<PacketEvent["kind"]> = new Set(["conntrack", "neighbor"]);

/**
 * Drops rules that led nowhere: a jump into a chain from which the packet came back as it was, and the RETURN in it.
 * What stays is the chain of jumps down to a rule that decided something.
 */
function withoutDetours(lines: readonly Line[]): readonly Line[] {
  const kept: Line[] = [];
  for (const line of [...lines].reverse()) {
    const { rule } = line.event;
    if (!rule || leadsOn(rule, kept.at(-1)?.event.rule)) kept.push(line);
  }
  return kept.reverse();
}

/** Whether a rule decided something itself, or led to the next one that is told. */
function leadsOn({ table, effect }: MatchedRule, next: MatchedRule | undefined): boolean {
  if (effect?.does === "jump" || effect?.does === "goto") {
    return next !== undefined && next.chain === effect.chain && next.table === table;
  }
  return effect !== undefined && effect.does !== "return";
}

function stepOf(ground: Ground, { entry, event }: Line, begin: Time, way: Step["way"]): Step {
  const { packet, rule, kind } = event;
  const { source, target, word } = headerOf(packet);
  return {
    time: entry.at - begin,
    way,
    where: whereOf(ground, event.netns),
    kind,
    what: entry.what,
    ...(rule && { rule }),
    packet: `${source} → ${target} ${word}`,
  };
}
