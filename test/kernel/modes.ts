/** Owns the table of modes before a real kernel: a mode's cluster as namespaces, with the rules loaded by one of the kernel's tools. */
import { join } from "node:path";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import type { FlowResult } from "../../kernel-lib/net/flow";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import type { Entry } from "../../kernel-lib/sim/journal";
import { addressesOf, type Row } from "../node/proxy/modes/services";
import { asked, type PlaceName, placeOf, places, type Site, targetOf } from "../node/proxy/modes/site";
import { endpointNamed } from "../node/proxy/modes/table";
import { buildKernel } from "./kernel";
import { loadRules } from "./kernelbuild";
import type { Sandbox } from "./sandbox";
import { type Addresses, readNetwork, type Topology, type Version, withNames } from "./topology";
import { patience, type World } from "./world";

/** What loads rules into a kernel. */
export const backends = ["iptables-legacy", "iptables-nft", "nft"] as const;
export type Backend = (typeof backends)[number];

const own = ["a1", "b2", "c1", "c3"] as const;
const machines = ["node-1", "node-2", "node-3", "control-plane", "router", "workstation", "internet"];

/** The cluster of the table, as data; addresses have the names that the table gives them. */
export function topologyOf(site: Site): Topology {
  const naming = (netns: string): string | undefined => {
    if (machines.includes(netns)) return netns;
    return own.find((pod) => netns === `default/${pod}`);
  };
  const names: { [name: string]: Addresses } = {};
  for (const name of [...own, "node-1", "node-2", "node-3"]) {
    names[name] = { 4: site.address(name, "IPv4"), 6: site.address(name, "IPv6") };
  }
  const read = readNetwork(site.cluster.network, naming);
  return { name: "the table of modes", ...read, names };
}

/** A kernel with the cluster in it, its servers started and its rules loaded. */
export async function kernelOf(site: Site, version: Version, backend: Backend, sandbox: Sandbox): Promise<World> {
  const topology = topologyOf(site);
  const world = await buildKernel(topology, version, sandbox);
  for (const at of ["a1", "b2", "node-2"]) {
    await sandbox.serve(at, [...talk, "serve", at, "80", String(version)], version === 4 ? "tcp 80" : "tcp6 80");
  }
  if (backend !== "iptables-legacy") await loadRules(topology, version, sandbox);
  else {
    const tool = version === 4 ? "iptables-legacy-restore" : "ip6tables-legacy-restore";
    for (const { name, rules } of topology.machines) {
      const input = rules[version];
      if (input !== undefined) await sandbox.must([tool], { netns: name, input });
    }
  }
  return world;
}

/** One question of the table, for a kernel. */
export interface Question {
  readonly about: string;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** The source that the client's packets begin with. */
  readonly sent: string;
  /** Everything that may become of it, with what a client may see of that. */
  readonly results: readonly FlowResult[];
  readonly may: readonly string[];
}

/** The table's TCP questions: those of pods and nodes, and the workstation's by way of one node. */
export function questions(site: Site, version: Version, by: PlaceName | undefined): readonly Question[] {
  const family = version === 4 ? "IPv4" : "IPv6";
  const found: Question[] = [];
  const client = outsideClient(site, version);
  const senders = by === undefined ? places.filter((place) => !place.startsWith("outside")) : [by];
  for (const [index, feature] of site.features.entries()) {
    for (const row of feature.rows.filter(({ protocol }) => protocol === undefined)) {
      for (const place of senders) {
        const to = targetOf(site, index, row, place, family);
        if (to === undefined) continue;
        const results = asked(site, index, row, place, family, client) ?? [];
        const from = by === undefined ? place : "workstation";
        const sent = by === undefined ? (placeOf(site, place).netns.sourceFor(parseIp(to)) ?? 0) : client;
        const may = [...new Set(results.flatMap((result) => answersOf(site, result, formatIp(sent), version)))];
        found.push({
          about: `${feature.title}: ${words(row)} from ${place}`,
          from,
          to,
          port: row.port,
          sent: formatIp(sent),
          results,
          may,
        });
      }
    }
  }
  return found;
}

function words({ to, port }: Row): string {
  return `${to}, ${port}`;
}

export function outsideClient(site: Site, version: Version): ReturnType<typeof parseIp> {
  const ip = site.cluster.workstation.sourceFor(parseIp(addressesOf(0, version === 4 ? "IPv4" : "IPv6").cluster));
  if (ip === undefined) throw new Error(`the workstation has no IPv${version} address`);
  return ip;
}

/** What a client may see of what the simulator says. `a1*`: a server that saw another source than the client's. */
function answersOf(site: Site, result: FlowResult, sent: string, version: Version): readonly string[] {
  const name = endpointNamed(site, result, version === 4 ? "IPv4" : "IPv6");
  if (name !== undefined) return [formatIp(result.source) === sent ? name : `${name}*`];
  // What leaves the cluster is lost, or somebody outside knows no way.
  if (!site.cluster.nodes.has(result.netns)) return ["timeout", "no route to host", "network is unreachable"];
  return [result.end === "dropped" ? "timeout" : "refused"];
}

/** Asks a kernel by a tool of its own; the answer is in the words of `may`. */
export async function askKernel(topology: Topology, world: World, question: Question): Promise<string> {
  const { from, to, port, sent } = question;
  const [answer = ""] = await world.ask([{ ask: "tcp", from, to, port }]);
  return inWords(topology, answer, sent);
}

