/** Owns asking who reaches whom: one datagram from one place to another, and what the receiver saw of it. */
import type { Cluster } from "../../../kernel-lib/cluster/cluster";
import { formatIp, type Ip, parseIp } from "../../../kernel-lib/net/address";
import type { Netns } from "../../../kernel-lib/net/netns";
import type { PacketEvent } from "../../../kernel-lib/net/passage";

/** `SOURCE TTL` as the receiver saw them, or `-`: nothing came back. */
export type Reached = string;

/** Makes pods that serve nothing, each on its node, and waits until they run. */
export async function placePods(cluster: Cluster, nodes: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, nodeName] of Object.entries(nodes)) {
    const containers = [{ name: "main", image: "busybox:1.28", command: ["sleep", "3600"] }];
    cluster.api.create("Pod", { metadata: { name }, spec: { nodeName, containers } }, { by: "test" });
  }
  await cluster.settle();
}

/**
 * @param from a pod, a node, `router` or `workstation`
 * @param to the same, or an address
 * @param who has that address, if `to` is one
 */
export async function reach(cluster: Cluster, from: string, to: string, who = to): Promise<Reached> {
  const sender = netnsOf(cluster, from);
  const receiver = netnsOf(cluster, who);
  let seen: Reached = "-";
  let ttl = 0;
  let came = false;
  const server = receiver.sockets.openUdp(
    { port: 7777 },
    {
      received(socket, datagram) {
        seen = `${formatIp(datagram.source.ip)} ${ttl}`;
        socket.send("back", datagram.source);
      },
    },
  );
  const client = sender.sockets.openUdp(
    {},
    {
      received() {
        came = true;
      },
    },
  );
  const reader = cluster.sim.journal.follow(({ detail }) => {
    const event = detail as PacketEvent | undefined;
    if (event?.type !== "packet" || event.kind !== "deliver" || event.netns !== receiver.name) return;
    if (event.packet.targetPort === 7777) ttl = event.packet.ttl;
  });
  client.send("there", { ip: addressOf(cluster, to), port: 7777 });
  await cluster.settle();
  reader.stop();
  server.close();
  client.close();
  return came ? seen : "-";
}

export function netnsOf(cluster: Cluster, name: string): Netns {
  const found =
    { workstation: cluster.workstation, router: cluster.router }[name] ??
    cluster.nodes.get(name)?.net.netns ??
    cluster.podNetns(name);
  if (!found) throw new Error(`nobody is called ${name}`);
  return found;
}

function addressOf(cluster: Cluster, name: string): Ip {
  const node = cluster.nodes.get(name);
  return node ? node.net.ip : parseIp(cluster.podIp(name) ?? name);
}
