import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runController } from "../../kernel-lib/api/controller";
import type { Draft, Kinds } from "../../kernel-lib/api/kinds";
import { Store } from "../../kernel-lib/api/store";
import { endpointSliceControllerOf } from "../../kernel-lib/control/endpointslice";
import { portsOf } from "../../kernel-lib/control/endpointslice/endpoint";
import { managedBy } from "../../kernel-lib/control/endpointslice/labels";
import { reconcileSlices } from "../../kernel-lib/control/endpointslice/reconcile";
import { portHash } from "../../kernel-lib/control/endpointslice/slice";
import { isReady } from "../../kernel-lib/control/pods";
import { hour } from "../../kernel-lib/sim/clock";
import { createSim } from "../../kernel-lib/sim/sim";
import { deployment, testCluster } from "./cluster";

const max = 4;
const key = "default/web";
type Pod = Kinds["Pod"];

/** A store with the EndpointSlice controller alone, one Service, and pods as the operations make them. */
function small() {
  const sim = createSim(1);
  const store = new Store(sim);
  for (const name of ["a", "b", "c"]) {
    const labels = { "topology.kubernetes.io/zone": `zone-${name}` };
    const conditions = [{ type: "Ready", status: "True" }];
    const status = { conditions, allocatable: { cpu: "4" } };
    store.create("Node", { kind: "Node", metadata: { name, labels }, spec: {}, status } as Draft<"Node">, "test");
  }
  const spec = {
    selector: { app: "web" },
    ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP" }],
    clusterIP: "10.96.0.50",
    ipFamilies: ["IPv4", "IPv6"],
  };
  store.create("Service", { kind: "Service", metadata: { name: "web" }, spec } as Draft<"Service">, "test");
  runController(sim, store, endpointSliceControllerOf({ sim, store }, { maxEndpointsPerSlice: max }));
  sim.clock.settle();
  return { sim, store };
}

type Operation =
  | { readonly do: "pod"; readonly n: number; readonly port: 80 | 8080; readonly node: "a" | "b" | "c" }
  | { readonly do: "ready" | "end" | "remove" | "leave"; readonly n: number }
  | { readonly do: "distribution"; readonly value: string }
  | { readonly do: "auto"; readonly on: boolean }
  | { readonly do: "relabel" | "emptySlice" | "deleteSlice" | "moveNode" }
  | { readonly do: "families"; readonly both: boolean }
  | { readonly do: "wait"; readonly ms: number };

const n = fc.integer({ min: 0, max: 13 });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("pod" as const),
      n,
      port: fc.constantFrom(80 as const, 80 as const, 80 as const, 8080 as const),
      node: fc.constantFrom("a" as const, "b" as const, "c" as const),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("ready" as const, "ready" as const, "end" as const), n }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("remove" as const, "leave" as const), n }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("distribution" as const),
      value: fc.constantFrom("PreferClose", "PreferSameNode", ""),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("auto" as const), on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("families" as const), both: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("relabel" as const, "emptySlice" as const, "deleteSlice" as const, "moveNode" as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 2000 }) }) },
);

function changeMeta(object: Kinds["Service"], metadata: object): Kinds["Service"] {
  return { ...object, metadata: { ...object.metadata, ...metadata } };
}

