/** Owns `explain`: everything that can become of a connection, each outcome with its probability. */
import { type Family, family as familyOf, formatIp, formatSocketAddress, type Ip, tryParseIp } from "../net/address";
import type { Possibility } from "../net/explore";
import { explainFlow, type Flow, type FlowResult } from "../net/flow";
import type { Netns } from "../net/netns";
import type { MatchedRule, PacketEvent } from "../net/passage";
import { type Hop, hopsOf } from "./hops";
import { endpointName, type Question, readSource, readTarget, type Setting, type Target } from "./question";
import { asksForMasquerade, chosenBy, passedOn } from "./rules";
import { showAsTable, type Table } from "./table";
import { wayOf } from "./trace";

/** What can be asked of the rules without sending anything. */
export interface ExplainQuestion extends Question {
  /** Default: what the Service's port speaks if that is one protocol, else `tcp`. */
  readonly protocol?: "tcp" | "udp" | "sctp";
  /** Of which family the addresses should be, where there is a choice. Default: the target's first. */
  readonly family?: Family;
  /** The node that a packet from outside comes in by. `from` may be any IP address. */
  readonly node?: string;
}

/** One thing that can happen. */
export interface Outcome {
  /** From 0 to 1; those of one question add up to 1. */
  readonly probability: number;
  /** What becomes of the first packet. */
  readonly end: FlowResult["end"];
  /** Why it ended so. */
  readonly why: string;
  /** Where it ended: `pod/web-1`, `node/node-1`. */
  readonly netns: string;
  /** Who gets it, `10.244.1.3:80`. */
  readonly endpoint: string;
  /** The endpoint's name: `pod/my-nginx-…`. */
  readonly name: string;
  /** The source address that the endpoint sees. */
  readonly source: string;
  /** Whether a rule gave the packet another source, or a proxy's own connection replaced it. */
  readonly masqueraded: boolean;
  /** The node whose kube-proxy took the connection, and passes it on over one of its own (userspace mode). */
  readonly via?: string;
  /** What chose this endpoint: a rule's statistic, a scheduler; `""` where there was nothing to choose. */
  readonly chosenBy: string;
  /** The rules that matched on the way, as their tool prints them, with the node they are on. */
  readonly rules: readonly (MatchedRule & { readonly node: string })[];
  /** How many rules a Linux kernel would have tested, and how many sets and maps it would have asked. */
  readonly walked: FlowResult["walked"];
  /** The way of the packet, place by place. */
  readonly hops: readonly Hop[];
}

/** What becomes of a connection; shows itself as a table. */
export interface Explanation extends ExplainQuestion {
  readonly outcomes: readonly Outcome[];
}

/** A question whose words have been found: what is sent, and from which namespace. */
export interface AskedFlow extends Target {
  readonly netns: Netns;
  readonly flow: Flow;
}

/** Asks the rules, without sending anything: the same hook functions that a real packet meets, with every choice taken. */
export function explain(setting: Setting, question: ExplainQuestion): Explanation {
  const asked = askFlow(setting, question);
  const outcomes = outcomesOf(setting, asked);
  const caption = `What can become of a connection from ${question.from} to ${question.to}`;
  return showAsTable({ ...question, outcomes }, caption, outcomeTable(outcomes));
}

/** Every outcome of a flow. */
export function outcomesOf(setting: Setting, { netns, flow }: Pick<AskedFlow, "netns" | "flow">): readonly Outcome[] {
  return explainFlow(netns, flow).map((possibility) => outcomeOf(setting, possibility, sourceOf(netns, flow)));
}

function sourceOf(netns: Netns, flow: Flow): Ip | undefined {
  return flow.source ?? netns.sourceFor(flow.target);
}

