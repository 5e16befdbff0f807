/** Every type of Service × traffic policy × mode × client × placement of endpoints × family: as the statement has it, and as policies.md shows. */
import { beforeAll, describe, expect, test } from "vitest";
import { type Family, formatIp, parseIp } from "../../../../kernel-lib/net/address";
import type { FlowResult } from "../../../../kernel-lib/net/flow";
import { type ModeName, modeNames } from "../../../../kernel-lib/node/proxy/mode";
import { type Policy, policies, wordOf } from "./matrix";
import type { Row } from "./services";
import { asked, type PlaceName, places, type Site, siteIn, sourceOf, targetOf, tried } from "./site";
import { meant } from "./statement";
import { endpointNamed, grid } from "./table";

const sites = new Map<ModeName, Site>();
beforeAll(async () => {
  for (const mode of modeNames) sites.set(mode, await siteIn(mode, policies));
}, 180_000);

function siteOf(mode: ModeName): Site {
  const site = sites.get(mode);
  if (!site) throw new Error(`no cluster in ${mode} mode`);
  return site;
}

const families = (mode: ModeName): readonly Family[] => (mode === "userspace" ? ["IPv4"] : ["IPv4", "IPv6"]);

interface Cell {
  readonly index: number;
  readonly policy: Policy;
  readonly row: Row;
  readonly place: PlaceName;
  readonly family: Family;
  readonly target: string;
}

function cells(site: Site, mode: ModeName): readonly Cell[] {
  const found: Cell[] = [];
  for (const family of families(mode)) {
    for (const [index, policy] of policies.entries()) {
      for (const row of policy.rows) {
        for (const place of places) {
          const target = targetOf(site, index, row, place, family);
          if (target !== undefined) found.push({ index, policy, row, place, family, target });
        }
      }
    }
  }
  return found;
}

const known = new Map<string, readonly string[]>();

/** What becomes of it, in the statement's words. */
function found(mode: ModeName, { index, row, place, family, target }: Cell): readonly string[] {
  const key = `${mode} ${family} ${place} ${target} ${row.port}`;
  const before = known.get(key);
  if (before) return before;
  const site = siteOf(mode);
  const sent = sourceOf(site, place, parseIp(target));
  const results = asked(site, index, row, place, family, undefined, { entries: false }) ?? [];
  const ends = [...new Set(results.map((result) => endOf(site, result, family, sent)))].sort();
  known.set(key, ends);
  return ends;
}

function endOf(site: Site, result: FlowResult, family: Family, sent: FlowResult["source"] | undefined): string {
  const name = endpointNamed(site, result, family);
  if (name !== undefined && result.end === "delivered") return `${name} sees ${ownerOf(site, result.source, sent)}`;
  if (result.end === "rejected") return "reject";
  if (result.end === "refused" && result.via) return "hung up";
  if (!site.cluster.nodes.has(result.netns)) return "away";
  const isRule = result.end === "dropped" && result.why.startsWith("dropped by");
  return isRule ? "drop" : `${result.end} on ${result.netns}: ${result.why}`;
}

/** Whose address it is: the client's own, or a node's. */
function ownerOf(site: Site, ip: FlowResult["source"], sent: FlowResult["source"] | undefined): string {
  if (ip === sent) return "client";
  const owner = [...site.cluster.nodes.values()].find(({ net }) => net.netns.routes.isLocal(ip));
  return owner?.name ?? formatIp(ip);
}

describe.each(modeNames)("%s", { timeout: 60_000 }, (mode) => {
  test("who answers, and whose address they see, is what the policies mean", () => {
    const site = siteOf(mode);
    const all = cells(site, mode);
    const wrong = all.flatMap((cell) => {
      const said = found(mode, cell).join(", ");
      const wanted = meant({ mode, policy: cell.policy, to: cell.row.to, place: cell.place }).join(", ");
      const about = `${cell.family}, ${cell.policy.title}, ${cell.row.to} from ${cell.place}`;
      return said === wanted ? [] : [`${about}: ${said}; the statement: ${wanted}`];
    });
    expect(wrong).toEqual([]);
    expect(all.length).toBe(families(mode).length * cellsOfFamily);
  });

  test("a real connection meets the same, and its answers come back", () => {
    const site = siteOf(mode);
    const all = cells(site, mode).filter(({ place }) => !place.startsWith("outside"));
    const ends = tried(
      site,
      all.map(({ place, target, row }) => ({ place, target, port: row.port })),
    );
    const wrong = all.flatMap((cell, at) => {
      const end = ends[at] ?? "";
      const wanted = seenByClient(meant({ mode, policy: cell.policy, to: cell.row.to, place: cell.place }));
      const about = `${cell.family}, ${cell.policy.title}, ${cell.row.to} from ${cell.place}`;
      return wanted.includes(end) ? [] : [`${about}: ${end}, not ${wanted.join(" or ")}`];
    });
    expect(wrong).toEqual([]);
  });
});

