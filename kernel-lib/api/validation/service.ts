/** Owns the validation of Services (pkg/apis/core/validation/validation.go: ValidateService and what it calls). */
import type { ServicePort } from "kubernetes-types/core/v1";
import { duplicate, type FieldError, forbiddenField, invalidValue, notSupported, required } from "../errors";
import { type Kinds, resourceOf } from "../kinds";
import type { Immutable } from "../meta";
import { validateMeta } from "./meta";
import {
  check,
  checkLabels,
  cidr,
  dnsLabel,
  dnsSubdomain,
  nonSpecialIp,
  portName,
  portNumber,
  qualifiedName,
} from "./names";
import { validateClusterIps } from "./serviceips";

type Service = Kinds["Service"];
type Spec = Service["spec"];

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

/** All that is wrong with a Service whose defaults are filled. */
export function validateService(service: Service): FieldError[] {
  const spec = service.spec;
  const errors = validateMeta(resourceOf("Service"), service.metadata as Parameters<typeof validateMeta>[1]);
  const annotations = service.metadata.annotations ?? {};
  const [hints, mode] = [annotations[hintsName], annotations[modeName]];
  if (hints !== undefined && mode !== undefined && hints !== mode) {
    const why = `must match annotations[${hintsName}] when both are specified`;
    errors.push(invalidValue(`metadata.annotations[${modeName}]`, mode, why));
  }
  const headless = spec.clusterIPs?.[0] === "None";
  if (!spec.ports?.length && !headless && spec.type !== "ExternalName") errors.push(required("spec.ports"));
  errors.push(...validateType(spec, headless), ...validatePorts(spec));
  errors.push(...checkLabels("spec.selector", spec.selector), ...validateAffinity(spec));
  errors.push(...validateClusterIps(spec));
  for (const [at, ip] of (spec.externalIPs ?? []).entries()) {
    errors.push(...nonSpecialIp(`spec.externalIPs[${at}]`, ip));
  }
  if (!spec.type) errors.push(required("spec.type"));
  else if (!types.includes(spec.type)) errors.push(notSupported("spec.type", spec.type, types));
  errors.push(...validateLoadBalancer(spec, annotations), ...validateTraffic(spec));
  return errors;
}

const hintsName = "service.kubernetes.io/topology-aware-hints";
const modeName = "service.kubernetes.io/topology-mode";

