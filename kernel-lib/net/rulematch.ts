/** Owns whether a packet matches an iptables rule. */
import type { Time } from "../sim/clock";
import { second } from "../sim/clock";
import { contains, family, type Ip } from "./address";
import { isOfKind } from "./icmptypes";
import type { Netns } from "./netns";
import { type Packet, sourcePort, targetPort } from "./packet";
import type { Passage } from "./passage";
import type { ConntrackState, Invertible, Match, PortMatch, Rule } from "./rule";
import { foreignTest } from "./ruleset";
import { isInverted, keptProbability } from "./ruletext";

/** Asks one thing of a passage. */
export type Test = (passage: Passage) => boolean;

/** When each source address was seen last, by list name (net/netfilter/xt_recent.c keeps 100 a list). */
export type RecentLists = Map<string, Map<Ip, Time>>;
const recentLimit = 100;

/** A rule as the tests that must all hold, in the order in which the kernel asks them. */
export function compile(rule: Rule, netns: Netns, recent: RecentLists): Test {
  const tests: Test[] = [];
  const { source, destination, input, output, protocol } = rule;
  if (source)
    tests.push(
      invertible(
        source,
        (cidr) =>
          ({ packet }) =>
            contains(cidr, packet.source),
      ),
    );
  if (destination)
    tests.push(
      invertible(
        destination,
        (cidr) =>
          ({ packet }) =>
            contains(cidr, packet.target),
      ),
    );
  if (input) tests.push(invertible(input, (name) => (passage) => isDevice(name, passage.input)));
  if (output) tests.push(invertible(output, (name) => (passage) => isDevice(name, passage.output)));
  if (protocol)
    tests.push(
      invertible(
        protocol,
        (wanted) =>
          ({ packet }) =>
            packet.body.protocol === wanted,
      ),
    );
  for (const match of rule.matches ?? []) {
    const test = matchTest(match, netns, recent);
    if (test) tests.push(test);
  }
  return allOf(tests);
}

function allOf(tests: readonly Test[]): Test {
  const [first, second] = tests;
  if (!first) return () => true;
  if (tests.length === 1) return first;
  if (tests.length === 2 && second) return (passage) => first(passage) && second(passage);
  return (passage) => {
    for (let index = 0; index < tests.length; index++) if (!(tests[index] as Test)(passage)) return false;
    return true;
  };
}

function invertible<T>(value: Invertible<T>, test: (value: T) => Test): Test {
  if (!isInverted(value)) return test(value);
  const inner = test(value.not);
  return (passage) => !inner(passage);
}

/** `cni+` stands for every device whose name begins so. */
function isDevice(pattern: string, name: string | undefined): boolean {
  if (name === undefined) return false;
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function matchTest(match: Match, netns: Netns, recent: RecentLists): Test | undefined {
  switch (match.match) {
    case "comment":
    case "nfacct":
      return undefined;
    case "tcp":
    case "udp":
    case "sctp":
      return allOf([
        ({ packet }) => packet.body.protocol === match.match,
        ...portTest(match.sourcePort, ({ body }) => sourcePort(body)),
        ...portTest(match.targetPort, ({ body }) => targetPort(body)),
      ]);
    case "icmp":
      return invertible(match.kind, (kind) => ({ packet }) => {
        return packet.body.protocol === "icmp" && isOfKind(packet.body, kind, family(packet.source));
      });
    case "addrtype":
      return allOf([
        ...localTest(match.source, netns, (packet) => packet.source),
        ...localTest(match.target, netns, (packet) => packet.target),
      ]);
    case "mark": {
      const mask = match.mask ?? 0xffffffff;
      const wanted = match.value >>> 0;
      const not = match.not ?? false;
      return (passage) => ((passage.mark & mask) >>> 0 === wanted) !== not;
    }
    case "statistic": {
      const kept = keptProbability(match.probability);
      const weights = [kept, 1 - kept];
      return (passage) => passage.choose(weights) === 0;
    }
    case "conntrack":
    case "state": {
      const { states, not = false } = match;
      return (passage) => {
        for (let index = 0; index < states.length; index++) {
          if (hasState(passage, states[index] as ConntrackState)) return !not;
        }
        return not;
      };
    }
    case "set":
    case "physdev":
    case "ipvs":
      return foreignTest(match, netns);
    case "recent":
      return recentTest(match, netns, recent);
  }
}

function portTest(wanted: Invertible<PortMatch> | undefined, portOf: (packet: Packet) => number): Test[] {
  if (wanted === undefined) return [];
  return [
    invertible(wanted, (port) => {
      if (typeof port === "number") return ({ packet }) => portOf(packet) === port;
      return ({ packet }) => portOf(packet) >= port.from && portOf(packet) <= port.to;
    }),
  ];
}

function localTest(wanted: Invertible<"LOCAL"> | undefined, netns: Netns, ipOf: (packet: Packet) => Ip): Test[] {
  if (wanted === undefined) return [];
  return [
    invertible(
      wanted,
      () =>
        ({ packet }) =>
          netns.routes.isLocal(ipOf(packet)),
    ),
  ];
}

function hasState(passage: Passage, state: ConntrackState): boolean {
  switch (state) {
    case "SNAT":
      return passage.connection?.sourceNat === "changed";
    case "DNAT":
      return passage.connection?.targetNat === "changed";
    default:
      return passage.state === state;
  }
}

function recentTest(match: Match & { match: "recent" }, netns: Netns, recent: RecentLists): Test {
  const { clock } = netns.network.sim;
  return (passage) => {
    let list = recent.get(match.name);
    const { source } = passage.packet;
    if (match.mode === "set") {
      if (passage.dry) return true;
      if (!list) {
        list = new Map();
        recent.set(match.name, list);
      }
      list.delete(source);
      list.set(source, clock.now);
      const [oldest] = list.keys();
      if (list.size > recentLimit && oldest !== undefined) list.delete(oldest);
      return true;
    }
    const seen = list?.get(source);
    if (seen === undefined) return false;
    if (match.seconds === undefined || clock.now - seen <= match.seconds * second) return true;
    if (match.reap && !passage.dry) list?.delete(source);
    return false;
  };
}
