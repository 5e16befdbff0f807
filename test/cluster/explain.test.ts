/** Owns what `explain` promises of every mode and family: it adds up, and says of itself what a real packet then does. */
import { describe, expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";
import type { Family } from "../../kernel-lib/net/address";

type Mode = NonNullable<ClusterOptions["mode"]>;

const manifest = (families: readonly Family[]): string => `
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  type: NodePort
  ipFamilies: [${families.join(", ")}]
  ipFamilyPolicy: ${families.length > 1 ? "RequireDualStack" : "SingleStack"}
  selector: { app: web }
  ports: [{ name: http, port: 80, nodePort: 30080 }]
---
apiVersion: v1
kind: Service
metadata: { name: peers }
spec: { clusterIP: None, selector: { app: web }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { type: ExternalName, externalName: db.example.com }
`;

async function clusterIn(mode: Mode, families: readonly Family[] = ["IPv4"]): Promise<Cluster> {
  const cluster = new Cluster({ seed: 3, mode, ipFamilies: families });
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/web.yaml`, manifest(families));
  const lines = `
kubectl create deployment web --image=nginx --replicas=3
kubectl create service clusterip empty --tcp=80
kubectl apply -f web.yaml
kubectl run client --image=busybox -- sleep 1d
kubectl wait --for=condition=Ready pod --all --timeout=60s`;
  let printed = "";
  const code = await cluster.session().type(lines, (_stream, text) => {
    printed += text;
  });
  expect(code, printed).toBe(0);
  await cluster.advance("5s");
  return cluster;
}

describe.each(["iptables", "nftables", "ipvs", "userspace"] as const)("%s", (mode) => {
  test("every ready pod has its share, with who chose it, the rules on the way, and how many were walked", async () => {
    const cluster = await clusterIn(mode);
    const web = { from: "pod/client", to: "svc/web:80" };
    const { outcomes } = cluster.explain(web);
    expect(outcomes.map(({ end }) => end)).toEqual(["delivered", "delivered", "delivered"]);
    expect(outcomes.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
    for (const { probability } of outcomes) expect(probability).toBeCloseTo(1 / 3, 9);
    const chosen = {
      iptables: /^KUBE-SVC-/,
      nftables: /numgen random mod 3$/,
      ipvs: /^TCP .* rr$/,
      userspace: /round robin/,
    };
    for (const { chosenBy, rules, walked, hops } of outcomes) {
      expect(chosenBy).toMatch(chosen[mode]);
      expect(new Set(rules.map(({ tool = "iptables" }) => tool))).toContain(
        { nftables: "nft", ipvs: "ipvs" }[mode as "ipvs"] ?? "iptables",
      );
      expect(walked.rules + walked.lookups).toBeGreaterThan(0);
      expect(hops[0]?.where).toBe("pod/client");
      expect(hops.at(-1)?.end?.fate).toBe("deliver");
    }

    // What it says is what happens: a real connection's source, target and rules are among the outcomes.
    const trace = await cluster.trace(web);
    expect(trace.outcome.result).toBe("answered");
    const last = trace.hops.filter(({ way }) => way === "out").at(-1);
    const told = outcomes.find(({ endpoint }) => endpoint === last?.after.target);
    expect(told, last?.after.target).toBeDefined();
    expect(last?.after.source.replace(/:\d+$/, "")).toBe(told?.source);
    expect(told?.masqueraded).toBe(mode === "userspace");
    const rules = trace.steps.flatMap(({ way, rule }) => (way === "out" && rule ? [rule.text] : []));
    for (const text of rules) expect(told?.rules.map((rule) => rule.text)).toContain(text);
    if (mode === "userspace")
      expect(trace.hops.flatMap(({ changes }) => changes.map(({ kind }) => kind))).toContain("proxied");

    const own = cluster.explain({ from: "pod/client", to: "svc/empty:80" });
    expect(own.outcomes).toMatchObject([{ probability: 1, end: mode === "userspace" ? "refused" : "rejected" }]);
    const outside = cluster.explain({ from: "203.0.113.9", to: "192.168.1.12:30080" });
    expect(outside.outcomes).toHaveLength(3);
    for (const { source, masqueraded } of outside.outcomes) {
      expect(masqueraded).toBe(true);
      expect(source).not.toBe("203.0.113.9");
    }
    const entered = cluster.explain({ from: "203.0.113.9", node: "node-1", to: "svc/web:http" });
    expect(entered.outcomes.map(({ end }) => end)).toEqual(["delivered", "delivered", "delivered"]);
  }, 60_000);
});

test("in a dual-stack cluster a question is asked of either family", async () => {
  const cluster = await clusterIn("nftables", ["IPv4", "IPv6"]);
  for (const family of ["IPv4", "IPv6"] as const) {
    const { outcomes } = cluster.explain({ from: "pod/client", to: "svc/web:80", family });
    expect(outcomes).toHaveLength(3);
    const isSix = (text: string): boolean => text.startsWith("[");
    expect(outcomes.map(({ endpoint }) => isSix(endpoint))).toEqual(Array(3).fill(family === "IPv6"));
    expect(new Set(outcomes.map(({ source }) => source.includes(":")))).toEqual(new Set([family === "IPv6"]));
  }
  const words = (to: string): string => {
    try {
      cluster.explain({ from: "pod/client", to });
      return "nothing";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(words("svc/peers:80")).toMatch(
    /^service default\/peers is headless: it has no cluster IP, .*; ask for one: pod\/web-.*:80$/,
  );
  expect(words("svc/db:80")).toContain(
    "is an ExternalName: it has no address, DNS answers its name with a CNAME, db.example.com",
  );
  expect(words("svc/web:https")).toBe('to: service default/web has no port "https"; its ports are 80 (http)');
  expect(words("svc/web:0")).toContain('has no port "0"');
  expect(words("pod/client")).toContain("is none of svc/[namespace/]name:port");
}, 60_000);

test("an address outside is asked for at a node, or from a machine outside; one of each family is no question", async () => {
  const cluster = await clusterIn("iptables");
  expect(() => cluster.explain({ from: "pod/client", to: "svc/web:80", node: "node-1" })).toThrow(
    "sends from where it is",
  );
  expect(() => cluster.explain({ from: "203.0.113.9", to: "svc/web:80", node: "node-9" })).toThrow(
    'nodes "node-9" not found',
  );
  expect(() => cluster.explain({ from: "2001:db8::9", to: "10.96.0.10:53" })).toThrow("an address of each family");
  const udp = cluster.explain({ from: "pod/client", to: "svc/kube-system/kube-dns:dns" });
  expect(udp.outcomes.every(({ rules }) => rules.some(({ text }) => text.includes("-p udp")))).toBe(true);
  const sctp = cluster.explain({ from: "pod/client", to: "svc/web:80", protocol: "sctp" });
  expect(sctp.outcomes.map(({ end }) => end)).not.toContain("delivered");
}, 60_000);
