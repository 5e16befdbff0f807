/** Owns a packet's way out of a namespace: postrouting, its size, the next hop's address, and the device. */
import { formatIp, type Mac, zeroMac } from "./address";
import { type Device, loopbackDelay } from "./device";
import { cutUp } from "./fragments";
import { sendError } from "./local";
import { crowdedOut } from "./neighbor";
import type { Netns } from "./netns";
import { type Frame, fitsIn, frameSize, type Packet } from "./packet";
import { describePacket } from "./packetdata";
import type { Passage } from "./passage";
import type { RouteResult } from "./route";

/** Postrouting, and out by the device that the route names. */
export function leave(netns: Netns, passage: Passage, route: RouteResult): void {
  passage.output = route.device;
  if (!netns.hook("postrouting", passage)) return;
  const device = netns.devices.get(route.device);
  if (!device?.up) {
    netns.unreachable(passage, "net-unreachable", route.device);
    return;
  }
  const { packet } = passage;
  if (device.link.type === "loopback") {
    goRound(netns, passage, device);
    return;
  }
  const mtu = mtuOf(netns, route, device, passage);
  // A router cuts no IPv6 packet up, but for one that it has put together (net/ipv6/ip6_output.c, frag_max_size).
  const longest = packet.longestPiece ?? Number.POSITIVE_INFINITY;
  const routed = typeof packet.target === "bigint" && passage.input !== undefined;
  if (fitsIn(packet, mtu)) transmit(netns, passage, route, device);
  else if (packet.dontFragment || (routed && longest > mtu)) {
    netns.end(passage, "drop", device.name, `longer than the MTU of ${mtu}, and not to be cut up`);
    sendError(netns, packet, typeof packet.target === "number" ? "fragmentation-needed" : "packet-too-big", mtu);
  } else inPieces(netns, passage, route, device, Math.min(mtu, longest));
}

// What few packets need, and every note, is in a function of its own: one that makes closures makes room for what they
// see each time that it is called.

function inPieces(netns: Netns, passage: Passage, route: RouteResult, device: Device, most: number): void {
  const { packet } = passage;
  for (const piece of cutUp(packet, most, () => netns.network.number())) {
    const each = netns.passage(piece, passage.input);
    each.note("send", device.name, () => `a piece of ${describePacket(packet)}`);
    transmit(netns, each, route, device);
  }
}

function goRound(netns: Netns, passage: Passage, device: Device): void {
  countLoop(passage.packet, device);
  netns.network.conveyor.after(loopbackDelay, () => comeBack(netns, passage, device));
}

function transmit(netns: Netns, passage: Passage, route: RouteResult, device: Device): void {
  const known = netns.neighbors.known(device, route.nextHop);
  if (known !== undefined) out(passage, route, device, known);
  else askFirst(netns, passage, route, device);
}

function askFirst(netns: Netns, passage: Passage, route: RouteResult, device: Device): void {
  const { source } = passage.packet;
  netns.neighbors.resolve(
    device,
    route.nextHop,
    (mac, crowded) => {
      if (mac !== undefined) out(passage, route, device, mac);
      else if (crowded) netns.end(passage, "drop", device.name, crowdedOut);
      else netns.unreachable(passage, "host-unreachable", device.name);
    },
    source,
  );
}

function out(passage: Passage, route: RouteResult, device: Device, mac: Mac): void {
  if (passage.watched) noteOut(passage, route, device, mac);
  device.transmit({ type: "ip", source: device.mac, target: mac, packet: passage.packet });
}

function noteOut(passage: Passage, { nextHop }: RouteResult, device: Device, mac: Mac): void {
  passage.note("transmit", device.name, () => `out by ${device.name} to ${formatIp(nextHop)}, ${mac}`, {
    device: device.name,
    sourceMac: device.mac,
    targetMac: mac,
  });
}

/** What is known of the whole way counts only for this namespace's own packets. */
function mtuOf(netns: Netns, { route }: RouteResult, device: Device, passage: Passage): number {
  const mtu = route.mtu === undefined ? device.mtu : Math.min(route.mtu, device.mtu);
  if (passage.input !== undefined) return mtu;
  return Math.min(mtu, netns.pathMtus.get(passage.packet.target)?.mtu ?? mtu);
}

/** Over `lo` a packet comes in again, and keeps its connection. */
function comeBack(netns: Netns, passage: Passage, device: Device): void {
  const next = netns.passage(passage.packet, device.name);
  if (passage.connection) next.connection = passage.connection;
  if (passage.direction) next.direction = passage.direction;
  if (passage.state) next.state = passage.state;
  next.mark = passage.mark;
  next.note("receive", device.name, () => `came in by ${device.name}`, { device: device.name });
  device.counted({ type: "ip", source: zeroMac, target: zeroMac, packet: passage.packet });
  if (netns.hook("prerouting", next)) netns.enter(next, device);
}

/** `lo` shows each packet twice, out and in, as tcpdump sees it there. */
function countLoop(packet: Packet, device: Device): void {
  if (device.netns.network.conveyor.dry) return;
  const frame: Frame = { type: "ip", source: zeroMac, target: zeroMac, packet };
  device.counters.txPackets++;
  device.counters.txBytes += frameSize(frame);
  if (device.tapped) device.seen(frame, "out");
}
