/** Owns the validation of the kinds that need little: ConfigMap, Secret, Node, Endpoints. */

import { same } from "../equal";
import { type FieldError, forbiddenField, invalidValue, notSupported, required, tooLong } from "../errors";
import type { Kinds } from "../kinds";
import { check, cidr, configKey, dnsLabel, dnsSubdomain, nonSpecialIp, portNumber, qualifiedName } from "./names";

const mebibyte = 1024 * 1024;
const protocols = ["SCTP", "TCP", "UDP"];

export function validateConfigMap(map: Kinds["ConfigMap"]): FieldError[] {
  const errors: FieldError[] = [];
  const data = Object.entries(map.data ?? {});
  const binary = Object.entries(map.binaryData ?? {});
  for (const [key] of data) errors.push(...check(`data[${key}]`, key, configKey));
  for (const [key] of binary) errors.push(...check(`binaryData[${key}]`, key, configKey));
  for (const [key] of binary)
    if (map.data?.[key] !== undefined) errors.push(invalidValue("data", key, "duplicate of key present in binaryData"));
  const size = [...data, ...binary].reduce((sum, [, value]) => sum + value.length, 0);
  if (size > mebibyte) errors.push(tooLong("", mebibyte));
  return errors;
}

export function validateConfigMapUpdate(now: Kinds["ConfigMap"], before: Kinds["ConfigMap"]): FieldError[] {
  if (!before.immutable) return [];
  const errors: FieldError[] = [];
  if (!now.immutable) errors.push(forbiddenField("immutable", "field is immutable when `immutable` is set"));
  if (!same(now.data, before.data)) errors.push(forbiddenField("data", "field is immutable when `immutable` is set"));
  return errors;
}

export function validateSecret(secret: Kinds["Secret"]): FieldError[] {
  const data = Object.entries(secret.data ?? {});
  const errors = data.flatMap(([key]) => check(`data[${key}]`, key, configKey));
  for (const [key, value] of data) {
    if (!/^[A-Za-z0-9+/\s]*={0,2}$/.test(value)) errors.push(invalidValue(`data[${key}]`, value, "must be base64"));
  }
  const size = data.reduce((sum, [, value]) => sum + value.length, 0);
  if (size > mebibyte * 1.34) errors.push(tooLong("data", mebibyte));
  if (secret.type === "kubernetes.io/tls") {
    for (const key of ["tls.crt", "tls.key"])
      if (secret.data?.[key] === undefined) errors.push(required(`data[${key}]`));
  }
  return errors;
}

export function validateNode(node: Kinds["Node"]): FieldError[] {
  return (node.spec.podCIDRs ?? []).flatMap((range, at) => check(`spec.podCIDRs[${at}]`, range, cidr));
}

export function validateEndpoints(endpoints: Kinds["Endpoints"]): FieldError[] {
  const errors: FieldError[] = [];
  for (const [at, subset] of (endpoints.subsets ?? []).entries()) {
    const field = `subsets[${at}]`;
    if (!subset.addresses?.length && !subset.notReadyAddresses?.length) {
      errors.push(required(field, "must specify `addresses` or `notReadyAddresses`"));
    }
    for (const list of ["addresses", "notReadyAddresses"] as const) {
      for (const [place, { ip, hostname, nodeName }] of (subset[list] ?? []).entries()) {
        const path = `${field}.${list}[${place}]`;
        errors.push(...nonSpecialIp(`${path}.ip`, ip ?? ""));
        if (hostname) errors.push(...check(`${path}.hostname`, hostname, dnsLabel));
        if (nodeName !== undefined) errors.push(...check(`${path}.nodeName`, nodeName, dnsSubdomain));
      }
    }
    for (const [place, port] of (subset.ports ?? []).entries()) {
      const path = `${field}.ports[${place}]`;
      if ((subset.ports?.length ?? 0) > 1 && !port.name) errors.push(required(`${path}.name`));
      else if (port.name) errors.push(...check(`${path}.name`, port.name, dnsLabel));
      errors.push(...portNumber(port.port).map((message) => invalidValue(`${path}.port`, port.port, message)));
      const { protocol = "TCP", appProtocol } = port;
      if (!protocols.includes(protocol)) errors.push(notSupported(`${path}.protocol`, protocol, protocols));
      if (appProtocol !== undefined) errors.push(...check(`${path}.appProtocol`, appProtocol, qualifiedName));
    }
  }
  return errors;
}
