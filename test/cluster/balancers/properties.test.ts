/**
 * What holds for whatever Services and endpoints there are: under Local no node changes the address of a client outside, under
 * Cluster whatever crosses nodes has a node's, and nobody is answered by another Service's endpoint.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Outcome } from "../../../kernel-lib/cluster/explain";
import { formatIp } from "../../../kernel-lib/net/address";
import { type ModeName, modeNames } from "../../../kernel-lib/node/proxy/mode";
import { addressOf, type Ground, type GroundName, groundOf, grounds, netnsOf } from "./ground";

const states = {
  ready: { ready: true, serving: true, terminating: false },
  leaving: { ready: false, serving: true, terminating: true },
  gone: { ready: false, serving: false, terminating: true },
  unready: { ready: false, serving: false, terminating: false },
} as const;

/** Two pods on each node; no pod is an endpoint of two Services. */
const pods = ["p1-1", "p1-2", "p2-1", "p2-2", "p3-1", "p3-2"];
const names = ["one", "two", "three"];
const nodeOf = (pod: string): string => `node-${pod[1]}`;

interface WordService {
  readonly type: "NodePort" | "LoadBalancer" | "External IP";
  readonly policy: "Cluster" | "Local";
  readonly pool: "near" | "public";
  readonly affinity: boolean;
}

interface World {
  readonly services: readonly WordService[];
  /** By pod: whose endpoint it is, and in which state. */
  readonly endpoints: readonly { readonly of: number; readonly state: keyof typeof states }[];
}

const service = fc.record({
  type: fc.constantFrom("NodePort", "LoadBalancer", "LoadBalancer", "External IP"),
  policy: fc.constantFrom("Cluster", "Local"),
  pool: fc.constantFrom("near", "public"),
  affinity: fc.boolean(),
});
const endpoint = fc.record({
  of: fc.nat(names.length - 1),
  state: fc.constantFrom("ready", "ready", "ready", "leaving", "gone", "unready"),
});
const worlds: fc.Arbitrary<World> = fc.record({
  services: fc.array(service, { minLength: 1, maxLength: names.length }),
  endpoints: fc.array(endpoint, { minLength: pods.length, maxLength: pods.length }),
});

const seed = 11;
/** Counted over all runs, so that no property holds for want of packets. */
const held = { local: 0, crossed: 0, own: 0 };

async function start(lb: GroundName, mode: ModeName): Promise<Ground> {
  const ground = await groundOf(lb, mode);
  for (const name of pods) {
    const spec = { nodeName: nodeOf(name), containers: [{ name: "web", image: "nginx" }] };
    ground.cluster.api.create("Pod", { metadata: { name }, spec });
  }
  await ground.cluster.advance("20s");
  return ground;
}

function make({ cluster }: Ground, { services, endpoints }: World): void {
  for (const [at, { type, policy, pool, affinity }] of services.entries()) {
    const name = names[at] ?? "";
    cluster.api.create("Service", {
      metadata: { name, annotations: { "metallb.io/address-pool": pool } },
      spec: {
        type: type === "External IP" ? "ClusterIP" : type,
        ...(type === "External IP" && { externalIPs: [`198.18.6.${at + 1}`] }),
        externalTrafficPolicy: policy,
        ports: [{ port: 80 }],
        ...(affinity && { sessionAffinity: "ClientIP" }),
      },
    });
    const own = pods.filter((_, pod) => endpoints[pod]?.of === at);
    cluster.api.create("EndpointSlice", {
      metadata: { name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "", port: 80, protocol: "TCP" }],
      endpoints: own.map((pod) => ({
        addresses: [cluster.podIp(pod)],
        nodeName: nodeOf(pod),
        conditions: states[endpoints[pods.indexOf(pod)]?.state ?? "gone"],
      })),
    });
  }
}

