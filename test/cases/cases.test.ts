import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { requireOrSkip } from "../judges";
import { judgeFile, judges } from "./index";

/** Kubernetes' own test cases; in shared/cases beside the checkout, or in the folder that KUBEBOOK_CASES names. */
const root = resolve(import.meta.dirname, "..", "..");
const folder = process.env.KUBEBOOK_CASES ?? resolve(root, "..", "shared", "cases");
const there = existsSync(folder);
const files = there ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
const scratch = mkdtempSync(join(tmpdir(), "cases-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as T;
}

function failures(name: string, content: object): readonly string[] {
  return judgeFile(name, JSON.stringify(content)).flatMap((one) => (one.differences.length > 0 ? [one.name] : []));
}

test("Kubernetes' own cases are at hand, and each file has its judge", (context) => {
  requireOrSkip(context, there, "no folder shared/cases beside the checkout, and KUBEBOOK_CASES names none");
  expect(files.map((name) => name.replace(/\.json$/, "")).filter((name) => !Object.hasOwn(judges, name))).toEqual([]);
});

describe.skipIf(!there)("Kubernetes' own cases pass", () => {
  test.each(files)("%s", (file) => {
    const found = judgeFile(file.replace(/\.json$/, ""), readFileSync(join(folder, file), "utf8"));
    expect(found.filter(({ differences }) => differences.length > 0)).toEqual([]);
    expect(found.length).toBeGreaterThan(5);
  });
});

describe.skipIf(!there)("the judges see every expectation", () => {
  interface Flow {
    expect: { endpoints?: string[]; verdict?: string; masquerade: boolean };
  }

  test.each(["flows_iptables", "flows_nftables"])(
    "%s: another endpoint, mask or verdict fails its flow, and no other",
    (name) => {
      const content = read<{ cases: { flows: Flow[] }[] }>(name);
      const flows = content.cases.flatMap((one) => one.flows);
      for (const [at, flow] of flows.entries()) {
        const { endpoints, verdict, masquerade } = flow.expect;
        if (at % 3 === 0) flow.expect.masquerade = !masquerade;
        else if (endpoints) flow.expect.endpoints = at % 2 ? endpoints.slice(1) : [...endpoints, "10.9.9.9:9"];
        else flow.expect.verdict = verdict === "DROP" ? "REJECT" : "DROP";
      }
      expect(failures(name, content)).toHaveLength(flows.length);
    },
  );

  test("flows: one that cannot be read fails, and none beside it; a case needs no objects; a file may be one case", () => {
    const flow = { sourceIP: "10.0.0.1", destIP: "10.96.0.1", destPort: 80, expect: { verdict: "none" } };
    const one = { name: "empty", flows: [flow, { ...flow, destPort: 0 }, { ...flow, name: "last", sourceIP: null }] };
    expect(failures("flows_nftables", { cases: [null, one, { ...one, config: { proxyMode: "ebpf" } }] })).toEqual([
      ...["case 1", "empty: flow 2", "empty: last", "empty: flow 1", "empty: flow 2", "empty: last"],
    ]);
    expect(failures("flows_nftables", { ...one, flows: [flow] })).toEqual([]);
    expect(failures("topology", { cases: [null, ...read<Rows>("topology").cases] })).toEqual(["cases[0]"]);
  });

  interface Rows {
    cases: {
      name: string;
      featureGates: Record<string, boolean>;
      service: { hintsAnnotation: string };
      endpoints: { endpoint: string }[];
      expect: Record<string, unknown>;
    }[];
  }

  test("topology: each of the four expectations counts", () => {
    for (const key of ["clusterEndpoints", "localEndpoints", "allReachableEndpoints"]) {
      const content = read<Rows>("topology");
      for (const row of content.cases)
        row.expect[key] = [...((row.expect[key] as string[] | null) ?? []), "10.9.9.9:9"];
      expect(failures("topology", content), key).toHaveLength(content.cases.length);
    }
    const content = read<Rows>("topology");
    for (const row of content.cases) row.expect.hasAnyEndpoints = !row.expect.hasAnyEndpoints;
    expect(failures("topology", content)).toHaveLength(content.cases.length);
  });

  test("topology: with only the older gate the annotation decides whether hints count", () => {
    const [row] = read<Rows>("topology").cases.filter(({ name }) => name === "hints enabled, hints annotation == auto");
    if (!row) throw new Error("no such row");
    const all = row.endpoints.map(({ endpoint }) => endpoint);
    const off = { ...row, service: { ...row.service, hintsAnnotation: "Disabled" } };
    const none = { ...row, featureGates: { TopologyAwareHints: false, ServiceTrafficDistribution: false } };
    for (const other of [off, none]) {
      const wanted = { ...row.expect, clusterEndpoints: all, allReachableEndpoints: all };
      expect(failures("topology", { cases: [{ ...other, expect: wanted }] })).toEqual([]);
      expect(failures("topology", { cases: [other] })).toHaveLength(1);
    }
  });

  interface Texts {
    cases: { name: string; expectText: string }[];
    chainRules: { chain: string; expectRules: string[] }[];
  }

  test("rule texts: a rule more, less or other fails its text", () => {
    for (const change of [
      (text: string) => text.replace(/^-A KUBE-SEP-.*\n/m, ""),
      (text: string) => text.replace("--dport 80", "--dport 81"),
      (text: string) => text.replace(/^(-A KUBE-SVC-.*\n)/m, "$1$1"),
    ]) {
      const content = read<Texts>("iptables_texts");
      for (const one of content.cases) one.expectText = change(one.expectText);
      expect(failures("iptables_texts", content)).toEqual(content.cases.map(({ name }) => name));
    }
    const chains = read<Texts>("iptables_texts");
    for (const one of chains.chainRules) one.expectRules = [...one.expectRules, `-A ${one.chain} -j ACCEPT`];
    expect(failures("iptables_texts", chains)).toHaveLength(chains.chainRules.length);
  });

  test("names, counts and numbers are compared", () => {
    const names = read<{ pairs: { expect: string }[] }>("chain_names");
    for (const pair of names.pairs) pair.expect = `${pair.expect}X`;
    expect(failures("chain_names", names)).toHaveLength(names.pairs.length);
    const validation = read<{ cases: { expectErrors: number }[] }>("service_validation");
    for (const one of validation.cases) one.expectErrors += 1;
    expect(failures("service_validation", validation)).toHaveLength(validation.cases.length);
  });

  test("facts are compared", () => {
    interface Facts {
      cases: { expect: { servicePorts?: number; derived?: object; metrics?: Record<string, number> } }[];
    }
    const facts = read<Facts>("proxy_facts");
    for (const { expect: wanted } of facts.cases) {
      if (wanted.servicePorts !== undefined) wanted.servicePorts += 1;
      if (wanted.derived) wanted.derived = { localReadyEndpoints: { "ns1/svc1": 99 } };
      const metrics = Object.entries(wanted.metrics ?? {});
      if (wanted.metrics) wanted.metrics = Object.fromEntries(metrics.map(([name, value]) => [name, value + 1]));
    }
    expect(failures("proxy_facts", facts)).toHaveLength(facts.cases.length);
  });

  test("allocations are compared", () => {
    interface Row {
      free?: number;
      hosts?: string;
      broadcast?: string;
      order?: string[];
      offset: number;
      outOfRange?: number[];
    }
    const allocation = read<{
      serviceIPAllocator: { rows: Row[] }[];
      staticBand: { rows: Row[]; example: { lowerBand: string[] } };
      portAllocator: { rows: Row[] };
      nodePortRangeDefault: { to: number };
    }>("allocation");
    for (const { rows } of allocation.serviceIPAllocator) {
      for (const row of rows) {
        if (row.free !== undefined) row.free += 1;
        if (row.hosts !== undefined) row.hosts = `${row.hosts}1`;
        if (row.broadcast !== undefined) row.broadcast = "10.0.0.1";
        if (row.order !== undefined) row.order = [...row.order].reverse().slice(1);
      }
    }
    for (const row of allocation.staticBand.rows) row.offset += 1;
    allocation.nodePortRangeDefault.to += 1;
    for (const row of allocation.portAllocator.rows) row.outOfRange = [10_100];
    allocation.staticBand.example.lowerBand = ["192.168.1.2", "192.168.1.16"];
    expect(failures("allocation", allocation)).toHaveLength(judgeFile("allocation", JSON.stringify(allocation)).length);
  });

  test("what no judge knows is a failure, not a pass", () => {
    const flows = read<{ cases: { flows: { expect: Record<string, unknown> }[] }[] }>("flows_iptables");
    for (const { expect: wanted } of flows.cases[0]?.flows ?? []) wanted.surprise = true;
    expect(failures("flows_iptables", flows)).toHaveLength(flows.cases[0]?.flows.length ?? 0);
    const tables = read<{ cases: { function: string }[] }>("endpointslice_tables");
    for (const one of tables.cases) one.function = "NoSuchFunction";
    expect(failures("endpointslice_tables", tables)).toHaveLength(tables.cases.length);
    const rows = read<Rows>("topology");
    for (const row of rows.cases) row.expect.more = [];
    expect(failures("topology", rows)).toHaveLength(rows.cases.length);
    expect(failures("chain_names", { pairs: [{ kind: "other.name", input: {}, expect: "x" }] })).toHaveLength(1);
    expect(failures("topology", { cases: [] })).toEqual(["topology"]);
  });
});

describe("npm run cases", () => {
  const run = (directory: string) => {
    const script = join(root, "test", "cases", "run.mjs");
    return spawnSync(process.execPath, [script, directory], { cwd: root, encoding: "utf8", timeout: 60_000 });
  };

  test("counts by file, names what failed with both sides, skips what it does not know, and says 1", () => {
    const pair = { kind: "iptables.localChain", input: { servicePortName: "ns1/svc1:p80", protocol: "tcp" } };
    const pairs = [
      { ...pair, expect: "KUBE-SVL-XPGD46QRK7WJZT7O" },
      { ...pair, expect: "KUBE-SVL-WRONG" },
    ];
    writeFileSync(join(scratch, "chain_names.json"), JSON.stringify({ pairs }));
    writeFileSync(join(scratch, "else.json"), "{}");
    writeFileSync(join(scratch, "topology.json"), "{ broken");
    const { stdout, status } = run(scratch);
    expect(stdout).toMatch(/^chain_names: 1 passed, 1 failed$/m);
    expect(stdout).toContain('expected "KUBE-SVL-WRONG", got "KUBE-SVL-XPGD46QRK7WJZT7O"');
    expect(stdout).toMatch(/^topology: 0 passed, 1 failed$/m);
    expect(stdout).toMatch(/^else: skipped \(.+\)$/m);
    expect(stdout).toMatch(/^1 passed, 2 failed\n$/m);
    expect(status).toBe(1);
  });

  test("a folder that is not there is bad input", () => {
    const { stderr, status } = run(join(scratch, "nowhere"));
    expect(stderr).toContain("there is no folder");
    expect(status).toBe(2);
  });
});
