import { expect, test } from "vitest";
import { Cluster } from "../../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../../kernel-lib/cluster/options";
import { designNames } from "../../../kernel-lib/node/cni/design";
import { placePods, type Reached, reach } from "./reach";

/** What a server sees of who asks it. `-`: no answer. `$x`: the address of x. */
interface Expected {
  readonly samePod: Reached;
  readonly sameNode: Reached;
  readonly otherNode: Reached;
  readonly ownNode: Reached;
  readonly fromOtherNode: Reached;
  readonly workstation: Reached;
  readonly toNode: Reached;
}

/** Source address that the server sees, and the TTL of what reaches it (64 when it was sent). */
const table: Readonly<Record<(typeof designNames)[number], Expected>> = {
  bridge: {
    samePod: "$a1 64",
    sameNode: "$a1 64",
    otherNode: "$a1 64",
    ownNode: "10.1.2.1 64",
    fromOtherNode: "10.1.1.1 64",
    workstation: "-",
    toNode: "$a1 63",
  },
  routes: {
    samePod: "$a1 64",
    sameNode: "$a1 64",
    otherNode: "$a1 61",
    ownNode: "10.1.2.1 64",
    fromOtherNode: "192.168.1.11 62",
    workstation: "192.168.1.100 62",
    toNode: "$a1 63",
  },
  "host-gw": {
    samePod: "$a1 64",
    sameNode: "$a1 64",
    otherNode: "$a1 62",
    ownNode: "10.244.2.1 64",
    fromOtherNode: "192.168.1.11 63",
    workstation: "-",
    toNode: "192.168.1.11 63",
  },
  vxlan: {
    samePod: "$a1 64",
    sameNode: "$a1 64",
    otherNode: "$a1 62",
    ownNode: "10.244.2.1 64",
    fromOtherNode: "10.244.1.0 63",
    workstation: "-",
    toNode: "192.168.1.11 63",
  },
  vpc: {
    samePod: "$a1 64",
    sameNode: "$a1 63",
    otherNode: "$a1 61",
    ownNode: "192.168.1.12 64",
    fromOtherNode: "192.168.1.11 62",
    workstation: "192.168.1.100 62",
    toNode: "$a1 63",
  },
};

async function up(options: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster({ nodes: 2, ...options });
  await cluster.start();
  await placePods(cluster, { a1: "node-1", a2: "node-1", b1: "node-2" });
  return cluster;
}

test.each(designNames)("%s: who reaches whom, seen as whom, and over how many hops", async (cni) => {
  const cluster = await up({ cni });
  const go = (from: string, to: string): Promise<Reached> => reach(cluster, from, to);
  const found: Expected = {
    samePod: await go("a1", "a1"),
    sameNode: await go("a1", "a2"),
    otherNode: await go("a1", "b1"),
    ownNode: await go("node-2", "b1"),
    fromOtherNode: await go("node-1", "b1"),
    workstation: await go("workstation", "b1"),
    toNode: await go("a1", "node-2"),
  };
  const a1 = cluster.podIp("a1") ?? "";
  const named = Object.fromEntries(Object.entries(found).map(([path, text]) => [path, text.replace(a1, "$a1")]));
  expect(named).toEqual(table[cni]);
});

test.each(designNames)("%s meets what Kubernetes asks of a network", async (cni) => {
  const cluster = await up({ cni });
  const check = await cluster.checkNetwork();
  expect(check.probes.filter(({ reached }) => !reached)).toEqual([]);
  expect(check.holds).toBe(true);
  expect(check.probes.length).toBeGreaterThan(20);
});

test.each(["bridge", "routes", "host-gw", "vxlan"] as const)("%s carries both families side by side", async (cni) => {
  const cluster = await up({ cni, ipFamilies: ["IPv4", "IPv6"] });
  const pod = cluster.pod("b1");
  expect(pod?.status.podIPs?.map(({ ip }) => (ip?.includes(":") ? "IPv6" : "IPv4"))).toEqual(["IPv4", "IPv6"]);
  expect(pod?.status.hostIPs?.map(({ ip }) => ip)).toEqual(["192.168.1.12", "fd00:192:168:1::12"]);
  const check = await cluster.checkNetwork();
  const sixes = check.probes.filter(({ target }) => target.includes(":"));
  expect(sixes.length).toBe(check.probes.length / 2);
  expect(check.probes.filter(({ reached }) => !reached)).toEqual([]);
});

test("a design that is not there, and two families in a VPC, are refused in plain words", () => {
  expect(() => new Cluster({ cni: "calico" as "vxlan" })).toThrow(
    'cni must be bridge or routes or host-gw or vxlan or vpc, not "calico"',
  );
  expect(() => new Cluster({ cni: "vpc", ipFamilies: ["IPv4", "IPv6"] })).toThrow("a VPC cluster has one family");
});
