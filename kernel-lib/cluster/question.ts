/** Owns the words of a question, "from this pod to that Service": what they name, and what is wrong with them. */
import { type Key, keyFor } from "../api/meta";
import type { Store } from "../api/store";
import { type Family, family as familyOf, formatIp, type Ip, parseIp, tryParseIp } from "../net/address";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import type { Driver } from "./driver";

/** What a question's words are found in, and what it is asked of as long as nothing is sent. */
export interface Setting {
  readonly network: Network;
  readonly store: Store;
  /** Where packets come from whose sender nobody here is: a namespace, and the device that they come in by. */
  readonly outside?: { readonly netns: Netns; readonly input: string };
}

/** What a question is asked of that sends something. */
export interface Ground extends Setting {
  readonly driver: Driver;
}

export interface Question {
  /** `pod/[namespace/]name`, `node/name`, `workstation`, or `client`: somebody outside the nodes' network. */
  readonly from: string;
  /**
   * `svc/[namespace/]name:port`, `pod/[namespace/]name:port`, `node/name:port`, `workstation:port` or `IP:port`. The port
   * of a Service may be its name, or left out where the Service has only one.
   */
  readonly to: string;
}

/** What is sent: a TCP connection with a request, one UDP datagram, or one echo request (`ping`), which has no port. */
export type Probe = "tcp" | "udp" | "icmp";

/** A question whose words have been found in the cluster. */
export interface Asked {
  readonly from: string;
  readonly netns: Netns;
  readonly to: string;
  readonly ip: Ip;
  /** 0 for ICMP. */
  readonly port: number;
  /** What the Service's port speaks, if a Service was asked for that has this port for one protocol only. */
  readonly protocol?: "tcp" | "udp" | "sctp";
  /** The Service asked for, if it is one. */
  readonly service?: Key;
}

/** Finds what a question names. Throws an error that says which word is wrong, and what it could be. */
export function ask(ground: Setting, question: Question, probe: Probe = "tcp"): Asked {
  return {
    from: question.from,
    netns: readSource(ground, question.from),
    to: question.to,
    ...(probe === "icmp" ? readHost(ground, question.to) : readTarget(ground, question.to)),
  };
}

/** Who is no node and no pod. */
const machines: ReadonlySet<string> = new Set(["workstation", "client", "router"]);

/** The namespace of `pod/x`, `node/x`, `workstation`, `client`, `router`. @throws Error if there is none */
export function readSource({ network, store }: Setting, from: string): Netns {
  const [kind = "", ...path] = from.split("/");
  const name = path.join("/");
  const machine = machines.has(kind);
  const wanted = kind === "pod" ? keyIn(path) : kind === "node" ? name : machine ? kind : undefined;
  if (wanted === undefined || machine === (name !== "")) {
    throw new Error(`from: ${JSON.stringify(from)} is none of pod/[namespace/]name, node/name, workstation, client`);
  }
  if (kind === "pod" && !store.get("Pod", wanted)) throw notFound("pods", wanted);
  if (kind === "node" && !store.get("Node", wanted)) throw notFound("nodes", wanted);
  const { spec, status } = (kind === "pod" && store.get("Pod", wanted)) || {};
  if (status?.phase === "Succeeded" || status?.phase === "Failed") {
    throw new Error(`${from} has ended (its phase is ${status.phase}): it sends nothing any more`);
  }
  const netns = network.namespaces.get(spec?.hostNetwork ? (spec.nodeName ?? "") : wanted);
  if (!netns) throw new Error(`${from} has no network yet: it is still being made${phaseOf(status?.phase)}`);
  return netns;
}

function phaseOf(phase: string | undefined): string {
  return phase === undefined || phase === "Running" ? "" : ` (its phase is ${phase})`;
}

/** What is asked for: an address and a port, and whose they are. */
export type Target = Omit<Asked, "from" | "netns" | "to">;

type Address = Omit<Target, "port">;

const forms = "svc/[namespace/]name:port, pod/[namespace/]name:port, node/name:port, IP:port";

/**
 * Finds what `to` names. @param family of which the address should be, where there is a choice
 * @throws Error that says which word is wrong, and what it could be
 */
