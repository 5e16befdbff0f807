/** Owns the rows of Services, Endpoints and EndpointSlices. */
import type { Time } from "../../sim/clock";
import type { Kinds } from "../kinds";
import { ageOf } from "../time";
import { labelText } from "./labels";
import type { Cell } from "./table";

const none = "<none>";
/** How many addresses or ports a cell shows before it says "+ N more...". */
const shownAtMost = 3;

export function serviceCells(service: Kinds["Service"], now: Time): readonly Cell[] {
  const { spec, metadata } = service;
  const ports = (spec.ports ?? []).map(({ port, nodePort, protocol }) => {
    return nodePort ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`;
  });
  return [
    metadata.name,
    spec.type ?? "",
    spec.clusterIPs?.[0] || spec.clusterIP || none,
    externalIps(service),
    ports.join(",") || none,
    ageOf(metadata.creationTimestamp, now),
    labelText(spec.selector),
  ];
}

/** What EXTERNAL-IP shows. The API server makes every table as for -o wide, so nothing is cut short. */
export function externalIps({ spec, status }: Kinds["Service"]): string {
  const given = spec.externalIPs ?? [];
  if (spec.type === "ExternalName") return spec.externalName ?? "";
  if (spec.type !== "LoadBalancer") return given.join(",") || none;
  const ingress = [...new Set((status.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || ""))].sort();
  const text = ingress.filter(Boolean).join(",");
  return [...(text ? [text] : []), ...given].join(",") || "<pending>";
}

export function endpointsCells({ metadata, subsets }: Kinds["Endpoints"], now: Time): readonly Cell[] {
  const all = (subsets ?? []).flatMap(({ addresses = [], ports = [] }) => {
    if (ports.length === 0) return addresses.map(({ ip }) => ip);
    return ports.flatMap(({ port }) =>
      addresses.map(({ ip }) => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`)),
    );
  });
  return [metadata.name, some(all, none), ageOf(metadata.creationTimestamp, now)];
}

export function endpointSliceCells(slice: Kinds["EndpointSlice"], now: Time): readonly Cell[] {
  const ports = (slice.ports ?? []).map(({ port }) => (port === undefined ? "*" : String(port)));
  const addresses = (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses);
  return [
    slice.metadata.name,
    slice.addressType,
    some(ports, "<unset>"),
    some(addresses, "<unset>"),
    ageOf(slice.metadata.creationTimestamp, now),
  ];
}

function some(texts: readonly string[], empty: string): string {
  if (texts.length === 0) return empty;
  const shown = texts.slice(0, shownAtMost).join(",");
  return texts.length > shownAtMost ? `${shown} + ${texts.length - shownAtMost} more...` : shown;
}
