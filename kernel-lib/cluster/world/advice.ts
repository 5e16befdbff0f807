/** Owns advice: what the objects say about why a question was answered as it was. */
import type { Kinds } from "../../api/kinds";
import { keyOf } from "../../api/meta";
import { contains, formatIp, tryParseCidr, tryParseIp } from "../../net/address";
import type { Flow } from "../../net/flow";
import type { AskedFlow } from "../explain";
import type { StaticOutcome } from "./ask";
import { outsideName, podIps, type StaticWorld } from "./world";

/** Sentences, the most likely cause first. */
export function adviceOn(world: StaticWorld, asked: AskedFlow, outcomes: readonly StaticOutcome[]): readonly string[] {
  const service = askedService(world, asked);
  const failed = outcomes.some(({ fate }) => fate !== "delivered");
  return [
    ...(service && failed ? adviceOnService(world, service, asked) : []),
    ...outcomes.flatMap((outcome) => adviceOnEndpoint(world, outcome)),
  ].filter((text, at, all) => all.indexOf(text) === at);
}

/** The Service that was asked for, by name or by any of its addresses. */
function askedService({ store }: StaticWorld, { service, flow }: AskedFlow): Kinds["Service"] | undefined {
  if (service !== undefined) return store.get("Service", service);
  return store.list("Service").find(({ spec, status }) => {
    const ingress = status?.loadBalancer?.ingress?.map(({ ip }) => ip) ?? [];
    const texts = [spec.clusterIP, ...(spec.clusterIPs ?? []), ...(spec.externalIPs ?? []), ...ingress];
    if (texts.some((text) => text !== undefined && tryParseIp(text) === flow.target)) return true;
    return spec.ports?.some(({ nodePort }) => nodePort === flow.targetPort) ?? false;
  });
}

function adviceOnService(world: StaticWorld, service: Kinds["Service"], { flow }: AskedFlow): readonly string[] {
  const key = keyOf(service);
  const ports = service.spec.ports ?? [];
  const spoken = ports.filter(({ port, nodePort }) => port === flow.targetPort || nodePort === flow.targetPort);
  const list = ports.map(({ port, protocol = "TCP" }) => `${port}/${protocol}`).join(", ");
  if (spoken.length === 0) return [`service ${key} has no port ${flow.targetPort}: its ports are ${list || "none"}`];
  if (!spoken.some(({ protocol = "TCP" }) => protocol.toLowerCase() === flow.protocol)) {
    return [`service ${key} has port ${flow.targetPort} not for ${flow.protocol.toUpperCase()}: its ports are ${list}`];
  }
  return [...adviceOnRanges(service, flow), ...adviceOnEndpoints(world, service)];
}

/** Who may ask for a load balancer's address. */
function adviceOnRanges({ spec, status, metadata }: Kinds["Service"], { source, target }: Flow): readonly string[] {
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const balanced = status?.loadBalancer?.ingress?.some(({ ip }) => ip !== undefined && tryParseIp(ip) === target);
  if (!balanced || ranges.length === 0 || source === undefined) return [];
  const inside = ranges.flatMap((text) => tryParseCidr(text.trim()) ?? []).some((range) => contains(range, source));
  const of = `${metadata.namespace}/${metadata.name}'s loadBalancerSourceRanges (${ranges.join(", ")})`;
  return inside ? [] : [`${formatIp(source)} is in none of service ${of}`];
}

