/** Owns packets as a reader sees them: plain data with addresses as text, and one line as tcpdump would print it. */
import { formatIp } from "./address";
import { isVxlan, type Packet, packetSize } from "./packet";
import type { PacketData, PacketEvent, PacketEventKind, PacketEventMore } from "./passage";

/** The packet as plain data. */
export function packetData(packet: Packet): PacketData {
  const { body } = packet;
  const common = {
    id: packet.id,
    source: formatIp(packet.source),
    target: formatIp(packet.target),
    ttl: packet.ttl,
    size: packetSize(packet),
  };
  switch (body.protocol) {
    case "tcp":
      return {
        ...common,
        protocol: "tcp",
        sourcePort: body.sourcePort,
        targetPort: body.targetPort,
        flags: body.flags,
        ...(body.payload === "" ? {} : { payload: body.payload }),
      };
    case "udp": {
      const { payload } = body;
      const ports = { protocol: "udp" as const, sourcePort: body.sourcePort, targetPort: body.targetPort };
      if (typeof payload === "string") return { ...common, ...ports, payload };
      if (!isVxlan(payload)) return { ...common, ...ports, payload: payload.type };
      const { frame, vni } = payload;
      return { ...common, ...ports, vni, ...(frame.type === "ip" ? { inner: packetData(frame.packet) } : {}) };
    }
    case "sctp":
      return { ...common, protocol: "sctp", sourcePort: body.sourcePort, targetPort: body.targetPort };
    case "icmp":
      if ("cause" in body) return { ...common, protocol: "icmp", icmp: body.type, inner: packetData(body.cause) };
      return { ...common, protocol: "icmp", icmp: body.type };
  }
}

/** The detail of a journal line about a packet. */
export function packetEvent(
  kind: PacketEventKind,
  netns: string,
  packet: Packet,
  more: PacketEventMore | undefined,
): PacketEvent {
  if (!more) return { type: "packet", kind, netns, packet: packetData(packet) };
  const { before, ...rest } = more;
  const event = { type: "packet" as const, kind, netns, packet: packetData(packet), ...rest };
  return before ? { ...event, before: packetData(before) } : event;
}

/** `10.244.1.2:41000 → 10.96.0.10:80 tcp S`, in one line. */
export function describePacket(packet: Packet): string {
  const { body } = packet;
  const port = (ip: string, number: number): string => (ip.includes(":") ? `[${ip}]:${number}` : `${ip}:${number}`);
  const source = formatIp(packet.source);
  const target = formatIp(packet.target);
  switch (body.protocol) {
    case "tcp":
      return `${port(source, body.sourcePort)} → ${port(target, body.targetPort)} tcp ${body.flags}`;
    case "udp":
    case "sctp":
      return `${port(source, body.sourcePort)} → ${port(target, body.targetPort)} ${body.protocol}`;
    case "icmp":
      return `${source} → ${target} icmp ${body.type}`;
  }
}