/** The same of many at once, of a kernel made for it. */
export async function askTable(
  topology: Topology,
  sandbox: Sandbox,
  all: readonly Question[],
): Promise<readonly string[]> {
  const said = await askMany(sandbox, all);
  return said.map((answer, at) => inWords(topology, withNames(topology, answer), all[at]?.sent ?? ""));
}

/** Asks a kernel made for it everything at once, one process for each place: `a1 saw 10.244.1.1`, or what came instead. */
export async function askMany(
  sandbox: Sandbox,
  all: readonly Pick<Question, "from" | "to" | "port">[],
): Promise<readonly string[]> {
  const answers: string[] = all.map(() => "");
  const places = [...new Set(all.map(({ from }) => from))];
  await Promise.all(
    places.map(async (from) => {
      const own = [...all.entries()].filter(([, question]) => question.from === from);
      const input = own.map(([, { to, port }]) => `${to} ${port}\n`).join("");
      const said = await sandbox.must([...talk, "ask", String(patience)], { netns: from, input });
      for (const [at, answer] of said.trim().split("\n").entries()) answers[own[at]?.[0] ?? -1] = answer;
    }),
  );
  return answers;
}

const talk = [process.execPath, join(process.cwd(), "test", "kernel", "talk.mjs")];

function inWords(topology: Topology, answer: string, sent: string): string {
  const [, server = "", saw] = /^(\S+) saw (\S+)$/.exec(answer) ?? [];
  if (server === "") return answer;
  return `${server === "node-2" ? "h2" : server}${saw === withNames(topology, sent) ? "" : "*"}`;
}

/** Where Services and pods are: the workstation is told to go there by a node. */
const prefixes = {
  4: ["10.96.100.0/24", "198.18.5.0/24", "192.0.2.0/24", "10.244.0.0/16"],
  6: ["fd00:10:96::/112", "2001:db8:51::/64", "2001:db8:2::/64", "fd00:10:244::/56"],
} as const;

/** From now on the workstation's packets come in by this node. */
export async function leadBy(node: string, site: Site, version: Version, sandbox: Sandbox): Promise<void> {
  const via = site.address(node, version === 4 ? "IPv4" : "IPv6");
  const lines = prefixes[version].map((prefix) => `route replace ${prefix} via ${via}\n`);
  await sandbox.must(["ip", "-n", "workstation", "-batch", "-"], { input: lines.join("") });
}

/** Rules chain by chain, as no tool's order of chains and no counter matters. */
export function rulesByChain(text: string): readonly string[] {
  const lines = text.split(/^(?=\*)/m).flatMap((table) => {
    const name = /^\*\w+/m.exec(table)?.[0] ?? "";
    const bare = table.split("\n").filter((line) => /^[:-]/.test(line));
    return bare.map((line, at) => {
      const [, chain = ""] = /^(?::|-A )(\S+)/.exec(line) ?? [];
      return { key: `${name} ${chain}`, at, line: `${name} ${line.replace(/ \[\d+:\d+\]$/, "")}` };
    });
  });
  const order = (one: (typeof lines)[number], other: (typeof lines)[number]): number =>
    one.key === other.key ? one.at - other.at : one.key < other.key ? -1 : 1;
  return lines.sort(order).map(({ line }) => line);
}

/** Which rules of a node count for a path: those of the nat table, or of kube-proxy's own. */
export type PathOf = "nat" | "ip kube-proxy";

/**
 * The rules of a table that a question's packet meets on a node, for each thing that may become of it. Undefined where it
 * goes through a tunnel: a kernel sees the outer packets too.
 */
export function paths(
  table: PathOf,
  node: string,
  { results, sent }: Question,
  answer: string,
  site: Site,
): readonly string[] | undefined {
  const fitting = results.filter((result) => answersOf(site, result, sent, 4).includes(answer));
  const isCarried = ({ detail }: Entry): boolean => (detail as PacketEvent | undefined)?.packet.vni !== undefined;
  if (fitting.some(({ entries }) => entries.some(isCarried))) return undefined;
  return fitting.map(({ rules }) => {
    const own = rules.filter(({ table: of, netns }) => of === table && netns === node);
    if (table === "nat") return [...new Set(own.map(({ text }) => text))].sort().join("\n");
    return own.map(({ chain, text }) => `${chain}: ${text}`).join("\n");
  });
}

/** Has a kernel tell of every rule of nftables that a SYN meets. */
export const tracing = `table ip seen {
  chain in {
    type filter hook prerouting priority -350
    tcp flags & (fin | syn | rst | ack) == syn meta nftrace set 1
  }
  chain out {
    type filter hook output priority -350
    tcp flags & (fin | syn | rst | ack) == syn meta nftrace set 1
  }
}
`;

/** Kube-proxy's rules that `nft monitor trace` tells of, in order, for each SYN that it saw: by source, target and port. */
export function tracedPaths(told: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const part of told.split(/^(?=trace id \w+ ip seen (?:in|out) packet: )/m)) {
    const [, source, target, port] = / ip saddr (\S+) ip daddr (\S+) .*?tcp dport (\d+)/.exec(part) ?? [];
    const rules = part.matchAll(/^trace id \w+ ip kube-proxy (\S+) rule (.*) \(verdict [^)]*\)$/gm);
    const path = [...rules].map(([, chain, text]) => `${chain}: ${text}`).join("\n");
    const key = `${source} ${target} ${port}`;
    // What a node sends to itself is seen as it goes out, and as it comes in.
    const before = found.get(key);
    found.set(key, before === undefined ? path : `${before}\n${path}`);
  }
  return found;
}
