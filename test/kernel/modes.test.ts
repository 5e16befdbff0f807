/** The table of modes before a real kernel, which has the same rules from each of its tools: the same answers, rules and chances. */
import { describe, expect, test } from "vitest";
import { chiSquare } from "../../kernel-lib/cluster/chisquare";
import { requireOrSkip } from "../judges";
import { addressesOf, features } from "../node/proxy/modes/services";
import { type Site, siteIn } from "../node/proxy/modes/site";
import {
  askKernel,
  askTable,
  type Backend,
  backends,
  kernelOf,
  leadBy,
  paths,
  type Question,
  questions,
  rulesByChain,
  topologyOf,
  tracedPaths,
  tracing,
} from "./modes";
import { lacksFor, probe, Sandbox } from "./sandbox";
import { machineOf, type Topology, type Version } from "./topology";
import type { World } from "./world";

const machine = await probe();
const versions = [4, 6] as const;

/** What came of one kernel. */
interface Judged {
  readonly asked: number;
  readonly wrong: readonly string[];
  /** How often each of three endpoints answered. */
  readonly counts: readonly number[];
  /** Who answered a client that is to stay with one. */
  readonly stayed: ReadonlySet<string>;
  readonly paths: readonly (readonly [about: string, kernel: string, simulator: readonly string[]])[];
  /** Rules as we write them, and as the kernel's tool prints what it was given; by node. */
  readonly texts: readonly (readonly [node: string, ours: unknown, kernel: unknown])[];
}

interface Lab {
  readonly site: Site;
  readonly topology: Topology;
  readonly version: Version;
  readonly backend: Backend;
  readonly sandbox: Sandbox;
  readonly world: World;
}

async function judge(site: Site, version: Version, backend: Backend): Promise<Judged> {
  const sandbox = new Sandbox(machine.way);
  try {
    const world = await kernelOf(site, version, backend, sandbox);
    const lab: Lab = { site, topology: topologyOf(site), version, backend, sandbox, world };
    // Before anything is asked: a set for affinity then holds clients.
    const texts = await textsOf(lab);
    const [answers, spread] = await Promise.all([askAll(lab), asOften(lab)]);
    return { ...answers, ...spread, texts, paths: await pathsOf(lab) };
  } finally {
    sandbox.stop();
  }
}

async function askAll({ site, topology, version, sandbox }: Lab): Promise<Pick<Judged, "asked" | "wrong">> {
  const wrong: string[] = [];
  let asked = 0;
  for (const by of [undefined, "outside by node-1", "outside by node-3"] as const) {
    if (by !== undefined) await leadBy(by.slice(-6), site, version, sandbox);
    const all = questions(site, version, by);
    const answers = await askTable(topology, sandbox, all);
    asked += all.length;
    for (const [at, { about, may }] of all.entries()) {
      if (!may.includes(answers[at] ?? "")) wrong.push(`${about}: ${answers[at]}, not ${may.join(" or ")}`);
    }
  }
  return { asked, wrong };
}

function clusterIp(title: string, version: Version): string {
  const index = features.findIndex((feature) => feature.title === title);
  return addressesOf(index, version === 4 ? "IPv4" : "IPv6").cluster;
}

const often = 300;
const atOnce = 30;

async function asOften({ version, sandbox }: Lab): Promise<Pick<Judged, "counts" | "stayed">> {
  const ask = async (title: string, times: number): Promise<readonly string[]> => {
    const ip = clusterIp(title, version);
    const target = `TCP${version}:${version === 4 ? ip : `[${ip}]`}:80,connect-timeout=5`;
    let said = "";
    // No command may take long here, and so many do where much else is asked at the same time.
    for (let left = times; left > 0; left -= atOnce) {
      const script = `for n in $(seq ${Math.min(left, atOnce)}); do socat -T5 -u ${target} -; done; true`;
      said += await sandbox.must(["sh", "-c", script], { netns: "c1" });
    }
    return [...said.matchAll(/^(\S+) saw/gm)].map(([, server = ""]) => server);
  };
  const [all, stayed] = [await ask("Three endpoints", often), await ask("Affinity", 8)];
  return {
    counts: ["a1", "b2", "node-2"].map((name) => all.filter((each) => each === name).length),
    stayed: new Set(stayed),
  };
}

/** Of some questions the rules that a connection's first packet meets on node-1. */
async function pathsOf(lab: Lab): Promise<Judged["paths"]> {
  if (lab.version === 6) return [];
  const { sandbox, backend } = lab;
  const own = questions(lab.site, 4, undefined).filter(
    // Whoever has been asked of stays: a simulator that nobody has asked yet knows of no such client.
    ({ about, from, may }) =>
      (from === "c1" || from === "a1" || from === "node-1") &&
      !may.includes("timeout") &&
      !about.startsWith("Affinity"),
  );
  if (backend === "nft") await sandbox.must(["nft", "-f", "-"], { netns: "node-1", input: tracing });
  const found: [string, string, readonly string[]][] = [];
  for (let at = 0; at < own.length; at += tracedAtOnce) {
    const some = own.slice(at, at + tracedAtOnce);
    const kernels = await (backend === "nft" ? traced : counted)(lab, some);
    for (const [index, { answer, kernel }] of kernels.entries()) {
      const question = some[index] as Question;
      const simulator = paths(backend === "nft" ? "ip kube-proxy" : "nat", "node-1", question, answer, lab.site);
      if (simulator) found.push([`${question.about}: ${answer}`, kernel, simulator]);
    }
  }
  return found;
}

