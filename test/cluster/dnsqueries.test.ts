import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";

test("the queries of a lookup are seen with who asked, in which order, and what came of each", async () => {
  const cluster = new Cluster({ seed: 6, nodes: 2, zones: ["a", "b"] });
  await cluster.start();
  const session = cluster.session();
  const type = (line: string): Promise<number> => session.type(line, () => {});
  await type("kubectl run box --image=busybox -- sleep 100000");
  await type("kubectl wait --for=condition=Ready pod --all");
  const found = await cluster.dnsQueries(() =>
    type("kubectl exec box -- wget -qO- -T 2 http://kube-dns.kube-system:9153"),
  );
  expect(
    found.queries.map(({ from, name, type: kind, rcode, answers }) => [from, name, kind, rcode, ...answers]),
  ).toEqual([
    ["pod/default/box", "kube-dns.kube-system.default.svc.cluster.local.", "A", "NXDOMAIN"],
    ["pod/default/box", "kube-dns.kube-system.default.svc.cluster.local.", "AAAA", "NXDOMAIN"],
    ["pod/default/box", "kube-dns.kube-system.svc.cluster.local.", "A", "NOERROR", "10.96.0.10"],
    ["pod/default/box", "kube-dns.kube-system.svc.cluster.local.", "AAAA", "NOERROR"],
  ]);
  expect(found.queries.every(({ server, transport }) => server.startsWith("coredns-") && transport === "udp")).toBe(
    true,
  );
  const zones = cluster.store.list("Node").map(({ metadata }) => metadata.labels?.["topology.kubernetes.io/zone"]);
  expect(zones).toEqual(["a", "a", "b"]);
});