/** Where a Service is asked for: its address outside if it has one, and its port on every node. */
async function targetsOf({ cluster }: Ground, name: string): Promise<readonly string[]> {
  const { spec, status } = cluster.store.get("Service", `default/${name}`) ?? {};
  const nodePort = spec?.ports?.[0]?.nodePort;
  const onNodes = nodePort ? [11, 12, 13].map((last) => `192.168.1.${last}:${nodePort}`) : [];
  const isOutside = spec?.externalIPs || status?.loadBalancer?.ingress;
  return isOutside ? [`${await addressOf(cluster, name)}:80`, ...onNodes] : onNodes;
}

const outside = { client: "198.51.100.10", workstation: "192.168.1.100" } as const;

function judge(ground: Ground, world: World, at: number, from: string, outcome: Outcome): void {
  const { services, endpoints } = world;
  const { mode } = ground;
  if (outcome.end !== "delivered") return;
  const pod = outcome.name.replace("pod/", "");
  const own = pods.filter((_, index) => endpoints[index]?.of === at);
  expect(own, "an endpoint of this Service").toContain(pod);
  held.own++;
  if (!(from in outside)) return;
  const first = outcome.hops.find(({ where }) => where.startsWith("node/"))?.where.replace("node/", "") ?? "";
  const last = nodeOf(pod);
  // A proxy outside has made a connection of its own: its address is the client's then.
  const isProxied = ground.lb === "cloud-proxy" && outcome.hops.some(({ where }) => where.includes("load-balancer"));
  const client = isProxied ? "192.168.1.2" : outside[from as keyof typeof outside];
  const isNodes = addressesOf(ground, first).includes(outcome.source);
  if (mode === "userspace") {
    expect(isNodes, "the userspace proxy's own address").toBe(true);
    return;
  }
  if (services[at]?.policy === "Local") {
    // IPVS passes on from a node without endpoints, for its own pods' sake (kubernetes/kubernetes#97081).
    const isBare = mode === "ipvs" && !own.some((each) => nodeOf(each) === first && isUsable(world, each));
    if (isBare) return;
    expect([first, outcome.source]).toEqual([last, client]);
    held.local++;
  } else if (first !== last) {
    expect(outcome.source).not.toBe(client);
    expect(isNodes, `${outcome.source} is ${first}'s`).toBe(true);
    held.crossed++;
  }
}

function isUsable({ endpoints }: World, pod: string): boolean {
  return states[endpoints[pods.indexOf(pod)]?.state ?? "gone"].serving;
}

function addressesOf({ cluster }: Ground, node: string): readonly string[] {
  const { devices } = netnsOf(cluster, node);
  return [...devices.values()].flatMap(({ addresses }) => addresses.map(({ ip }) => formatIp(ip)));
}

describe.each(modeNames)("%s", (mode) => {
  test.each(grounds)("%s: whose address is seen, and who answers", { timeout: 120_000 }, async (lb) => {
    const ground = await start(lb, mode);
    const { cluster } = ground;
    await fc.assert(
      fc.asyncProperty(worlds, async (world) => {
        make(ground, world);
        await cluster.advance(lb === "metallb" ? "10s" : "70s");
        try {
          for (const at of world.services.keys()) {
            for (const to of await targetsOf(ground, names[at] ?? "")) {
              for (const from of ["client", "workstation", "pod/c1", "node/node-2"]) {
                for (const outcome of cluster.explain({ from, to }).outcomes) judge(ground, world, at, from, outcome);
              }
            }
          }
        } finally {
          for (const at of world.services.keys()) {
            cluster.api.delete("Service", "default", names[at] ?? "");
            cluster.store.delete("EndpointSlice", `default/${names[at]}`, "test");
          }
          await cluster.advance("5s");
        }
      }),
      { seed, numRuns: 10 },
    );
  });
});

test("every property was tried by many packets", () => {
  expect(held.own, "own").toBeGreaterThan(2000);
  expect(held.local, "local").toBeGreaterThan(100);
  expect(held.crossed, "crossed").toBeGreaterThan(300);
});