export function readTarget(setting: Setting, to: string, family?: Family): Target {
  const service = /^(?:svc|service)\/([^:]+)(?::([^:]+))?$/.exec(to);
  if (service?.[1]) return serviceTarget(setting.store, keyIn(service[1].split("/")), service[2], family);
  const match = /^(.+):(\d+)$/.exec(to);
  const port = Number(match?.[2]);
  if (!match?.[1] || !isPort(port)) throw new Error(`to: ${JSON.stringify(to)} is none of ${forms}`);
  return { ...addressOf(setting, match[1], `:${port}`, family), port };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** Who is pinged: the same words without a port. */
function readHost(ground: Setting, to: string): Target {
  if (/^[^[]*[a-z/][^:]*:\d+$/.test(to) || /^[\d.]+:\d+$/.test(to)) {
    throw new Error(`to: ${JSON.stringify(to)} has a port, and ICMP knows none: write ${to.replace(/:\d+$/, "")}`);
  }
  return { ...addressOf(ground, to, ""), port: 0 };
}

function addressOf({ store, network }: Setting, word: string, port: string, family?: Family): Address {
  const [, kind, name = ""] = /^(?:(svc|service|pod|node)\/)?(.+)$/.exec(word) ?? [];
  switch (kind) {
    case "pod":
      return { ip: podAddress(store, keyIn(name.split("/")), family) };
    case "node":
      return { ip: nodeAddress(store, name, family) };
    case "svc":
    case "service":
      return serviceAddress(store, keyIn(name.split("/")), family);
    default: {
      const ip = machines.has(name) ? network.namespaces.get(name)?.sourceFor(parseIp("192.0.2.1")) : undefined;
      const found = ip ?? tryParseIp(name.replace(/^\[(.*)\]$/, "$1"));
      if (found !== undefined) return { ip: found };
      throw new Error(`to: ${JSON.stringify(name)} is no IP address (a Service is svc/${name}${port})`);
    }
  }
}

function serviceTarget(store: Store, key: Key, word: string | undefined, family: Family | undefined): Target {
  const address = serviceAddress(store, key, family);
  const ports = store.get("Service", key)?.spec.ports ?? [];
  const named = ports.filter(({ name }) => name === word);
  const wanted = word === undefined ? ports : named.length > 0 ? named : undefined;
  const port = wanted ? wanted[0]?.port : Number(word);
  const several = new Set(wanted?.map((each) => each.port)).size > 1;
  if (port === undefined || !isPort(port) || several) {
    const list = ports.map(({ name, port: number }) => (name ? `${number} (${name})` : `${number}`)).join(", ");
    const what = word === undefined ? "has several ports: say which" : `has no port ${JSON.stringify(word)}`;
    throw new Error(`to: service ${key} ${what}; its ports are ${list || "none"}`);
  }
  const meant = named.length > 0 ? named : ports.filter((each) => each.port === port);
  const spoken = new Set(meant.map(({ protocol = "TCP" }) => protocol));
  const [protocol] = spoken;
  const one = spoken.size === 1 ? { protocol: protocol?.toLowerCase() as "tcp" } : {};
  return { ...address, port, ...one };
}

function serviceAddress(store: Store, key: Key, family: Family | undefined): Address {
  const service = store.get("Service", key);
  if (!service) throw notFound("services", key);
  const { clusterIP, clusterIPs = clusterIP === undefined ? [] : [clusterIP], type, externalName } = service.spec;
  if (type === "ExternalName") {
    const alias = `DNS answers its name with a CNAME, ${externalName}`;
    throw new Error(`service ${key} is an ExternalName: it has no address, ${alias}: nothing here carries its packets`);
  }
  if (clusterIP === "None") {
    const one = headlessExample(store, key);
    throw new Error(
      `service ${key} is headless: it has no cluster IP, DNS gives its pods' addresses; ask for one${one}`,
    );
  }
  const ips = clusterIPs.flatMap((text) => tryParseIp(text) ?? []);
  const ip = family === undefined ? ips[0] : ips.find((each) => familyOf(each) === family);
  if (ip !== undefined) return { ip, service: key };
  if (ips.length > 0) throw new Error(`service ${key} has no ${family} address: it has ${clusterIPs.join(", ")}`);
  throw new Error(`service ${key} has no cluster IP yet`);
}

/** A pod behind a headless Service, as one would ask for it. */
function headlessExample(store: Store, key: Key): string {
  const [namespace = "", name = ""] = key.split("/");
  const labels = { "kubernetes.io/service-name": name };
  for (const { endpoints, ports } of store.list("EndpointSlice", { namespace, labels })) {
    for (const { targetRef } of endpoints ?? []) {
      if (targetRef?.kind !== "Pod") continue;
      const pod = namespace === "default" ? targetRef.name : `${namespace}/${targetRef.name}`;
      return `: pod/${pod}:${ports?.[0]?.port ?? "port"}`;
    }
  }
  return "";
}

function nodeAddress(store: Store, name: string, family: Family | undefined): Ip {
  const node = store.get("Node", name);
  if (!node) throw notFound("nodes", name);
  const all = node.status?.addresses?.flatMap(({ type, address }) => (type === "InternalIP" ? [address] : [])) ?? [];
  return chosen(`node ${name}`, all, family);
}

function podAddress(store: Store, key: Key, family: Family | undefined): Ip {
  const pod = store.get("Pod", key);
  if (!pod) throw notFound("pods", key);
  const { podIP, podIPs } = pod.status ?? {};
  const all = podIPs?.flatMap(({ ip }) => ip ?? []) ?? [];
  return chosen(`pod ${key}`, all.length > 0 || podIP === undefined ? all : [podIP], family);
}

/** The first address of the wanted family. */
function chosen(whose: string, texts: readonly string[], family: Family | undefined): Ip {
  const ips = texts.flatMap((text) => tryParseIp(text) ?? []);
  const ip = family === undefined ? ips[0] : ips.find((each) => familyOf(each) === family);
  if (ip !== undefined) return ip;
  if (ips.length > 0) throw new Error(`${whose} has no ${family} address: it has ${texts.join(", ")}`);
  throw new Error(`${whose} has no address yet`);
}

/** `["shop", "cart"]` or `["cart"]`, which is in the namespace `default`. */
export function keyIn(path: readonly string[]): Key {
  return path.length === 1 ? keyFor("default", path[0] ?? "") : path.join("/");
}

/** That nothing has this name, in kubectl's words. */
export function notFound(resource: string, key: Key): Error {
  return new Error(`${resource} "${key.replace(/^default\//, "")}" not found`);
}

/** Who gets what is sent to a port: as `nameOf`, but on a node the pod that an EndpointSlice says is there. */
export function endpointName(setting: Setting, ip: Ip, port: number): string | undefined {
  const name = nameOf(setting, ip);
  if (name === undefined || !name.startsWith("node/")) return name;
  for (const { endpoints, ports } of setting.store.list("EndpointSlice")) {
    if (!ports?.some((each) => each.port === port)) continue;
    for (const { addresses, targetRef } of endpoints) {
      if (targetRef?.kind !== "Pod" || !addresses.some((text) => tryParseIp(text) === ip)) continue;
      const { namespace = "default" } = targetRef;
      return `pod/${namespace === "default" ? "" : `${namespace}/`}${targetRef.name}`;
    }
  }
  return name;
}

/** Who has an address, in a reader's words: `pod/my-nginx-…`, `svc/my-nginx`, `node/node-1`; undefined: nobody we know. */
export function nameOf({ store, network }: Setting, ip: Ip): string | undefined {
  const text = formatIp(ip);
  const short = (kind: string, { namespace, name }: { readonly namespace?: string; readonly name: string }): string =>
    `${kind}/${namespace === undefined || namespace === "default" ? "" : `${namespace}/`}${name}`;
  for (const service of store.list("Service")) {
    if (service.spec.clusterIPs?.includes(text)) return short("svc", service.metadata);
  }
  const pod = store.list("Pod").find(({ status }) => {
    const over = status?.phase === "Succeeded" || status?.phase === "Failed";
    return !over && status?.podIPs?.some((address) => address.ip === text);
  });
  // Machines are looked at only where that decides: each of thousands would have to write down its way to all others.
  if (pod && !pod.spec.hostNetwork && pod.status?.hostIP !== text) return short("pod", pod.metadata);
  for (const node of store.list("Node")) {
    if (network.namespaces.get(node.metadata.name)?.routes.isLocal(ip)) return short("node", node.metadata);
  }
  if (pod) return short("pod", pod.metadata);
  return ["workstation", "client"].find((name) => network.namespaces.get(name)?.routes.isLocal(ip));
}
