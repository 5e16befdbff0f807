/** Owns what a cluster's network is made of, read off its devices: nodes, bridges, tunnels, pods, Services, and what is outside. */
import type { Kinds } from "../api/kinds";
import { formatCidr, formatIp } from "../net/address";
import type { Device } from "../net/device";
import type { Netns } from "../net/netns";
import { displayable, type MimeBundle } from "./display";
import { counted, imageOf, svgOfDrawing } from "./drawing";
import type { Ground } from "./question";
import { tableHtml, tableText } from "./table";
import { drawTopology } from "./topologydiagram";

/** A device of a node that others hang on, or that leads out of it. */
export interface TopologyDevice {
  readonly name: string;
  readonly kind: "physical" | "bridge" | "tunnel";
  /** `10.244.1.1/24` */
  readonly addresses: readonly string[];
  /** Of a physical device: the network it is plugged into. */
  readonly segment?: string;
}

export interface TopologyPod {
  /** `namespace/name`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string;
  readonly ips: readonly string[];
  /** The bridge that it hangs on; none where the node routes to it, or where it lives in the node's own network. */
  readonly bridge?: string;
  readonly hostNetwork: boolean;
  /** The Services that it stands behind. */
  readonly services: readonly string[];
}

export interface TopologyNode {
  readonly name: string;
  readonly devices: readonly TopologyDevice[];
  readonly pods: readonly TopologyPod[];
}

export interface TopologyService {
  readonly key: string;
  readonly name: string;
  /** `10.96.0.10`; empty for one without a cluster IP. */
  readonly ips: readonly string[];
  readonly ports: readonly string[];
  /** How many pods stand behind it. */
  readonly pods: number;
}

/** A machine outside: the workstation, the router. */
export interface TopologyMachine {
  readonly name: string;
  readonly kind: "workstation" | "router";
  readonly addresses: readonly string[];
  /** Its routes through others: `10.244.1.0/24 via 192.168.1.11`. */
  readonly routes: readonly string[];
}

/** A cluster's network at one moment; shows itself as a diagram, with a table of the same. */
export interface Topology {
  readonly nodes: readonly TopologyNode[];
  readonly machines: readonly TopologyMachine[];
  readonly services: readonly TopologyService[];
}

export interface TopologyOptions {
  /** Only pods and Services of this namespace are drawn; without it those of `default` come first. */
  readonly namespace?: string;
}

/** Reads the cluster's network as it is now. */
export function topology(ground: Ground, options: TopologyOptions = {}): Topology {
  const { store, network } = ground;
  const wanted = ({ namespace }: { readonly namespace: string }): boolean =>
    options.namespace === undefined || options.namespace === namespace;
  const services = store.list("Service").map((service) => serviceOf(ground, service));
  const nodes = store.list("Node").flatMap((node): readonly TopologyNode[] => {
    const netns = network.namespaces.get(node.metadata.name);
    if (!netns) return [];
    const pods = podsOn(ground, netns).filter(wanted);
    return [{ name: node.metadata.name, devices: devicesOf(netns), pods }];
  });
  const machines = (["workstation", "router"] as const).flatMap((kind): readonly TopologyMachine[] => {
    const netns = network.namespaces.get(kind);
    return netns ? [{ name: kind, kind, addresses: addressesIn(netns), routes: routesOf(netns) }] : [];
  });
  const found = {
    nodes,
    machines,
    services: inOrder(services.filter(({ key }) => wanted({ namespace: key.replace(/\/.*/, "") }))),
  };
  return show(found);
}

function show(found: Topology): Topology {
  const caption = captionOf(found);
  const rows = rowsOf(found);
  const columns = ["node", "pod", "addresses", "hangs on", "behind"].map((title) => ({ title }));
  const text = (): string => tableText(caption, { columns, rows });
  const bundle = (): MimeBundle => {
    const svg = svgOfDrawing(drawTopology(found, caption, describe(found)));
    const table = tableHtml("Every pod, and where it hangs", { columns, rows });
    const folded = `<details><summary>${counted(rows.length, "pod")} as a table</summary>${table}</details>`;
    return {
      "image/svg+xml": svg,
      "text/html": `<div>${imageOf(svg, caption)}${folded}</div>`,
      "text/plain": text(),
    };
  };
  return displayable(found, bundle, text);
}

function captionOf({ nodes, services }: Topology): string {
  const pods = nodes.reduce((sum, node) => sum + node.pods.length, 0);
  return `${counted(nodes.length, "node")}, ${counted(pods, "pod")}, ${counted(services.length, "Service")}`;
}

