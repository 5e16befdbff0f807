/** Random Services and slices in all modes: who is reached is what Services mean, and what is written hangs on nothing that came before. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Files } from "../../../../kernel-lib/apps/files";
import { chiSquare } from "../../../../kernel-lib/cluster/chisquare";
import { formatCidr, formatIp, parseCidr, parseIp } from "../../../../kernel-lib/net/address";
import { explainFlow, runFlow } from "../../../../kernel-lib/net/flow";
import { entryTexts } from "../../../../kernel-lib/net/ipsettext";
import { serverRule, virtualRule } from "../../../../kernel-lib/net/ipvs/text";
import { Network } from "../../../../kernel-lib/net/network";
import { tableText } from "../../../../kernel-lib/net/nft/listing";
import { Later } from "../../../../kernel-lib/node/later";
import type { NodeNet } from "../../../../kernel-lib/node/node";
import { type ModeName, type ModeOptions, modeNames } from "../../../../kernel-lib/node/proxy/mode";
import { cleanLeftovers, createMode } from "../../../../kernel-lib/node/proxy/modes";
import { type ServicePort, viewOf } from "../../../../kernel-lib/node/proxy/view";
import { second } from "../../../../kernel-lib/sim/clock";
import { createSim } from "../../../../kernel-lib/sim/sim";
import { type ModeLab, modeLab, who } from "../modelab";
import {
  type Asker,
  addressOf,
  history,
  ipsOf,
  type Kind,
  type Meaning,
  meaning,
  nodePortOf,
  outsideIp,
  podNames,
  serviceOf,
  slicesOf,
  type WordService,
  world,
  zones,
} from "./random";

const options: ModeOptions = { clusterCidr: "10.244.0.0/16", serviceCidrs: ["10.96.0.0/12"] };
const seed = 4;

type View = readonly ServicePort[];

/** What a node sees; a port that means what it meant before is the same object, as of a real proxy. */
function viewFrom(services: readonly WordService[], node: string, before: View = []): View {
  const place = { node, zone: zones[node] ?? "" };
  const view = viewOf(services.map(serviceOf), services.flatMap(slicesOf), place);
  const known = new Map(before.map((port) => [JSON.stringify(port), port]));
  return view.map((port) => known.get(JSON.stringify(port)) ?? port);
}

const askers: readonly (Asker & { readonly from: string })[] = [
  { who: "pod", from: "pod-1-2", ip: addressOf("pod-1-2"), node: "node-1" },
  { who: "pod", from: "pod-2-3", ip: addressOf("pod-2-3"), node: "node-2" },
  { who: "node", from: "node-1", ip: "192.168.1.11", node: "node-1" },
  { who: "outside", from: "node-1", ip: outsideIp, node: "node-1" },
  { who: "outside", from: "node-2", ip: outsideIp, node: "node-2" },
];

const kinds: readonly Kind[] = ["cluster", "external", "balancer", "node port"];

function targetOf(words: WordService, kind: Kind, { node }: Asker): readonly [ip: string, port: number] | undefined {
  const ips = ipsOf(words);
  if (kind === "cluster") return [ips.cluster, 80];
  if (kind === "external") return words.external ? [ips.external, 80] : undefined;
  if (kind === "balancer") return words.type === "LoadBalancer" ? [ips.balancer, 80] : undefined;
  return words.type === "ClusterIP" ? undefined : [`192.168.1.1${node.at(-1)}`, nodePortOf(words)];
}

interface Found {
  readonly meaning: Meaning | string;
  readonly shares: readonly number[];
}

function reached(lab: ModeLab, words: WordService, kind: Kind, asker: (typeof askers)[number]): Found | undefined {
  const target = targetOf(words, kind, asker);
  if (!target) return undefined;
  const protocol = words.protocol.toLowerCase() as "tcp" | "udp";
  const to = { protocol, target: parseIp(target[0]), targetPort: target[1] };
  const flow = asker.who === "outside" ? { ...to, source: parseIp(asker.ip), input: "eth0" } : to;
  const shares = new Map<string, number>();
  for (const { outcome, probability } of explainFlow(who(lab, asker.from), flow, { entries: false })) {
    const pod = podNames.find((name) => name === outcome.netns && addressOf(name) === formatIp(outcome.target));
    const atNode = outcome.netns.startsWith("node-");
    const verdict =
      outcome.end === "rejected"
        ? "reject"
        : outcome.end === "refused" && outcome.via
          ? "hung up"
          : !atNode
            ? "away"
            : outcome.end === "dropped" && outcome.why.startsWith("dropped by")
              ? "drop"
              : `${outcome.end} on ${outcome.netns}: ${outcome.why}`;
    const end = pod ?? verdict;
    shares.set(end, (shares.get(end) ?? 0) + probability);
  }
  const names = [...shares.keys()].sort();
  const verdict = names.length === 1 && !names[0]?.startsWith("pod-") ? (names[0] ?? "") : names;
  return { meaning: verdict, shares: [...shares.values()] };
}

