/**
 * The table of traffic policies before a real kernel: its answers are those of the statement, which is nobody's code. Of ipvs
 * and userspace mode there is no judge: a virtual server needs the kernel's ip_vs, which an unprivileged namespace has not, and
 * the userspace proxy is a program of the past, whose every answer is a connection of its own.
 */
import { describe, expect, test } from "vitest";
import { chiSquare } from "../../kernel-lib/cluster/chisquare";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import { requireOrSkip } from "../judges";
import { policies } from "../node/proxy/modes/matrix";
import { type PlaceName, placeOf, places, type Site, siteIn, targetOf } from "../node/proxy/modes/site";
import { meant } from "../node/proxy/modes/statement";
import { askMany, type Backend, backends, kernelOf, leadBy, outsideClient } from "./modes";
import { lacksFor, probe, Sandbox } from "./sandbox";
import type { Version } from "./topology";

const machine = await probe();
const versions = [4, 6] as const;

interface Question {
  readonly about: string;
  readonly from: string;
  readonly to: string;
  readonly port: number;
  /** The source that the client's packets begin with. */
  readonly sent: string;
  /** By the statement. */
  readonly wanted: readonly string[];
}

/** Those of pods and nodes, or the workstation's by way of one node. */
function questions(site: Site, backend: Backend, version: Version, by: string | undefined): readonly Question[] {
  const mode = backend === "nft" ? "nftables" : "iptables";
  const family = version === 4 ? "IPv4" : "IPv6";
  const asking = places.filter((place) =>
    by === undefined ? !place.startsWith("outside") : place.endsWith(`by ${by}`),
  );
  const ask = (place: PlaceName) =>
    policies.flatMap((policy, index) =>
      policy.rows.flatMap((row): readonly Question[] => {
        const to = targetOf(site, index, row, place, family);
        if (to === undefined) return [];
        const from = by === undefined ? place : "workstation";
        const ip = by === undefined ? placeOf(site, place).netns.sourceFor(parseIp(to)) : outsideClient(site, version);
        const about = `${policy.title}, ${row.to} from ${place}`;
        const wanted = meant({ mode, policy, to: row.to, place });
        return [{ about, from, to, port: row.port, sent: formatIp(ip ?? 0), wanted }];
      }),
    );
  return asking.flatMap(ask);
}

/** What the kernel said, in the statement's words: all that it can be. */
function inWords(site: Site, answer: string, sent: string): readonly string[] {
  const [, server = "", saw = ""] = /^(\S+) saw (\S+)$/.exec(answer) ?? [];
  if (server !== "") {
    const owner = [...site.cluster.nodes.values()].find(({ net }) => net.netns.routes.isLocal(parseIp(saw)));
    return [`${server} sees ${saw === sent ? "client" : (owner?.name ?? saw)}`];
  }
  if (answer === "refused") return ["reject"];
  // What leaves the cluster is lost there, or somebody knows no way.
  return answer === "timeout" ? ["drop", "away"] : ["away"];
}

interface Judged {
  readonly asked: number;
  readonly wrong: readonly string[];
  /** How often each answered of two that may. */
  readonly counts: readonly [number, number];
}

async function judge(site: Site, version: Version, backend: Backend): Promise<Judged> {
  const sandbox = new Sandbox(machine.way);
  try {
    await kernelOf(site, version, backend, sandbox);
    const wrong: string[] = [];
    const counts: [number, number] = [0, 0];
    let asked = 0;
    for (const by of [undefined, "node-1", "node-3"]) {
      if (by !== undefined) await leadBy(by, site, version, sandbox);
      let left = questions(site, backend, version, by);
      asked += left.length;
      let told: readonly string[] = [];
      // A difference is one when it stands twice: a busy machine may answer too late.
      for (let times = 0; times < 2 && left.length > 0; times++) {
        const some = left;
        const answers = await askMany(sandbox, some);
        const isRight = (answer: string, { sent, wanted }: Question): boolean =>
          inWords(site, answer, sent).some((words) => wanted.includes(words));
        for (const [at, question] of some.entries()) {
          const server = question.wanted.length === 2 ? ["a1", "b2"].indexOf(answers[at]?.slice(0, 2) ?? "") : -1;
          if (server >= 0) counts[server as 0 | 1]++;
        }
        left = some.filter((question, at) => !isRight(answers[at] ?? "", question));
        told = answers.filter((answer, at) => !isRight(answer, some[at] as Question));
      }
      wrong.push(...left.map(({ about, wanted }, at) => `${about}: ${told[at]}; the statement: ${wanted.join(", ")}`));
    }
    return { asked, wrong, counts };
  } finally {
    sandbox.stop();
  }
}

const wanted = backends.filter((backend) => lacksFor(machine.missing, backend) === undefined);
const sites = {
  iptables: wanted.length > 0 ? await siteIn("iptables", policies) : undefined,
  nftables: wanted.includes("nft") ? await siteIn("nftables", policies) : undefined,
};

/** All are on their way at once, for most of what they do is to wait. */
const judged = new Map<string, Promise<Judged>>();
for (const backend of wanted) {
  const site = sites[backend === "nft" ? "nftables" : "iptables"];
  for (const version of versions) {
    const promise = site && judge(site, version, backend);
    promise?.catch(() => {});
    if (promise) judged.set(`${backend} ${version}`, promise);
  }
}

describe.each(backends)("%s", { timeout: 180_000 }, (backend) => {
  test.for(versions)(
    "IPv%i: every cell of the table is what the statement has, and two share evenly",
    async (version, context) => {
      const reason = lacksFor(machine.missing, backend);
      requireOrSkip(context, reason === undefined, `a real kernel as judge: ${reason}`);
      const found = await judged.get(`${backend} ${version}`);
      expect(found?.wrong).toEqual([]);
      expect(found?.asked).toBe(160 * places.length + 60 * (places.length + places.length - 2));
      const [one = 0, other = 0] = found?.counts ?? [];
      const { p = 0 } = chiSquare([one, other], [(one + other) / 2, (one + other) / 2]) ?? {};
      expect(one + other).toBeGreaterThan(100);
      expect(p, `${one} to ${other}`).toBeGreaterThan(0.0001);
    },
  );
});
