import { expect, test } from "vitest";
import { parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow, type Flow, runFlow, walkFlow } from "../../../kernel-lib/net/flow";
import type { Netns } from "../../../kernel-lib/net/netns";
import { Network } from "../../../kernel-lib/net/network";
import { tableText } from "../../../kernel-lib/net/nft/listing";
import { parseCommands } from "../../../kernel-lib/net/nft/parse";
import { type Command, NftError } from "../../../kernel-lib/net/nft/ruleset";
import { parseRules } from "../../../kernel-lib/net/ruleparse";
import { second } from "../../../kernel-lib/sim/clock";
import { createSim } from "../../../kernel-lib/sim/sim";

/** A router between two networks, with the rules of a text. */
function router(rules: string): Netns {
  const network = new Network(createSim(7));
  const netns = network.netns("router");
  for (const [device, address] of [
    ["eth0", "192.168.0.1/24"],
    ["eth1", "10.0.0.1/24"],
  ] as const) {
    netns.addPhysical(device, network.segment(device));
    netns.addAddress(device, parseCidr(address));
  }
  for (const address of ["fd00::1/64", "fd01::1/64"]) netns.addAddress("eth0", parseCidr(address));
  Object.assign(netns.sysctl, { ipForward: true, ipv6Forward: true });
  nft(netns, rules);
  return netns;
}

function nft(netns: Netns, text: string): void {
  netns.nft.apply(parseCommands(text, netns.nft) as readonly Command[]);
}

function list(netns: Netns): string {
  return netns.nft
    .tables()
    .map((table) => tableText(table))
    .join("");
}

function flow(source: string, target: string, port = 80, more: Partial<Flow> = {}): Flow {
  return {
    protocol: "tcp",
    source: parseIp(source),
    target: parseIp(target),
    targetPort: port,
    input: "eth0",
    ...more,
  };
}

/** What becomes of a connection, and the rules that it met: `chain number`. */
function asked(netns: Netns, question: Flow) {
  const { end, why, rules, walked } = walkFlow(netns, question, { choose: () => 0 });
  return { end, why, rules: rules.map(({ chain, number }) => `${chain} ${number}`), walked };
}

const filter = (rules: string, more = ""): string => `
table ip t {
  ${more}
  chain forward { type filter hook forward priority filter; policy drop;
    ${rules}
  }
  chain one { ip saddr 192.168.0.5 return
    tcp dport 81 accept
  }
  chain two { ct state new accept }
}`;

test("a jump comes back, a goto does not, and a policy decides what no rule has decided", () => {
  const jumps = router(filter("jump one\njump two"));
  expect(asked(jumps, flow("192.168.0.5", "10.0.0.9"))).toMatchObject({
    rules: ["forward 1", "one 1", "forward 2", "two 1"],
    walked: { rules: 4, lookups: 0 },
  });
  const gotos = router(filter("goto one\njump two"));
  expect(asked(gotos, flow("192.168.0.5", "10.0.0.9"))).toMatchObject({
    end: "dropped",
    why: "policy drop of ip t/forward",
    rules: ["forward 1", "one 1"],
  });
  expect(asked(gotos, flow("192.168.0.6", "10.0.0.9", 81)).rules).toEqual(["forward 1", "one 2"]);
});

test("accept ends its own base chain only, drop ends it all", () => {
  const both = `${filter("accept")}
    table ip later { chain f { type filter hook forward priority 10; tcp dport 80 drop } }`;
  expect(asked(router(both), flow("192.168.0.5", "10.0.0.9"))).toMatchObject({
    end: "dropped",
    why: "dropped by ip later/f: tcp dport 80 drop",
    rules: ["forward 1", "f 1"],
  });
});