function describe({ nodes, machines, services }: Topology): string {
  const told = nodes.map(({ name, devices, pods }) => {
    const what = devices
      .map((device) => `${device.kind} ${device.name} ${device.addresses.join(" ")}`.trim())
      .join(", ");
    const who = pods.map((pod) => `${pod.name} ${pod.ips.join(" ")}`.trim()).join(", ");
    return `Node ${name} has ${what}; its pods: ${who || "none"}.`;
  });
  const outside = machines.map(({ name, addresses }) => `Outside: ${name} ${addresses.join(" ")}.`);
  const fronts = services.map(({ name, ips, pods }) => `Service ${name} ${ips.join(" ")}: ${counted(pods, "pod")}.`);
  return [...outside, ...told, ...fronts].join(" ");
}

function rowsOf({ nodes }: Topology): readonly (readonly string[])[] {
  return nodes.flatMap((node) =>
    node.pods.map((pod) => {
      const on = pod.bridge ?? (pod.hostNetwork ? "the node's own network" : "a route of the node");
      return [node.name, pod.key.replace(/^default\//, ""), pod.ips.join(" "), on, pod.services.join(" ")];
    }),
  );
}

/** Every device but `lo` and the pods' ends. */
function devicesOf(netns: Netns): readonly TopologyDevice[] {
  const kinds = { physical: "physical", bridge: "bridge", vxlan: "tunnel" } as const;
  return [...netns.devices.values()].flatMap((device): readonly TopologyDevice[] => {
    const { link, name } = device;
    if (link.type !== "physical" && link.type !== "bridge" && link.type !== "vxlan") return [];
    const segment = link.type === "physical" ? { segment: link.segment.name } : {};
    return [{ name, kind: kinds[link.type], addresses: addressesOf(device), ...segment }];
  });
}

/** Without the link-local ones, which every IPv6 device has. */
function addressesOf(device: Device): readonly string[] {
  return device.addresses.map(formatCidr).filter((address) => !address.startsWith("fe80:"));
}

function addressesIn(netns: Netns): readonly string[] {
  return [...netns.devices.values()].filter(({ name }) => name !== "lo").flatMap(addressesOf);
}

function routesOf(netns: Netns): readonly string[] {
  return netns.routes.list().flatMap(({ to, via, type }) => {
    if (type !== "unicast" || via === undefined || to.length === 0) return [];
    return [`${formatCidr(to)} via ${formatIp(via)}`];
  });
}

function podsOn({ store, network }: Ground, node: Netns): readonly TopologyPod[] {
  const pods = store.list("Pod").filter(({ spec, status }) => {
    return spec.nodeName === node.name && status.phase !== "Succeeded" && status.phase !== "Failed";
  });
  const found = pods.map((pod): TopologyPod => {
    const { name, namespace = "default" } = pod.metadata;
    const key = `${namespace}/${name}`;
    const bridge = pod.spec.hostNetwork ? undefined : bridgeOf(network.namespaces.get(key));
    const ips = pod.status.podIPs?.map(({ ip }) => ip ?? "") ?? [];
    const services = servicesOf(store.list("EndpointSlice"), namespace, name);
    const hostNetwork = pod.spec.hostNetwork ?? false;
    return { key, name, namespace, ips, ...(bridge !== undefined && { bridge }), hostNetwork, services };
  });
  return inOrder(found);
}

/** Follows the pod's wire to the node: the port at its other end says which bridge it belongs to. */
function bridgeOf(netns: Netns | undefined): string | undefined {
  for (const { link } of netns?.devices.values() ?? []) {
    if (link.type === "veth" && link.peer?.master) return link.peer.master.name;
  }
  return undefined;
}

function servicesOf(slices: readonly Kinds["EndpointSlice"][], namespace: string, pod: string): readonly string[] {
  const names = slices.flatMap((slice) => {
    const behind = slice.endpoints?.some(({ targetRef }) => targetRef?.kind === "Pod" && targetRef.name === pod);
    const service = slice.metadata.labels?.["kubernetes.io/service-name"];
    return behind && service !== undefined && slice.metadata.namespace === namespace ? [service] : [];
  });
  return [...new Set(names)];
}

function serviceOf({ store }: Ground, service: Kinds["Service"]): TopologyService {
  const { name, namespace = "default" } = service.metadata;
  const slices = store.list("EndpointSlice").filter(({ metadata }) => {
    return metadata.namespace === namespace && metadata.labels?.["kubernetes.io/service-name"] === name;
  });
  const targets = slices.flatMap(({ endpoints }) => endpoints?.map(({ addresses }) => addresses[0]) ?? []);
  return {
    key: `${namespace}/${name}`,
    name,
    ips: (service.spec.clusterIPs ?? []).filter((ip) => ip !== "None"),
    ports: service.spec.ports?.map(({ port }) => String(port)) ?? [],
    pods: new Set(targets).size,
  };
}

/** The learner's own first, the cluster's own last. */
function inOrder<T extends { readonly key: string }>(list: readonly T[]): readonly T[] {
  const own = (key: string): number => (key.startsWith("default/") && key !== "default/kubernetes" ? 0 : 1);
  return [...list].sort((one, other) => own(one.key) - own(other.key) || (one.key < other.key ? -1 : 1));
}