/** 100 Services by cluster IP, 20 by external IP, 40 by a balancer's, 60 by node ports; who is outside asks no other node. */
const cellsOfFamily = (100 + 20 + 40) * places.length + 60 * (places.length + places.length - 2);

function seenByClient(ends: readonly string[]): readonly string[] {
  const [end = ""] = ends;
  if (end.includes(" sees ")) return ["connected"];
  if (end === "reject") return ["refused"];
  if (end === "hung up") return ["hung up"];
  // Whoever is outside the cluster may say that there is no way.
  return end === "drop" ? ["timeout"] : ["timeout", "unreachable", "no route"];
}

test("the table of policies is as policies.md says", async () => {
  await expect(`${head}\n${sections().join("\n\n")}\n`).toMatchFileSnapshot("policies.md");
});

/** A section for each way to a Service; ways of which all is the same share one. */
function sections(): readonly string[] {
  const bodies = new Map<string, string[]>();
  const groups = [...new Set(policies.map(wordOf))];
  for (const group of groups) {
    const members = policies.flatMap((policy, index) => (wordOf(policy) === group ? [{ policy, index }] : []));
    for (const { to } of members[0]?.policy.rows ?? []) {
      const lines = members.flatMap(({ policy, index }) => linesOf(policy, index, to));
      const body = grid([["endpoints", "mode", ...places], ...lines]);
      bodies.set(body, [...(bodies.get(body) ?? []), `${group}: ${to}`]);
    }
  }
  return [...bodies].map(([body, titles]) => `${titles.map((title) => `- ${title}`).join("\n")}\n\n${body}`);
}

/** The line of iptables mode with IPv4, and of each that differs from it. */
function linesOf(policy: Policy, index: number, to: Row["to"]): readonly (readonly string[])[] {
  const row = policy.rows.find((each) => each.to === to);
  if (!row) throw new Error(`${policy.title} has no ${to}`);
  const columns = modeNames.flatMap((mode) => families(mode).map((family) => ({ mode, family })));
  const lines = new Map<string, string[]>();
  for (const { mode, family } of columns) {
    const site = siteOf(mode);
    const line = places.map((place) => {
      const target = targetOf(site, index, row, place, family);
      return target === undefined ? "–" : short(found(mode, { index, policy, row, place, family, target }), mode);
    });
    const key = line.join("|");
    lines.set(key, [...(lines.get(key) ?? []), family === "IPv4" ? mode : `${mode} IPv6`]);
  }
  return [...lines].map(([line, who], at) => [
    at === 0 ? policy.placement : "",
    at === 0 ? "" : who.join(", ").replace(/(\w+), \1 IPv6/g, "$1"),
    ...line.split("|"),
  ]);
}

/** `a1* b2`: who sees another address than the client's has a star; of the userspace proxy's everybody does. */
function short(ends: readonly string[], mode: ModeName): string {
  return ends
    .map((end) => end.replace(" sees client", "").replace(/ sees (node-\d)$/, mode === "userspace" ? "" : "*"))
    .join(" ");
}

const head = `# Traffic policies, in every mode of kube-proxy

Of each way to a Service: what becomes of a packet, by where its endpoints are. a1 is on node-1, b2 on node-2; the clients are
the pods c1 on node-1 and c3 on node-3, a1 itself, two nodes, and somebody outside whose packets come in by one of them. To a
client on node-1, a1 is local and b2 remote. A cell names every endpoint that may get the packet, with * where it sees a node's
address instead of the client's (in userspace mode everybody does, and it is not told again). \`reject\`: the client is told;
\`drop\`: it is not; \`hung up\`: kube-proxy takes the connection and ends it; \`away\`: no rule knows it, and it leaves the
cluster; –: not asked. "Terminates": it is not ready any more, but still serves. A line with modes is theirs; the first is that
of all others, with IPv4 and IPv6; userspace mode has IPv4 only.
`;
