/** Owns a packet's way: one real request, and each step of its first packet and of the first answer, with the reason. */
import { formatIp } from "../net/address";
import type { MatchedRule, PacketEvent, PacketEventKind } from "../net/passage";
import type { Time } from "../sim/clock";
import type { Entry } from "../sim/journal";
import { type Asked, ask, type Ground, type Question } from "./question";
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

/** A request, and the way of its first packet and of the first answer; shows itself as a table. */
export interface Trace extends Question {
  readonly outcome: RequestOutcome;
  readonly steps: readonly Step[];
}

interface Line {
  readonly entry: Entry;
  readonly event: PacketEvent;
}

/** Sends one request, and tells the way it took. */
export async function trace(ground: Ground, question: Question): Promise<Trace> {
  const asked = ask(ground, question);
  const lines: Line[] = [];
  const reader = ground.network.sim.journal.follow((entry) => {
    const event = entry.detail as PacketEvent | undefined;
    if (event?.type === "packet") lines.push({ entry, event });
  });
  let outcome: RequestOutcome;
  try {
    outcome = await ground.driver.run(`trace from ${question.from}`, (process) => request(ground, process, asked));
  } finally {
    reader.stop();
  }
  const steps = stepsOf(ground, asked, lines);
  return showTrace({ ...question, outcome, steps });
}

/** The first packet is the client's first; the first answer is what then comes back to its address. */
function stepsOf(ground: Ground, asked: Asked, lines: readonly Line[]): readonly Step[] {
  const first = lines.findIndex(
    ({ event }) => event.kind === "send" && event.netns === asked.netns.name && isAskedPacket(event, asked),
  );
  const sent = lines[first];
  if (!sent) return [];
  const out = wayOf(lines.slice(first), sent.event.packet.id);
  const answer = lines.find(
    ({ event }, at) =>
      at > first && event.kind === "send" && event.packet.target === backTo(out) && event.packet.vni === undefined,
  );
  const back = answer ? wayOf(lines.slice(lines.indexOf(answer)), answer.event.packet.id) : [];
  const begin = sent.entry.at;
  return [
    ...out.map((line) => stepOf(ground, line, begin, "out")),
    ...back.map((line) => stepOf(ground, line, begin, "back")),
  ];
}

function isAskedPacket({ packet }: PacketEvent, asked: Asked): boolean {
  return packet.target === formatIp(asked.ip) && packet.targetPort === asked.port && packet.flags === "S";
}

/** Where the answer is sent: the source as the last one on the way saw it. */
function backTo(out: readonly Line[]): string | undefined {
  return out.at(-1)?.event.packet.source;
}

/** The lines of one packet worth telling: itself, and the tunnel around it as far as it is carried. */
function wayOf(lines: readonly Line[], id: number): readonly Line[] {
  const own = lines.filter(({ event }) => event.packet.id === id || (event.packet.inner?.id === id && carries(event)));
  return withoutDetours(own).filter(({ event }) => !unremarkable.has(event.kind));
}

function carries({ kind, packet }: PacketEvent): boolean {
  return packet.vni !== undefined && (kind === "transmit" || kind === "receive");
}

const unremarkable: ReadonlySet<PacketEvent["kind"]> = new Set(["conntrack", "neighbor", "consume"]);

/**
 * Drops rules that led nowhere: a jump into a chain from which the packet came back as it was, and the RETURN in it.
 * What stays is the chain of jumps down to a rule that decided something.
 */
function withoutDetours(lines: readonly Line[]): readonly Line[] {
  const kept: Line[] = [];
  for (const line of [...lines].reverse()) {
    const { rule } = line.event;
    if (!rule) {
      kept.push(line);
      continue;
    }
    const target = / -j (\S+)/.exec(rule.text)?.[1] ?? "";
    const next = kept.at(-1)?.event.rule;
    const leadsOn = next !== undefined && next.chain === target && next.table === rule.table;
    if (leadsOn || decisions.has(target)) kept.push(line);
  }
  return kept.reverse();
}

const decisions: ReadonlySet<string> = new Set(["ACCEPT", "DROP", "REJECT", "DNAT", "SNAT", "MASQUERADE", "MARK"]);

function stepOf(ground: Ground, { entry, event }: Line, begin: Time, way: Step["way"]): Step {
  const { packet, rule, kind } = event;
  return {
    time: entry.at - begin,
    way,
    where: whereOf(ground, event.netns),
    kind,
    what: entry.what,
    ...(rule && { rule }),
    packet: `${addressOf(packet, "source")} → ${addressOf(packet, "target")} ${wordFor(packet)}`,
  };
}

/** What kind of packet it is, in the words of its protocol. */
function wordFor({ protocol, flags, icmp }: PacketEvent["packet"]): string {
  if (protocol === "icmp") return `ICMP ${icmp}`;
  if (protocol !== "tcp") return protocol.toUpperCase();
  const words = { S: "SYN", ".": "ACK", F: "FIN", R: "RST", P: "PSH" };
  const all = [...(flags ?? "")].map((flag) => words[flag as keyof typeof words] ?? flag);
  return `TCP ${all.join("-")}`;
}

function addressOf(packet: PacketEvent["packet"], side: "source" | "target"): string {
  const ip = packet[side];
  const port = side === "source" ? packet.sourcePort : packet.targetPort;
  return port === undefined ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}

function whereOf({ store, network }: Ground, netns: string): string {
  if (store.get("Node", netns)) return `node/${netns}`;
  return network.namespaces.has(netns) && netns.includes("/") ? `pod/${netns.replace(/^default\//, "")}` : netns;
}
