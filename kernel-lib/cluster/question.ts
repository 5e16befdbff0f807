/** Owns the words of a question, "from this pod to that Service": what they name, and what is wrong with them. */
import { type Key, keyFor } from "../api/meta";
import type { Store } from "../api/store";
import { formatIp, type Ip, parseIp, tryParseIp } from "../net/address";
import type { Netns } from "../net/netns";
import type { Network } from "../net/network";
import type { Driver } from "./driver";

/** What a question is asked of. */
export interface Ground {
  readonly network: Network;
  readonly store: Store;
  readonly driver: Driver;
}

export interface Question {
  /** `pod/[namespace/]name`, `node/name` or `workstation`. */
  readonly from: string;
  /** `svc/[namespace/]name:port`, `pod/[namespace/]name:port`, `node/name:port`, `workstation:port` or `IP:port`. */
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
  /** The Service asked for, if it is one. */
  readonly service?: Key;
}

/** Finds what a question names. Throws an error that says which word is wrong, and what it could be. */
export function ask(ground: Ground, question: Question, probe: Probe = "tcp"): Asked {
  return {
    from: question.from,
    netns: readSource(ground, question.from),
    to: question.to,
    ...(probe === "icmp" ? readHost(ground, question.to) : readTarget(ground, question.to)),
  };
}

/** The namespace of `pod/x`, `node/x`, `workstation`, `router`. @throws Error if there is none */
export function readSource({ network, store }: Ground, from: string): Netns {
  const [kind = "", ...path] = from.split("/");
  const name = path.join("/");
  const machine = kind === "workstation" || kind === "router";
  const wanted = kind === "pod" ? keyIn(path) : kind === "node" ? name : machine ? kind : undefined;
  if (wanted === undefined || machine === (name !== "")) {
    throw new Error(`from: ${JSON.stringify(from)} is none of pod/[namespace/]name, node/name, workstation`);
  }
  if (kind === "pod" && !store.get("Pod", wanted)) throw notFound("pods", wanted);
  if (kind === "node" && !store.get("Node", wanted)) throw notFound("nodes", wanted);
  const netns = network.namespaces.get(wanted);
  if (!netns) throw new Error(`${from} has no network yet: it is still being made`);
  return netns;
}

type Target = Omit<Asked, "from" | "netns" | "to">;

function readTarget(ground: Ground, to: string): Target {
  const match = /^(.+):(\d+)$/.exec(to);
  const port = Number(match?.[2]);
  if (!match?.[1] || port < 1 || port > 65_535) {
    throw new Error(
      `to: ${JSON.stringify(to)} is none of svc/[namespace/]name:port, pod/[namespace/]name:port, node/name:port, IP:port`,
    );
  }
  return { ...addressOf(ground, match[1], `:${port}`), port };
}

/** Who is pinged: the same words without a port. */
function readHost(ground: Ground, to: string): Target {
  if (/^[^[]*[a-z/][^:]*:\d+$/.test(to) || /^[\d.]+:\d+$/.test(to)) {
    throw new Error(`to: ${JSON.stringify(to)} has a port, and ICMP knows none: write ${to.replace(/:\d+$/, "")}`);
  }
  return { ...addressOf(ground, to, ""), port: 0 };
}

function addressOf({ store, network }: Ground, word: string, port: string): Omit<Target, "port"> {
  const [, kind, name = ""] = /^(?:(svc|service|pod|node)\/)?(.+)$/.exec(word) ?? [];
  switch (kind) {
    case "pod":
      return { ip: podAddress(store, keyIn(name.split("/"))) };
    case "node":
      return { ip: nodeAddress(store, name) };
    case "svc":
    case "service":
      return serviceAddress(store, keyIn(name.split("/")));
    default: {
      const ip = name === "workstation" ? network.namespaces.get(name)?.sourceFor(parseIp("192.0.2.1")) : undefined;
      const found = ip ?? tryParseIp(name.replace(/^\[(.*)\]$/, "$1"));
      if (found !== undefined) return { ip: found };
      throw new Error(`to: ${JSON.stringify(name)} is no IP address (a Service is svc/${name}${port})`);
    }
  }
}

function serviceAddress(store: Store, key: Key): Omit<Target, "port"> {
  const service = store.get("Service", key);
  if (!service) throw notFound("services", key);
  const { clusterIP } = service.spec;
  const ip = clusterIP === undefined ? undefined : tryParseIp(clusterIP);
  if (ip !== undefined) return { ip, service: key };
  throw new Error(`service ${key} has no cluster IP (it is ${clusterIP === "None" ? "headless" : service.spec.type})`);
}

function nodeAddress(store: Store, name: string): Ip {
  const node = store.get("Node", name);
  if (!node) throw notFound("nodes", name);
  const address = node.status.addresses?.find(({ type }) => type === "InternalIP")?.address;
  const ip = address === undefined ? undefined : tryParseIp(address);
  if (ip === undefined) throw new Error(`node ${name} has no address yet`);
  return ip;
}

function podAddress(store: Store, key: Key): Ip {
  const pod = store.get("Pod", key);
  if (!pod) throw notFound("pods", key);
  const ip = pod.status.podIP === undefined ? undefined : tryParseIp(pod.status.podIP);
  if (ip === undefined) throw new Error(`pod ${key} has no address yet`);
  return ip;
}

function keyIn(path: readonly string[]): Key {
  return path.length === 1 ? keyFor("default", path[0] ?? "") : path.join("/");
}

function notFound(resource: string, key: Key): Error {
  return new Error(`${resource} "${key.replace(/^default\//, "")}" not found`);
}

/** Who has an address, in a reader's words: `pod/my-nginx-…`, `svc/my-nginx`, `node/node-1`; undefined: nobody we know. */
export function nameOf({ store, network }: Ground, ip: Ip): string | undefined {
  const text = formatIp(ip);
  const short = (kind: string, { namespace, name }: { readonly namespace?: string; readonly name: string }): string =>
    `${kind}/${namespace === undefined || namespace === "default" ? "" : `${namespace}/`}${name}`;
  for (const service of store.list("Service")) {
    if (service.spec.clusterIPs?.includes(text)) return short("svc", service.metadata);
  }
  for (const node of store.list("Node")) {
    if (network.namespaces.get(node.metadata.name)?.routes.isLocal(ip)) return short("node", node.metadata);
  }
  for (const pod of store.list("Pod")) {
    const over = pod.status.phase === "Succeeded" || pod.status.phase === "Failed";
    if (!over && pod.status.podIPs?.some((address) => address.ip === text)) return short("pod", pod.metadata);
  }
  return network.namespaces.get("workstation")?.routes.isLocal(ip) ? "workstation" : undefined;
}
