import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { StatusError } from "../../kernel-lib/api/errors";
import { findCategory, findResource } from "../../kernel-lib/api/kinds";
import { strategicMerge, threeWayPatch } from "../../kernel-lib/api/patch";
import { type Api, createApi } from "../../kernel-lib/api/rest";
import { parseSelector } from "../../kernel-lib/api/selectors";
import { Store } from "../../kernel-lib/api/store";
import { createSim } from "../../kernel-lib/sim/sim";
import { deployment, testCluster } from "../control/cluster";
import { requireOrSkip } from "../judges";

function newApi(seed = 1, serviceCidr = "10.96.0.0/28"): { readonly api: Api; readonly store: Store } {
  const sim = createSim(seed);
  const store = new Store(sim);
  const api = createApi(sim, store, { serviceCidrs: [serviceCidr], nodePorts: [30_000, 30_007] });
  for (const name of ["default", "kube-system"]) api.create("Namespace", { metadata: { name } });
  return { api, store };
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return `(${error.reason}) ${error.message}`;
    throw error;
  }
  return "accepted";
}

describe("what the API refuses", () => {
  test("is told in the API server's words, all errors at once", () => {
    const { api } = newApi();
    api.create("Deployment", deployment("web", 1));
    const container = { name: "Web", ports: [{ containerPort: 99_999 }] };
    const template = { metadata: { labels: { run: "other" } }, spec: { containers: [container] } };
    const wrong = {
      metadata: { name: "w" },
      spec: { replicas: -1, selector: { matchLabels: { run: "w" } }, template },
    };
    const label =
      "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with " +
      "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    expect(refusal(() => api.create("Deployment", wrong))).toBe(
      '(Invalid) Deployment.apps "w" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, ' +
        'spec.template.metadata.labels: Invalid value: {"run":"other"}: `selector` does not match template `labels`, ' +
        `spec.template.spec.containers[0].name: Invalid value: "Web": ${label}, ` +
        "spec.template.spec.containers[0].image: Required value, " +
        "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive]",
    );
    const moved = deployment("web", 1) as { spec: { selector: object; template: { metadata: object } } };
    moved.spec.selector = { matchLabels: { run: "x" } };
    moved.spec.template.metadata = { labels: { run: "x" } };
    expect(refusal(() => api.update("Deployment", moved))).toBe(
      '(Invalid) Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"run":"x"}}: field is immutable',
    );
    const typo = { metadata: { name: "w" }, spec: { replica: 2, template: { spec: { containers: [{ nmae: "a" }] } } } };
    expect(refusal(() => api.create("Deployment", typo))).toBe(
      '(BadRequest) Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ' +
        'unknown field "spec.replica", unknown field "spec.template.spec.containers[0].nmae"',
    );
    const env = { containers: [{ name: "a", image: "b", env: [{ name: "X", value: 5 }] }] };
    expect(refusal(() => api.create("Pod", { metadata: { name: "p" }, spec: env }))).toBe(
      '(BadRequest) Pod in version "v1" cannot be handled as a Pod: ' +
        "json: cannot unmarshal number into Go struct field EnvVar.spec.containers.env.value of type string",
    );
    expect(refusal(() => api.get("Deployment", "default", "x"))).toBe('(NotFound) deployments.apps "x" not found');
    expect(refusal(() => api.create("ConfigMap", { metadata: { name: "a" } }, { namespace: "nowhere" }))).toBe(
      '(NotFound) namespaces "nowhere" not found',
    );
    expect(refusal(() => api.create("Deployment", deployment("web", 1)))).toBe(
      '(AlreadyExists) deployments.apps "web" already exists',
    );
    const stale = { ...api.get("Deployment", "default", "web"), metadata: { name: "web", resourceVersion: "1" } };
    expect(refusal(() => api.update("Deployment", stale))).toContain(
      '(Conflict) Operation cannot be fulfilled on deployments.apps "web": the object has been modified;',
    );
  });

  test("of a change is all of it: what it may not be, and what it may not become", () => {
    const { api } = newApi();
    api.create("Deployment", deployment("web", 1));
    const patch = { spec: { selector: { matchLabels: { run: "x" } } } };
    expect(refusal(() => api.patch("Deployment", "default", "web", "merge", patch))).toBe(
      '(Invalid) Deployment.apps "web" is invalid: [spec.template.metadata.labels: Invalid value: {"run":"web"}: ' +
        "`selector` does not match template `labels`, " +
        'spec.selector: Invalid value: {"matchLabels":{"run":"x"}}: field is immutable]',
    );
    expect(refusal(() => api.patch("Deployment", "default", "web", "merge", { metadata: { name: "other" } }))).toBe(
      "(BadRequest) the name of the object (other) does not match the name on the URL (web)",
    );
  });

  test("of Endpoints is every address, name and port in them", () => {
    const { api } = newApi();
    const addresses = [{ ip: "127.0.0.1", hostname: "A_b" }, {}];
    const ports = [{ port: 1, protocol: "x" }];
    const subsets = [{ addresses, notReadyAddresses: [{ ip: "169.254.0.1" }], ports }];
    const said = refusal(() => api.create("Endpoints", { metadata: { name: "e" }, subsets }));
    for (const part of [
      'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range',
      'subsets[0].addresses[0].hostname: Invalid value: "A_b": a lowercase RFC 1123 label',
      'subsets[0].addresses[1].ip: Invalid value: "": must be a valid IP address',
      'subsets[0].notReadyAddresses[0].ip: Invalid value: "169.254.0.1": may not be in the link-local range',
      'subsets[0].ports[0].protocol: Unsupported value: "x": supported values: "SCTP", "TCP", "UDP"',
    ])
      expect(said).toContain(part);
  });

  test("includes addresses that somebody has, that are out of range, or that have run out", () => {
    const { api } = newApi();
    const ports = [{ port: 80 }];
    const make = (name: string, more: object): string => {
      return refusal(() => api.create("Service", { metadata: { name }, spec: { ports, ...more } }));
    };
    expect(make("a", { clusterIP: "10.96.0.10" })).toBe("accepted");
    expect(make("b", { clusterIP: "10.96.0.10" })).toBe(
      '(Invalid) Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: ' +
        "failed to allocate IP 10.96.0.10: provided IP is already allocated",
    );
    expect(make("b", { clusterIP: "10.97.0.1" })).toContain("The range of valid IPs is 10.96.0.0/28");
    expect(make("b", { type: "NodePort", ports: [{ port: 80, nodePort: 30_009 }] })).toContain(
      "spec.ports[0].nodePort: Invalid value: 30009: provided port is not in the valid range. The range of valid ports is 30000-30007",
    );
    for (let at = 0; at < 13; at++) expect(make(`fill-${at}`, {})).toBe("accepted");
    expect(make("full", {})).toContain("failed to allocate a serviceIP: range is full");
    api.delete("Service", "default", "a");
    expect(make("again", {})).toBe("accepted");
    expect(api.get("Service", "default", "again").spec.clusterIP).toBe("10.96.0.10");
  });
});

