/** Owns the validation of EndpointSlices (pkg/apis/discovery/validation). */
import { duplicate, type FieldError, invalidValue, notSupported, required, tooMany } from "../errors";
import type { Kinds } from "../kinds";
import { parseIp } from "./ip";
import { check, dnsLabel, dnsSubdomain, ipAddress, labelValue, nonSpecialIp, portNumber, qualifiedName } from "./names";

const addressTypes = ["FQDN", "IPv4", "IPv6"];
const limit = { endpoints: 1000, ports: 20_000, addresses: 100, hints: 8 };

type Endpoint = Kinds["EndpointSlice"]["endpoints"][number];

/** pkg/apis/discovery/validation. */
export function validateEndpointSlice(slice: Kinds["EndpointSlice"]): FieldError[] {
  const errors: FieldError[] = [];
  if (!slice.addressType) errors.push(required("addressType"));
  else if (!addressTypes.includes(slice.addressType)) {
    errors.push(notSupported("addressType", slice.addressType, addressTypes));
  }
  const endpoints = slice.endpoints ?? [];
  if (endpoints.length > limit.endpoints) errors.push(tooMany("endpoints", endpoints.length, limit.endpoints));
  for (const [at, endpoint] of endpoints.entries()) {
    const field = `endpoints[${at}].addresses`;
    if (!endpoint.addresses?.length) errors.push(required(field, "must contain at least 1 address"));
    else if (endpoint.addresses.length > limit.addresses) {
      errors.push(tooMany(field, endpoint.addresses.length, limit.addresses));
    }
    for (const [place, address] of (endpoint.addresses ?? []).entries()) {
      errors.push(...sliceAddress(`${field}[${place}]`, slice.addressType, address));
    }
    errors.push(...placeOf(`endpoints[${at}]`, endpoint));
  }
  return [...errors, ...slicePorts(slice)];
}

function placeOf(field: string, { nodeName, hostname, zone, hints }: Endpoint): FieldError[] {
  return [
    ...(nodeName === undefined ? [] : check(`${field}.nodeName`, nodeName, dnsSubdomain)),
    ...(hostname ? check(`${field}.hostname`, hostname, dnsLabel) : []),
    ...(zone === undefined ? [] : check(`${field}.zone`, zone, labelValue)),
    ...hintErrors(`${field}.hints.forZones`, hints?.forZones ?? [], labelValue),
    ...hintErrors(`${field}.hints.forNodes`, hints?.forNodes ?? [], dnsSubdomain),
  ];
}

function hintErrors(field: string, hints: readonly { readonly name: string }[], test: typeof dnsLabel): FieldError[] {
  if (hints.length > limit.hints) return [tooMany(field, hints.length, limit.hints)];
  return hints.flatMap(({ name }, at) => {
    const again = hints.findIndex((hint) => hint.name === name) < at;
    return [...(again ? [duplicate(`${field}[${at}].name`, name)] : []), ...check(`${field}[${at}].name`, name, test)];
  });
}

function sliceAddress(field: string, type: string, address: string): FieldError[] {
  if (type === "FQDN") return check(field, address, dnsSubdomain);
  const parsed = parseIp(address);
  if (parsed?.family === type) return nonSpecialIp(field, address);
  const wanted = type === "IPv6" ? "must be a valid IPv6 address" : "must be an IPv4 address";
  return parsed ? [invalidValue(field, address, wanted)] : check(field, address, ipAddress);
}

function slicePorts(slice: Kinds["EndpointSlice"]): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [at, port] of (slice.ports ?? []).entries()) {
    const field = `ports[${at}]`;
    const name = port.name ?? "";
    if (name) errors.push(...check(`${field}.name`, name, dnsLabel));
    if (names.has(name)) errors.push(duplicate(`${field}.name`, name));
    names.add(name);
    const protocols = ["SCTP", "TCP", "UDP"];
    if (port.appProtocol !== undefined) errors.push(...check(`${field}.appProtocol`, port.appProtocol, qualifiedName));
    if (port.protocol && !protocols.includes(port.protocol)) {
      errors.push(notSupported(`${field}.protocol`, port.protocol, protocols));
    }
    if (port.port !== undefined) {
      errors.push(...portNumber(port.port).map((message) => invalidValue(`${field}.port`, port.port, message)));
    }
  }
  return errors;
}

export function validateEndpointSliceUpdate(now: Kinds["EndpointSlice"], before: Kinds["EndpointSlice"]): FieldError[] {
  return now.addressType === before.addressType
    ? []
    : [invalidValue("addressType", now.addressType, "field is immutable")];
}
