import { expect, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { Files } from "../../../kernel-lib/apps/files";
import { parseCidr, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow } from "../../../kernel-lib/net/flow";
import { Network } from "../../../kernel-lib/net/network";
import { tableText } from "../../../kernel-lib/net/nft/listing";
import type { Nftables } from "../../../kernel-lib/net/nft/nftables";
import { parseCommands } from "../../../kernel-lib/net/nft/parse";
import type { Command } from "../../../kernel-lib/net/nft/ruleset";
import { Later } from "../../../kernel-lib/node/later";
import type { NodeNet } from "../../../kernel-lib/node/node";
import { type NftablesOptions, nftablesMode } from "../../../kernel-lib/node/proxy/nftables";
import { endpointNames, portNames } from "../../../kernel-lib/node/proxy/nftablesnames";
import { type Protocol, viewOf } from "../../../kernel-lib/node/proxy/view";
import { createSim } from "../../../kernel-lib/sim/sim";
import { readCases } from "../cases";

type KubeObject = Kinds["Service"] | Kinds["EndpointSlice"];

interface Config {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly nodeIPs: readonly string[];
  readonly detectLocal: { readonly mode: string; readonly clusterCIDR?: string };
  readonly masqueradeAll: boolean;
  readonly nodePortAddresses: readonly string[] | null;
  readonly serviceCIDRs: readonly string[];
}

interface Case {
  readonly name: string;
  readonly config: Config;
  readonly objects: readonly KubeObject[];
}

const releases = ["1.35", "1.36"] as const;

function viewFor(objects: readonly KubeObject[], node: string) {
  const services = objects.filter((object): object is Kinds["Service"] => object.kind === "Service");
  const slices = objects.filter((object): object is Kinds["EndpointSlice"] => object.kind === "EndpointSlice");
  return viewOf(services, slices, { node });
}

/** A node with the case's addresses, its rules written; endpoints are somewhere behind its router. */
function nodeWith({ config, objects }: Case, release: NonNullable<NftablesOptions["release"]>): NodeNet {
  const sim = createSim(1);
  const network = new Network(sim);
  const netns = network.netns(config.nodeName);
  netns.addPhysical("eth0", network.segment("lan"));
  for (const ip of config.nodeIPs.filter((each) => !each.includes(":")))
    netns.addAddress("eth0", parseCidr(`${ip}/24`));
  netns.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp("192.168.0.1"), device: "eth0" });
  netns.sysctl.ipForward = true;
  const [ip, files] = [parseIp(config.nodeIP), new Files(sim.clock)];
  const later = new Later(sim.clock, false, (look) => netns.defer(look));
  const node: NodeNet = { sim, network, name: config.nodeName, ip, ips: [ip], netns, later, files, podCidrs: [] };
  const options: NftablesOptions = {
    release,
    ...(config.detectLocal.mode === "ClusterCIDR" && { clusterCidr: config.detectLocal.clusterCIDR }),
    masqueradeAll: config.masqueradeAll,
    serviceCidrs: config.serviceCIDRs,
    ...(config.nodePortAddresses && { nodePortAddresses: config.nodePortAddresses }),
  };
  nftablesMode(options).sync(viewFor(objects, config.nodeName), node, "IPv4");
  return node;
}

function fresh(): Nftables {
  return new Network(createSim(1)).netns("empty").nft;
}

/** A table's things, sorted; the rules of a chain in their order, the elements of a set in nft's. */
function things(nft: Nftables): readonly string[] {
  return nft
    .tables()
    .flatMap((table) => tableText(table).split(/\n\n|(?<="rules for kube-proxy")\n/))
    .map((thing) => thing.replace(/\n}\n$/, ""))
    .sort();
}

test("whole rule sets are those of kube-proxy's own tests", (context) => {
  const { cases } = readCases<{ cases: readonly (Case & { readonly expectText: string })[] }>(
    context,
    "nftables_texts.json",
  );
  expect(cases).toHaveLength(2);
  for (const row of cases) {
    const wanted = fresh();
    wanted.apply(inOrder(row.expectText, wanted));
    expect(things(nodeWith(row, "1.35").netns.nft), row.name).toEqual(things(wanted));
  }
});