/** A random life of a small API: creations, changes and deletions that may or may not be allowed. */
const names = fc.constantFrom("a", "b", "c", "Bad_Name", "d");
const action = fc.record({
  verb: fc.constantFrom("create", "update", "patch", "delete", "expose", "dry"),
  name: names,
  port: fc.constantFrom(0, 80, 443, 70_000),
  nodePort: fc.option(fc.constantFrom(30_000, 30_001, 40_000), { nil: undefined }),
  clusterIP: fc.option(fc.constantFrom("10.96.0.1", "10.96.0.2", "10.99.0.1", "None", "x"), { nil: undefined }),
  type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
});

test("any sequence of operations keeps versions, owners of addresses, and what is rejected changes nothing", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const { api, store } = newApi();
      for (const { verb, name, port, nodePort, clusterIP, type } of actions) {
        const ports = [{ port, ...(nodePort !== undefined && { nodePort }) }];
        const external = type === "ExternalName" ? { externalName: "db.example.com" } : {};
        const spec = { type, ports, ...external, ...(clusterIP !== undefined && { clusterIP }) };
        const service = { metadata: { name }, spec };
        const before = store.version;
        const listed = JSON.stringify(api.list("Service"));
        const accepted = refusal(() => {
          if (verb === "update") api.update("Service", service);
          else if (verb === "patch") api.patch("Service", "default", name, "strategic", { spec: { ports } });
          else if (verb === "delete") api.delete("Service", "default", name);
          else if (verb === "expose") api.patch("Service", "default", name, "merge", { spec: { type } });
          else api.create("Service", service, { dryRun: verb === "dry" });
        });
        if (accepted !== "accepted" || verb === "dry") {
          expect(store.version).toBe(before);
          expect(JSON.stringify(api.list("Service"))).toBe(listed);
        }
        const services = api.list("Service");
        const versions = services.map(({ metadata }) => Number(metadata.resourceVersion));
        expect(new Set(versions).size).toBe(versions.length);
        expect(Math.max(0, ...versions)).toBeLessThanOrEqual(store.version);
        const ips = services.flatMap(({ spec }) => (spec.clusterIPs ?? []).filter((ip) => ip !== "None"));
        expect(new Set(ips).size).toBe(ips.length);
        for (const { spec } of services) expect(Boolean(spec.clusterIP)).toBe(spec.type !== "ExternalName");
        const nodes = services.flatMap(({ spec }) => (spec.ports ?? []).flatMap(({ nodePort }) => nodePort ?? []));
        expect(new Set(nodes).size).toBe(nodes.length);
        const again = createApi(createSim(9), store, { serviceCidrs: ["10.96.0.0/28"], nodePorts: [30_000, 30_007] });
        expect(
          refusal(() =>
            again.create("Service", { metadata: { name: "z" }, spec: { ports: [{ port: 1 }] } }, { dryRun: true }),
          ),
        ).toBe("accepted");
      }
    }),
    { numRuns: 60, seed: 7 },
  );
});

