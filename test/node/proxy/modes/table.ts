/** Owns the table of modes: what becomes of every question in every mode and family, as a text that can be read. */
import { type Family, formatIp, formatSocketAddress, parseIp } from "../../../../kernel-lib/net/address";
import type { FlowResult } from "../../../../kernel-lib/net/flow";
import type { ModeName } from "../../../../kernel-lib/node/proxy/mode";
import { type Difference, differences } from "./differences";
import { addressesOf, type Feature, features, type Row } from "./services";
import { asked, places, type Site, sourceOf, targetOf, tried } from "./site";

/** A mode with a family: what the table has a line for. */
export interface Column {
  readonly mode: ModeName;
  readonly family: Family;
}

/** The cells of one line, by place. */
export type Cells = readonly string[];

/** `nftables`, or `nftables IPv6`. */
export function wordOf({ mode, family }: Column): string {
  return family === "IPv4" ? mode : `${mode} IPv6`;
}

export function rowWord({ to, port, protocol }: Row): string {
  return protocol === "icmp" ? `${to}, ping` : `${to}, ${protocol ?? "tcp"} ${port}`;
}

/** What becomes of it from every place: endpoints (`*`: which see another source than the client's), or a verdict. */
export function cellsOf(site: Site, index: number, row: Row, { mode, family }: Column): Cells {
  if (row.protocol === "icmp") return pings(site, index, row, family);
  return places.map((place) => {
    const results = asked(site, index, row, place, family);
    if (!results) return "–";
    const target = targetOf(site, index, row, place, family) ?? "";
    const sent = formatIp(sourceOf(site, place, parseIp(target)) ?? 0);
    const ends = results.map((result) => endOf(site, result, family, sent, mode));
    return [...new Set(ends)].sort().join(" ");
  });
}

function pings(site: Site, index: number, row: Row, family: Family): Cells {
  const senders = places.filter((place) => !place.startsWith("outside"));
  const target = addressesOf(index, family)[row.to === "cluster IP" ? "cluster" : "external"];
  const ends = tried(
    site,
    senders.map((place) => ({ place, target, port: 0 })),
  );
  return places.map((place) => ends[senders.indexOf(place)] ?? "–");
}

function endOf(site: Site, result: FlowResult, family: Family, sent: string, mode: ModeName): string {
  const name = endpointNamed(site, result, family);
  if (name !== undefined) {
    // The userspace proxy hides every client: said once, above the table.
    if (mode === "userspace") return result.via ? name : `${name} without a proxy`;
    return formatIp(result.source) === sent ? name : `${name}*`;
  }
  const atNode = site.cluster.nodes.has(result.netns);
  if (result.end === "rejected") return "reject";
  if (result.end === "refused" && result.via) return "hung up";
  if (!atNode) return "away";
  if (result.end === "refused") return "closed";
  return result.end === "dropped" ? (result.why.startsWith("dropped by") ? "drop" : `lost`) : "node itself";
}

/** The endpoint that got it, if one did. */
export function endpointNamed(
  site: Site,
  { target, targetPort, netns }: FlowResult,
  family: Family,
): string | undefined {
  if (targetPort !== 80) return undefined;
  const name = ["a1", "b2", "h2"].find(
    (each) => formatSocketAddress(target, 80) === formatSocketAddress(parseIp(site.address(each, family)), 80),
  );
  const where = name === "h2" ? "node-2" : `default/${name}`;
  return netns === where ? name : undefined;
}

/** Which differences are named for a line. */
export function reasonsFor(column: Column, feature: Feature, row: Row): readonly Difference[] {
  const about = `${feature.title} / ${rowWord(row)}`;
  return differences.filter(({ where, only }) => only.includes(wordOf(column)) && where.test(about));
}

/** All of it, in Markdown. @param sites by mode */
export function render(sites: ReadonlyMap<ModeName, Site>): string {
  const columns = [...sites.keys()].flatMap((mode): readonly Column[] =>
    mode === "userspace"
      ? [{ mode, family: "IPv4" }]
      : [
          { mode, family: "IPv4" },
          { mode, family: "IPv6" },
        ],
  );
  const parts = features.map((feature, index) => {
    const lines = feature.rows.flatMap((row) => rowLines(sites, columns, feature, index, row));
    return `## ${feature.title}\n\n${grid([["sent to", "mode", ...places, "why"], ...lines])}`;
  });
  const reasons = differences.map(({ name, because }) => `- **${name}**: ${because}`);
  return `${head}\n${parts.join("\n\n")}\n\n## Why modes differ\n\n${reasons.join("\n")}\n`;
}

function rowLines(
  sites: ReadonlyMap<ModeName, Site>,
  columns: readonly Column[],
  feature: Feature,
  index: number,
  row: Row,
): readonly (readonly string[])[] {
  const found = columns.map((column) => {
    const site = sites.get(column.mode);
    if (!site) throw new Error(`no site in ${column.mode}`);
    return { column, cells: cellsOf(site, index, row, column) };
  });
  const base = found[0]?.cells ?? [];
  const others = new Map<string, { cells: Cells; words: string[]; why: string }>();
  for (const { column, cells } of found.slice(1)) {
    const plain = column.mode === "userspace" ? base.map(withoutSources) : base;
    if (cells.join() === plain.join()) continue;
    const reasons = reasonsFor(column, feature, row).map(({ name }) => name);
    const why = reasons.length > 0 ? reasons.join(", ") : "NO REASON IS GIVEN";
    const shown = cells.map((cell, at) => (cell === plain[at] ? "″" : cell));
    const key = `${shown.join("|")} ${why}`;
    const known = others.get(key);
    if (known) known.words.push(wordOf(column));
    else others.set(key, { cells: shown, words: [wordOf(column)], why });
  }
  return [
    [rowWord(row), "", ...base, ""],
    ...[...others.values()].map(({ cells, words, why }) => ["", words.join(", "), ...cells, why]),
  ];
}

export function withoutSources(cell: string): string {
  return cell.replaceAll("*", "");
}

/** A table in Markdown; its first row is its head. */
export function grid(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
  const [first = [], ...others] = rows;
  return [line(first), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...others.map(line)].join("\n");
}

const head = `# What becomes of a packet for a Service, in every mode of kube-proxy

Servers: a1 on node-1, b2 on node-2, h2 on node-2's own network. Clients: the pods c1 on node-1 and c3 on node-3, a1
itself, two nodes, and somebody outside whose packets come in by one of them. A cell names every endpoint that may get
the packet, with * where it sees another source than the client's. \`reject\`: the client is told; \`drop\`: it is not;
\`closed\`: a node on which nobody listens there; \`hung up\`: kube-proxy takes the connection, and ends it; \`away\`: no rule
knows it, and it leaves the cluster. For a ping: who \`answers\`, \`reject\`s, or \`nothing\`. A line without a mode is iptables
mode's with IPv4, and all others' that are not below it; ″ is as above, – is not asked. In userspace mode every endpoint sees
a node (kube-proxy's own connection), which is not told again in each cell, and there is IPv4 only.
`;
