import { describe, expect, test } from "vitest";
import { StatusError } from "../../kernel-lib/api/errors";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { type Api, createApi } from "../../kernel-lib/api/rest";
import { Store } from "../../kernel-lib/api/store";
import { createSim } from "../../kernel-lib/sim/sim";

const dual = ["10.96.0.0/16", "fd00:10:96::/112"];

function newApi(serviceCidrs: readonly string[]): Api {
  const sim = createSim(4);
  const api = createApi(sim, new Store(sim), { serviceCidrs });
  api.create("Namespace", { metadata: { name: "default" } });
  return api;
}

function make(api: Api, name: string, spec: object): Kinds["Service"]["spec"] {
  return api.create("Service", { metadata: { name }, spec: { ports: [{ port: 80 }], selector: { a: "b" }, ...spec } })
    .spec;
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error.message;
    throw error;
  }
  return "accepted";
}

describe("a Service in a dual-stack cluster", () => {
  test("has one family unless it asks, its addresses in the order of its families", () => {
    const api = newApi(dual);
    expect(make(api, "single", {})).toMatchObject({ ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv4"] });
    const both = make(api, "both", { ipFamilyPolicy: "PreferDualStack" });
    expect(both).toMatchObject({ ipFamilies: ["IPv4", "IPv6"], clusterIP: both.clusterIPs?.[0] });
    expect(both.clusterIPs?.[0]).toMatch(/^10\.96\./);
    expect(both.clusterIPs?.[1]).toMatch(/^fd00:10:96::/);
    const turned = make(api, "turned", { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6"] });
    expect(turned.ipFamilies).toEqual(["IPv6", "IPv4"]);
    expect(turned.clusterIP).toMatch(/^fd00:10:96::/);
    expect(make(api, "asked", { clusterIP: "fd00:10:96::7" }).ipFamilies).toEqual(["IPv6"]);
    expect(make(api, "headless", { clusterIP: "None", ipFamilyPolicy: "PreferDualStack" })).toMatchObject({
      ipFamilies: ["IPv4", "IPv6"],
      clusterIPs: ["None"],
    });
    const two = { ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv4", "IPv6"] };
    expect(refusal(() => make(api, "wrong", two))).toContain(
      "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
    );
  });

  test("gets the second address when its policy asks for it, keeps the first, and gives the second back", () => {
    const api = newApi(dual);
    const first = make(api, "web", {}).clusterIP;
    const patch = (spec: object): Kinds["Service"]["spec"] =>
      api.patch("Service", "default", "web", "merge", { spec }).spec;
    const grown = patch({ ipFamilyPolicy: "RequireDualStack" });
    expect(grown.clusterIPs).toEqual([first, expect.stringMatching(/^fd00:/)]);
    expect(refusal(() => patch({ clusterIPs: [first] }))).toContain("must be 'SingleStack' to release the secondary");
    expect(
      refusal(() => patch({ clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9", grown.clusterIPs?.[1]] })),
    ).toContain("may not change once set");
    expect(patch({ ipFamilyPolicy: "SingleStack" })).toMatchObject({ clusterIPs: [first], ipFamilies: ["IPv4"] });
    expect(make(api, "next", { clusterIP: grown.clusterIPs?.[1] }).clusterIP).toBe(grown.clusterIPs?.[1]);
  });
});

test("a cluster of one family refuses the other, but prefers what it has", () => {
  const api = newApi(["10.96.0.0/16"]);
  expect(make(api, "prefers", { ipFamilyPolicy: "PreferDualStack" }).ipFamilies).toEqual(["IPv4"]);
  expect(refusal(() => make(api, "requires", { ipFamilyPolicy: "RequireDualStack" }))).toContain(
    "this cluster is not configured for dual-stack services",
  );
  expect(refusal(() => make(api, "six", { ipFamilies: ["IPv6"] }))).toContain(
    'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
  );
  const outside = { clusterIP: "None", selector: {}, ipFamilies: ["IPv6"] };
  expect(make(api, "outside", outside)).toMatchObject({
    ipFamilyPolicy: "RequireDualStack",
    ipFamilies: ["IPv6", "IPv4"],
  });
});

describe("a Service that changes its type", () => {
  test("keeps its node port by the port's name, and loses what its new type has not", () => {
    const api = newApi(["10.96.0.0/16"]);
    const before = make(api, "web", { type: "LoadBalancer", externalTrafficPolicy: "Local", loadBalancerClass: "x/y" });
    expect(before.healthCheckNodePort).toBeGreaterThanOrEqual(30_000);
    const again = {
      metadata: { name: "web" },
      spec: { type: "NodePort", ports: [{ port: 81 }], externalTrafficPolicy: "Local" },
    };
    const node = api.update("Service", again).spec;
    expect(node.ports?.[0]?.nodePort).toBe(before.ports?.[0]?.nodePort);
    expect(node.healthCheckNodePort).toBeUndefined();
    const back = api.patch("Service", "default", "web", "merge", { spec: { type: "ClusterIP" } }).spec;
    expect(back.ports?.[0]?.nodePort).toBeUndefined();
    expect(back.externalTrafficPolicy).toBeUndefined();
    const named = api.patch("Service", "default", "web", "merge", {
      spec: { type: "ExternalName", externalName: "a.example" },
    });
    expect(named.spec).not.toHaveProperty("clusterIP");
  });

  test("may not take a node port, or a health check's, that somebody has", () => {
    const api = newApi(["10.96.0.0/16"]);
    const local = { type: "LoadBalancer", externalTrafficPolicy: "Local" };
    const taken = make(api, "one", { ...local, healthCheckNodePort: 30_333 });
    expect(taken.healthCheckNodePort).toBe(30_333);
    expect(refusal(() => make(api, "two", { ...local, healthCheckNodePort: 30_333 }))).toBe(
      "Internal error occurred: failed to allocate requested HealthCheck NodePort 30333: provided port is already allocated",
    );
    expect(refusal(() => make(api, "three", { type: "NodePort", ports: [{ port: 80, nodePort: 30_333 }] }))).toContain(
      "spec.ports[0].nodePort: Invalid value: 30333: provided port is already allocated",
    );
  });
});
