/** Owns asking a flow of a case: every endpoint it may reach, or what becomes of it, and whether it is masqueraded. */
import { formatSocketAddress, type Ip, isLoopback } from "../../net/address";
import { explainFlow, type FlowResult } from "../../net/flow";
import { asksForMasquerade, chosenBy, passedOn } from "../rules";
import type { LoneNode } from "./node";

/** What is asked: the first packet of a new connection. */
export interface CaseFlow {
  readonly name: string;
  readonly source: Ip;
  readonly target: Ip;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly expect: Expectation | undefined;
  readonly line: number;
}

export const verdicts = ["DROP", "REJECT", "ACCEPT", "none"] as const;
export type CaseVerdict = (typeof verdicts)[number];

/** What somebody expects; what is not said is not looked at. */
export interface Expectation {
  readonly endpoints?: readonly string[];
  readonly verdict?: CaseVerdict;
  readonly masquerade?: boolean;
}

/** What becomes of a flow. */
export interface FlowAnswer {
  /** The endpoints that can be chosen, sorted; none if it has a verdict. */
  readonly endpoints?: readonly string[];
  /** ACCEPT: let through by a filter rule; none: no rule concerned it. */
  readonly verdict?: CaseVerdict;
  /** Whether it is masqueraded on the way to at least one of the endpoints. */
  readonly masquerade: boolean;
  /** Each way that it can take. */
  readonly ways: readonly FlowWay[];
}

/** One way of a flow. */
export interface FlowWay {
  readonly probability: number;
  readonly endpoint?: string;
  readonly masquerade: boolean;
  readonly chosenBy: string;
  readonly rules: readonly string[];
}

/** Asks the node's rules. What has one of the node's own addresses is sent by the node itself; all else comes in. */
export function askCaseFlow({ node, uplink }: LoneNode, flow: CaseFlow): FlowAnswer {
  const { source, target, port: targetPort } = flow;
  const own = node.netns.routes.isLocal(source) || isLoopback(source);
  const protocol = flow.protocol.toLowerCase() as Lowercase<CaseFlow["protocol"]>;
  const asked = { protocol, source, target, targetPort, ...(!own && { input: uplink }) };
  const found = explainFlow(node.netns, asked);
  const ways = found.map(({ outcome, probability }): FlowWay => {
    const endpoint = endpointOf(outcome, flow);
    return {
      probability,
      ...(endpoint !== undefined && { endpoint }),
      masquerade: outcome.source !== source || passedOn(outcome) || outcome.rules.some(asksForMasquerade),
      chosenBy: chosenBy(outcome),
      rules: outcome.rules.map(({ text }) => text),
    };
  });
  const endpoints = [...new Set(ways.flatMap(({ endpoint }) => endpoint ?? []))].sort();
  if (endpoints.length > 0) return { endpoints, masquerade: ways.some((way) => way.masquerade), ways };
  // Marked or not: what never leaves is not masqueraded (nftables marks before it knows whether there is an endpoint).
  const verdict = verdictOf(found.map(({ outcome }) => outcome));
  return { verdict, masquerade: false, ways };
}

/** Who gets it, if a rule or a proxy sent it on. */
function endpointOf(outcome: FlowResult, { target, port }: CaseFlow): string | undefined {
  if (outcome.end === "dropped" || outcome.end === "rejected" || endedInProxy(outcome)) return undefined;
  const translated = outcome.rules.some(({ effect }) => effect?.does === "dnat");
  if (!translated && outcome.target === target && outcome.targetPort === port) return undefined;
  return formatSocketAddress(outcome.target, outcome.targetPort);
}

/** A rule led it to kube-proxy's own socket (userspace mode), and nobody is behind that. */
function endedInProxy(outcome: FlowResult): boolean {
  return !passedOn(outcome) && outcome.rules.some(({ effect }) => effect?.does === "redirect");
}

function verdictOf(outcomes: readonly FlowResult[]): CaseVerdict {
  if (outcomes.some((outcome) => outcome.end === "rejected" || endedInProxy(outcome))) return "REJECT";
  const last = outcomes
    .flatMap(({ rules }) => rules)
    .filter(({ table }) => table !== "nat")
    .at(-1)?.effect?.does;
  if (last === "drop" && outcomes.some(({ end }) => end === "dropped")) return "DROP";
  return last === "accept" ? "ACCEPT" : "none";
}

/** What differs from the expectation, in words; nothing if it is met, or if there is none. */
export function differences(answer: FlowAnswer, expected: Expectation | undefined): readonly string[] {
  if (!expected) return [];
  const wrong: string[] = [];
  const got = answer.endpoints ? answer.endpoints.join(", ") : (answer.verdict ?? "");
  if (expected.endpoints) {
    const wanted = [...new Set(expected.endpoints)].sort().join(", ");
    if (wanted !== (answer.endpoints ?? []).join(", ")) wrong.push(`expected ${wanted || "no endpoint"}, got ${got}`);
  }
  if (expected.verdict !== undefined && expected.verdict !== answer.verdict) {
    wrong.push(`expected ${expected.verdict}, got ${got}`);
  }
  if (expected.masquerade !== undefined && expected.masquerade !== answer.masquerade) {
    const words = (yes: boolean): string => (yes ? "masqueraded" : "not masqueraded");
    wrong.push(`expected ${words(expected.masquerade)}, got ${words(answer.masquerade)}`);
  }
  return wrong;
}
