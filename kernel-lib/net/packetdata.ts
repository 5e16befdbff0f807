/** Owns packets as a reader sees them: plain data with addresses as text, and one line as tcpdump would print it. */
import { formatIp, type Ip } from "./address";
import type { Hook } from "./netfilter";
import { isVxlan, type Packet, packetSize } from "./packet";
import type { PacketData, PacketEvent, PacketEventKind, PacketEventMore } from "./passage";

/** Most lines are about the same packet as the line before, so the last ones are kept. */
let lastPacket: Packet | undefined;
let lastData: PacketData | undefined;

/** The packet as plain data. */
export function packetData(packet: Packet): PacketData {
  if (packet !== lastPacket || !lastData) {
    lastData = read(packet);
    lastPacket = packet;
  }
  return lastData;
}

const texts = new Map<Ip, string>();
const textLimit = 20_000;

/** The same few addresses are printed again and again. */
function text(ip: Ip): string {
  let known = texts.get(ip);
  if (known === undefined) {
    if (texts.size >= textLimit) texts.clear();
    known = formatIp(ip);
    texts.set(ip, known);
  }
  return known;
}

type Draft<Data> = { -readonly [Key in keyof Data]: Data[Key] };

/** Written without spreads: this runs for every line of the journal. */
function read(packet: Packet): PacketData {
  const { body } = packet;
  const data: Draft<PacketData> = {
    id: packet.id,
    source: text(packet.source),
    target: text(packet.target),
    protocol: body.protocol,
    ttl: packet.ttl,
    size: packetSize(packet),
  };
  if (body.protocol === "icmp") {
    data.icmp = body.type;
    if ("cause" in body) data.inner = read(body.cause);
    return data;
  }
  data.sourcePort = body.sourcePort;
  data.targetPort = body.targetPort;
  if (body.protocol === "tcp") {
    data.flags = body.flags;
    if (body.payload !== "") data.payload = body.payload;
  } else if (body.protocol === "udp") {
    const { payload } = body;
    if (typeof payload === "string") data.payload = payload;
    else if (!isVxlan(payload)) data.payload = payload.type;
    else {
      data.vni = payload.vni;
      if (payload.frame.type === "ip") data.inner = read(payload.frame.packet);
    }
  }
  return data;
}

/** The detail of a journal line about a packet. */
export function packetEvent(
  kind: PacketEventKind,
  netns: string,
  packet: Packet,
  more: PacketEventMore | undefined,
  hook: Hook | undefined,
): PacketEvent {
  const event: Draft<PacketEvent> = { type: "packet", kind, netns, packet: packetData(packet) };
  if (hook !== undefined) event.hook = hook;
  if (!more) return event;
  if (more.device !== undefined) event.device = more.device;
  if (more.before) event.before = read(more.before);
  if (more.rule) event.rule = more.rule;
  if (more.sourceMac !== undefined) event.sourceMac = more.sourceMac;
  if (more.targetMac !== undefined) event.targetMac = more.targetMac;
  return event;
}

/** `10.244.1.2:41000 → 10.96.0.10:80 tcp S`, in one line. */
export function describePacket(packet: Packet): string {
  const { body } = packet;
  const port = (ip: string, number: number): string => (ip.includes(":") ? `[${ip}]:${number}` : `${ip}:${number}`);
  const source = text(packet.source);
  const target = text(packet.target);
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
