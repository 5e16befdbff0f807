/**
 * Owns the validation of pods and pod templates (pkg/apis/core/validation/validation.go, as far as this cluster runs
 * them).
 */
import type { Container, ContainerPort, EnvVar, PodSpec } from "kubernetes-types/core/v1";
import { duplicate, type FieldError, invalidValue, notSupported, required } from "../errors";
import type { Immutable } from "../meta";
import { quantityValue } from "../quantity";
import { refuseHandlers, validateHandlers } from "./handlers";
import {
  check,
  dnsLabel,
  dnsSubdomain,
  environmentName,
  labelValue,
  nonNegative,
  portName,
  portNumber,
  qualifiedName,
} from "./names";

type Spec = Immutable<PodSpec>;
type Box = Immutable<Container>;

/** Errors of a pod's or template's spec; `field` is its path (`spec`, `spec.template.spec`). */
export function validatePodSpec(field: string, spec: Spec): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = new Set<string>();
  for (const [at, { name }] of (spec.volumes ?? []).entries()) {
    const path = `${field}.volumes[${at}].name`;
    if (!name) errors.push(required(path));
    else errors.push(...check(path, name, dnsLabel));
    if (name && volumes.has(name)) errors.push(duplicate(path, name));
    volumes.add(name);
  }
  const names = new Set<string>();
  if (!spec.containers?.length) errors.push(required(`${field}.containers`));
  for (const [at, container] of (spec.containers ?? []).entries()) {
    const path = `${field}.containers[${at}]`;
    errors.push(...validateContainer(path, container, names, volumes, spec.hostNetwork === true));
    errors.push(...validateHandlers(path, container, spec.terminationGracePeriodSeconds));
  }
  for (const [at, container] of (spec.initContainers ?? []).entries()) {
    const path = `${field}.initContainers[${at}]`;
    errors.push(...validateContainer(path, container, names, volumes, spec.hostNetwork === true));
    if (container.restartPolicy !== "Always") errors.push(...refuseHandlers(path, container));
    else errors.push(...validateHandlers(path, container, spec.terminationGracePeriodSeconds));
  }
  if (!spec.restartPolicy) errors.push(required(`${field}.restartPolicy`));
  else errors.push(...oneOf(`${field}.restartPolicy`, spec.restartPolicy, ["Always", "Never", "OnFailure"]));
  errors.push(...oneOf(`${field}.dnsPolicy`, spec.dnsPolicy, dnsPolicies));
  if (spec.dnsPolicy === "None" && !spec.dnsConfig?.nameservers?.length) {
    errors.push(
      required(`${field}.dnsConfig.nameservers`, "must provide at least one DNS nameserver when `dnsPolicy` is None"),
    );
  }
  errors.push(...checkPairs(`${field}.nodeSelector`, spec.nodeSelector ?? {}));
  const grace = spec.terminationGracePeriodSeconds;
  if (grace !== undefined && grace < 0) {
    errors.push(invalidValue(`${field}.terminationGracePeriodSeconds`, grace, nonNegative));
  }
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2_147_483_647)) {
    const why = "must be between 1 and 2147483647, inclusive";
    errors.push(invalidValue(`${field}.activeDeadlineSeconds`, deadline, why));
  }
  for (const [at, { conditionType }] of (spec.readinessGates ?? []).entries()) {
    errors.push(...check(`${field}.readinessGates[${at}].conditionType`, conditionType, qualifiedName));
  }
  for (const part of ["hostname", "subdomain"] as const) {
    const value = spec[part];
    if (value) errors.push(...check(`${field}.${part}`, value, dnsLabel));
  }
  if (spec.serviceAccountName)
    errors.push(...check(`${field}.serviceAccountName`, spec.serviceAccountName, dnsSubdomain));
  if (spec.nodeName) errors.push(...check(`${field}.nodeName`, spec.nodeName, dnsSubdomain));
  return errors;
}

const dnsPolicies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];

function checkPairs(field: string, pairs: Readonly<Record<string, string>>): FieldError[] {
  return Object.entries(pairs).flatMap(([key, value]) => [
    ...check(field, key, qualifiedName),
    ...check(field, value, labelValue),
  ]);
}

function oneOf(field: string, value: string | undefined, supported: readonly string[]): FieldError[] {
  return value === undefined || supported.includes(value) ? [] : [notSupported(field, value, supported)];
}