function adviceOnEndpoints({ store }: StaticWorld, service: Kinds["Service"]): readonly string[] {
  const key = keyOf(service);
  const { namespace = "", name } = service.metadata;
  const slices = store.list("EndpointSlice", { namespace, labels: { "kubernetes.io/service-name": name } });
  const endpoints = slices.flatMap((slice) => slice.endpoints);
  const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
  if (slices.length === 0) {
    const dump = "kubectl get svc,endpointslices,pods,nodes -A -o yaml";
    return [
      `no EndpointSlice of service ${key} is in these objects (${dump} has them)`,
      ...adviceOnSelector(store, service),
    ];
  }
  if (endpoints.length === 0) return [`service ${key} has no endpoints`, ...adviceOnSelector(store, service)];
  if (ready.length === 0) {
    const pods = endpoints.flatMap(({ targetRef }) => (targetRef?.kind === "Pod" ? (targetRef.name ?? []) : []));
    return [
      `none of the ${endpoints.length} endpoints of service ${key} is ready`,
      ...pods.slice(0, 3).map((pod) => podState(store, `${namespace}/${pod}`)),
    ];
  }
  const { internalTrafficPolicy: internal, externalTrafficPolicy: external } = service.spec;
  const at = [...new Set(ready.map(({ nodeName }) => nodeName ?? "an unknown node"))].slice(0, 5).join(", ");
  if (internal === "Local" || external === "Local") {
    const which = [...(internal === "Local" ? ["internal"] : []), ...(external === "Local" ? ["external"] : [])].join(
      "/",
    );
    return [`service ${key} has ${which}TrafficPolicy Local: only nodes with a ready endpoint answer (${at})`];
  }
  return [];
}

/** Which pods a selector finds, and what they lack. */
function adviceOnSelector(store: StaticWorld["store"], service: Kinds["Service"]): readonly string[] {
  const { selector } = service.spec;
  const { namespace = "" } = service.metadata;
  if (!selector || Object.keys(selector).length === 0)
    return ["it has no selector: its EndpointSlices are made by hand"];
  const words = Object.entries(selector)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
  const pods = store.list("Pod", { namespace, labels: selector });
  if (pods.length > 0) return pods.slice(0, 3).map((pod) => podState(store, keyOf(pod)));
  return [`its selector ${words} matches no pod of namespace ${namespace}`];
}

function podState(store: StaticWorld["store"], key: string): string {
  const pod = store.get("Pod", key);
  if (!pod) return `pod ${key} is not in these objects`;
  const ready = pod.status.conditions?.find(({ type }) => type === "Ready");
  const deleted = pod.metadata.deletionTimestamp === undefined ? "" : ", and it is being deleted";
  const why = [ready?.reason, ready?.message].filter(Boolean).join(": ");
  const state = ready?.status === "True" ? "Ready" : `not Ready${why === "" ? "" : ` (${why})`}`;
  return `pod ${key} is ${pod.status.phase ?? "of unknown phase"} and ${state}${deleted}`;
}

/** A declaration of ports is only that, but one that lacks the port is the usual sign of a wrong targetPort. */
function adviceOnEndpoint({ store }: StaticWorld, { endpoint, fate, netns }: StaticOutcome): readonly string[] {
  if (fate !== "delivered") return [];
  if (netns === outsideName) {
    const what = "whether somebody has it there, and by which address it is seen, is not in these objects";
    return [`nobody in these objects has ${endpoint.replace(/:\d+$/, "")}: it leaves the cluster; ${what}`];
  }
  const [, address = "", number] = /^\[?(.*?)\]?:(\d+)$/.exec(endpoint) ?? [];
  const ip = tryParseIp(address);
  const pod = store.list("Pod").find((each) => !each.spec.hostNetwork && ip !== undefined && podIps(each).includes(ip));
  if (!pod) return [];
  const ports = pod.spec.containers.flatMap(
    (container) => container.ports?.map(({ containerPort }) => containerPort) ?? [],
  );
  const missing = ports.length > 0 && !ports.includes(Number(number));
  const ready = pod.status.conditions?.find(({ type }) => type === "Ready")?.status === "True";
  return [
    ...(missing
      ? [`pod ${keyOf(pod)} declares port ${ports.join(", ")}, not ${number}: is the targetPort right?`]
      : []),
    ...(ready || pod.status.conditions === undefined ? [] : [podState(store, keyOf(pod))]),
  ];
}
