/** Owns judging what kube-proxy counts: proxy_facts.json, a case each. */
import type { Kinds } from "../../kernel-lib/api/kinds";
import { localReadyEndpoints, serviceOf, sharedPorts, viewOf } from "../../kernel-lib/node/proxy/view";
import { type Judge, judgeEach, same, unknownKeys } from "./judge";

interface FactCase {
  readonly name: string;
  readonly config: { readonly nodeName?: string; readonly ipFamily?: "IPv4" | "IPv6" };
  readonly objects: readonly (Kinds["Service"] | Kinds["EndpointSlice"])[];
  readonly expect: {
    readonly servicePorts?: number;
    readonly healthCheckNodePorts?: Readonly<Record<string, number>>;
    readonly servicesWithLocalReadyEndpoints?: number;
    readonly localReadyEndpoints?: Readonly<Record<string, number>>;
    readonly derived?: { readonly localReadyEndpoints?: Readonly<Record<string, number>> };
    readonly metrics?: Readonly<Record<string, number>>;
  };
}

const expectations = [
  ...["servicePorts", "healthCheckNodePorts", "servicesWithLocalReadyEndpoints", "localReadyEndpoints"],
  ...["derived", "metrics"],
];

export const judgeFacts: Judge = (content) =>
  judgeEach(content, "cases", (one) => judgeCase(one as unknown as FactCase));

function judgeCase({ config, objects, expect }: FactCase): readonly string[] {
  const node = config.nodeName ?? "this-node";
  const family = config.ipFamily ?? "IPv4";
  const services = objects.filter((object): object is Kinds["Service"] => object.kind === "Service");
  const slices = objects.filter((object): object is Kinds["EndpointSlice"] => object.kind === "EndpointSlice");
  const view = viewOf(services, slices, { node }, family);
  const shared = services.flatMap((service) => {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    return sharedPorts(
      service,
      slices.filter((slice) => serviceOf(slice) === key),
      family,
    );
  });
  const ready = localReadyEndpoints(shared, node);
  const checks = Object.fromEntries(
    view.flatMap(({ service, healthCheckNodePort: port }) => (port ? [[service, port] as const] : [])),
  );
  const wrong = [
    ...unknownKeys(config, ["nodeName", "ipFamily"], "the configuration"),
    ...unknownKeys(expect, expectations, "the expectation"),
    ...unknownKeys(expect.derived ?? {}, ["localReadyEndpoints"], "the expectation"),
  ];
  const compare = (what: string, wanted: unknown, got: unknown): void => {
    if (wanted !== undefined) wrong.push(...same(what, wanted, got));
  };
  compare("servicePorts", expect.servicePorts, view.length);
  compare("healthCheckNodePorts", expect.healthCheckNodePorts, checks);
  compare("servicesWithLocalReadyEndpoints", expect.servicesWithLocalReadyEndpoints, ready.size);
  compare(
    "localReadyEndpoints",
    expect.localReadyEndpoints ?? expect.derived?.localReadyEndpoints,
    Object.fromEntries(ready),
  );
  for (const [metric, wanted] of Object.entries(expect.metrics ?? {})) {
    const policy = /^sync_proxy_rules_no_local_endpoints_total\{traffic_policy=(internal|external)\}$/.exec(
      metric,
    )?.[1];
    if (policy !== "internal" && policy !== "external") wrong.push(`metric ${metric} is not known`);
    else compare(metric, wanted, view.filter((port) => isDropping(port, policy)).length);
  }
  return wrong;
}

/** Its policy is Local, there are endpoints, and none of them is here. */
function isDropping(port: ReturnType<typeof viewOf>[number], policy: "internal" | "external"): boolean {
  const local = policy === "internal" ? port.internalLocal : port.externalLocal;
  return local && port.hasAnyEndpoints && port[policy].length === 0;
}