function validateType(spec: Spec, headless: boolean): FieldError[] {
  if ((spec.type === "LoadBalancer" || spec.type === "NodePort") && headless) {
    return [invalidValue("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${spec.type} services`)];
  }
  if (spec.type !== "ExternalName") return [];
  if (!spec.externalName) return [required("spec.externalName")];
  return check("spec.externalName", spec.externalName.replace(/\.$/, ""), dnsSubdomain);
}

function validatePorts(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  const nodePorts = new Set<string>();
  for (const [at, port] of ports.entries()) {
    const path = `spec.ports[${at}]`;
    errors.push(...validatePort(path, port, ports.length > 1, names));
    if (spec.type === "ClusterIP" && port.nodePort) {
      errors.push(forbiddenField(`${path}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
    if (port.nodePort) {
      const node = `${port.protocol}/${port.nodePort}`;
      if (nodePorts.has(node)) errors.push(duplicate(`${path}.nodePort`, port.nodePort));
      nodePorts.add(node);
    }
    const number = `${port.protocol}/${port.port}`;
    if (numbers.has(number)) errors.push(duplicate(path, { port: port.port, protocol: port.protocol }));
    numbers.add(number);
  }
  return errors;
}

const protocols = ["SCTP", "TCP", "UDP"];

function validatePort(
  path: string,
  port: Immutable<ServicePort>,
  needsName: boolean,
  names: Set<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  if (needsName && !port.name) errors.push(required(`${path}.name`));
  else if (port.name) {
    errors.push(...check(`${path}.name`, port.name, dnsLabel));
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
    names.add(port.name);
  }
  errors.push(...portNumber(port.port).map((message) => invalidValue(`${path}.port`, port.port, message)));
  if (!port.protocol) errors.push(required(`${path}.protocol`));
  else if (!protocols.includes(port.protocol)) errors.push(notSupported(`${path}.protocol`, port.protocol, protocols));
  const target = port.targetPort;
  if (typeof target === "number") {
    errors.push(...portNumber(target).map((message) => invalidValue(`${path}.targetPort`, target, message)));
  } else if (target !== undefined) errors.push(...check(`${path}.targetPort`, target, portName));
  if (port.appProtocol !== undefined) errors.push(...check(`${path}.appProtocol`, port.appProtocol, qualifiedName));
  return errors;
}

function validateAffinity(spec: Spec): FieldError[] {
  const field = "spec.sessionAffinity";
  const errors: FieldError[] = [];
  if (!spec.sessionAffinity) errors.push(required(field));
  else if (!["ClientIP", "None"].includes(spec.sessionAffinity)) {
    errors.push(notSupported(field, spec.sessionAffinity, ["ClientIP", "None"]));
  }
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === "ClientIP") {
    const seconds = config?.clientIP?.timeoutSeconds;
    const path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    if (seconds === undefined) errors.push(required(path, "when session affinity type is set to ClientIP"));
    else if (seconds <= 0 || seconds > 86_400) {
      errors.push(invalidValue(path, seconds, "must be greater than 0 and less than or equal to 86400"));
    }
  } else if (config) {
    errors.push(forbiddenField("spec.sessionAffinityConfig", "must not be set when session affinity is None"));
  }
  return errors;
}

const onlyForLoadBalancers = "may only be used when `type` is 'LoadBalancer'";
const rangesName = "service.beta.kubernetes.io/load-balancer-source-ranges";

function validateLoadBalancer(spec: Spec, annotations: Readonly<Record<string, string>>): FieldError[] {
  const errors: FieldError[] = [];
  const balanced = spec.type === "LoadBalancer";
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const written = annotations[rangesName];
  if (ranges.length > 0) {
    if (!balanced) errors.push(forbiddenField("spec.loadBalancerSourceRanges", onlyForLoadBalancers));
    for (const [at, range] of ranges.entries()) {
      errors.push(...check(`spec.loadBalancerSourceRanges[${at}]`, range.trim(), cidr));
    }
  } else if (written !== undefined) {
    const field = `metadata.annotations[${rangesName}]`;
    if (!balanced) errors.push(forbiddenField(field, onlyForLoadBalancers));
    else if (written.trim() && written.split(",").some((range) => cidr(range.trim()).length > 0)) {
      errors.push(
        invalidValue(field, written, "must be a comma separated list of CIDRs e.g. 192.168.0.0/16,10.0.0.0/8"),
      );
    }
  }
  const allocate = spec.allocateLoadBalancerNodePorts;
  if (balanced && allocate === undefined) errors.push(required("spec.allocateLoadBalancerNodePorts"));
  if (!balanced && allocate !== undefined) {
    errors.push(forbiddenField("spec.allocateLoadBalancerNodePorts", onlyForLoadBalancers));
  }
  const kind = spec.loadBalancerClass;
  if (!balanced && kind !== undefined) errors.push(forbiddenField("spec.loadBalancerClass", onlyForLoadBalancers));
  if (balanced && kind !== undefined) errors.push(...check("spec.loadBalancerClass", kind, qualifiedName));
  return errors;
}

const policies = ["Cluster", "Local"];
const distributions = ["PreferClose", "PreferSameNode", "PreferSameZone"];

function validateTraffic(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const internal = spec.internalTrafficPolicy;
  if (internal === undefined && spec.type && spec.type !== "ExternalName") {
    errors.push(required("spec.internalTrafficPolicy"));
  } else if (internal !== undefined && !policies.includes(internal)) {
    errors.push(notSupported("spec.internalTrafficPolicy", internal, policies));
  }
  const distribution = spec.trafficDistribution;
  if (distribution !== undefined && !distributions.includes(distribution)) {
    errors.push(notSupported("spec.trafficDistribution", distribution, distributions));
  }
  return [...errors, ...validateExternalTraffic(spec)];
}

/** externalTrafficPolicy and healthCheckNodePort (validateServiceExternalTrafficPolicy). */
export function validateExternalTraffic(spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const policy = spec.externalTrafficPolicy;
  const exposed = spec.type === "LoadBalancer" || spec.type === "NodePort";
  const accessible = exposed || (spec.type === "ClusterIP" && (spec.externalIPs?.length ?? 0) > 0);
  const field = "spec.externalTrafficPolicy";
  if (!accessible && policy !== undefined) {
    errors.push(invalidValue(field, policy, "may only be set for externally-accessible services"));
  }
  if (accessible && policy === undefined) errors.push(required(field));
  else if (policy !== undefined && accessible && !policies.includes(policy)) {
    errors.push(notSupported(field, policy, policies));
  }
  const health = spec.healthCheckNodePort ?? 0;
  const checked = spec.type === "LoadBalancer" && policy === "Local";
  if (!checked && health !== 0) {
    const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalidValue("spec.healthCheckNodePort", health, why));
  }
  if (checked && health !== 0) {
    errors.push(...portNumber(health).map((message) => invalidValue("spec.healthCheckNodePort", health, message)));
  }
  return errors;
}