const tracedAtOnce = 15;

interface Path {
  readonly answer: string;
  readonly kernel: string;
}

/** Only a connection's first packet walks nat: the rules that counted one. */
async function counted(
  { topology, backend, sandbox, world }: Lab,
  some: readonly Question[],
): Promise<readonly Path[]> {
  const found: Path[] = [];
  for (const question of some) {
    await sandbox.must([backend, "-t", "nat", "-Z"], { netns: "node-1" });
    const answer = await askKernel(topology, world, question);
    const text = await sandbox.must([`${backend}-save`, "-c", "-t", "nat"], { netns: "node-1" });
    const rules = [...text.matchAll(/^\[(\d+):\d+\] (-A .*)$/gm)].filter(([, packets]) => packets !== "0");
    const kernel = rules.map(([, , rule = ""]) => rule).sort();
    found.push({ answer, kernel: kernel.join("\n") });
  }
  return found;
}

/** One after the other, so that what the kernel tells of each stands together. */
async function traced({ topology, sandbox, world }: Lab, some: readonly Question[]): Promise<readonly Path[]> {
  const told = sandbox.run(["timeout", "6", "nft", "monitor", "trace"], { netns: "node-1" });
  await new Promise((resolve) => setTimeout(resolve, 500));
  const answers: string[] = [];
  for (const question of some) answers.push(await askKernel(topology, world, question));
  const known = tracedPaths((await told).stdout);
  return some.map(({ sent, to, port }, at) => {
    return { answer: answers[at] ?? "", kernel: known.get(`${sent} ${to} ${port}`) ?? "nothing was told" };
  });
}

async function textsOf({ topology, version, backend, sandbox }: Lab): Promise<Judged["texts"]> {
  const texts: [string, unknown, unknown][] = [];
  for (const node of ["node-1", "node-2", "node-3", "control-plane"]) {
    const { rules, nft } = machineOf(topology, node);
    const family = version === 4 ? "ip" : "ip6";
    if (backend === "nft") {
      const list = await sandbox.must(["nft", "list", "table", family, "kube-proxy"], { netns: node });
      texts.push([node, (nft[version] ?? "").trim().split("\n"), list.trim().split("\n")]);
    } else {
      const save = `${version === 4 ? backend : backend.replace("ip", "ip6")}-save`;
      const said = await sandbox.must([save], { netns: node });
      texts.push([node, rulesByChain(rules[version] ?? ""), rulesByChain(said)]);
    }
  }
  return texts;
}

const wanted = backends.filter((backend) => lacksFor(machine.missing, backend) === undefined);
const sites = {
  iptables: wanted.length > 0 ? await siteIn("iptables") : undefined,
  nftables: wanted.includes("nft") ? await siteIn("nftables") : undefined,
};

/** All are on their way at once, for most of what they do is to wait; the tests below only wait for them. */
const judged = new Map<string, Promise<Judged>>();
for (const backend of wanted) {
  const site = sites[backend === "nft" ? "nftables" : "iptables"];
  for (const version of versions) {
    const promise = site && judge(site, version, backend);
    promise?.catch(() => {});
    if (promise) judged.set(`${backend} ${version}`, promise);
  }
}

for (const backend of backends) {
  describe.each(versions)(`${backend}, IPv%i`, { timeout: 180_000 }, (version) => {
    const reason = lacksFor(machine.missing, backend);
    const result = async (context: Parameters<typeof requireOrSkip>[0]): Promise<Judged> => {
      requireOrSkip(context, reason === undefined, `a real kernel as judge: ${reason}`);
      const found = await judged.get(`${backend} ${version}`);
      if (!found) throw new Error("nobody was asked");
      return found;
    };

    test("every TCP question of the table has an answer that the simulator holds possible", async (context) => {
      const { asked, wrong } = await result(context);
      expect(wrong).toEqual([]);
      expect(asked).toBeGreaterThan(300);
    });

    test("three endpoints get a third each, and a client that is to stay does", async (context) => {
      const { counts, stayed } = await result(context);
      const { p = 0 } = chiSquare(counts, Array(3).fill(often / 3)) ?? {};
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(often);
      expect(p, counts.join()).toBeGreaterThan(0.0001);
      expect(stayed.size, [...stayed].join()).toBe(1);
    });

    test("rules that were loaded are printed as they were written", async (context) => {
      for (const [node, ours, kernel] of (await result(context)).texts) expect(kernel, node).toEqual(ours);
    });

    if (version === 4) {
      test("a connection's first packet meets the same rules", async (context) => {
        const { paths: found } = await result(context);
        expect(found.filter(([, kernel, simulator]) => !simulator.includes(kernel))).toEqual([]);
        expect(found.length).toBeGreaterThan(20);
      });
    }
  });
}