test("any sequence of scaling, deleting pods and rolling comes to rest, and every ready pod is in one slice exactly once", () => {
  const step = fc.oneof(
    fc.record({ scale: fc.integer({ min: 0, max: 7 }) }),
    fc.record({ image: fc.constantFrom("nginx", "nginx:1", "broken") }),
    fc.record({ kill: fc.integer({ min: 0, max: 6 }) }),
    fc.record({ wait: fc.integer({ min: 0, max: 3_000_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const cluster = testCluster(3);
      const { api, sim } = cluster;
      api.create("Deployment", deployment("web", 3));
      api.create("Service", { metadata: { name: "web" }, spec: { selector: { run: "web" }, ports: [{ port: 80 }] } });
      for (const each of steps) {
        if ("scale" in each) api.scale("Deployment", "default", "web", each.scale);
        else if ("image" in each) {
          const containers = [{ name: "web", image: each.image }];
          api.patch("Deployment", "default", "web", "strategic", { spec: { template: { spec: { containers } } } });
        } else if ("wait" in each) sim.clock.advance(each.wait);
        else {
          const pod = cluster.pods("web-")[each.kill];
          if (pod) api.delete("Pod", "default", pod.metadata.name);
        }
      }
      sim.clock.settle();
      const pods = cluster.pods("web-");
      const ready = pods.filter(({ status }) => status.podIP).map(({ metadata }) => metadata.name);
      const slices = api.list("EndpointSlice", { labelSelector: "kubernetes.io/service-name=web" });
      const held = slices.flatMap(({ endpoints }) => endpoints.map(({ targetRef }) => targetRef?.name ?? ""));
      expect(held.sort()).toEqual(ready.sort());
      const wanted = api.get("Deployment", "default", "web").spec.replicas ?? 0;
      const total = api
        .list("ReplicaSet", { namespace: "default" })
        .reduce((sum, { spec }) => sum + (spec.replicas ?? 0), 0);
      expect(pods.length).toBe(total);
      if (pods.every(({ spec }) => spec.containers[0]?.image !== "broken")) expect(pods.length).toBe(wanted);
      const owners = new Set(api.list("ReplicaSet").map(({ metadata }) => metadata.uid));
      for (const { metadata } of pods) expect(owners.has(metadata.ownerReferences?.[0]?.uid ?? "")).toBe(true);
    }),
    { numRuns: 25, seed: 11 },
  );
});

test("what kubectl writes for a new Deployment and Service is accepted, and label changes merge as kubectl merges them", (context) => {
  const here = spawnSync("kubectl", ["version", "--client"]).status === 0;
  requireOrSkip(context, here, "kubectl is not on this machine");
  const kubectl = (args: string[], input = ""): unknown => {
    return parse(spawnSync("kubectl", args, { encoding: "utf8", input }).stdout) as unknown;
  };
  const { api } = newApi();
  const dry = ["--dry-run=client", "-o", "yaml"];
  const made = kubectl(["create", "deployment", "web", "--image=nginx", "--replicas=2", "--port=80", ...dry]) as object;
  const stored = api.create("Deployment", made);
  expect(stored.spec.template.spec?.containers[0]).toMatchObject({ name: "nginx", imagePullPolicy: "Always" });
  api.create("Service", kubectl(["create", "service", "nodeport", "np", "--tcp=80:8080", ...dry]) as object);
  expect(api.get("Service", "default", "np").spec.ports?.[0]).toMatchObject({ port: 80, targetPort: 8080 });
  const containers = [
    { name: "nginx", env: [{ name: "A", value: "1" }] },
    { name: "side", image: "busybox" },
  ];
  const patch = { spec: { template: { spec: { containers, dnsPolicy: null } } } };
  const real = kubectl(
    ["patch", "--local", "-f", "-", "-o", "yaml", "-p", JSON.stringify(patch)],
    JSON.stringify(stored),
  );
  expect(strategicMerge(JSON.parse(JSON.stringify(stored)), patch)).toEqual(real);
});

test("apply's three-way patch keeps what others set and removes what was applied before", () => {
  const original = {
    spec: {
      replicas: 2,
      template: {
        spec: {
          containers: [
            { name: "a", image: "x" },
            { name: "b", image: "y" },
          ],
        },
      },
    },
  };
  const modified = { spec: { template: { spec: { containers: [{ name: "a", image: "z" }] } } } };
  const current = {
    metadata: { labels: { kept: "yes" } },
    spec: {
      replicas: 2,
      template: {
        spec: {
          containers: [
            { name: "a", image: "x", tty: true },
            { name: "b", image: "y" },
          ],
        },
      },
    },
  };
  const patch = threeWayPatch(original, modified, current);
  expect(strategicMerge(current, patch)).toEqual({
    metadata: { labels: { kept: "yes" } },
    spec: { template: { spec: { containers: [{ name: "a", image: "z", tty: true }] } } },
  });
  expect(threeWayPatch(modified, modified, strategicMerge(current, patch))).toEqual({});
});

test("selectors are read as kubectl reads them, and resources found by every name", () => {
  expect(parseSelector("a=b,c!=d, e in (x,y),f notin (z),g,!h,i>3").map(({ operator }) => operator)).toEqual([
    "In",
    "NotIn",
    "In",
    "NotIn",
    "Exists",
    "DoesNotExist",
    "GreaterThan",
  ]);
  expect(() => parseSelector("a in (x")).toThrow("unable to parse requirement");
  for (const word of ["po", "pod", "pods", "Pod"]) expect(findResource(word)?.kind).toBe("Pod");
  expect(findResource("deployments.v1.apps")?.kind).toBe("Deployment");
  expect(findResource("deployments.batch")).toBeUndefined();
  const everything = findCategory("all").map(({ plural }) => plural);
  expect(everything).toEqual(["pods", "services", "daemonsets", "deployments", "replicasets", "statefulsets", "jobs"]);
});

describe("a JSON patch", () => {
  const patch = (operations: unknown): string => {
    const { api } = newApi();
    api.create("ConfigMap", {
      metadata: { name: "a", labels: { "app.kubernetes.io/name": "x" } },
      data: { list: "1" },
    });
    const before = JSON.stringify(api.get("ConfigMap", "default", "a"));
    const answer = refusal(() => api.patch("ConfigMap", "default", "a", "json", operations));
    const after = api.get("ConfigMap", "default", "a");
    if (answer !== "accepted") expect(JSON.stringify(after)).toBe(before);
    return answer === "accepted" ? JSON.stringify([after.metadata.labels, after.data]) : answer;
  };

  test("does all of its operations, paths escaped as RFC 6901 says", () => {
    const operations = [
      { op: "test", path: "/data/list", value: "1" },
      { op: "replace", path: "/metadata/labels/app.kubernetes.io~1name", value: "y" },
      { op: "copy", from: "/data/list", path: "/data/again" },
    ];
    expect(patch(operations)).toBe('[{"app.kubernetes.io/name":"y"},{"list":"1","again":"1"}]');
  });

  test("changes nothing if one of them cannot be done", () => {
    const no = "(Invalid) the server rejected our request due to an error in our request";
    const first = { op: "add", path: "/data/new", value: "2" };
    expect(patch([first, { op: "test", path: "/data/list", value: "2" }])).toBe(no);
    expect(patch([first, { op: "remove", path: "/data/missing" }])).toBe(no);
    expect(patch([first, { op: "add", path: "/__proto__/polluted", value: "2" }])).toBe(no);
    expect(patch([first, { op: "add", path: "data", value: "2" }])).toBe(no);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(patch({ op: "add" })).toContain("(BadRequest)");
    expect(patch([{ op: "add", path: "/datum", value: {} }])).toContain('unknown field "datum"');
  });
});

test("an object that etcd cannot take is refused, and a map of more than a mebibyte by validation", () => {
  const { api, store } = newApi();
  const before = store.version;
  const data = { a: "x".repeat(2 * 1024 * 1024) };
  expect(refusal(() => api.create("ConfigMap", { metadata: { name: "big" }, data }))).toContain("Too long");
  const ports = Array.from({ length: 30_000 }, (_, at) => ({
    name: `p${at}`,
    port: 1 + at,
    targetPort: "x".repeat(15),
  }));
  expect(refusal(() => api.create("Service", { metadata: { name: "big" }, spec: { ports } }))).toBe(
    "(Unknown) etcdserver: request is too large",
  );
  expect(store.version).toBe(before);
});

describe("warnings", () => {
  const warned = (
    object: { kind: "Service" | "Endpoints"; [field: string]: unknown },
    strict = true,
  ): readonly string[] => {
    const { api } = newApi(1, "10.96.0.0/16");
    const said: string[] = [];
    const { kind, ...rest } = object;
    api.create(kind, rest, { warn: (text) => said.push(text), fieldValidation: strict ? "Strict" : "Warn" });
    return said;
  };

  test("tell of what is accepted and does nothing, or will not do much longer", () => {
    const metadata = { name: "a" };
    const ports = [{ port: 80 }];
    expect(warned({ kind: "Service", metadata, spec: { ports } })).toEqual([]);
    const headless = { ports, clusterIP: "None", sessionAffinity: "ClientIP", externalIPs: ["10.9.9.9"] };
    expect(warned({ kind: "Service", metadata, spec: headless })).toEqual([
      "spec.externalIPs is ignored for headless services",
      "spec.SessionAffinity is ignored for headless services",
    ]);
    const old = {
      ports,
      externalIPs: ["2001:db8:0::1"],
      trafficDistribution: "PreferClose",
      externalName: "a.example",
    };
    expect(warned({ kind: "Service", metadata, spec: old })).toEqual([
      'spec.externalIPs[0]: IPv6 address "2001:db8:0::1" should be in RFC 5952 canonical format ("2001:db8::1")',
      "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
      'spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ]);
    expect(warned({ kind: "Endpoints", metadata })).toEqual([
      "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ]);
  });

  test("tell of unknown fields where the client asks for no more, and the fields are left out", () => {
    const spec = { ports: [{ port: 80, nmae: "x" }], selektor: {} };
    expect(warned({ kind: "Service", metadata: { name: "a" }, spec }, false)).toEqual([
      'unknown field "spec.ports[0].nmae"',
      'unknown field "spec.selektor"',
    ]);
  });
});
