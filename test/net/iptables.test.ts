/** iptables as text and as data: printed as the real tool prints it, read back, and judged by the real tool where there is one. */
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import { type Flow, runFlow, walkFlow } from "../../kernel-lib/net/flow";
import { Iptables } from "../../kernel-lib/net/iptables";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import { type Invertible, jump, type Match, type PortMatch, type Rule, type Target } from "../../kernel-lib/net/rule";
import { parseRules } from "../../kernel-lib/net/ruleparse";
import { ruleText } from "../../kernel-lib/net/ruletext";
import { createSim } from "../../kernel-lib/sim/sim";
import { requireOrSkip } from "../judges";
import { addService, overlay } from "./topology";

/** What kube-proxy feeds iptables-restore, in its own order of options → what iptables-save says of it. */
const lines: readonly (readonly [string, string])[] = [
  [
    '-A S -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp -p tcp -d 172.30.0.41 --dport 80 -j C',
    '-A S -d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp --dport 80 -j C',
  ],
  [
    "-A S -m comment --comment snat -j MASQUERADE --random-fully",
    "-A S -m comment --comment snat -j MASQUERADE --random-fully",
  ],
  ['-A S -m comment --comment "quote\\"d" -g C', '-A S -m comment --comment "quote\\"d" -g C'],
  [
    "-A S -m addrtype ! --src-type LOCAL --dst-type LOCAL -j C",
    "-A S -m addrtype ! --src-type LOCAL --dst-type LOCAL -j C",
  ],
  [
    "-A S -m statistic --mode random --probability 0.3333333333 -j DNAT -p tcp --to-destination 10.0.0.1:80",
    "-A S -p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.1:80",
  ],
  [
    "-A S -m statistic --mode random --probability 0.2000000000",
    "-A S -m statistic --mode random --probability 0.20000000019",
  ],
  [
    "-A S -m statistic --mode random --probability 0.1428571429",
    "-A S -m statistic --mode random --probability 0.14285714272",
  ],
  ["-A S -j MARK --or-mark 0x4000", "-A S -j MARK --set-xmark 0x4000/0x4000"],
  ["-A S -j MARK --xor-mark 0x4000", "-A S -j MARK --set-xmark 0x4000/0x0"],
  ["-A S -m mark ! --mark 0x4000/0x4000 -j RETURN", "-A S -m mark ! --mark 0x4000/0x4000 -j RETURN"],
  [
    "-A S -m recent --name KUBE-SEP-X --rcheck --seconds 10800 --reap -j C",
    "-A S -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-X --mask 255.255.255.255 --rsource -j C",
  ],
  ["-A S -m recent --name KUBE-SEP-X --set", "-A S -m recent --set --name KUBE-SEP-X --mask 255.255.255.255 --rsource"],
  ["-A S ! -s 10.0.0.0/8 ! -o cni+ -p icmp -j RETURN", "-A S ! -s 10.0.0.0/8 ! -o cni+ -p icmp -j RETURN"],
  ["-A S -m sctp -p sctp ! --dport 80 --sport 5:9", "-A S -p sctp -m sctp --sport 5:9 ! --dport 80"],
  ["-A S -p icmp --icmp-type fragmentation-needed -j RETURN", "-A S -p icmp -m icmp --icmp-type 3/4 -j RETURN"],
  ["-A S -p icmp -m icmp ! --icmp-type echo-request", "-A S -p icmp -m icmp ! --icmp-type 8"],
  ["-A S -s 0.0.0.0/0 -d 10.1.2.3/16 -j ACCEPT", "-A S -d 10.1.0.0/16 -j ACCEPT"],
];
const filterLines: readonly (readonly [string, string])[] = [
  ["-A S -p tcp --dport 80 -j DROP", "-A S -p tcp -m tcp --dport 80 -j DROP"],
  ["-A S -j REJECT", "-A S -j REJECT --reject-with icmp-port-unreachable"],
  [
    "-A S -m conntrack ! --ctstate DNAT,ESTABLISHED,RELATED -j DROP",
    "-A S -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
  ],
  ["-A S -p tcp -j REJECT --reject-with tcp-reset", "-A S -p tcp -j REJECT --reject-with tcp-reset"],
];

const input = [
  "*filter",
  ":S - [0:0]",
  ...filterLines.map(([line]) => line),
  "COMMIT",
  "*nat",
  ":S - [0:0]",
  ":C - [0:0]",
  ...lines.map(([line]) => line),
  "COMMIT",
  "",
].join("\n");

function saved(text: string): string {
  const netns = new Network(createSim(1)).netns("node");
  netns.iptables.restore(parseRules(text));
  return netns.iptables.save();
}

