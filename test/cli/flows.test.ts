import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { askCase, readFlowFile } from "../../kernel-lib/cluster/flows/file";

const root = resolve(import.meta.dirname, "..", "..");
const scratch = mkdtempSync(join(tmpdir(), "flows-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A Service with a local and a remote endpoint, asked in any mode and family. */
function shop(mode: string, family: "IPv4" | "IPv6" = "IPv4", more = ""): string {
  const four = family === "IPv4";
  const [node, pods, service] = four
    ? ["192.168.0.2", "10.244.0.0/16", "10.96.0.50"]
    : ["2001:db8::2", "fd00:10:244::/48", "fd00:10:96::50"];
  const [here, away, pod, far] = four
    ? ["10.244.1.5", "10.244.2.7", "10.244.1.9", "203.0.113.9"]
    : ["fd00:10:244:1::5", "fd00:10:244:2::7", "fd00:10:244:1::9", "2001:db8:ffff::9"];
  const at = (ip: string): string => (four ? `${ip}:8080` : `"[${ip}]:8080"`);
  return `
name: shop
config:
  proxyMode: ${mode}
  ipFamily: ${family}
  nodeName: node-1
  nodeIP: "${node}"
  detectLocal: { mode: ClusterCIDR, clusterCIDR: "${pods}" }
${more}
objects:
  - apiVersion: v1
    kind: Service
    metadata: { name: shop }
    spec:
      type: NodePort
      clusterIP: "${service}"
      clusterIPs: ["${service}"]
      ipFamilies: [${family}]
      ports: [{ port: 80, targetPort: 8080, nodePort: 30080, protocol: TCP }]
  - apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: { name: shop-1, labels: { kubernetes.io/service-name: shop } }
    addressType: ${family}
    ports: [{ name: "", port: 8080, protocol: TCP }]
    endpoints:
      - { addresses: ["${here}"], nodeName: node-1 }
      - { addresses: ["${away}"], nodeName: node-2 }
flows:
  - name: a pod to the Service
    sourceIP: "${pod}"
    destIP: "${service}"
    destPort: 80
    expect: { endpoints: [${at(here)}, ${at(away)}], masquerade: ${mode === "userspace"} }
  - name: an endpoint to its own Service
    sourceIP: "${here}"
    destIP: "${service}"
    destPort: 80
    expect: { endpoints: [${at(here)}, ${at(away)}], masquerade: true }
  - name: somebody outside to the node port
    sourceIP: "${far}"
    destIP: "${node}"
    destPort: 30080
    expect: { endpoints: [${at(here)}, ${at(away)}], masquerade: true }
`;
}

const modes = ["iptables", "nftables", "ipvs", "userspace"];

test.each(modes)("%s: the same flows reach the same endpoints in both families", (mode) => {
  for (const family of mode === "userspace" ? (["IPv4"] as const) : (["IPv4", "IPv6"] as const)) {
    const asked = readFlowFile(shop(mode, family), "shop.yaml").flatMap((one) => askCase(one));
    expect(asked.map(({ flow, differences }) => [flow.name, ...differences])).toEqual([
      ["a pod to the Service"],
      ["an endpoint to its own Service"],
      ["somebody outside to the node port"],
    ]);
    for (const { answer } of asked) {
      expect(answer.ways.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1);
    }
  }
});

test("what the configuration says is what kube-proxy does", () => {
  const [one] = readFlowFile(shop("iptables", "IPv4", "  masqueradeAll: true"), "shop.yaml").flatMap((one) =>
    askCase(one),
  );
  expect(one?.answer.masquerade).toBe(true);
  const closed = shop("iptables", "IPv4", "  nodePortAddresses: [192.0.2.0/24]");
  expect(readFlowFile(closed, "shop.yaml").flatMap((one) => askCase(one))[2]?.answer.verdict).toBe("none");
  const elsewhere = shop("nftables", "IPv4", "  serviceCIDRs: [10.96.0.0/16]").replace(
    /destPort: 80\b/,
    "destPort: 81",
  );
  expect(readFlowFile(elsewhere, "shop.yaml").flatMap((one) => askCase(one))[0]?.answer.verdict).toBe("REJECT");
});

test("nodePortAddresses: primary is the node's own address, an empty list says nothing, other families' prefixes neither", () => {
  const verdictWith = (mode: string, addresses: string): string | undefined => {
    const text = shop(mode, "IPv4", `  nodeIPs: [192.168.0.2, 192.168.0.3]\n  nodePortAddresses: ${addresses}`);
    const second = text.replace('destIP: "192.168.0.2"', 'destIP: "192.168.0.3"');
    return readFlowFile(second, "shop.yaml").flatMap((one) => askCase(one))[2]?.answer.verdict;
  };
  expect(verdictWith("iptables", "[primary]")).toBe("none");
  expect(verdictWith("iptables", "[]")).toBeUndefined();
  expect(verdictWith("nftables", "[]")).toBe("none");
  for (const mode of ["iptables", "nftables", "ipvs"]) expect(verdictWith(mode, "['fd00::/8']"), mode).toBeUndefined();
});

test("what ends in a verdict is not masqueraded, whatever marked it", () => {
  const [one] = readFlowFile(shop("nftables", "IPv4", "  masqueradeAll: true"), "x").flatMap((one) => {
    return askCase({ ...one, objects: { ...one.objects, slices: [] } });
  });
  expect(one?.answer).toMatchObject({ verdict: "REJECT", masquerade: false });
});

test("several cases, several documents, and JSON are read alike", () => {
  const text = shop("iptables");
  const indented = text.trim().replace(/^/gm, "    ").replace(/^ {4}/, "  - ");
  expect(readFlowFile(`cases:\n${indented}\n`, "x")).toHaveLength(1);
  expect(readFlowFile(`${text}\n---\n${text}`, "x")).toHaveLength(2);
  const object = { objects: [], flows: [{ sourceIP: "10.0.0.1", destIP: "10.0.0.2", destPort: 80 }] };
  const [one] = readFlowFile(JSON.stringify({ cases: [object] }), "x");
  expect(one).toMatchObject({ name: "case 1", flows: [{ name: "flow 1", protocol: "TCP", expect: undefined }] });
});

test.each([
  ["flows:\n  - {}", "x.yaml:1: a case needs objects: Services and their EndpointSlices"],
  ["objects: []\nflow: []", "x.yaml:2: flow: is not known here; known are name, config, objects, flows"],
  [
    "objects: []\nflows:\n  - sourceIP: 10.0.0.1\n    destIP: 10.0.0.300\n    destPort: 80",
    "x.yaml:4: flows[0].destIP: must be an IP address",
  ],
  [
    "objects: []\nflows:\n  - sourceIP: 10.0.0.1\n    destIP: 10.0.0.3\n    destPort: 80000",
    "x.yaml:5: flows[0].destPort: must be a port",
  ],
  [
    "objects: []\nflows:\n  - sourceIP: 10.0.0.1\n    destIP: 'fd00::1'\n    destPort: 80",
    "x.yaml:3: flows[0]: sourceIP and destIP are of different families",
  ],
  [
    "config: { proxyMode: ebpf }\nobjects: []\nflows: []",
    'x.yaml:1: config.proxyMode: must be one of iptables, nftables, ipvs, userspace, not "ebpf"',
  ],
  ["config: { masqueradMark: 1 }\nobjects: []\nflows: []", "x.yaml:1: config.masqueradMark: is not known here"],
  [
    "objects:\n  - kind: Service\n    metadata: { name: x }\n    spec: { ports: [{ port: 80 }] }\nflows: []",
    "x.yaml:4: objects[0].spec: a Service needs the clusterIP",
  ],
  [
    "objects: []\nflows:\n  - {sourceIP: 10.0.0.1, destIP: 10.0.0.3, destPort: 80, expect: {endpoint: []}}",
    "x.yaml:3: flows[0].expect.endpoint: is not known here",
  ],
  ["a: [", "x.yaml:1: "],
  ["objects: &a [*a]\nflows: []", "x.yaml:1: "],
  ["__proto__: {}\nobjects: []\nflows: []", "x.yaml:1: the key __proto__"],
])("bad input is named by file, line and field: %j", (text, words) => {
  expect(() => readFlowFile(text, "x.yaml").flatMap((one) => askCase(one))).toThrow(words);
});

function flows(...args: readonly string[]) {
  const command = join(root, "kernel-lib", "dist", "cli", "main.js");
  return spawnSync(process.execPath, [command, "flows", ...args], { cwd: scratch, encoding: "utf8", timeout: 30_000 });
}

test("the command prints each flow, and its exit code says pass, failure or bad input", () => {
  writeFileSync(join(scratch, "good.yaml"), shop("iptables"));
  writeFileSync(join(scratch, "bad.yaml"), shop("iptables").replace(/masquerade: false/, "masquerade: true"));
  writeFileSync(join(scratch, "wrong.yaml"), "cases: 3\n");
  const good = flows("good.yaml");
  expect(good.stdout).toContain("✓ a pod to the Service");
  expect(good.stdout).toMatch(/→ 10\.244\.1\.5:8080 50\.00 %, 10\.244\.2\.7:8080 50\.00 %$/m);
  expect(good.stdout).toMatch(/^3 passed, 0 failed$/m);
  expect(good.status).toBe(0);
  const bad = flows("good.yaml", "bad.yaml");
  expect(bad.stdout).toMatch(/expected masqueraded, got not masqueraded {2}\(bad\.yaml:\d+\)/);
  expect(bad.stdout).toMatch(/^5 passed, 1 failed$/m);
  expect(bad.status).toBe(1);
  const wrong = flows("wrong.yaml");
  expect([wrong.stdout, wrong.stderr, wrong.status]).toEqual([
    "",
    "error: wrong.yaml:1: cases: must be a list, not 3\n",
    2,
  ]);
  expect(flows("nowhere.yaml").stderr).toBe('error: the path "nowhere.yaml" does not exist\n');
  const json = JSON.parse(flows("bad.yaml", "-o", "json").stdout);
  expect(json).toMatchObject({ passed: 2, failed: 1 });
  expect(json.files[0].cases[0].flows[0]).toMatchObject({ passed: false, got: { masquerade: false } });
});
