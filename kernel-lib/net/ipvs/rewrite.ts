/** Owns how IPVS rewrites a packet: to its real server, and back (ip_vs_nat_icmp, tcp_dnat_handler, tcp_snat_handler). */
import type { IcmpError, Packet } from "../packet";
import type { IpvsConnection } from "./connection";

interface ErrorBody {
  readonly protocol: "icmp";
  readonly type: IcmpError;
  readonly cause: Packet;
  readonly mtu?: number;
}

function withTargetPort(body: Packet["body"], targetPort: number): Packet["body"] {
  return body.protocol === "icmp" ? body : { ...body, targetPort };
}

function withSourcePort(body: Packet["body"], sourcePort: number): Packet["body"] {
  return body.protocol === "icmp" ? body : { ...body, sourcePort };
}

/** A packet for the virtual server, as its real server gets it. */
export function asked(packet: Packet, { server }: IpvsConnection): Packet {
  return { ...packet, target: server.ip, body: withTargetPort(packet.body, server.port) };
}

/** A packet of a real server, as the client gets it. */
export function answered(packet: Packet, { virtualIp, virtualPort }: IpvsConnection): Packet {
  return { ...packet, source: virtualIp, body: withSourcePort(packet.body, virtualPort) };
}

/** An error about a packet to the real server, as the client gets it: about one to the virtual server, and from it. */
export function causeAnswered(packet: Packet, body: ErrorBody, connection: IpvsConnection): Packet {
  const { virtualIp, virtualPort } = connection;
  const cause = { ...body.cause, target: virtualIp, body: withTargetPort(body.cause.body, virtualPort) };
  return { ...packet, source: virtualIp, body: { ...body, cause } };
}

/** An error about a reply of the virtual server, as the real server gets it: about its own. */
export function causeAsked(packet: Packet, body: ErrorBody, { server }: IpvsConnection): Packet {
  const cause = { ...body.cause, source: server.ip, body: withSourcePort(body.cause.body, server.port) };
  return { ...packet, target: server.ip, body: { ...body, cause } };
}