test("what kube-proxy writes is printed as iptables-save prints it", () => {
  const rules = saved(input)
    .split("\n")
    .filter((line) => line.startsWith("-A"));
  expect(rules).toEqual([...filterLines, ...lines].map(([, line]) => line));
});

const cidr = fc.record({ ip: fc.integer({ min: 0, max: 2 ** 32 - 1 }), length: fc.integer({ min: 1, max: 32 }) });
const port: fc.Arbitrary<PortMatch> = fc.integer({ min: 1, max: 65535 });
function maybeNot<T>(value: fc.Arbitrary<T>): fc.Arbitrary<Invertible<T>> {
  return fc.oneof(
    value,
    value.map((not) => ({ not })),
  );
}
const match: fc.Arbitrary<Match> = fc.oneof(
  fc
    .string({ minLength: 1, maxLength: 20, unit: fc.constantFrom(..."abz09 -_/:.\"'\\") })
    .filter((text) => text.trim() === text)
    .map((comment) => ({ match: "comment" as const, comment })),
  fc.record({
    match: fc.constant("mark" as const),
    value: fc.integer({ min: 0, max: 0xffff }),
    mask: fc.constant(0xffff),
  }),
  fc.record({ match: fc.constant("addrtype" as const), target: maybeNot(fc.constant("LOCAL" as const)) }),
  fc
    .double({ min: 0, max: 1, noNaN: true })
    .map((probability) => ({ match: "statistic" as const, mode: "random" as const, probability })),
);
const target: fc.Arbitrary<Target> = fc.oneof(
  fc.constantFrom<Target>({ target: "ACCEPT" }, { target: "RETURN" }, { target: "MASQUERADE", randomFully: true }),
  fc.record({ target: fc.constant("MARK" as const), value: fc.nat(0xffff), mask: fc.nat(0xffff) }),
);
const rule: fc.Arbitrary<Rule> = fc.record(
  {
    source: maybeNot(cidr),
    destination: maybeNot(cidr),
    matches: fc
      .tuple(match, match, port)
      .map(([one, other, number]): Match[] => [one, { match: "tcp", targetPort: number }, other]),
    protocol: fc.constant("tcp" as const),
    target,
  },
  { requiredKeys: ["protocol"] },
);

test("any rule's text reads back to a rule with the same text", () => {
  fc.assert(
    fc.property(rule, (any) => {
      const text = ruleText("S", any);
      const [read] = parseRules(`*nat\n:S - [0:0]\n${text}\nCOMMIT`).nat?.S ?? [];
      expect(read && ruleText("S", read)).toBe(text);
    }),
  );
});

test("a rule that cannot be is refused with its line, and nothing of the text is taken", () => {
  const netns = new Network(createSim(1)).netns("node");
  expect(() => parseRules("*nat\n:S - [0:0]\n-A S -p tpc -j ACCEPT\nCOMMIT")).toThrow(
    'iptables-restore: line 3 failed: unknown protocol "tpc" specified',
  );
  const broken = parseRules("*filter\n:GOOD - [0:0]\nCOMMIT\n*nat\n:S - [0:0]\n-A S -j NOWHERE\nCOMMIT");
  expect(() => netns.iptables.restore(broken)).toThrow("Couldn't load target `NOWHERE'");
  expect(netns.iptables.chains("filter")).not.toContain("GOOD");
  const loop = parseRules("*nat\n:A - [0:0]\n:B - [0:0]\n-A A -j B\n-A B -j A\nCOMMIT");
  expect(() => netns.iptables.restore(loop)).toThrow("leads to itself");
});

test("deleting, inserting and policies work as the tool's options do", () => {
  const { iptables } = new Network(createSim(1)).netns("node");
  const one: Rule = { destination: parseCidr("10.0.0.1"), target: { target: "DROP" } };
  const two: Rule = { destination: parseCidr("10.0.0.2"), target: { target: "DROP" } };
  iptables.append("filter", "INPUT", one);
  iptables.ensure("filter", "INPUT", two, "prepend");
  iptables.ensure("filter", "INPUT", { ...two }, "prepend");
  expect(iptables.rules("filter", "INPUT")).toEqual([two, one]);
  expect(iptables.delete("filter", "INPUT", { ...one })).toBe(true);
  expect(iptables.delete("filter", "INPUT", one)).toBe(false);
  iptables.setPolicy("filter", "FORWARD", "DROP");
  expect(iptables.save()).toBe(
    "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -d 10.0.0.2/32 -j DROP\nCOMMIT\n",
  );
  expect(() => iptables.append("filter", "NOWHERE", one)).toThrow("No chain/target/match by that name");
  expect(() => iptables.insert("filter", "INPUT", { target: { target: "DNAT", ip: parseIp("1.1.1.1") } }, 9)).toThrow(
    "Index of insertion too big",
  );
});