/** Finds what a question names. @throws Error that says which word is wrong, and what it could be */
export function askFlow(setting: Setting, question: ExplainQuestion): AskedFlow {
  const { from, to, node, protocol } = question;
  const outside = tryParseIp(from.replace(/^\[(.*)\]$/, "$1"));
  const family = question.family ?? (outside === undefined ? undefined : familyOf(outside));
  const target = readTarget(setting, to, family);
  const flow = { protocol: protocol ?? target.protocol ?? "tcp", target: target.ip, targetPort: target.port } as const;
  if (outside === undefined) {
    if (node !== undefined)
      throw new Error(`node: ${from} sends from where it is; a node is said of an IP address only`);
    return { ...target, netns: readSource(setting, from), flow };
  }
  if (familyOf(outside) !== familyOf(target.ip)) {
    throw new Error(`from ${from} to ${formatIp(target.ip)}: an address of each family cannot speak to each other`);
  }
  if (node !== undefined) {
    const at = nodeNetns(setting, node);
    return { ...target, netns: at, flow: { ...flow, source: outside, input: uplinkOf(at) } };
  }
  const { netns, ...input } = outsideOf(setting, outside);
  return { ...target, netns, flow: { ...flow, source: outside, ...input } };
}

/** Who sends with this address: whose own it is, else somebody outside. */
function outsideOf({ network, outside }: Setting, ip: Ip): { readonly netns: Netns; readonly input?: string } {
  for (const netns of network.namespaces.values()) {
    if (netns.devices.size > 1 && hasAddress(netns, ip)) return { netns };
  }
  const workstation = network.namespaces.get("workstation");
  if (outside) return outside;
  if (workstation) return { netns: workstation };
  throw new Error(`from: nobody here has the address ${formatIp(ip)}`);
}

function hasAddress(netns: Netns, ip: Ip): boolean {
  return [...netns.devices.values()].some(({ addresses }) => addresses.some((address) => address.ip === ip));
}

function nodeNetns({ store, network }: Setting, node: string): Netns {
  const netns = store.get("Node", node) && network.namespaces.get(node);
  if (!netns) throw new Error(`nodes "${node}" not found`);
  return netns;
}

/** The device by which a node hears from outside: the one that its default route names, or its first physical one. */
function uplinkOf(netns: Netns): string {
  const device = [...netns.devices.values()].find(({ link }) => link.type === "physical");
  if (!device) throw new Error(`node ${netns.name} is plugged into no network`);
  return device.name;
}

function outcomeOf(
  setting: Setting,
  { outcome, probability }: Possibility<FlowResult>,
  sentBy: Ip | undefined,
): Outcome {
  const endpoint = formatSocketAddress(outcome.target, outcome.targetPort);
  const lines = outcome.entries.flatMap((entry) => {
    const event = entry.detail as PacketEvent | undefined;
    return event?.type === "packet" ? [{ entry, event }] : [];
  });
  return {
    probability,
    end: outcome.end,
    why: outcome.why,
    netns: outcome.netns,
    endpoint,
    name: endpointName(setting, outcome.target, outcome.targetPort) ?? endpoint,
    source: formatIp(outcome.source),
    masqueraded: outcome.source !== sentBy || passedOn(outcome) || outcome.rules.some(changesSource),
    ...(passedOn(outcome) && { via: outcome.via?.netns ?? "" }),
    chosenBy: chosenBy(outcome),
    rules: outcome.rules.map(({ netns, ...rule }) => ({ node: netns, ...rule })),
    walked: outcome.walked,
    get hops() {
      const ids = new Set([lines[0]?.event.packet.id ?? 0, outcome.packet.id]);
      const way = [...ids].flatMap((id) => wayOf(lines, id));
      return hopsOf(setting, way, lines[0]?.entry.at ?? 0, "out", 1);
    },
  };
}

function changesSource(rule: MatchedRule): boolean {
  return asksForMasquerade(rule) && rule.effect?.does !== "mark";
}

function outcomeTable(outcomes: readonly Outcome[]): Table {
  const rows = outcomes.map((outcome) => [
    percent(outcome.probability),
    outcome.end,
    outcome.endpoint,
    outcome.name,
    outcome.source,
    outcome.chosenBy,
  ]);
  const columns = [
    { title: "probability", align: "right" as const },
    { title: "outcome" },
    { title: "endpoint" },
    { title: "who it is" },
    { title: "source it sees" },
    { title: "chosen by" },
  ];
  return { columns, rows };
}

/** `33.33 %` */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
