/** Owns what a namespace does with packets that end in it: to its sockets, its tunnels, or back to the sender as an error. */
import type { Device } from "./device";
import { answerEcho, errorFor, errorsAllowed } from "./icmp";
import type { Hook } from "./netfilter";
import type { Netns } from "./netns";
import { type IcmpError, isVxlan, type Packet } from "./packet";
import type { Passage } from "./passage";
import { resetFor } from "./tcp";
import type { Vxlan } from "./vxlan";

/** A packet for this namespace, after `input`. */
export function deliver(netns: Netns, passage: Passage): void {
  const { packet } = passage;
  const { body } = packet;
  if (body.protocol === "icmp" && body.type === "echo") {
    netns.end(passage, "consume", "icmp", "echo request: the kernel answers");
    if (!netns.network.conveyor.dry) netns.send(answerEcho(netns.network, packet));
    return;
  }
  if (body.protocol === "udp" && isVxlan(body.payload)) {
    for (const device of netns.devices.values()) {
      const { link } = device;
      if (link.type !== "vxlan" || link.port !== body.targetPort || link.vni !== body.payload.vni) continue;
      // Each listens on a socket of its own address's family.
      if (typeof link.local !== typeof packet.target) continue;
      if (netns.network.told) noteTunnelled(netns, passage, link, device);
      link.receive(body.payload, packet.source, device);
      return;
    }
  }
  netns.sockets.receive(passage);
}

function noteTunnelled(netns: Netns, passage: Passage, { vni }: Vxlan, { name }: Device): void {
  netns.end(passage, "consume", name, () => `VXLAN ${vni}: for ${name}`);
}

/** A rule said REJECT. */
export function reject(netns: Netns, passage: Passage, hook: Hook): void {
  const how = passage.rejectWith ?? "port-unreachable";
  netns.end(passage, "reject", hook, passage.why ?? `rejected in ${hook} with ${how}`);
  if (how !== "tcp-reset") {
    sendError(netns, passage.packet, how);
    return;
  }
  const reset = resetFor(netns.network, passage.packet);
  if (reset && !netns.network.conveyor.dry) netns.send(reset);
}

/** Tells the sender of a packet what became of it. */
export function sendError(netns: Netns, cause: Packet, error: IcmpError, mtu?: number): void {
  if (netns.network.conveyor.dry || !errorsAllowed(cause)) return;
  const source = netns.routes.isLocal(cause.target) ? cause.target : netns.sourceFor(cause.source);
  if (source !== undefined) netns.send(errorFor(netns.network, source, cause, error, mtu));
}
