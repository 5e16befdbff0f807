/** Owns what the journal says of frames: come in, taken further, or lost with what is in them. */
import { isGroupMac } from "./address";
import type { Device } from "./device";
import type { Netns } from "./netns";
import { type Frame, isVxlan } from "./packet";
import { describePacket } from "./packetdata";
import type { PacketEventKind, Passage } from "./passage";
import { describeRoute, type RouteResult } from "./route";

/** A frame that goes no further. ARP is asked again; a packet has met its fate. */
export function frameLost(frame: Frame, device: Device, why: string): void {
  const { netns } = device;
  if (frame.type === "ip") netns.end(netns.passage(frame.packet, device.name), "drop", device.name, why);
}

/** With a tunnel's packet the one inside is lost, with a piece the whole. */
export function endInner(netns: Netns, passage: Passage, about: string, why: string): void {
  const { fragment, body } = passage.packet;
  if (fragment) {
    if (fragment.whole.lost) return;
    fragment.whole.lost = true;
    netns.end(netns.passage(fragment.whole.packet, passage.input), "drop", about, `a piece of it is lost: ${why}`);
  } else if (body.protocol === "udp" && isVxlan(body.payload)) {
    const { frame } = body.payload;
    if (frame.type !== "ip" || isGroupMac(frame.target)) return;
    netns.end(netns.passage(frame.packet, passage.input), "drop", about, `the packet around it is lost: ${why}`);
  }
}

/** A packet came in by a device. */
export function noteReceived(passage: Passage, frame: Frame, device: Device): void {
  const port = device.master ? `, a port of ${device.master.name}` : "";
  passage.note("receive", device.name, () => `came in by ${device.name}${port}: ${describePacket(passage.packet)}`, {
    device: device.name,
    sourceMac: frame.source,
    targetMac: frame.target,
  });
}

/** A packet that was made here. */
export function noteSent(passage: Passage): void {
  passage.note("send", "socket", () => describePacket(passage.packet));
}

/** The routing decision. */
export function noteRoute(passage: Passage, found: RouteResult): void {
  passage.note("route", found.device, () => describeRoute(found));
}

/** What a bridge or VXLAN device did with a frame; `device` is the one that it goes on by. */
export function noteFrame(
  frame: Frame,
  kind: PacketEventKind,
  about: Device,
  what: () => string,
  device: Device = about,
): void {
  if (frame.type !== "ip") return;
  const { network, name } = about.netns;
  network.tell(name, kind, about.name, frame.packet, what, {
    device: device.name,
    sourceMac: frame.source,
    targetMac: frame.target,
  });
}