describe.each(modeNames)("%s", (mode) => {
  test("who is reached, and how likely, follows from Services and slices alone", () => {
    const lab = modeLab(createMode(mode, options));
    const proxy = createMode(mode, options);
    let asked = 0;
    fc.assert(
      fc.property(world, (services) => {
        for (const node of lab.nodeNets) proxy.sync(viewFrom(services, node.name), node, "IPv4");
        for (const words of services) {
          const usable = new Set(
            words.endpoints.flatMap(({ pod, state }) => {
              const ready = state === "ready" || state === "published";
              return ready || (state === "leaving" && mode !== "userspace") ? [pod as string] : [];
            }),
          );
          for (const kind of kinds) {
            for (const asker of askers) {
              const found = reached(lab, words, kind, asker);
              if (!found) continue;
              asked++;
              const about = `${kind} from ${asker.who} at ${asker.node}, Service s${words.number}`;
              expect(found.meaning, about).toEqual(meaning(mode, words, kind, asker));
              if (typeof found.meaning === "string") continue;
              for (const pod of found.meaning) expect(usable, about).toContain(pod);
              for (const share of found.shares) expect(share, about).toBeCloseTo(1 / found.shares.length, 6);
            }
          }
        }
      }),
      { seed, numRuns: 60 },
    );
    expect(asked).toBeGreaterThan(500);
  });

  test("whatever came before, what is written is what a fresh start writes", () => {
    fc.assert(
      fc.property(history(mode !== "userspace"), (steps) => {
        const [old, fresh] = [bareLab(), bareLab()];
        const proxy = createMode(mode, options);
        let view: View = [];
        for (const services of steps) {
          view = viewFrom(services, "node-1", view);
          proxy.sync(view, old.node, "IPv4");
        }
        // Chains of nftables that nothing leads to any more go a little later.
        old.advance(3 * second);
        proxy.sync(view, old.node, "IPv4");
        createMode(mode, options).sync(viewFrom(steps.at(-1) ?? [], "node-1"), fresh.node, "IPv4");
        expect(written(old.node)).toEqual(written(fresh.node));
      }),
      { seed, numRuns: 60 },
    );
  });

  test("a new start finds what the last one wrote, and writes what is to stand there now", () => {
    fc.assert(
      fc.property(world, world, (before, services) => {
        const [old, fresh] = [bareLab(), bareLab()];
        createMode(mode, options).sync(viewFrom(before, "node-1"), old.node, "IPv4");
        const proxy = createMode(mode, options);
        const view = viewFrom(services, "node-1");
        proxy.sync(view, old.node, "IPv4");
        old.advance(3 * second);
        proxy.sync(view, old.node, "IPv4");
        createMode(mode, options).sync(view, fresh.node, "IPv4");
        expect(written(old.node)).toEqual(written(fresh.node));
      }),
      { seed, numRuns: 30 },
    );
  });

  test("its clean-up leaves nothing of it", () => {
    fc.assert(
      fc.property(world, (services) => {
        const { node } = bareLab();
        const nothing = written(node);
        createMode(mode, options).sync(viewFrom(services, "node-1"), node, "IPv4");
        expect(written(node)).not.toEqual(nothing);
        createMode(mode, options).cleanup(node);
        expect(written(node)).toEqual(nothing);
      }),
      { seed, numRuns: 20 },
    );
  });
});

test("whatever modes a node has had one after another, only the last one's work is there", () => {
  fc.assert(
    fc.property(world, fc.array(fc.constantFrom(...modeNames), { minLength: 2, maxLength: 6 }), (services, modes) => {
      const [old, fresh] = [bareLab(), bareLab()];
      const view = viewFrom(services, "node-1");
      let before: ModeName | undefined;
      for (const mode of modes) {
        // These two share chains, so that one is to be cleaned up by hand when the other takes over.
        const shared = [before, mode].sort().join() === "iptables,ipvs";
        if (before && shared) createMode(before).cleanup(old.node);
        cleanLeftovers(mode, old.node);
        createMode(mode, options).sync(view, old.node, "IPv4");
        before = mode;
      }
      createMode(modes.at(-1) ?? "iptables", options).sync(view, fresh.node, "IPv4");
      expect(written(old.node)).toEqual(written(fresh.node));
    }),
    { seed, numRuns: 40 },
  );
});

const many: WordService = {
  ...{ number: 1, protocol: "TCP", type: "NodePort", external: false, internalLocal: false, externalLocal: false },
  ...{ affinity: false, ranges: "all", hints: "none" },
  endpoints: podNames.map((pod) => ({ pod, state: "ready" })),
};