test("a verdict map leads where its element says, and a packet that it does not hold goes on", () => {
  const netns = router(
    filter(
      "ip saddr . meta l4proto . th dport vmap @m\ntcp dport vmap { 82 : goto one, 83 : drop }\nct state new accept",
      `map m { type ipv4_addr . inet_proto . inet_service : verdict
         elements = { 192.168.0.5 . tcp . 80 : accept, 192.168.0.5 . udp . 80 : drop } }`,
    ),
  );
  expect(asked(netns, flow("192.168.0.5", "10.0.0.9")).rules).toEqual(["forward 1"]);
  expect(asked(netns, flow("192.168.0.6", "10.0.0.9")).rules).toEqual(["forward 3"]);
  expect(asked(netns, flow("192.168.0.5", "10.0.0.9", 80, { protocol: "udp" })).end).toBe("dropped");
  expect(asked(netns, flow("192.168.0.6", "10.0.0.9", 83))).toMatchObject({ rules: ["forward 2"], end: "dropped" });
  expect(asked(netns, flow("192.168.0.6", "10.0.0.9", 83)).walked).toEqual({ rules: 2, lookups: 2 });
});

test("a set of intervals holds what lies in them, and refuses what overlaps unless it merges", () => {
  const set = (more: string) =>
    router(
      filter(
        "ip saddr @s accept",
        `set s { type ipv4_addr; flags interval; ${more} elements = { 192.168.0.0/28, 192.168.0.64-192.168.0.66, 192.168.0.99 } }`,
      ),
    );
  const netns = set("");
  const accepted = ["0", "15", "64", "66", "99"].map(
    (last) => asked(netns, flow(`192.168.0.${last}`, "10.0.0.9")).rules,
  );
  expect(accepted).toEqual(Array(5).fill(["forward 1"]));
  for (const last of ["16", "63", "67", "98", "100"]) {
    expect(asked(netns, flow(`192.168.0.${last}`, "10.0.0.9")).end, last).toBe("dropped");
  }
  expect(() => nft(netns, "add element ip t s { 192.168.0.8-192.168.0.20 }")).toThrow(/interval overlaps/);
  const merging = set("auto-merge;");
  nft(merging, "add element ip t s { 192.168.0.16-192.168.0.63 }");
  expect(list(merging)).toContain("elements = { 192.168.0.0-192.168.0.66, 192.168.0.99 }");
});

test("an update remembers a client for a time that begins anew with each packet; a question changes nothing", () => {
  const netns = router(
    filter(
      "ip saddr @known accept\nupdate @known { ip saddr } ct state new accept",
      "set known { type ipv4_addr; flags dynamic,timeout; timeout 60s; }",
    ),
  );
  const { clock } = netns.network.sim;
  const question = flow("192.168.0.5", "10.0.0.9");
  expect(asked(netns, question).rules).toEqual(["forward 2"]);
  expect(asked(netns, question).rules).toEqual(["forward 2"]);
  runFlow(netns, question);
  expect(asked(netns, question).rules).toEqual(["forward 1"]);
  expect(list(netns)).toContain("elements = { 192.168.0.5 expires 1m }");
  clock.advance(59 * second);
  expect(list(netns)).toContain("expires 1s");
  expect(asked(netns, question).rules).toEqual(["forward 1"]);
  clock.advance(second);
  expect(asked(netns, question).rules).toEqual(["forward 2"]);
  expect(list(netns)).not.toContain("elements");
});

test("a transaction is all or nothing: what came before the mistake is taken back", () => {
  const netns = router(filter("ip saddr @s accept", "set s { type ipv4_addr; elements = { 192.168.0.5 } }"));
  const before = list(netns);
  const wrong = `
    add chain ip t new { type filter hook input priority 0; policy drop; }
    add element ip t s { 192.168.0.6 }
    delete element ip t s { 192.168.0.5 }
    flush chain ip t one
    add rule ip t forward jump one
    flush chain ip t two
    delete chain ip t two
    add table ip6 other
    add rule ip t forward jump nowhere`;
  expect(() => nft(netns, wrong)).toThrow(NftError);
  expect(list(netns)).toBe(before);
  // Neither does the chain that was taken back drop anything, nor is one still in use that nothing leads to.
  expect(asked(netns, flow("192.168.0.9", "192.168.0.1", 22)).end).toBe("refused");
  nft(netns, "delete chain ip t two");
  expect(list(netns)).not.toContain("chain two");
});

test("chains that lead in a circle are refused, through maps too", () => {
  const netns = router(filter("jump one", "map m { type inet_service : verdict }"));
  nft(netns, "add rule ip t one tcp dport vmap @m");
  expect(() => nft(netns, "add element ip t m { 90 : jump one }")).toThrow("Too many links");
  expect(() => nft(netns, "add rule ip t two jump one; add element ip t m { 90 : goto two }")).toThrow(
    "Too many links",
  );
  nft(netns, "add element ip t m { 90 : goto two }");
  expect(() => nft(netns, "add rule ip t two jump one")).toThrow("Too many links");
});