for (const tool of ["iptables-nft", "iptables-legacy"]) {
  test(`the real ${tool}-restore takes our text, and its -save prints the same`, (context) => {
    const sandbox = (command: string, text: string) =>
      spawnSync("unshare", ["-Urn", "sh", "-c", command], { input: text, encoding: "utf8", timeout: 15_000 });
    const probe = sandbox(`${tool}-restore && ${tool}-save`, "*nat\n:PROBE - [0:0]\nCOMMIT\n");
    requireOrSkip(
      context,
      probe.status === 0,
      `${tool} in a namespace of its own: ${probe.error?.message ?? probe.stderr.trim()}`,
    );
    const lab = overlay(1);
    addService(lab, "10.96.0.10", 80, ["10.244.1.2", "10.244.1.3", "10.244.2.2"]);
    for (const ours of [saved(input), lab.nodes[0]?.iptables.save() ?? ""]) {
      const real = sandbox(`${tool}-restore && ${tool}-save`, ours);
      expect(real.stderr).toBe("");
      // The legacy tool prints the tables in the order in which the kernel got them.
      expect(tables(real.stdout)).toEqual(tables(ours));
    }
  });
}

function tables(text: string): readonly string[] {
  const bare = text.replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "[0:0]");
  return bare.split(/^COMMIT\n/m).sort();
}

// Few addresses, ports and chains, so that much matches; chains long enough to be looked up; every kind of match.
const near = fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3").map(parseIp);
const nearPort = fc.constantFrom(53, 80, 443);
const over = fc.constantFrom("tcp" as const, "udp" as const);
const anyMatch: fc.Arbitrary<Match> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ match: over, targetPort: maybeNot(nearPort) }) },
  fc.record({ match: over, targetPort: fc.constant({ from: 50, to: 90 }), sourcePort: maybeNot(nearPort) }),
  fc.record({ match: over }),
  fc.constant({ match: "statistic" as const, mode: "random" as const, probability: 0.5 }),
  fc.record({
    match: fc.constant("mark" as const),
    value: fc.constantFrom(0, 1),
    mask: fc.constant(1),
    not: fc.boolean(),
  }),
  fc.record({ match: fc.constant("addrtype" as const), target: maybeNot(fc.constant("LOCAL" as const)) }),
  fc.constantFrom<Match>(
    { match: "recent", name: "SEEN", mode: "set" },
    { match: "recent", name: "SEEN", mode: "rcheck", seconds: 9, reap: true },
    { match: "conntrack", states: ["NEW"] },
    { match: "comment", comment: "x" },
  ),
);
const anyTarget: fc.Arbitrary<Target | undefined> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 3, arbitrary: fc.constantFrom("ONE", "TWO").map((chain): Target => ({ target: "jump", chain })) },
  fc.constant<Target>({ target: "goto", chain: "TWO" }),
  fc.constantFrom<Target>({ target: "ACCEPT" }, { target: "DROP" }, { target: "RETURN" }, { target: "REJECT" }),
  fc.constant<Target>({ target: "MARK", value: 1, mask: 0 }),
);
const runRule: fc.Arbitrary<Rule> = fc
  .record({
    destination: fc.option(maybeNot(fc.record({ ip: near, length: fc.constantFrom(32, 32, 32, 24, 0) })), {
      nil: undefined,
    }),
    source: fc.option(maybeNot(fc.record({ ip: near, length: fc.constant(32) })), { nil: undefined, freq: 4 }),
    protocol: fc.option(maybeNot(over), { nil: undefined }),
    matches: fc.array(anyMatch, { maxLength: 3 }),
    target: anyTarget,
  })
  .map((made) => Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined)) as Rule);
const withoutJumps = (rules: readonly Rule[], ...chains: readonly string[]): readonly Rule[] =>
  rules.filter(({ target }) => !(target && "chain" in target && chains.includes(target.chain)));
const rulesSet = fc.array(runRule, { minLength: 1, maxLength: 24 });
const ruleSets = fc.tuple(rulesSet, rulesSet, rulesSet).map(([forward, one, two]) => ({
  FORWARD: forward,
  ONE: withoutJumps(one, "ONE"),
  TWO: withoutJumps(two, "ONE", "TWO"),
}));
const flows = fc.array(fc.record({ source: near, target: near, targetPort: nearPort, protocol: over }), {
  maxLength: 12,
});

