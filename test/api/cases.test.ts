import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { Allocator, staticBand } from "../../kernel-lib/api/service/allocator";
import { parseCidr } from "../../kernel-lib/api/validation/ip";
import { validateExternalTraffic, validateService } from "../../kernel-lib/api/validation/service";
import {
  addressTypes,
  belongs,
  endpointOf,
  portsOf,
  setsHostname,
} from "../../kernel-lib/control/endpointslice/endpoint";
import { sliceLabels } from "../../kernel-lib/control/endpointslice/labels";
import { newSlice, reconcileSlices } from "../../kernel-lib/control/endpointslice/reconcile";
import { findPort } from "../../kernel-lib/control/pods";
import { Random } from "../../kernel-lib/sim/random";
import { requireOrSkip } from "../judges";

/** Kubernetes' own test cases; in shared/cases beside the checkout, or in the folder that KUBEBOOK_CASES names. */
const folder = process.env.KUBEBOOK_CASES ?? join(__dirname, "../../../shared/cases");
const there = existsSync(folder);

test("Kubernetes' own cases are at hand", (context) => {
  requireOrSkip(context, there, "no folder shared/cases beside the checkout, and KUBEBOOK_CASES names none");
  expect(read("service_validation.json").length).toBeGreaterThan(50);
});

interface Case {
  readonly name: string;
  readonly function?: string;
  readonly source: { readonly function?: string };
  readonly service?: unknown;
  readonly expectErrors?: number;
  readonly config?: { readonly controllerName: string; readonly maxEndpointsPerSlice: number };
  readonly objects?: readonly { readonly kind: string }[];
  readonly input?: never;
  readonly expect?: never;
}

function read(file: string): readonly Case[] {
  return there ? (JSON.parse(readFileSync(`${folder}/${file}`, "utf8")) as { cases: Case[] }).cases : [];
}

function only<K extends keyof Kinds>(objects: Case["objects"], kind: K): Kinds[K][] {
  return (objects ?? []).filter((object) => object.kind === kind) as unknown as Kinds[K][];
}

describe.skipIf(!there)("Kubernetes' own cases: Service validation", () => {
  test.each(read("service_validation.json"))("$name", ({ service, expectErrors, source }) => {
    const object = service as Kinds["Service"];
    const errors =
      source.function === "ValidateServiceCreate" ? validateService(object) : validateExternalTraffic(object.spec);
    expect(errors.length, JSON.stringify(errors)).toBe(expectErrors);
  });
});

describe.skipIf(!there)("Kubernetes' own cases: allocation", () => {
  const facts = there ? JSON.parse(readFileSync(`${folder}/allocation.json`, "utf8")) : { staticBand: { rows: [] } };
  test.each(facts.staticBand.rows as { cidr: string; offset: number }[])(
    "the low band of $cidr",
    ({ cidr, offset }) => {
      expect(staticBand(Number(parseCidr(cidr)?.size), 16, 16, 256)).toBe(offset);
    },
  );

  test("the low band is handed out last, and what is released is found again", () => {
    const ips = new Allocator(126, 16, new Random(1));
    const order = Array.from({ length: 126 }, () => {
      const next = ips.next() as number;
      expect(ips.take(next)).toBe(true);
      return next;
    });
    expect(order.slice(0, 110).every((index) => index >= 16)).toBe(true);
    expect(new Set(order).size).toBe(126);
    expect(ips.next()).toBeUndefined();
    ips.release(42);
    expect(ips.next()).toBe(42);
    expect(ips.take(41)).toBe(false);
    expect(ips.take(126)).toBe(false);
  });
});

/** What one function of upstream's says of the case's objects; undefined: not of this part. */
function answer(each: Case): unknown {
  const service = only(each.objects, "Service")[0] as Kinds["Service"];
  const pod = only(each.objects, "Pod")[0] as Kinds["Pod"];
  const input = (each.input ?? {}) as Record<string, never>;
  switch (each.function) {
    case "PodToEndpoint":
      return { endpoint: endpointOf(pod, only(each.objects, "Node")[0], service, "IPv4") };
    case "GetEndpointPorts":
      return { ports: portsOf(service, pod) };
    case "getAddressTypesForService": {
      const wanted = (each.expect as unknown as { addressTypes: string[] }).addressTypes;
      const types = [...addressTypes(service)].sort((a, b) => wanted.indexOf(a) - wanted.indexOf(b));
      return { addressTypes: types };
    }
    case "setEndpointSliceLabels": {
      const { labels, changed } = sliceLabels(input.endpointSlice as never, service, "endpointslice-controller.k8s.io");
      return { labels, updated: changed };
    }
    case "NewEndpointSlice": {
      const slice = newSlice(
        service,
        input.ports as never,
        input.addressType as never,
        "endpointslice-controller.k8s.io",
      );
      return { slice: { apiVersion: "discovery.k8s.io/v1", ...slice } };
    }
    case "FindPort": {
      const { containers, initContainers, servicePort } = input as Record<
        string,
        { targetPort: never; protocol: never }
      >;
      const spec = { containers, initContainers } as never;
      const port = findPort({ spec } as never, servicePort?.targetPort, servicePort?.protocol);
      return port === undefined ? { error: true } : { port };
    }
    case "ShouldPodBeInEndpoints":
      return { inEndpoints: belongs(pod, Boolean(input.includeTerminating)) };
    case "ShouldSetHostname":
      return { setHostname: setsHostname(pod, service) };
    default:
      return undefined;
  }
}

