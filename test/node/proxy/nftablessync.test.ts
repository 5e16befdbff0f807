/** The nftables mode over time: what a sync changes, what it leaves alone, and what the real nft says of the result. */
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Files } from "../../../kernel-lib/apps/files";
import { parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { Network } from "../../../kernel-lib/net/network";
import { tableText } from "../../../kernel-lib/net/nft/listing";
import { parseCommands } from "../../../kernel-lib/net/nft/parse";
import type { Command } from "../../../kernel-lib/net/nft/ruleset";
import { Later } from "../../../kernel-lib/node/later";
import type { NodeNet } from "../../../kernel-lib/node/node";
import { type NftablesOptions, nftablesMode } from "../../../kernel-lib/node/proxy/nftables";
import { byName, type Endpoint, type ServicePort } from "../../../kernel-lib/node/proxy/view";
import { second } from "../../../kernel-lib/sim/clock";
import { createSim } from "../../../kernel-lib/sim/sim";
import { requireOrSkip } from "../../judges";

function node(): NodeNet {
  const sim = createSim(3);
  const network = new Network(sim);
  const netns = network.netns("n1");
  netns.addPhysical("eth0", network.segment("lan"));
  const ips = ["192.168.0.2", "fd00::2"].map(parseIp);
  for (const address of ["192.168.0.2/24", "fd00::2/64"]) netns.addAddress("eth0", parseCidr(address));
  const later = new Later(sim.clock, false, (look) => netns.defer(look));
  const files = new Files(sim.clock);
  return { sim, network, name: "n1", ip: ips[0] as number, ips, netns, later, files, podCidrs: [] };
}

interface Wish {
  readonly name: string;
  readonly number: number;
  readonly ready?: number;
  readonly more?: Partial<ServicePort>;
}

/** A service port of either family, with so many endpoints, every other one on this node. */
function port({ name, number, ready = 2, more = {} }: Wish, v6 = false): ServicePort {
  const endpoints = Array.from({ length: ready }, (_, index): Endpoint => {
    const ip = v6 ? `fd01::${number}:${index + 1}` : `10.1.${number}.${index + 1}`;
    const conditions = { ready: true, serving: true, terminating: false, zoneHints: [], nodeHints: [] };
    return {
      address: v6 ? `[${ip}]:8080` : `${ip}:8080`,
      ip,
      port: 8080,
      node: index % 2 ? "n2" : "n1",
      ...conditions,
    };
  });
  const local = endpoints.filter(({ node: where }) => where === "n1");
  const info = {
    ...{ name: `ns/${name}:http`, service: `ns/${name}`, portName: "http", protocol: "TCP", port: 80 },
    ...{ clusterIps: [v6 ? `fd02::${number}` : `10.96.0.${number}`], externalIps: [], loadBalancerIps: [] },
    ...{ sourceRanges: [], internalLocal: false, externalLocal: false, externallyAccessible: false },
    ...more,
  } as const;
  const choice = { cluster: endpoints, local: info.externalLocal || info.internalLocal ? local : undefined };
  const internal = info.internalLocal ? local : endpoints;
  const external = info.externalLocal ? local : endpoints;
  return { ...info, ...choice, internal, external, reachable: endpoints, hasAnyEndpoints: ready > 0 } as ServicePort;
}

const options: NftablesOptions = {
  clusterCidr: "10.1.0.0/16,fd01::/64",
  serviceCidrs: ["10.96.0.0/12", "fd02::/112"],
};

function list({ netns }: NodeNet): string {
  return netns.nft
    .tables()
    .map((table) => tableText(table))
    .join("");
}

/**
 * Chains and sets in any order: they stand in the order in which they came to be. An element that leads where it led
 * before stays as it is, with the comment of the Service that it was made for (nftElementStorage in upstream's proxier).
 */
function sorted(text: string): readonly string[] {
  return text
    .replace(/\n}\n$/, "")
    .replace(/ comment "[^"]*" : /g, " : ")
    .split("\n\n")
    .sort();
}

const kinds: readonly Partial<ServicePort>[] = [
  {},
  { affinity: 10_800 * second },
  { nodePort: 30_080, externallyAccessible: true, externalLocal: true },
  { externalIps: ["203.0.113.7"], externallyAccessible: true },
  { loadBalancerIps: ["198.51.100.9"], sourceRanges: ["192.168.0.0/24", "203.0.113.0/25"], externallyAccessible: true },
  { internalLocal: true },
];

test("whatever came before, a table holds just what a first sync of the last view writes", () => {
  const wish = fc.record({
    number: fc.integer({ min: 1, max: 5 }),
    ready: fc.integer({ min: 0, max: 3 }),
    kind: fc.nat(5),
  });
  const views = fc.array(fc.uniqueArray(wish, { selector: ({ number }) => number, maxLength: 5 }), { maxLength: 5 });
  fc.assert(
    fc.property(views, fc.constantFrom("1.35" as const, "1.36" as const), (rows, release) => {
      const known = new Map<string, ServicePort>();
      const viewOf = (row: (typeof rows)[number]): readonly ServicePort[] =>
        row
          .map(({ number, ready, kind }) => {
            const key = `${number} ${ready} ${kind}`;
            const made = known.get(key) ?? port({ name: `s${number}`, number, ready, more: kinds[kind] ?? {} });
            known.set(key, made);
            return made;
          })
          .sort(byName);
      const old = node();
      const mode = nftablesMode({ ...options, release });
      for (const row of rows) {
        mode.sync(viewOf(row), old, "IPv4");
        old.sim.clock.advance(2 * second);
      }
      const last = viewOf(rows.at(-1) ?? []);
      mode.sync(last, old, "IPv4");
      old.sim.clock.advance(2 * second);
      mode.sync(last, old, "IPv4");
      const fresh = node();
      nftablesMode({ ...options, release }).sync(last, fresh, "IPv4");
      expect(sorted(list(old))).toEqual(sorted(list(fresh)));
    }),
    { numRuns: 60 },
  );
});