function perform({ sim, store }: ReturnType<typeof small>, op: Operation): void {
  const change = (to: (pod: Pod) => Pod, at: number): void => {
    if (store.get("Pod", `default/p${at}`)) store.update("Pod", `default/p${at}`, to, "test");
  };
  const service = (to: (now: Kinds["Service"]) => Kinds["Service"]): void => {
    store.update("Service", key, to, "test");
  };
  switch (op.do) {
    case "pod": {
      if (store.get("Pod", `default/p${op.n}`)) return;
      const containers = [{ name: "c", ports: [{ name: "http", containerPort: op.port, protocol: "TCP" }] }];
      const podIPs = [{ ip: `10.244.1.${op.n + 1}` }, { ip: `fd00::${op.n + 1}` }];
      const draft = { kind: "Pod", metadata: { name: `p${op.n}`, labels: { app: "web" } } } as const;
      const status = { phase: "Running", podIP: podIPs[0]?.ip, podIPs };
      store.create("Pod", { ...draft, spec: { nodeName: op.node, containers }, status } as Draft<"Pod">, "test");
      return;
    }
    case "ready":
      change((pod) => {
        const conditions = [{ type: "Ready", status: isReady(pod) ? "False" : "True" }];
        return { ...pod, status: { ...pod.status, conditions } };
      }, op.n);
      return;
    case "end":
      change((pod) => {
        return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["x"] } };
      }, op.n);
      return;
    case "remove":
      if (store.get("Pod", `default/p${op.n}`)) {
        change((pod) => ({ ...pod, metadata: { ...pod.metadata, finalizers: [] } }), op.n);
        if (store.get("Pod", `default/p${op.n}`)) store.delete("Pod", `default/p${op.n}`, "test", { grace: 0 });
      }
      return;
    case "leave":
      change((pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { app: "other" } } }), op.n);
      return;
    case "distribution":
      service((now) => {
        const { trafficDistribution: _old, ...spec } = now.spec;
        return { ...now, spec: { ...spec, ...(op.value && { trafficDistribution: op.value }) } };
      });
      return;
    case "auto":
      service((now) => {
        return changeMeta(now, { annotations: op.on ? { "service.kubernetes.io/topology-mode": "Auto" } : {} });
      });
      return;
    case "relabel":
      service((now) => changeMeta(now, { labels: { at: String(sim.clock.now) } }));
      return;
    case "families":
      service((now) => ({ ...now, spec: { ...now.spec, ipFamilies: op.both ? ["IPv4", "IPv6"] : ["IPv4"] } }));
      return;
    case "emptySlice":
    case "deleteSlice": {
      const [slice] = store.list("EndpointSlice");
      if (!slice) return;
      const at = `default/${slice.metadata.name}`;
      if (op.do === "deleteSlice") store.delete("EndpointSlice", at, "somebody");
      else store.update("EndpointSlice", at, (now) => ({ ...now, endpoints: [] }), "somebody");
      return;
    }
    case "moveNode":
      store.update(
        "Node",
        "b",
        (now) => {
          const zone = now.metadata.labels?.["topology.kubernetes.io/zone"] === "zone-a" ? "zone-b" : "zone-a";
          return { ...now, metadata: { ...now.metadata, labels: { "topology.kubernetes.io/zone": zone } } };
        },
        "test",
      );
      return;
    case "wait":
      sim.clock.advance(op.ms * 1000);
  }
}

describe("whatever happens to pods, nodes, the Service and its slices", () => {
  test("each pod is in one slice of each family with its ports, no slice is too full, and then all is at rest", () => {
    const run = (operations: readonly Operation[]): void => {
      const cluster = small();
      const { sim, store } = cluster;
      for (const op of operations) perform(cluster, op);
      sim.clock.settle();
      const atRest = store.list("EndpointSlice");
      sim.clock.advance(hour);
      expect(store.list("EndpointSlice").every((slice, at) => slice === atRest[at])).toBe(true);

      const service = store.get("Service", key) as Kinds["Service"];
      const slices = store.list("EndpointSlice");
      for (const slice of slices) expect(slice.endpoints.length).toBeLessThanOrEqual(max);
      const pods = store.list("Pod", { labels: { app: "web" } });
      for (const type of service.spec.ipFamilies ?? []) {
        const held = slices
          .filter(({ addressType }) => addressType === type)
          .flatMap(({ endpoints, ports }) => {
            return endpoints.map(({ targetRef, conditions }) => {
              return `${targetRef?.name} ${portHash(ports ?? [])} ${conditions?.serving} ${conditions?.ready}`;
            });
          });
        const wanted = pods.map((pod) => {
          const ready = isReady(pod) && pod.metadata.deletionTimestamp === undefined;
          return `${pod.metadata.name} ${portHash(portsOf(service, pod))} ${isReady(pod)} ${ready}`;
        });
        expect(held.sort()).toEqual(wanted.sort());
      }
      const options = { controller: managedBy, maxEndpointsPerSlice: max };
      if (service.metadata.annotations?.["service.kubernetes.io/topology-mode"]) return;
      const again = reconcileSlices(service, pods, (name) => store.get("Node", name), slices, options);
      expect([again.create, again.update, again.remove]).toEqual([[], [], []]);
    };
    fc.assert(fc.property(fc.array(operation, { maxLength: 60 }), run), { numRuns: 150 });
  });
});

