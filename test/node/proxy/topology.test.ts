import { expect, test } from "vitest";
import { chooseEndpoints } from "../../../kernel-lib/node/proxy/topology";
import type { Endpoint } from "../../../kernel-lib/node/proxy/view";
import { readCases } from "../cases";

interface TopologyCase {
  readonly name: string;
  readonly featureGates: { readonly [gate: string]: boolean };
  readonly node: { readonly name: string | null; readonly labels: { readonly [name: string]: string } | null };
  readonly service: {
    readonly internalTrafficPolicy: string;
    readonly externalTrafficPolicy: string;
    readonly nodePort: number | null;
  };
  readonly endpoints: readonly {
    readonly endpoint: string;
    readonly ready: boolean;
    readonly serving: boolean;
    readonly terminating: boolean;
    readonly isLocal: boolean;
    readonly hints: { readonly forZones: string[] | null; readonly forNodes: string[] | null };
  }[];
  readonly expect: {
    readonly clusterEndpoints: string[] | null;
    readonly localEndpoints: string[] | null;
    readonly allReachableEndpoints: string[];
    readonly hasAnyEndpoints: boolean;
  };
}

test("endpoints are chosen as kube-proxy's own test of CategorizeEndpoints expects, in every row", (context) => {
  const { cases } = readCases<{ cases: readonly TopologyCase[] }>(context, "topology.json");
  expect(cases.length).toBeGreaterThan(10);
  for (const row of cases) {
    const node = row.node.name ?? "this-node";
    const zone = row.node.labels?.["topology.kubernetes.io/zone"];
    const nodePort = row.service.nodePort !== null;
    const choice = chooseEndpoints(
      row.endpoints.map((endpoint) => toEndpoint(endpoint, node)),
      {
        internalLocal: row.service.internalTrafficPolicy === "Local",
        externalLocal: row.service.externalTrafficPolicy === "Local",
        externallyAccessible: nodePort,
      },
      {
        node,
        ...(zone !== undefined && { zone }),
        nodeHints: row.featureGates.PreferSameTrafficDistribution ?? true,
      },
    );
    expect(
      {
        clusterEndpoints: choice.cluster?.map((endpoint) => endpoint.address) ?? null,
        localEndpoints: choice.local?.map((endpoint) => endpoint.address) ?? null,
        allReachableEndpoints: choice.reachable.map((endpoint) => endpoint.address),
        hasAnyEndpoints: choice.hasAny,
      },
      row.name,
    ).toEqual(row.expect);
  }
});

function toEndpoint(row: TopologyCase["endpoints"][number], node: string): Endpoint {
  const [ip = "", port] = row.endpoint.split(":");
  return {
    address: row.endpoint,
    ip,
    port: Number(port),
    node: row.isLocal ? node : "another-node",
    ready: row.ready,
    serving: row.serving,
    terminating: row.terminating,
    zoneHints: row.hints.forZones ?? [],
    nodeHints: row.hints.forNodes ?? [],
  };
}
