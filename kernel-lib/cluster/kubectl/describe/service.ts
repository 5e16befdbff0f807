/** Owns the description of Services and EndpointSlices (kubectl/pkg/describe). */
import type { Kinds } from "../../../api/kinds";
import type { Context } from "../context";
import { metadataLines, selectorText } from "./describe";
import { type Line, line, text } from "./lines";

type Service = Kinds["Service"];
type Slice = Kinds["EndpointSlice"];

export function describeService(context: Context, service: Service): Line[] {
  const { spec } = service;
  const slices = context.api.store.list("EndpointSlice", {
    namespace: service.metadata.namespace ?? "",
    labels: { "kubernetes.io/service-name": service.metadata.name },
  });
  const lines = metadataLines(service);
  lines.push(line(0, "Selector:", selectorText(spec.selector)), line(0, "Type:", spec.type ?? "ClusterIP"));
  if (spec.ipFamilyPolicy) lines.push(line(0, "IP Family Policy:", spec.ipFamilyPolicy));
  lines.push(line(0, "IP Families:", spec.ipFamilies?.join(",") || "<none>"));
  lines.push(line(0, "IP:", spec.clusterIP ?? ""), line(0, "IPs:", spec.clusterIPs?.join(",") || "<none>"));
  if (spec.externalIPs?.length) lines.push(line(0, "External IPs:", spec.externalIPs.join(",")));
  if (spec.loadBalancerIP) lines.push(line(0, "Desired LoadBalancer IP:", spec.loadBalancerIP));
  if (spec.externalName) lines.push(line(0, "External Name:", spec.externalName));
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  if (ingress.length > 0) {
    const shown = ingress.map((each) =>
      each.ip ? `${each.ip}${each.ipMode ? ` (${each.ipMode})` : ""}` : (each.hostname ?? ""),
    );
    lines.push(line(0, "LoadBalancer Ingress:", shown.join(", ")));
  }
  for (const port of spec.ports ?? []) {
    const name = port.name || "<unset>";
    lines.push(line(0, "Port:", name, `${port.port}/${port.protocol}`));
    lines.push(line(0, "TargetPort:", `${port.targetPort ?? port.port}/${port.protocol}`));
    if (port.nodePort) lines.push(line(0, "NodePort:", name, `${port.nodePort}/${port.protocol}`));
    lines.push(line(0, "Endpoints:", endpointsOf(slices, port.name ?? "")));
  }
  lines.push(line(0, "Session Affinity:", spec.sessionAffinity ?? "None"));
  if (spec.externalTrafficPolicy) lines.push(line(0, "External Traffic Policy:", spec.externalTrafficPolicy));
  if (spec.healthCheckNodePort) lines.push(line(0, "HealthCheck NodePort:", String(spec.healthCheckNodePort)));
  if (spec.internalTrafficPolicy) lines.push(line(0, "Internal Traffic Policy:", spec.internalTrafficPolicy));
  if (spec.trafficDistribution) lines.push(line(0, "Traffic Distribution:", spec.trafficDistribution));
  if (spec.loadBalancerSourceRanges?.length) {
    lines.push(line(0, "LoadBalancer Source Ranges:", spec.loadBalancerSourceRanges.join(",")));
  }
  return lines;
}

/** The ready addresses of a port, at most three, then how many more (formatEndpointSlices). */
function endpointsOf(slices: readonly Slice[], name: string): string {
  if (slices.length === 0) return "<none>";
  const all: string[] = [];
  for (const slice of slices) {
    for (const port of slice.ports ?? []) {
      if ((port.name ?? "") !== name) continue;
      for (const endpoint of slice.endpoints) {
        if (endpoint.conditions?.ready === false) continue;
        all.push(...endpoint.addresses.map((address) => hostAndPort(address, port.port)));
      }
    }
  }
  if (all.length === 0) return "";
  return all.length > 3 ? `${all.slice(0, 3).join(",")} + ${all.length - 3} more...` : all.join(",");
}

export function describeEndpoints(endpoints: Kinds["Endpoints"]): Line[] {
  const lines = [...metadataLines(endpoints), line(0, "Subsets:")];
  const listed = (addresses: readonly { readonly ip: string }[] | undefined): string =>
    (addresses ?? []).map(({ ip }) => ip).join(",") || "<none>";
  for (const subset of endpoints.subsets ?? []) {
    lines.push(line(1, "Addresses:", listed(subset.addresses)));
    lines.push(line(1, "NotReadyAddresses:", listed(subset.notReadyAddresses)));
    const ports = subset.ports ?? [];
    if (ports.length > 0) {
      lines.push(line(1, "Ports:"), line(2, "Name", "Port", "Protocol"), line(2, "----", "----", "--------"));
      for (const { name, port, protocol } of ports)
        lines.push(line(2, name || "<unset>", String(port), protocol ?? "TCP"));
    }
    lines.push(text(""));
  }
  return lines;
}

/** Go's net.JoinHostPort: an IPv6 address stands in brackets. */
function hostAndPort(address: string, port: number | undefined): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

export function describeSlice(slice: Slice): Line[] {
  const lines = metadataLines(slice);
  lines.push(line(0, "AddressType:", slice.addressType));
  const ports = slice.ports ?? [];
  if (ports.length === 0) lines.push(line(0, "Ports: <unset>"));
  else {
    lines.push(line(0, "Ports:"), line(1, "Name", "Port", "Protocol"), line(1, "----", "----", "--------"));
    for (const port of ports)
      lines.push(line(1, port.name || "<unset>", String(port.port ?? "<unset>"), port.protocol ?? "TCP"));
  }
  if (slice.endpoints.length === 0) {
    lines.push(line(0, "Endpoints: <none>"));
    return lines;
  }
  lines.push(line(0, "Endpoints:"));
  for (const endpoint of slice.endpoints) {
    lines.push(line(1, "- Addresses:", endpoint.addresses.join(",")));
    lines.push(line(2, "Conditions:"), line(3, "Ready:", String(endpoint.conditions?.ready ?? "<unset>")));
    lines.push(line(2, "Hostname:", endpoint.hostname ?? "<unset>"));
    if (endpoint.targetRef) lines.push(line(2, "TargetRef:", `${endpoint.targetRef.kind}/${endpoint.targetRef.name}`));
    lines.push(line(2, "NodeName:", endpoint.nodeName ?? "<unset>"), line(2, "Zone:", endpoint.zone ?? "<unset>"));
  }
  return lines;
}
