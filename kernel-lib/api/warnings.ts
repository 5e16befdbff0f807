/** Owns what the API server warns of: fields that are accepted and will not do what their author may think. */
import type { Kind, Kinds, KubeObject } from "./kinds";
import { formatIp, parseIp } from "./validation/ip";

const hintsName = "service.kubernetes.io/topology-aware-hints";
const modeName = "service.kubernetes.io/topology-mode";

/** What is said of every request for a kind (the API's deprecation); undefined for most. */
export function deprecationOf(kind: Kind): string | undefined {
  return kind === "Endpoints"
    ? "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    : undefined;
}

/** What is said of an object that is written, without `Warning: ` in front. */
export function warningsOf(object: KubeObject): readonly string[] {
  switch (object.kind) {
    case "Service":
      return warningsOfService(object);
    case "StatefulSet":
      return warningsOfStatefulSet(object);
    case "Job":
      return warningsOfJob(object);
    case "Endpoints":
      return warningsOfEndpoints(object);
    case "EndpointSlice":
      return object.endpoints.flatMap((endpoint, at) =>
        endpoint.addresses.flatMap((ip, place) => warningsOfIp(`endpoints[${at}].addresses[${place}]`, ip)),
      );
    default:
      return [];
  }
}

/** pkg/api/service/warnings.go */
function warningsOfService({ metadata, spec }: Kinds["Service"]): readonly string[] {
  const warnings: string[] = [];
  if (metadata.annotations?.[hintsName] !== undefined) {
    warnings.push(`annotation ${hintsName} is deprecated, please use ${modeName} instead`);
  }
  const headless = spec.type === "ClusterIP" && spec.clusterIP === "None";
  if (!headless)
    warnings.push(...(spec.clusterIPs ?? []).flatMap((ip, at) => warningsOfIp(`spec.clusterIPs[${at}]`, ip)));
  const external = spec.externalIPs ?? [];
  if (headless) {
    if (spec.loadBalancerIP) warnings.push("spec.loadBalancerIP is ignored for headless services");
    if (external.length > 0) warnings.push("spec.externalIPs is ignored for headless services");
    if (spec.sessionAffinity !== "None") warnings.push("spec.SessionAffinity is ignored for headless services");
  }
  warnings.push(...external.flatMap((ip, at) => warningsOfIp(`spec.externalIPs[${at}]`, ip)));
  if (external.length > 0 && !headless && spec.type !== "ExternalName") {
    warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters");
  }
  if (spec.loadBalancerIP) warnings.push(...warningsOfIp("spec.loadBalancerIP", spec.loadBalancerIP));
  if (spec.type === "ExternalName" && external.length > 0) {
    warnings.push('spec.externalIPs is ignored when spec.type is "ExternalName"');
  }
  if (spec.type !== "ExternalName" && spec.externalName) {
    warnings.push('spec.externalName is ignored when spec.type is not "ExternalName"');
  }
  if (spec.trafficDistribution === "PreferClose") {
    warnings.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"');
  }
  return warnings;
}

/** What this cluster says for itself: it has no volumes that outlive a pod. */
function warningsOfStatefulSet({ spec }: Kinds["StatefulSet"]): readonly string[] {
  return (spec.volumeClaimTemplates ?? []).map((_claim, at) => {
    const why = "PersistentVolumes are not simulated here: each pod gets an empty directory, which ends with the pod";
    return `spec.volumeClaimTemplates[${at}]: ${why}`;
  });
}

/** Policies of a Job that this cluster's controller does not follow. */
function warningsOfJob({ spec }: Kinds["Job"]): readonly string[] {
  const left = ["podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes", "managedBy"] as const;
  return left.flatMap((field) => (spec[field] === undefined ? [] : `spec.${field}: not simulated here, and ignored`));
}

function warningsOfEndpoints({ subsets = [] }: Kinds["Endpoints"]): readonly string[] {
  return subsets.flatMap((subset, at) =>
    (["addresses", "notReadyAddresses"] as const).flatMap((list) =>
      (subset[list] ?? []).flatMap(({ ip }, place) => warningsOfIp(`subsets[${at}].${list}[${place}].ip`, ip)),
    ),
  );
}

/** k8s.io/apimachinery pkg/util/validation: GetWarningsForIP */
function warningsOfIp(field: string, text: string): readonly string[] {
  const plain = text.includes(":") ? text : text.replace(/\b0+(?=\d)/g, "");
  const parsed = parseIp(plain);
  if (!parsed) return [];
  const canonical = formatIp(parsed.family, parsed.value);
  if (canonical === text) return [];
  if (parsed.family === "IPv6") {
    return [`${field}: IPv6 address "${text}" should be in RFC 5952 canonical format ("${canonical}")`];
  }
  const why = "will be considered invalid in a future Kubernetes release";
  return [`${field}: non-standard IP address "${text}" ${why}: use "${canonical}"`];
}
