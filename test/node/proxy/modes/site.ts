/** Owns the cluster of the table of modes: where its clients are, and what becomes of what each of them sends. */
import { Cluster } from "../../../../kernel-lib/cluster/cluster";
import { type Family, family as familyOf, formatIp, type Ip, parseIp } from "../../../../kernel-lib/net/address";
import { explainFlow, type Flow, type FlowResult } from "../../../../kernel-lib/net/flow";
import type { Netns } from "../../../../kernel-lib/net/netns";
import type { ModeName } from "../../../../kernel-lib/node/proxy/mode";
import { second } from "../../../../kernel-lib/sim/clock";
import { addressesOf, features as allFeatures, type Feature, make, type Row } from "./services";

/** Who sends: pods, an endpoint, nodes; and somebody outside whose packets come in by a node. */
export const places = ["c1", "c3", "a1", "node-1", "node-3", "outside by node-1", "outside by node-3"] as const;
export type PlaceName = (typeof places)[number];

/** a1 on node-1 and b2 on node-2 are servers, h2 is one on node-2's own network; c1 and c3 are clients. */
const pods: readonly (readonly [name: string, hostNetwork?: true])[] = [["a1"], ["b2"], ["h2", true], ["c1"], ["c3"]];

const outside = { IPv4: parseIp("203.0.113.9"), IPv6: parseIp("2001:db8:99::9") } as const;

export interface Site {
  readonly cluster: Cluster;
  /** What has been made there: the nth one has the nth addresses. */
  readonly features: readonly Feature[];
  /** The address of a pod or a node. */
  address(name: string, family: Family): string;
}

/** A cluster of that mode, with these Services. */
export async function siteIn(mode: ModeName, features: readonly Feature[] = allFeatures): Promise<Site> {
  const cluster = new Cluster({
    lb: "none",
    nodes: 3,
    seed: 4,
    mode,
    ipFamilies: ["IPv4", "IPv6"],
    zones: ["a", "b", "c"],
  });
  await cluster.start();
  for (const [name, hostNetwork] of pods) {
    const containers = [{ name: "web", image: "nginx" }];
    const spec = { nodeName: `node-${name.slice(1)}`, containers, ...(hostNetwork && { hostNetwork }) };
    cluster.api.create("Pod", { metadata: { name }, spec });
  }
  await cluster.advance("30s");
  const site: Site = {
    cluster,
    features,
    address(name, family) {
      const pod = cluster.pod(name)?.status.podIPs?.map(({ ip }) => ip) ?? [];
      const node = (cluster.store.get("Node", name)?.status.addresses ?? []).map(({ address }) => address);
      const found = [...pod, ...node].find((ip) => ip?.includes(".") === (family === "IPv4"));
      if (found === undefined) throw new Error(`${name} has no ${family} address`);
      return found;
    },
  };
  for (const [index, feature] of features.entries()) make(feature, index, site);
  await cluster.advance("40s");
  return site;
}

/** Everything that can become of what a place sends; undefined: it makes no sense from there. */
export function asked(
  site: Site,
  index: number,
  row: Row,
  place: PlaceName,
  family: Family,
  client: Ip = outside[family],
  options: { readonly entries?: boolean } = {},
): readonly FlowResult[] | undefined {
  const from = placeOf(site, place);
  const target = targetOf(site, index, row, place, family);
  if (target === undefined) return undefined;
  const flow: Flow = {
    protocol: row.protocol === "icmp" ? "tcp" : (row.protocol ?? "tcp"),
    target: parseIp(target),
    targetPort: row.port,
  };
  const sent = from.input === undefined ? flow : { ...flow, source: client, input: from.input };
  return explainFlow(from.netns, sent, options).map(({ outcome }) => outcome);
}

/** Where a place's packets begin, and by which device they come in there. */
export function placeOf({ cluster }: Site, place: PlaceName): { readonly netns: Netns; readonly input?: string } {
  const [, node] = / by (.*)/.exec(place) ?? [];
  if (node !== undefined) return { netns: cluster.node(node).net.netns, input: "eth0" };
  const netns = place.startsWith("node-") ? cluster.node(place).net.netns : cluster.podNetns(place);
  if (!netns) throw new Error(`${place} has no network`);
  return { netns };
}

/** The address that a row means at a place. */
export function targetOf(site: Site, index: number, { to }: Row, place: PlaceName, family: Family): string | undefined {
  const own = `node-${place.at(-1)}`;
  const ips = addressesOf(index, family);
  switch (to) {
    case "cluster IP":
      return ips.cluster;
    case "external IP":
      return ips.external;
    case "balancer IP":
      return ips.balancer;
    case "own node":
      return site.address(own, family);
    case "other node":
      return place.startsWith("outside") ? undefined : site.address(own === "node-1" ? "node-3" : "node-1", family);
    case "own cni0": {
      const { addresses } = site.cluster.node(own).net.netns.device("cni0");
      const found = addresses.find(({ ip }) => familyOf(ip) === family && !formatIp(ip).startsWith("fe80"));
      return found && formatIp(found.ip);
    }
    case "localhost":
      return place.startsWith("node-") ? (family === "IPv4" ? "127.0.0.1" : "::1") : undefined;
  }
}

/** What really comes of a TCP connection, or (port 0) an echo request: all of them at once, for each may wait long. */
export function tried(
  site: Site,
  all: readonly { readonly place: PlaceName; readonly target: string; readonly port: number }[],
): readonly string[] {
  const ends = all.map(() => "nothing");
  const stops = all.map(({ place, target, port }, at) => {
    const { sockets } = placeOf(site, place).netns;
    const ip = parseIp(target);
    if (port !== 0) {
      const socket = sockets.connectTcp(
        // Two that are translated alike would clash: each has a port of its own.
        { ip, port, timeout: patience, sourcePort: firstSourcePort + at },
        {
          connected: () => {
            ends[at] = "connected";
          },
          ended: () => {
            ends[at] = "hung up";
          },
          failed: (_, { outcome }) => {
            ends[at] = ends[at] === "connected" ? "hung up" : outcome;
          },
        },
      );
      return () => socket.abort();
    }
    const socket = sockets.openEcho(ip, (result) => {
      if (result.result === "reply") ends[at] = "answers";
      else if (result.error === "port-unreachable") ends[at] = "reject";
    });
    socket.send(1);
    return () => socket.close();
  });
  site.cluster.sim.clock.advance(2 * patience);
  for (const stop of stops) stop();
  return ends;
}

const patience = 5 * second;
const firstSourcePort = 10_000;

/** The source that a place's packets have as it sends them. */
export function sourceOf(site: Site, place: PlaceName, target: Ip): Ip | undefined {
  const { netns, input } = placeOf(site, place);
  return input === undefined ? netns.sourceFor(target) : outside[familyOf(target)];
}