test("a change touches its own Service only; an empty chain stays for a second", () => {
  const [it, mode] = [node(), nftablesMode(options)];
  const [a, b, c] = ["a", "b", "c"].map((name, index) => port({ name, number: index + 1 }));
  mode.sync([a, b, c] as ServicePort[], it, "IPv4");
  const handles = () =>
    [...(it.netns.nft.table("ip", "kube-proxy")?.chains.values() ?? [])].map(({ name, rules }) => {
      return [name, rules.map(({ handle }) => handle)] as const;
    });
  const before = new Map(handles());
  mode.sync([a, port({ name: "b", number: 2, ready: 3 })] as ServicePort[], it, "IPv4");
  const changed = handles().filter(([name, rules]) => String(before.get(name)) !== String(rules));
  expect(changed.map(([name]) => name.replace(/-.{8}-/, " "))).toEqual([
    "service ns/b/tcp/http",
    "service ns/c/tcp/http",
  ]);
  expect(list(it)).toMatch(/chain service-\w+-ns\/c\/tcp\/http {\n\t}/);
  expect(list(it)).not.toContain("10.96.0.3");
  it.sim.clock.advance(2 * second);
  mode.sync([a] as ServicePort[], it, "IPv4");
  expect(list(it)).not.toContain("ns/c/");
});

test("Services that fight over an address: the first by name has it, and the other when that is gone", () => {
  const [it, mode] = [node(), nftablesMode(options)];
  const more = { externalIps: ["203.0.113.7"], externallyAccessible: true };
  const [a, b] = ["a", "b"].map((name, index) => port({ name, number: index + 1, more })) as [ServicePort, ServicePort];
  const holder = () => /203\.0\.113\.7 \. tcp \. 80 : goto external-\w+-ns\/(\w)/.exec(list(it))?.[1];
  mode.sync([b], it, "IPv4");
  expect(holder()).toBe("b");
  mode.sync([a, b], it, "IPv4");
  expect(holder()).toBe("a");
  mode.sync([b], it, "IPv4");
  expect(holder()).toBe("b");
});

test("a new start of kube-proxy keeps who stays with which endpoint, and takes away what is no more", () => {
  const it = node();
  const sticky = port({ name: "a", number: 1, more: { affinity: 60 * second } });
  nftablesMode(options).sync([sticky, port({ name: "b", number: 2 })], it, "IPv4");
  const table = it.netns.nft.table("ip", "kube-proxy");
  const set = [...(table?.sets.values() ?? [])].find(({ spec }) => spec.name.startsWith("affinity-"));
  set?.update("update", [parseIp("10.1.9.9")], undefined);
  const again = nftablesMode(options);
  again.sync([sticky], it, "IPv4");
  expect(list(it)).toContain("elements = { 10.1.9.9 expires 1m }");
  expect(list(it)).not.toContain("10.96.0.2");
  it.sim.clock.advance(2 * second);
  again.sync([sticky], it, "IPv4");
  expect(list(it)).not.toContain("ns/b/");
});

test("cleanup takes away the tables of both families, and nothing else", () => {
  const it = node();
  const other = "table ip other {\n\tchain c {\n\t\taccept\n\t}\n}\n";
  it.netns.nft.apply(parseCommands(other, it.netns.nft) as readonly Command[]);
  nftablesMode(options).sync([port({ name: "a", number: 1 })], it, "IPv4");
  nftablesMode(options).sync([port({ name: "a", number: 1 }, true)], it, "IPv6");
  expect(it.netns.nft.tables()).toHaveLength(3);
  nftablesMode(options).cleanup(it);
  expect(list(it)).toBe(other);
});

for (const release of ["1.35", "1.36"] as const) {
  test(`all that is written on a node is taken by the real nft, and printed the same (v${release})`, (context) => {
    const sandbox = (text: string) =>
      spawnSync("unshare", ["-Urn", "sh", "-c", "nft -f - && nft list ruleset"], { input: text, encoding: "utf8" });
    const probe = sandbox("add table ip probe\n");
    requireOrSkip(
      context,
      probe.status === 0,
      `nft in a namespace of its own: ${probe.error?.message ?? probe.stderr}`,
    );
    const it = node();
    const mode = nftablesMode({ ...options, release });
    for (const [family, v6] of [
      ["IPv4", false],
      ["IPv6", true],
    ] as const) {
      const view = kinds.map((kind, index) => {
        const ranged = v6 && (kind.externalIps ?? kind.loadBalancerIps);
        return port({ name: `s${index}`, number: index + 1, ready: (index + 2) % 4, more: ranged ? {} : kind }, v6);
      });
      mode.sync(view.sort(byName), it, family);
    }
    const ours = list(it);
    for (const part of ["dnat", "fully-random", "vmap @service-ips", "update @affinity-", "ip6 daddr . meta l4proto"]) {
      expect(ours).toContain(part);
    }
    const real = sandbox(ours);
    expect(real.stderr).toBe("");
    expect(real.stdout).toBe(ours);
  });
}
