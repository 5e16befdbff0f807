import { expect, test } from "vitest";
import {
  candidates,
  type HostLookup,
  hostsEntry,
  lookupHost,
  parseResolvConf,
  resolve,
} from "../../kernel-lib/apps/resolver";
import { corefile } from "../../kernel-lib/control/bootstrap/coredns";
import { second } from "../../kernel-lib/sim/clock";
import { type Wired, wire } from "../node/wired";

const podConf =
  "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n";

test("with ndots:5 every search domain comes before the name itself, unless the name ends with a dot", () => {
  const config = parseResolvConf(podConf);
  expect(config).toMatchObject({ servers: ["10.96.0.10"], ndots: 5, timeout: 5 * second, attempts: 2 });
  expect(candidates("example.com", config)).toEqual([
    "example.com.default.svc.cluster.local.",
    "example.com.svc.cluster.local.",
    "example.com.cluster.local.",
    "example.com.",
  ]);
  expect(candidates("example.com.", config)).toEqual(["example.com."]);
  expect(candidates("a.b.c.d.e.f", config)[0]).toBe("a.b.c.d.e.f.");
});

test("a broken resolv.conf leaves the usual figures, and hosts are read with all their names", () => {
  expect(parseResolvConf("options ndots:x timeout: \nnameserver\n; nameserver 1.2.3.4\n")).toMatchObject({
    servers: ["127.0.0.1"],
    ndots: 1,
    timeout: 5 * second,
  });
  expect(hostsEntry("127.0.0.1\tlocalhost\n10.244.1.2\tweb.sub web # it\n", "web")).toBe("10.244.1.2");
});

/** A cluster with CoreDNS behind 10.96.0.10, a Service, and a pod that asks. */
function withDns(ready = true): Wired {
  const cluster = wire();
  const image = "registry.k8s.io/coredns/coredns:v1.13.1";
  const data = { Corefile: corefile };
  cluster.store.create("ConfigMap", { kind: "ConfigMap", metadata: { name: "coredns" }, data }, "test");
  const volumeMounts = [{ name: "config", mountPath: "/etc/coredns" }];
  cluster.pod("coredns", "node-2", {
    containers: [{ name: "coredns", image, args: ["-conf", "/etc/coredns/Corefile"], volumeMounts }],
    volumes: [{ name: "config", configMap: { name: "coredns" } }],
    dnsPolicy: "Default",
  });
  cluster.pod("client", "node-1", {
    containers: [{ name: "main", image: "busybox:1.28", command: ["sleep", "3600"] }],
  });
  cluster.sim.clock.settle();
  cluster.service("kube-dns", "10.96.0.10", 53, { ports: [{ port: 53, protocol: "UDP" }] });
  cluster.service("my-nginx", "10.96.0.50", 80);
  const labels = { "kubernetes.io/service-name": "kube-dns" };
  const addresses = [cluster.podNow("coredns")?.status.podIP ?? ""];
  const endpoints = ready ? [{ addresses, nodeName: "node-2", conditions: { ready: true } }] : [];
  cluster.store.create(
    "EndpointSlice",
    {
      kind: "EndpointSlice",
      metadata: { name: "kube-dns-1", namespace: "default", labels },
      addressType: "IPv4",
      ports: [{ name: "", port: 53, protocol: "UDP" }],
      endpoints,
    },
    "test",
  );
  cluster.sim.clock.settle();
  return cluster;
}

function lookUp(cluster: Wired, host: string): { readonly found: HostLookup | undefined; readonly took: number } {
  const container = cluster.nodes["node-1"]?.kubelet.container("default/client");
  if (!container) throw new Error("no client");
  const { netns, files } = container.spec;
  const before = cluster.sim.clock.now;
  let found: HostLookup | undefined;
  let at = before;
  lookupHost({ netns, files, random: cluster.sim.random.fork("test") }, host, (result) => {
    found = result;
    at = cluster.sim.clock.now;
  });
  cluster.sim.clock.settle();
  return { found, took: at - before };
}

test("a pod finds a Service by its short name, through the DNS Service's cluster IP and CoreDNS on another node", () => {
  const cluster = withDns();
  expect(lookUp(cluster, "my-nginx").found).toEqual({
    ip: "10.96.0.50",
    canonicalName: "my-nginx.default.svc.cluster.local",
  });
  expect(lookUp(cluster, "my-nginx.default").found).toMatchObject({ ip: "10.96.0.50" });
  expect(lookUp(cluster, "client").found).toMatchObject({ ip: "10.244.1.2" });
  expect(lookUp(cluster, "no-such-thing.default.svc.cluster.local.").found).toEqual({
    problem: "Name or service not known",
  });
});

test("a DNS Service without endpoints refuses, a DNS server that is gone costs the time-outs", () => {
  expect(lookUp(withDns(false), "my-nginx")).toMatchObject({
    found: { problem: "Temporary failure in name resolution" },
  });
  const cluster = withDns();
  cluster.nodes["node-2"]?.net.netns.routes.delete({ ip: 0x0af40200, length: 24 });
  for (const device of ["cni0"]) cluster.nodes["node-2"]?.net.netns.deleteDevice(device);
  const { found, took } = lookUp(cluster, "my-nginx");
  expect(found).toEqual({ problem: "Temporary failure in name resolution" });
  expect(took).toBeGreaterThan(second);
});

test("queries go out as they must: one a candidate until one has an answer", () => {
  const cluster = withDns();
  const container = cluster.nodes["node-1"]?.kubelet.container("default/client");
  if (!container) throw new Error("no client");
  const sent = cluster.sim.journal.during(() => {
    const asker = { netns: container.spec.netns, random: cluster.sim.random.fork("test") };
    resolve(asker, "my-nginx.default", "A", parseResolvConf(podConf), () => {});
    cluster.sim.clock.settle();
  });
  const queries = sent.filter(
    (entry) => entry.where === "default/client" && (entry.detail as { kind?: string }).kind === "send",
  );
  expect(queries).toHaveLength(2);
});

test("what fails or is refused for the name as it is does not end the search; a refusal within it does", () => {
  const cluster = withDns();
  const files = cluster.nodes["node-1"]?.kubelet.container("default/client")?.spec.files;
  const asks = (conf: string): HostLookup | undefined => {
    files?.write("/etc/resolv.conf", conf);
    return lookUp(cluster, "my-nginx.default").found;
  };
  const both = "nameserver 10.96.0.10\nnameserver 10.244.1.1\n";
  expect(asks(`search svc.cluster.local\n${both}`)).toMatchObject({ ip: "10.96.0.50" });
  expect(asks(`search none.example svc.cluster.local\noptions ndots:2\nnameserver 10.244.1.1\n`)).toEqual({
    problem: "Temporary failure in name resolution",
  });
});
