/** Every feature of Services from every place, in all four modes and both families: modes agree, or why they do not is written down. */
import { beforeAll, describe, expect, test } from "vitest";
import { type ModeName, modeNames } from "../../../../kernel-lib/node/proxy/mode";
import { differences } from "./differences";
import { features } from "./services";
import { places, type Site, siteIn, targetOf, tried } from "./site";
import { cellsOf, render } from "./table";

const sites = new Map<ModeName, Site>();
let text = "";
beforeAll(async () => {
  for (const mode of modeNames) sites.set(mode, await siteIn(mode));
  text = render(sites);
}, 60_000);

function siteOf(mode: ModeName): Site {
  const site = sites.get(mode);
  if (!site) throw new Error(`no cluster in ${mode} mode`);
  return site;
}

test("what becomes of a packet is as modes.md says, mode by mode", async () => {
  await expect(text).toMatchFileSnapshot("modes.md");
});

test("no mode differs from iptables without a reason, and no reason is given for nothing", () => {
  expect(text.split("\n").filter((line) => line.includes("NO REASON"))).toEqual([]);
  const named = new Set([...text.matchAll(/\| ([^|]*) \|$/gm)].flatMap(([, why = ""]) => why.trim().split(/, (?!so)/)));
  expect(differences.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([]);
});

describe.each(modeNames)("%s", (mode) => {
  test("what the rules say of a connection is what a real one meets, its answers too", () => {
    const site = siteOf(mode);
    const asked: { place: (typeof places)[number]; target: string; port: number; about: string; said: string }[] = [];
    for (const family of mode === "userspace" ? (["IPv4"] as const) : (["IPv4", "IPv6"] as const)) {
      for (const [index, feature] of features.entries()) {
        for (const row of feature.rows.filter(({ protocol }) => protocol === undefined)) {
          const cells = cellsOf(site, index, row, { mode, family });
          for (const [at, place] of places.entries()) {
            const target = targetOf(site, index, row, place, family);
            if (target === undefined || place.startsWith("outside")) continue;
            const about = `${feature.title} / ${row.to} ${row.port} from ${place}`;
            asked.push({ place, target, port: row.port, about, said: resultOf(cells[at] ?? "") });
          }
        }
      }
    }
    const results = tried(site, asked);
    const wrong = asked.flatMap(({ about, said, target }, at) =>
      said.includes(results[at] ?? "") ? [] : [`${about} (${target}): ${results[at]}, not ${said}`],
    );
    expect(wrong).toEqual([]);
    expect(asked.length).toBeGreaterThan(200);
  });
});

/** What a client sees of what a cell says. */
function resultOf(cell: string): string {
  if (/^[abh]\d/.test(cell)) return "connected";
  if (cell === "reject" || cell === "closed") return "refused";
  if (cell === "hung up") return "hung up";
  // Whoever is outside the cluster may say that there is no way.
  return cell === "drop" ? "timeout" : "timeout, unreachable, no route";
}
