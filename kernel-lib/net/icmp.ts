/** Owns the kernel's own ICMP (RFC 792, RFC 4443): answers to echo requests, and errors that tell a sender what became of a packet. */
import { type Family, type Ip, isMulticast } from "./address";
import type { Network } from "./network";
import type { IcmpError, Packet } from "./packet";
import type { Failure } from "./socket";

/** The answer to an echo request. */
export function answerEcho(network: Network, request: Packet): Packet {
  const { body } = request;
  if (body.protocol !== "icmp" || body.type !== "echo") throw new RangeError("only an echo request is answered");
  return network.packet(request.target, request.source, { ...body, type: "echo-reply" });
}

/** An error about `cause`, to its sender. */
export function errorFor(network: Network, source: Ip, cause: Packet, type: IcmpError, mtu?: number): Packet {
  return network.packet(source, cause.source, { protocol: "icmp", type, cause, ...(mtu === undefined ? {} : { mtu }) });
}

/** No error is sent about an error, nor about a packet to many (RFC 1122 section 3.2.2). */
export function errorsAllowed(cause: Packet): boolean {
  if (cause.body.protocol === "icmp" && "cause" in cause.body) return false;
  return (
    !isMulticast(cause.target) &&
    cause.target !== 0xffffffff &&
    cause.source !== 0 &&
    cause.source !== 0n &&
    !isLater(cause)
  );
}

/** Only the first piece of a packet is answered: the others say nothing of whose they are. */
function isLater({ fragment }: Packet): boolean {
  return fragment !== undefined && fragment.offset > 0;
}

/** What a socket makes of an ICMP error (net/ipv4/icmp.c, icmp_err_convert). */
export function failureOf(error: IcmpError): Failure {
  switch (error) {
    case "port-unreachable":
      return { outcome: "refused", errno: "ECONNREFUSED" };
    case "net-unreachable":
      return { outcome: "unreachable", errno: "ENETUNREACH" };
    case "host-unreachable":
    case "admin-prohibited":
    case "time-exceeded":
      return { outcome: "unreachable", errno: "EHOSTUNREACH" };
    case "fragmentation-needed":
    case "packet-too-big":
      return { outcome: "unreachable", errno: "EMSGSIZE" };
  }
}

/** The error as `ping` words it. */
export function describeError(error: IcmpError, mtu?: number, family: Family = "IPv4"): string {
  if (family === "IPv6") return describeError6(error, mtu);
  switch (error) {
    case "net-unreachable":
      return "Destination Net Unreachable";
    case "host-unreachable":
      return "Destination Host Unreachable";
    case "port-unreachable":
      return "Destination Port Unreachable";
    case "admin-prohibited":
      return "Packet filtered";
    case "time-exceeded":
      return "Time to live exceeded";
    case "fragmentation-needed":
    case "packet-too-big":
      return `Frag needed and DF set (mtu = ${mtu ?? 0})`;
  }
}

function describeError6(error: IcmpError, mtu: number | undefined): string {
  switch (error) {
    case "net-unreachable":
      return "Destination unreachable: No route";
    case "host-unreachable":
      return "Destination unreachable: Address unreachable";
    case "port-unreachable":
      return "Destination unreachable: Port unreachable";
    case "admin-prohibited":
      return "Destination unreachable: Administratively prohibited";
    case "time-exceeded":
      return "Time exceeded: Hop limit";
    case "fragmentation-needed":
    case "packet-too-big":
      return `Packet too big: mtu=${mtu ?? 0}`;
  }
}