test("numbers by chance are each as likely, and each answer is found by asking", () => {
  const nat = router(`table ip n {
    chain pre { type nat hook prerouting priority dstnat;
      meta l4proto tcp dnat ip to numgen random mod 3 map { 0 : 10.0.0.2 . 8080, 1 : 10.0.0.3 . 8081, 2 : 10.0.0.4 . 8082 }
    } }`);
  const ways = explainFlow(nat, flow("192.168.0.5", "203.0.113.9"));
  expect(ways.map(({ probability }) => probability)).toEqual([1 / 3, 1 / 3, 1 / 3]);
  expect(ways.map(({ outcome }) => [outcome.target, outcome.targetPort])).toEqual([
    [parseIp("10.0.0.2"), 8080],
    [parseIp("10.0.0.3"), 8081],
    [parseIp("10.0.0.4"), 8082],
  ]);
});

test("the nat chains of iptables and of nft are asked in turn until one has decided", () => {
  const netns = router(`table ip n { chain pre { type nat hook prerouting priority dstnat;
    tcp dport 80 dnat to 10.0.0.2:8080 } }`);
  netns.iptables.restore(
    parseRules(
      "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 81 -j DNAT --to-destination 10.0.0.3:81\nCOMMIT\n",
    ),
  );
  const target = (port: number) => {
    const { target: ip, targetPort } = walkFlow(netns, flow("192.168.0.5", "203.0.113.9", port), { choose: () => 0 });
    return [ip, targetPort];
  };
  expect([target(80), target(81), target(82)]).toEqual([
    [parseIp("10.0.0.2"), 8080],
    [parseIp("10.0.0.3"), 81],
    [parseIp("203.0.113.9"), 82],
  ]);
});

test("a table of one family sees no packet of the other; inet sees both", () => {
  const netns = router(`
    table ip6 six { chain f { type filter hook input priority 0; policy drop; } }
    table inet both { chain f { type filter hook input priority 1; ip6 saddr fd00::5 accept
      ip saddr 192.168.0.5 counter reject
      meta nfproto ipv6 drop } }`);
  expect(asked(netns, flow("192.168.0.5", "192.168.0.1"))).toMatchObject({ end: "rejected", rules: ["f 2"] });
  expect(asked(netns, flow("192.168.0.6", "192.168.0.1"))).toMatchObject({ end: "refused", rules: [] });
  expect(asked(netns, flow("fd00::5", "fd00::1"))).toMatchObject({ end: "dropped", why: "policy drop of ip6 six/f" });
  nft(netns, "delete table ip6 six");
  expect(asked(netns, flow("fd00::5", "fd00::1"))).toMatchObject({ end: "refused", rules: ["f 1"] });
  expect(asked(netns, flow("fd00::6", "fd00::1"))).toMatchObject({ end: "dropped", rules: ["f 3"] });
});

test("counters count what matched up to them, and `-s` leaves them out", () => {
  const netns = router(filter("tcp dport 80 counter ct state new counter accept"));
  runFlow(netns, flow("192.168.0.5", "10.0.0.9"));
  runFlow(netns, flow("192.168.0.6", "10.0.0.9", 81));
  asked(netns, flow("192.168.0.7", "10.0.0.9"));
  expect(list(netns)).toContain(
    "tcp dport 80 counter packets 1 bytes 40 ct state new counter packets 1 bytes 40 accept",
  );
});

test("a mark set by bits is tested by bits, and a dropped rule's text says whose it was", () => {
  const netns = router(
    filter(
      "ip saddr 192.168.0.5 meta mark set meta mark | 0x4000\nmeta mark & 0x4000 == 0x4000 meta mark set meta mark ^ 0x4000 accept\nct state new drop",
    ),
  );
  expect(asked(netns, flow("192.168.0.5", "10.0.0.9")).rules).toEqual(["forward 1", "forward 2"]);
  expect(asked(netns, flow("192.168.0.6", "10.0.0.9"))).toMatchObject({
    rules: ["forward 3"],
    why: "dropped by ip t/forward: ct state new drop",
  });
});