/** The commands of a text that is sorted by nothing: what others need goes first. */
function inOrder(text: string, nft: Nftables): readonly Command[] {
  const order = ["add table", "add set", "add map", "add chain", "add rule", "add element"];
  const lines = text.split("\n").filter((line) => line !== "");
  const sorted = order.flatMap((begin) => lines.filter((line) => line.startsWith(begin)));
  expect(sorted).toHaveLength(lines.length);
  return parseCommands(sorted.join("\n"), nft) as readonly Command[];
}

test("chains are named by the hash that kube-proxy takes, and cut where they would be too long", (context) => {
  interface Pair {
    readonly kind: string;
    readonly input: {
      readonly namespace: string;
      readonly name: string;
      readonly port: string;
      readonly protocol: string;
      readonly endpoint?: string;
    };
    readonly expect: string;
  }
  const { pairs } = readCases<{ pairs: readonly Pair[] }>(context, "chain_names.json");
  const ours = pairs.filter(({ kind }) => kind.startsWith("nftables."));
  expect(ours.length).toBeGreaterThan(15);
  for (const { input, expect: wanted } of ours) {
    const protocol = input.protocol.toUpperCase() as Protocol;
    const port = { service: `${input.namespace}/${input.name}`, portName: input.port, protocol };
    const [, ip = "", number] = /^\[?(.*?)\]?:(\d+)$/.exec(input.endpoint ?? "") ?? [];
    const made = input.endpoint
      ? endpointNames(port, { ip, port: Number(number) }).chain.replace("endpoint-", "")
      : portNames(port).cluster.replace("service-", "");
    expect(made).toBe(wanted);
  }
});

interface Flow {
  readonly name: string;
  readonly sourceIP: string;
  readonly destIP: string;
  readonly destPort: number;
  readonly protocol: string;
  readonly expect: { readonly endpoints?: readonly string[]; readonly verdict?: string; readonly masquerade: boolean };
}

test.each(releases)("packets through the rules of one node end where kube-proxy's own tests say (v%s)", (release) => {
  const { cases } = readCases<{ cases: readonly (Case & { readonly flows: readonly Flow[] })[] }>(
    { skip: (why: string) => expect.fail(why) } as never,
    "flows_nftables.json",
  );
  let flows = 0;
  for (const row of cases) {
    const node = nodeWith(row, release);
    for (const flow of row.flows) {
      flows++;
      expect(outcome(node, row.config, flow), `${row.name}: ${flow.name}`).toEqual(flow.expect);
    }
  }
  expect(flows).toBeGreaterThan(35);
});

/** The set of endpoints that may be chosen, or what becomes of the packet; and whether it is masqueraded on any way. */
function outcome(node: NodeNet, config: Config, flow: Flow): object {
  const own = config.nodeIPs.includes(flow.sourceIP) || flow.sourceIP.startsWith("127.");
  const ways = explainFlow(node.netns, {
    protocol: flow.protocol.toLowerCase() as "tcp" | "udp" | "sctp",
    source: parseIp(flow.sourceIP),
    target: parseIp(flow.destIP),
    targetPort: flow.destPort,
    ...(!own && { input: "eth0" }),
  });
  const effects = ways.flatMap(({ outcome: { rules } }) => rules.map(({ effect }) => effect?.does));
  const masquerade = effects.includes("mark") || effects.includes("masquerade");
  const to = ways.filter(({ outcome: { rules } }) => rules.some(({ effect }) => effect?.does === "dnat"));
  if (to.length > 0) {
    const packets = to.map(({ outcome: { packet } }) => packet);
    const endpoints = packets.map(({ target, body }) => {
      return `${[24, 16, 8, 0].map((shift) => (Number(target) >>> shift) & 255).join(".")}:${body.protocol === "icmp" ? 0 : body.targetPort}`;
    });
    return { endpoints: [...new Set(endpoints)].sort(), masquerade };
  }
  const last = effects.filter((does) => does === "drop" || does === "reject").at(-1);
  return { verdict: last?.toUpperCase() ?? "none", masquerade };
}