test("a Service of a thousand pods writes each change into one slice, and looks at no other", () => {
  const { sim, store } = small();
  for (let at = 0; at < 40; at++) perform({ sim, store }, { do: "pod", n: at, port: 80, node: "a" });
  sim.clock.settle();
  const before = new Map(store.list("EndpointSlice").map((slice) => [slice.metadata.name, slice]));
  perform({ sim, store }, { do: "ready", n: 17 });
  sim.clock.settle();
  const changed = store.list("EndpointSlice").filter((slice) => before.get(slice.metadata.name) !== slice);
  expect(changed.map(({ addressType }) => addressType).sort()).toEqual(["IPv4", "IPv6"]);
  for (const slice of changed) {
    const was = before.get(slice.metadata.name)?.endpoints ?? [];
    const others = slice.endpoints.filter(({ targetRef }) => targetRef?.name !== "p17");
    expect(others.every((endpoint) => was.includes(endpoint))).toBe(true);
  }
});

describe("hints", () => {
  test("follow trafficDistribution, and the zones' shares where an annotation asks for that, which an event tells", () => {
    const cluster = small();
    const { sim, store } = cluster;
    for (const [at, node] of (["a", "b", "c", "a", "b", "c"] as const).entries()) {
      perform(cluster, { do: "pod", n: at, port: 80, node });
      perform(cluster, { do: "ready", n: at });
    }
    const hints = (): readonly string[] => {
      sim.clock.settle();
      const slices = store.list("EndpointSlice").filter(({ addressType }) => addressType === "IPv4");
      const endpoints = slices.flatMap((slice) => slice.endpoints);
      return endpoints.map(({ nodeName, hints: own }) => {
        const zones = (own?.forZones ?? []).map(({ name }) => name);
        return [nodeName, ...zones, ...(own?.forNodes ?? []).map(({ name }) => name)].join(" ");
      });
    };
    expect(new Set(hints())).toEqual(new Set(["a", "b", "c"]));
    perform(cluster, { do: "distribution", value: "PreferSameNode" });
    expect(new Set(hints())).toEqual(new Set(["a zone-a a", "b zone-b b", "c zone-c c"]));
    perform(cluster, { do: "distribution", value: "" });
    expect(new Set(hints())).toEqual(new Set(["a", "b", "c"]));
    perform(cluster, { do: "auto", on: true });
    expect(new Set(hints())).toEqual(new Set(["a zone-a", "b zone-b", "c zone-c"]));
    perform(cluster, { do: "pod", n: 6, port: 80, node: "c" });
    perform(cluster, { do: "ready", n: 6 });
    perform(cluster, { do: "moveNode" });
    // Two thirds of the CPU are now in zone-a, and so is what node b has.
    expect(hints().filter((each) => each.startsWith("b"))).toEqual(["b zone-a", "b zone-a"]);
    const messages = store.list("Event").map(({ message }) => message);
    expect(messages).toContain("Topology Aware Hints has been enabled, addressType: IPv4");
  });
});

