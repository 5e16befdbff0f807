/** Owns finding the rules of a long chain that a packet can match at all, so that the others need not be tested. */
import { type Ip, widthOf } from "./address";
import type { Packet } from "./packet";
import type { Match, Rule } from "./rule";
import { isInverted } from "./ruletext";

/** What a packet must have for a rule to match: an exact target address, or a protocol and target port. */
type Requirement = { readonly ip: Ip } | { readonly port: number } | undefined;

const protocolNumbers = { tcp: 6, udp: 17, sctp: 132 } as const;
/** Matches that only look at the packet. Others draw lots, remember somebody or count a lookup before a later one fails. */
const onlyLooking: ReadonlySet<Match["match"]> = new Set<Match["match"]>([
  "comment",
  "tcp",
  "udp",
  "sctp",
  "icmp",
  "addrtype",
  "mark",
  "conntrack",
  "state",
  "nfacct",
]);

/** The numbers of some rules, ascending. */
type Numbers = readonly number[];
const none: Numbers = [];

/**
 * kube-proxy's chain of all Services has a rule for each, of which a packet can match one or two: those for its target
 * address. Linux tests them all; here a lookup finds them, in their order.
 */
export class RuleIndex {
  readonly #byIp = new Map<Ip, number[]>();
  readonly #byPort = new Map<number, number[]>();
  readonly #others: number[] = [];

  constructor(rules: readonly Rule[]) {
    for (const [number, rule] of rules.entries()) {
      const requirement = requirementOf(rule);
      if (requirement === undefined) this.#others.push(number);
      else if ("ip" in requirement) add(this.#byIp, requirement.ip, number);
      else add(this.#byPort, requirement.port, number);
    }
  }

  /** All rules that may match the packet, in their order. */
  candidates({ target, body }: Packet): Candidates {
    const port = body.protocol === "icmp" ? -1 : portKey(body.protocol, body.targetPort);
    return new Candidates(this.#byIp.get(target) ?? none, this.#byPort.get(port) ?? none, this.#others);
  }
}

/** Three ascending lists read as one. */
export class Candidates {
  readonly #lists: readonly [Numbers, Numbers, Numbers];
  readonly #at: [number, number, number] = [0, 0, 0];

  constructor(byIp: Numbers, byPort: Numbers, others: Numbers) {
    this.#lists = [byIp, byPort, others];
  }

  /** The next rule's number; Infinity after the last. */
  next(): number {
    const [first, second, third] = this.#lists;
    const at = this.#at;
    const one = first[at[0]] ?? Number.POSITIVE_INFINITY;
    const two = second[at[1]] ?? Number.POSITIVE_INFINITY;
    const three = third[at[2]] ?? Number.POSITIVE_INFINITY;
    if (one < two && one < three) at[0]++;
    else if (two < three) at[1]++;
    else at[2]++;
    return Math.min(one, two, three);
  }
}

function add<Key>(index: Map<Key, number[]>, key: Key, number: number): void {
  const known = index.get(key);
  if (known) known.push(number);
  else index.set(key, [number]);
}

function portKey(protocol: keyof typeof protocolNumbers, port: number): number {
  return protocolNumbers[protocol] * 0x10000 + port;
}

function requirementOf({ destination, matches }: Rule): Requirement {
  if (destination && !isInverted(destination) && destination.length === widthOf(destination.ip)) {
    return { ip: destination.ip };
  }
  for (const match of matches ?? []) {
    if (!onlyLooking.has(match.match)) return undefined;
    if (match.match !== "tcp" && match.match !== "udp" && match.match !== "sctp") continue;
    if (typeof match.targetPort === "number") return { port: portKey(match.match, match.targetPort) };
  }
  return undefined;
}
