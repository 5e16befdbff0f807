/** Owns judging the choice of endpoints: topology.json, a row each. */
import { byAddress, chooseEndpoints } from "../../kernel-lib/node/proxy/topology";
import type { Endpoint } from "../../kernel-lib/node/proxy/view";
import { type Judge, judgeEach, same, unknownKeys } from "./judge";

interface Row {
  readonly name: string;
  readonly featureGates?: { readonly [gate: string]: boolean };
  readonly node: { readonly name: string | null; readonly labels: { readonly [name: string]: string } | null };
  readonly service: {
    readonly internalTrafficPolicy: string;
    readonly externalTrafficPolicy: string;
    readonly nodePort: number | null;
    readonly hintsAnnotation?: string | null;
  };
  readonly endpoints: readonly RowEndpoint[] | null;
  readonly expect: { readonly [name: string]: unknown };
}

interface RowEndpoint {
  readonly endpoint: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly isLocal: boolean;
  readonly hints?: {
    readonly forZones?: readonly string[] | null;
    readonly forNodes?: readonly string[] | null;
  } | null;
}

const expectations = ["clusterEndpoints", "localEndpoints", "allReachableEndpoints", "hasAnyEndpoints"];

export const judgeTopology: Judge = (content) => judgeEach(content, "cases", (row) => judgeRow(row as unknown as Row));

function judgeRow({ featureGates = {}, node, service, endpoints, expect }: Row): readonly string[] {
  const name = node.name ?? "this-node";
  const zone = node.labels?.["topology.kubernetes.io/zone"];
  const hinted = hintsCount(featureGates, service.hintsAnnotation ?? "");
  const choice = chooseEndpoints(
    (endpoints ?? []).map((each) => toEndpoint(each, name)).sort(byAddress),
    {
      internalLocal: service.internalTrafficPolicy === "Local",
      externalLocal: service.externalTrafficPolicy === "Local",
      externallyAccessible: service.nodePort !== null && service.nodePort !== 0,
    },
    {
      node: name,
      ...(zone !== undefined && { zone }),
      hints: hinted,
      nodeHints: featureGates.PreferSameTrafficDistribution ?? true,
    },
  );
  const list = (chosen: readonly Endpoint[] | undefined): readonly string[] | null =>
    chosen ? chosen.map(({ address }) => address).sort() : null;
  const sorted = (given: unknown): unknown => (Array.isArray(given) ? [...given].sort() : given);
  const got: Record<string, unknown> = {
    clusterEndpoints: list(choice.cluster),
    localEndpoints: list(choice.local),
    allReachableEndpoints: list(choice.reachable),
    hasAnyEndpoints: choice.hasAny,
  };
  return [
    ...unknownKeys(expect, expectations, "the expectation"),
    ...expectations.flatMap((key) => (Object.hasOwn(expect, key) ? same(key, sorted(expect[key]), got[key]) : [])),
  ];
}

/**
 * Before v1.33 two gates decided whether hints count; where only the older one was on, the Service's annotation did too
 * (canUseTopology in pkg/proxy/topology.go of v1.30). A gate that a row does not name is as it is today: locked on.
 */
function hintsCount(gates: { readonly [gate: string]: boolean }, annotation: string): boolean {
  if (gates.ServiceTrafficDistribution ?? true) return true;
  return (gates.TopologyAwareHints ?? true) && !["", "disabled", "Disabled"].includes(annotation);
}

function toEndpoint(row: RowEndpoint, node: string): Endpoint {
  const [, bracketed, plain, port] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(row.endpoint) ?? [];
  return {
    address: row.endpoint,
    ip: bracketed ?? plain ?? "",
    port: Number(port),
    node: row.isLocal ? node : "another-node",
    ready: row.ready,
    serving: row.serving,
    terminating: row.terminating,
    zoneHints: row.hints?.forZones ?? [],
    nodeHints: row.hints?.forNodes ?? [],
  };
}
