/** What kube-proxy makes of Services and slices, also of bad ones: families, foreign labels, doubles, addresses that are none. */
import { expect, test } from "vitest";
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { servicePortOn, sharedPorts, viewOf, wrongAddresses } from "../../../kernel-lib/node/proxy/view";

type Service = Kinds["Service"];
type Slice = Kinds["EndpointSlice"];

function service(name: string, spec: object, more: object = {}): Service {
  const ports = [{ port: 80, protocol: "TCP", name: "http" }];
  const metadata = { name, namespace: "shop" };
  return { kind: "Service", metadata, spec: { type: "ClusterIP", ports, ...spec }, ...more } as unknown as Service;
}

function slice(of: string, endpoints: readonly object[], more: object = {}): Slice {
  const metadata = { name: `${of}-x`, namespace: "shop", labels: { "kubernetes.io/service-name": of } };
  const ports = [{ name: "http", port: 8080, protocol: "TCP" }];
  return { kind: "EndpointSlice", metadata, addressType: "IPv4", ports, endpoints, ...more } as unknown as Slice;
}

const both = { clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9", "fd00:10:96::9"], ipFamilies: ["IPv4", "IPv6"] };
const place = { node: "node-1" };

test("each family has its own addresses, ranges and endpoints", () => {
  const lb = service("web", {
    ...both,
    type: "LoadBalancer",
    externalIPs: ["203.0.113.7", "2001:db8::7", " 203.0.113.8", "nowhere", ""],
    loadBalancerSourceRanges: [" 10.1.2.3/8", "2001:DB8::/32 ", "rubbish"],
    ports: [{ port: 80, protocol: "SCTP", name: "http", nodePort: 30080 }],
  });
  const ingress = [
    { ip: "198.51.100.1" },
    { ip: "2001:db8::1" },
    { ip: "198.51.100.2", ipMode: "Proxy" },
    { hostname: "x" },
  ];
  const object = { ...lb, status: { loadBalancer: { ingress } } } as unknown as Service;
  const ports = [{ name: "http", port: 8080, protocol: "SCTP" }];
  const slices = [
    slice("web", [{ addresses: ["10.244.1.2"] }], { ports }),
    slice("web", [{ addresses: ["FD00:10:244:1:0::2"] }], { ports, addressType: "IPv6" }),
  ];
  expect(viewOf([object], slices, place, "IPv4")[0]).toMatchObject({
    protocol: "SCTP",
    clusterIps: ["10.96.0.9"],
    externalIps: ["203.0.113.7", "203.0.113.8"],
    loadBalancerIps: ["198.51.100.1"],
    sourceRanges: ["10.0.0.0/8"],
    reachable: [{ address: "10.244.1.2:8080" }],
  });
  expect(viewOf([object], slices, place, "IPv6")[0]).toMatchObject({
    clusterIps: ["fd00:10:96::9"],
    externalIps: ["2001:db8::7"],
    loadBalancerIps: ["2001:db8::1"],
    sourceRanges: ["2001:db8::/32"],
    reachable: [{ address: "[fd00:10:244:1::2]:8080" }],
  });
});

test("a single-stack Service has no port in the other family", () => {
  const one = service("web", { clusterIP: "fd00:10:96::9", clusterIPs: ["fd00:10:96::9"], ipFamilies: ["IPv6"] });
  expect(viewOf([one], [], place, "IPv4")).toEqual([]);
  expect(viewOf([one], [], place, "IPv6")).toMatchObject([{ name: "shop/web:http", clusterIps: ["fd00:10:96::9"] }]);
});

test("Services and slices that are somebody else's are passed over", () => {
  const labels = { "service.kubernetes.io/headless": "" };
  const mine = service("web", both);
  const theirs = { ...mine, metadata: { ...mine.metadata, labels } } as Service;
  const endpoints = slice("web", [{ addresses: ["10.244.1.2"] }]);
  const foreign = {
    ...endpoints,
    metadata: { ...endpoints.metadata, labels: { ...endpoints.metadata.labels, ...labels } },
  } as Slice;
  expect(viewOf([theirs], [endpoints], place)).toEqual([]);
  expect(viewOf([mine], [foreign], place)[0]?.reachable).toEqual([]);
  expect(viewOf([mine], [endpoints], place)[0]?.reachable).toHaveLength(1);
});

test("an address and port that slices name twice counts once: as the first says, but on the node that a later one names", () => {
  const slices = [
    slice("web", [{ addresses: ["10.244.1.2"], nodeName: "node-2", conditions: { ready: true } }]),
    slice("web", [{ addresses: ["10.244.1.2"], nodeName: "node-1", conditions: { ready: false } }]),
    slice("web", [{ addresses: ["10.244.1.2"] }, { addresses: ["10.244.1.3", "10.244.1.4"] }]),
  ];
  const web = service("web", both);
  const on = (node: string) =>
    viewOf([web], slices, { node })[0]?.reachable.map(({ address, node: at }) => `${address} ${at}`);
  expect(on("node-2")).toEqual(["10.244.1.2:8080 node-2", "10.244.1.3:8080 "]);
  expect(on("node-3")).toEqual(["10.244.1.2:8080 node-2", "10.244.1.3:8080 "]);
  // Here the pod is this node's own, and it is not ready.
  expect(on("node-1")).toEqual(["10.244.1.3:8080 "]);
});

test("what is no address of the slice's family is passed over, and named", () => {
  const addresses = ["10.244.1.2", "fd00::2", "10.244.1", "web.example.com", "010.244.001.009", "10.244.1.256", ""];
  const bad = slice("web", [...addresses.map((address) => ({ addresses: [address] })), { addresses: [] }, {}]);
  const ports = sharedPorts(service("web", both), [bad]);
  expect(ports[0]?.endpoints.map(({ address }) => address)).toEqual(["10.244.1.2:8080", "10.244.1.9:8080"]);
  expect(wrongAddresses([bad], "IPv4")).toEqual(["fd00::2", "10.244.1", "web.example.com", "10.244.1.256", ""]);
  expect(wrongAddresses([bad], "IPv6")).toEqual([]);
});

test("ports of slices that match no port of the Service, or have no number, bring nothing", () => {
  const endpoint = { addresses: ["10.244.1.2"] };
  const web = service("web", both);
  const reached = (ports: readonly object[]) =>
    viewOf([web], [slice("web", [endpoint], { ports })], place)[0]?.reachable.length;
  expect(reached([{ name: "https", port: 8080, protocol: "TCP" }])).toBe(0);
  expect(reached([{ name: "http", port: 8080, protocol: "UDP" }])).toBe(0);
  expect(reached([{ name: "http", protocol: "TCP" }])).toBe(0);
  expect(reached([{ name: "http", port: 0, protocol: "TCP" }])).toBe(0);
  expect(reached([{ name: "http", port: 8080 }])).toBe(1);
});

test("nodes that do the same for a port share one object; where the node plays a part, each has its own", () => {
  const endpoints = [{ addresses: ["10.244.1.2"], nodeName: "node-1" }];
  const on = (node: string, policy: string) => {
    const [port] = sharedPorts(service("web", { ...both, internalTrafficPolicy: policy }), [slice("web", endpoints)]);
    return port && [servicePortOn({ node }, port), servicePortOn({ node: "node-2" }, port)];
  };
  const [one, other] = on("node-1", "Cluster") ?? [];
  expect(one).toBe(other);
  expect(one?.internal).toHaveLength(1);
  expect(on("node-1", "Local")?.map((port) => port.internal.length)).toEqual([1, 0]);
});