/** Absent and undefined uids are the same to these cases. */
const bare = (value: unknown): unknown => JSON.parse(JSON.stringify(value).replaceAll(',"uid":""', ""));

describe.skipIf(!there)("Kubernetes' own cases: one pod, one slice", () => {
  const mine = read("endpointslice_tables.json").filter(
    (each) => !/Hints|hintsEnabled|SetNodes/.test(each.function ?? ""),
  );
  test.each(mine)("$name", (each) => {
    expect(bare(answer(each))).toMatchObject(bare(each.expect) as object);
  });
});

interface Expected {
  readonly error: boolean;
  readonly errorText?: string;
  readonly actions: { readonly create: number; readonly update: number; readonly delete: number };
  readonly endpointsPerSlice: readonly number[];
  readonly slices?: readonly Kinds["EndpointSlice"][];
}

/** Slices as comparable texts: generated names and the trigger's time aside, endpoints in any order. */
function shape(slices: readonly unknown[], withEndpoints: boolean): readonly string[] {
  return (slices as Kinds["EndpointSlice"][])
    .map(({ metadata, addressType, ports, endpoints }) => {
      const { labels, ownerReferences } = metadata;
      const list = (endpoints ?? []).map((endpoint) => sorted(endpoint)).sort();
      return sorted({ labels, ownerReferences, addressType, ports: ports ?? [], ...(withEndpoints && { list }) });
    })
    .sort();
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, part) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(
      Object.entries(part)
        .filter(([, v]) => v !== "")
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  });
}

describe.skipIf(!there)("Kubernetes' own cases: which slices are written", () => {
  const all = [...read("endpointslice_reconcile.json"), ...read("endpointslice_packing.json")];
  const mine = all.filter(({ name }) => !/Topology|TrafficDistribution/.test(name));
  test.each(mine)("$name", ({ objects, config, expect: wanted }) => {
    const want = wanted as unknown as Expected;
    const nodes = new Map(only(objects, "Node").map((node) => [node.metadata.name, node]));
    const existing = only(objects, "EndpointSlice");
    const service = only(objects, "Service")[0] as Kinds["Service"];
    const options = {
      controller: config?.controllerName ?? "",
      maxEndpointsPerSlice: config?.maxEndpointsPerSlice ?? 100,
      trigger: "2024-01-01T00:00:00Z",
    };
    const writes = reconcileSlices(service, only(objects, "Pod"), (name) => nodes.get(name), existing, options);
    const touched = new Set([...writes.update, ...writes.remove].map(({ metadata }) => metadata.name));
    const kept = existing.filter(({ metadata }) => !touched.has(metadata.name));
    const after = [...kept, ...writes.update, ...writes.create];
    const { create, update, remove } = writes;
    expect({ create: create.length, update: update.length, delete: remove.length }).toEqual(want.actions);
    const sizes = after.map(({ endpoints }) => (endpoints ?? []).length);
    expect([...sizes].sort()).toEqual([...want.endpointsPerSlice].sort());
    expect(writes.errors.length > 0).toBe(want.error);
    if (want.errorText) {
      const text = writes.errors.length > 1 ? `[${writes.errors.join(", ")}]` : writes.errors[0];
      expect(text).toBe(want.errorText);
    }
    const whole = after.length === 1;
    if (want.slices?.some(({ metadata }) => metadata === undefined)) return;
    if (want.slices) expect(shape(after, whole)).toEqual(shape(want.slices, whole));
    const held = after.flatMap(({ endpoints }) => (endpoints ?? []).map((endpoint) => sorted(endpoint))).sort();
    const expected = want.slices
      ?.flatMap(({ endpoints }) => (endpoints ?? []).map((endpoint) => sorted(endpoint)))
      .sort();
    if (expected) expect(held).toEqual(expected);
  });
});