/** Runs flows through rules that are looked up from so many in a chain on; tells all that can be seen of it. */
function watched(rules: Record<string, readonly Rule[]>, indexedFrom: number, sent: readonly Flow[]) {
  const network = new Network(createSim(5));
  const netns = network.netns("router");
  netns.sysctl.ipForward = true;
  netns.addBridge("br0");
  netns.addAddress("br0", parseCidr("10.0.0.254/24"));
  const iptables = new Iptables(netns, "IPv4", indexedFrom);
  iptables.restore({ filter: rules });
  const results = sent.map((flow) => {
    const { end, why, walked, rules: matched, entries } = runFlow(netns, { ...flow, input: "br0" }, { entries: true });
    return { end, why, walked, matched, notes: entries.map(({ what }) => what) };
  });
  return { results, counters: iptables.save({ counters: true }), next: netns.random.integer(0, 1e9) };
}

test("rules that are looked up decide, count, tell and draw as rules that are tested one after another", () => {
  fc.assert(
    fc.property(ruleSets, flows, (rules, sent) => {
      const linear = watched(rules, Number.POSITIVE_INFINITY, sent);
      expect(watched(rules, 1, sent)).toEqual(linear);
      expect(watched(rules, 8, sent)).toEqual(linear);
    }),
    { numRuns: 150 },
  );
});

test("chains are jumped to, replaced and deleted in any order, and no loop ever gets in", () => {
  const names = ["A", "B", "C", "D"] as const;
  const change = fc.record({
    chain: fc.constantFrom(...names),
    to: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(
      fc.array(fc.array(change, { minLength: 1, maxLength: 2 }), { minLength: 20, maxLength: 40 }),
      (restores) => {
        const { iptables } = new Network(createSim(1)).netns("node");
        iptables.restore({ filter: Object.fromEntries(names.map((name) => [name, []])) });
        let edges = new Map<string, readonly string[]>();
        for (const changes of restores) {
          const next = new Map([...edges, ...changes.map(({ chain, to }) => [chain, to] as const)]);
          const chains = changes.map(
            ({ chain, to }) => [chain, to.map((name): Rule => ({ target: jump(name) }))] as const,
          );
          const load = () => iptables.restore({ filter: new Map(chains) });
          if (loops(next)) expect(load).toThrow("leads to itself");
          else {
            load();
            edges = next;
          }
          for (const name of names) {
            expect(iptables.rules("filter", name)?.map(({ target }) => target)).toEqual(
              (edges.get(name) ?? []).map(jump),
            );
            const linked = [...edges.values()].some((to) => to.includes(name));
            if (linked) expect(() => iptables.deleteChains("filter", [name])).toThrow("Too many links");
          }
        }
        iptables.deleteChains("filter", names);
        expect(iptables.chains("filter")).toEqual(["INPUT", "FORWARD", "OUTPUT"]);
      },
    ),
    { numRuns: 200 },
  );
});

function loops(edges: ReadonlyMap<string, readonly string[]>): boolean {
  const leads = (from: string, to: string, steps: number): boolean =>
    steps > 0 && (edges.get(from) ?? []).some((next) => next === to || leads(next, to, steps - 1));
  return [...edges.keys()].some((name) => leads(name, name, edges.size));
}

test("what is put off is written before a packet or a reader comes, the last word of each writer only", () => {
  const lab = overlay(1);
  const node = lab.nodes[0] as Netns;
  const written: string[] = [];
  const later = (writer: string, chain: string) =>
    node.netfilter.defer(writer, () => {
      written.push(chain);
      node.iptables.newChain("filter", chain);
      node.iptables.append("filter", "INPUT", { target: jump(chain) });
    });
  later("one", "FIRST");
  later("other", "SECOND");
  later("one", "THIRD");
  expect(written).toEqual([]);
  // Asking is a packet too.
  walkFlow(node, { protocol: "udp", target: parseIp("127.0.0.1"), targetPort: 9 }, { choose: () => 0 });
  expect(written).toEqual(["THIRD", "SECOND"]);
  later("one", "FOURTH");
  expect(node.iptables.save()).toMatch(/-A INPUT -j THIRD\n-A INPUT -j SECOND\n-A INPUT -j FOURTH/);
  expect(written.length).toBe(3);
});

test("counters go back to 0 for one chain, or for all (-Z)", () => {
  const lab = overlay(1);
  const { iptables } = lab.nodes[0] as Netns;
  for (const chain of ["INPUT", "OUTPUT"]) iptables.append("filter", chain, { target: { target: "ACCEPT" } });
  const counts = () => ["INPUT", "OUTPUT"].map((chain) => iptables.counters("filter", chain)[0]?.packets);
  lab.nodes[0]?.sockets.openEcho(parseIp("127.0.0.1"), () => {}).send(1);
  lab.sim.clock.settle();
  expect(counts()).toEqual([2, 2]);
  iptables.zero("filter", "INPUT");
  expect(counts()).toEqual([0, 2]);
  iptables.zero("filter");
  expect(counts()).toEqual([0, 0]);
});