describe("Endpoints that somebody wrote for a Service without a selector", () => {
  const service = { metadata: { name: "db" }, spec: { ports: [{ port: 5432, targetPort: 5432 }] } };
  const endpoints = (ips: readonly string[]): object => ({
    metadata: { name: "db", labels: { team: "blue" }, annotations: { note: "outside" } },
    subsets: [{ addresses: ips.map((ip) => ({ ip })), ports: [{ port: 5432 }] }],
  });

  test("are mirrored with their labels and annotations, one slice a family, and go with them", () => {
    const { api, sim } = testCluster();
    api.create("Service", service);
    api.create("Endpoints", endpoints(["192.168.1.50", "fd00::50"]));
    sim.clock.settle();
    const list = () => api.list("EndpointSlice", { labelSelector: "kubernetes.io/service-name=db" });
    expect(list().map(({ addressType, endpoints: held }) => [addressType, held[0]?.addresses[0]])).toEqual([
      ["IPv4", "192.168.1.50"],
      ["IPv6", "fd00::50"],
    ]);
    const [slice] = list();
    expect(slice?.metadata.labels).toEqual({
      team: "blue",
      "kubernetes.io/service-name": "db",
      "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    });
    expect(slice?.metadata.annotations).toEqual({ note: "outside" });
    expect(slice?.metadata.ownerReferences?.[0]).toMatchObject({ kind: "Endpoints", name: "db" });
    expect(slice?.endpoints[0]?.conditions).toEqual({ ready: true });
    api.delete("Service", "default", "db");
    sim.clock.settle();
    expect(list()).toEqual([]);
    expect(() => api.get("Endpoints", "default", "db")).toThrow("not found");
  });

  test("are mirrored up to a thousand, which an event says; not at all with a label, or once there is a selector", () => {
    const { api, sim, store } = testCluster();
    api.create("Service", service);
    api.create("Endpoints", endpoints(Array.from({ length: 1001 }, (_, at) => `172.16.${at >> 8}.${at & 255}`)));
    sim.clock.settle();
    const list = () => api.list("EndpointSlice", { labelSelector: "kubernetes.io/service-name=db" });
    expect(list().map(({ endpoints: held }) => held.length)).toEqual([1000]);
    const [event] = api.list("Event", { fieldSelector: "reason=TooManyAddressesToMirror" });
    expect(event?.message).toBe(
      "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 1 addresses were skipped",
    );
    const label = (value: string | null) => {
      api.patch("Endpoints", "default", "db", "merge", {
        metadata: { labels: { "endpointslice.kubernetes.io/skip-mirror": value } },
      });
      sim.clock.settle();
      return list().length;
    };
    expect([label("true"), label(null)]).toEqual([0, 1]);
    api.patch("Service", "default", "db", "merge", { spec: { selector: { app: "db" } } });
    sim.clock.settle();
    expect(list().map(({ metadata }) => metadata.labels?.["endpointslice.kubernetes.io/managed-by"])).toEqual([
      managedBy,
    ]);
    expect(store.get("Endpoints", "default/db")?.subsets ?? []).toEqual([]);
  });

  test("are left alone where they are slices already", () => {
    const { api, sim } = testCluster();
    api.create("Service", service);
    const labels = { "kubernetes.io/service-name": "db" };
    const ports = [{ name: "", port: 5432 }];
    const own = {
      metadata: { name: "db-1", labels },
      addressType: "IPv4",
      endpoints: [{ addresses: ["1.2.3.4"] }],
      ports,
    };
    const made = api.create("EndpointSlice", own);
    sim.clock.settle();
    expect(api.list("EndpointSlice", { labelSelector: "kubernetes.io/service-name=db" })).toEqual([made]);
  });
});

test("a slice that somebody deletes comes back a second later", () => {
  const { api, sim, store } = testCluster();
  api.create("Deployment", deployment("web", 2));
  api.create("Service", { metadata: { name: "web" }, spec: { selector: { run: "web" }, ports: [{ port: 80 }] } });
  sim.clock.settle();
  const list = () => api.list("EndpointSlice", { labelSelector: "kubernetes.io/service-name=web" });
  const [slice] = list();
  store.delete("EndpointSlice", `default/${slice?.metadata.name}`, "somebody");
  sim.clock.advance(900_000);
  expect(list()).toEqual([]);
  sim.clock.advance(200_000);
  expect(list().map(({ endpoints }) => endpoints.length)).toEqual([2]);
});