function validateContainer(
  field: string,
  container: Box,
  names: Set<string>,
  volumes: ReadonlySet<string>,
  hostNetwork: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const { name, image } = container;
  if (!name) errors.push(required(`${field}.name`));
  else errors.push(...check(`${field}.name`, name, dnsLabel));
  if (name && names.has(name)) errors.push(duplicate(`${field}.name`, name));
  names.add(name);
  if (!image) errors.push(required(`${field}.image`));
  else if (image !== image.trim()) {
    errors.push(invalidValue(`${field}.image`, image, "must not have leading or trailing whitespace"));
  }
  errors.push(...oneOf(`${field}.restartPolicy`, container.restartPolicy, ["Always", "Never", "OnFailure"]));
  errors.push(...oneOf(`${field}.imagePullPolicy`, container.imagePullPolicy, ["Always", "IfNotPresent", "Never"]));
  errors.push(...validatePorts(`${field}.ports`, container.ports ?? [], hostNetwork));
  for (const [at, variable] of (container.env ?? []).entries()) {
    errors.push(...validateVariable(`${field}.env[${at}]`, variable));
  }
  errors.push(...validateMounts(field, container, volumes), ...validateResources(`${field}.resources`, container));
  return errors;
}

function validatePorts(field: string, ports: readonly Immutable<ContainerPort>[], hostNetwork: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [at, port] of ports.entries()) {
    const path = `${field}[${at}]`;
    if (port.name) {
      const wrong = check(`${path}.name`, port.name, portName);
      errors.push(...wrong);
      if (wrong.length === 0 && names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
      names.add(port.name);
    }
    if (!port.containerPort) errors.push(required(`${path}.containerPort`));
    else errors.push(...numbers(`${path}.containerPort`, port.containerPort));
    if (port.hostPort) {
      errors.push(...numbers(`${path}.hostPort`, port.hostPort));
      if (hostNetwork && port.hostPort !== port.containerPort) {
        errors.push(
          invalidValue(`${path}.containerPort`, port.containerPort, "must match `hostPort` when `hostNetwork` is true"),
        );
      }
    }
    errors.push(...oneOf(`${path}.protocol`, port.protocol, ["SCTP", "TCP", "UDP"]));
  }
  return errors;
}

function numbers(field: string, port: number): FieldError[] {
  return portNumber(port).map((message) => invalidValue(field, port, message));
}

function validateVariable(field: string, variable: Immutable<EnvVar>): FieldError[] {
  const errors: FieldError[] = [];
  if (!variable.name) errors.push(required(`${field}.name`));
  else errors.push(...check(`${field}.name`, variable.name, environmentName));
  if (!variable.valueFrom) return errors;
  if (variable.value) {
    errors.push(invalidValue(`${field}.valueFrom`, "", "may not be specified when `value` is not empty"));
  }
  const sources = Object.keys(variable.valueFrom).length;
  if (sources === 0) {
    const known = "`configMapKeyRef`, `fieldRef`, `fileKeyRef`, `resourceFieldRef` or `secretKeyRef`";
    errors.push(invalidValue(`${field}.valueFrom`, "", `must specify one of: ${known}`));
  }
  if (sources > 1)
    errors.push(invalidValue(`${field}.valueFrom`, "", "may not have more than one field specified at a time"));
  return errors;
}

function validateMounts(field: string, container: Box, volumes: ReadonlySet<string>): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [at, mount] of (container.volumeMounts ?? []).entries()) {
    const path = `${field}.volumeMounts[${at}]`;
    if (!mount.name) errors.push(required(`${path}.name`));
    else if (!volumes.has(mount.name)) {
      errors.push({
        type: "FieldValueNotFound",
        field: `${path}.name`,
        message: `Not found: ${JSON.stringify(mount.name)}`,
      });
    }
    if (!mount.mountPath) errors.push(required(`${path}.mountPath`));
    else if (paths.has(mount.mountPath))
      errors.push(invalidValue(`${path}.mountPath`, mount.mountPath, "must be unique"));
    paths.add(mount.mountPath);
  }
  return errors;
}

function validateResources(field: string, container: Box): FieldError[] {
  const { limits = {}, requests = {} } = container.resources ?? {};
  return Object.entries(requests).flatMap(([name, request]) => {
    const limit = limits[name];
    if (limit === undefined || quantityValue(request) <= quantityValue(limit)) return [];
    const why = `must be less than or equal to ${name} limit of ${limit}`;
    return [invalidValue(`${field}.requests`, request, why)];
  });
}