test("random modes spread as chance does, those that take turns exactly; with affinity a client stays, and others do not", () => {
  for (const mode of modeNames) {
    const lab = modeLab(createMode(mode, options));
    const proxy = createMode(mode, options);
    const node = lab.nodeNets[0] as NodeNet;
    proxy.sync(viewFrom([many], "node-1"), node, "IPv4");
    const flow = { protocol: "tcp", target: parseIp(ipsOf(many).cluster), targetPort: 80 } as const;
    const picks = (count: number, from = "pod-1-2"): readonly string[] =>
      Array.from({ length: count }, () => runFlow(who(lab, from), flow).netns);
    const all = picks(400);
    const counts = podNames.map((pod) => all.filter((each) => each === pod).length);
    if (mode === "iptables" || mode === "nftables") {
      const { p = 0 } = chiSquare(counts, [100, 100, 100, 100]) ?? {};
      expect(p, `${mode}: ${counts.join()}`).toBeGreaterThan(0.001);
      expect(p, `${mode}: ${counts.join()}`).toBeLessThan(0.999);
    } else expect(counts, mode).toEqual([100, 100, 100, 100]);

    proxy.sync(viewFrom([{ ...many, affinity: true }], "node-1"), node, "IPv4");
    expect(new Set(picks(20)).size, `${mode}, one client`).toBe(1);
    const firsts = Array.from({ length: 40 }, (_, at) => {
      const source = parseIp(`198.18.1.${at + 1}`);
      const ask = () => runFlow(node.netns, { ...flow, source, input: "eth0" }).netns;
      const [first = "", ...others] = [ask(), ask(), ask()];
      expect(new Set(others), `${mode}, client ${at}`).toEqual(new Set([first]));
      return first;
    });
    expect(new Set(firsts).size, `${mode}, many clients`).toBe(4);
  }
});

/** A node with nothing but its addresses, and a clock. */
function bareLab(): { readonly node: NodeNet; advance(by: number): void } {
  const sim = createSim(3);
  const network = new Network(sim);
  const netns = network.netns("node-1");
  netns.addPhysical("eth0", network.segment("lan"));
  netns.addAddress("eth0", parseCidr("192.168.1.11/24"));
  netns.addBridge("cni0");
  netns.addAddress("cni0", parseCidr("10.244.1.1/24"));
  const ip = parseIp("192.168.1.11");
  const later = new Later(sim.clock, false, (look) => netns.defer(look));
  const files = new Files(sim.clock);
  const node: NodeNet = { sim, network, name: "node-1", ip, ips: [ip], netns, later, files, podCidrs: [] };
  return { node, advance: (by) => sim.clock.advance(by) };
}

/** All that a mode can have written, in an order that says nothing of when; the proxy's own random ports are all alike. */
function written({ netns }: NodeNet): readonly string[] {
  const tables = [netns.iptables, netns.ip6tables].flatMap((each) =>
    each
      .save()
      .split(/^(?=\*)/m)
      .flatMap((table) => {
        const [name = ""] = table.split("\n");
        const chain = (line: string): string | undefined => /^-A (\S+)/.exec(line)?.[1];
        const rules = table.split("\n").filter((line) => chain(line) !== undefined);
        const made = [...table.matchAll(/^:(\S+) (\S+)/gm)].map(([, of, policy]) => `${name} ${of} ${policy}`);
        // The kubelet has this chain too, so that no proxy takes it away.
        const all = [...made, ...rules.map((line) => `${name} ${line}`)].filter(
          (line) => !line.includes("KUBE-FIREWALL"),
        );
        return isUserspace(table)
          ? all.map(withoutPorts).sort()
          : [...all.filter((line) => !line.includes(" -A ")).sort(), ...byChain(all)];
      }),
  );
  // An element that means what it did keeps the comment that it has, upstream too.
  const nft = netns.nft.tables().flatMap((table) =>
    tableText(table)
      .replace(/\n}\n$/, "")
      .replace(/ comment "default\/s\d"(?= :)/g, "")
      .split("\n\n")
      .sort(),
  );
  const servers = netns.ipvs.list().flatMap((virtual) => {
    return [virtualRule(virtual), ...virtual.servers.map((real) => serverRule(virtual, real)).sort()].join("\n");
  });
  const sets = netns.ipsets.list().map((set) => [set.name, ...entryTexts(set, true)].join("\n"));
  const devices = [...netns.devices.values()].map(
    ({ name, addresses }) => `${name} ${addresses.map(formatCidr).sort().join(" ")}`,
  );
  const sockets = netns.sockets.list().map(({ protocol, owner }) => `${protocol} ${owner}`);
  return [...tables, ...nft, ...servers.sort(), ...sets.sort(), ...devices.sort(), ...sockets.sort()].filter(
    (line) => !/ (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) ACCEPT$/.test(line),
  );
}

/** Rules in their order, chains by name. */
function byChain(lines: readonly string[]): readonly string[] {
  const rules = lines.filter((line) => line.includes(" -A "));
  const chains = [...new Set(rules.map((line) => line.split(" ")[2]))].sort();
  return chains.flatMap((chain) => rules.filter((line) => line.split(" ")[2] === chain));
}

function isUserspace(table: string): boolean {
  return table.includes("KUBE-PORTALS") || table.includes("KUBE-NODEPORT-NON-LOCAL");
}

function withoutPorts(line: string): string {
  return line.replace(/(--to-ports |--to-destination [\d.]+:|NON-LOCAL .*--dport )\d+/, "$1PORT");
}
