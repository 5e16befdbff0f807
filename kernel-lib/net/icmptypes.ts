/** Owns the numbers and names of ICMP messages, as iptables' `--icmp-type` and `--icmpv6-type` read and print them. */
import type { Family } from "./address";
import type { Icmp } from "./packet";

/** A type, and a code of it unless any will do. */
export interface IcmpKind {
  readonly type: number;
  readonly code?: number;
}

type Numbers = { readonly [Type in Icmp["type"]]: readonly [type: number, code: number] };

const ipv4: Numbers = {
  "echo-reply": [0, 0],
  "net-unreachable": [3, 0],
  "host-unreachable": [3, 1],
  "port-unreachable": [3, 3],
  "fragmentation-needed": [3, 4],
  "packet-too-big": [3, 4],
  "admin-prohibited": [3, 13],
  echo: [8, 0],
  "time-exceeded": [11, 0],
};

const ipv6: Numbers = {
  "net-unreachable": [1, 0],
  "admin-prohibited": [1, 1],
  "host-unreachable": [1, 3],
  "port-unreachable": [1, 4],
  "packet-too-big": [2, 0],
  "fragmentation-needed": [2, 0],
  "time-exceeded": [3, 0],
  echo: [128, 0],
  "echo-reply": [129, 0],
};

/** Names that both tools read (extensions/libxt_icmp.h); codes only where the name means one. */
const names: { readonly [Which in Family]: { readonly [name: string]: IcmpKind } } = {
  IPv4: {
    "echo-reply": { type: 0 },
    pong: { type: 0 },
    "destination-unreachable": { type: 3 },
    "network-unreachable": { type: 3, code: 0 },
    "host-unreachable": { type: 3, code: 1 },
    "port-unreachable": { type: 3, code: 3 },
    "fragmentation-needed": { type: 3, code: 4 },
    "communication-prohibited": { type: 3, code: 13 },
    "echo-request": { type: 8 },
    ping: { type: 8 },
    "time-exceeded": { type: 11 },
    "ttl-exceeded": { type: 11 },
    "ttl-zero-during-transit": { type: 11, code: 0 },
  },
  IPv6: {
    "destination-unreachable": { type: 1 },
    "no-route": { type: 1, code: 0 },
    "communication-prohibited": { type: 1, code: 1 },
    "address-unreachable": { type: 1, code: 3 },
    "port-unreachable": { type: 1, code: 4 },
    "packet-too-big": { type: 2 },
    "time-exceeded": { type: 3 },
    "ttl-exceeded": { type: 3 },
    "ttl-zero-during-transit": { type: 3, code: 0 },
    "echo-request": { type: 128 },
    ping: { type: 128 },
    "echo-reply": { type: 129 },
    pong: { type: 129 },
  },
};

/** Reads `fragmentation-needed`, `3/4` or `8`; throws in iptables' words. */
export function readIcmpKind(text: string, family: Family): IcmpKind {
  const named = names[family][text.toLowerCase()];
  if (named) return named;
  const [, type, code] = /^(\d{1,3})(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (type === undefined || Number(type) > 255 || Number(code ?? 0) > 255) {
    throw new RangeError(`Invalid ICMP${family === "IPv6" ? "v6" : ""} type \`${text}'`);
  }
  return { type: Number(type), ...(code === undefined ? {} : { code: Number(code) }) };
}

/** As `iptables-save` prints it: `3/4`, `8`. */
export function icmpKindText({ type, code }: IcmpKind): string {
  return code === undefined ? String(type) : `${type}/${code}`;
}

/** Whether a message is of a kind. */
export function isOfKind(message: Icmp, { type, code }: IcmpKind, family: Family): boolean {
  const [itsType, itsCode] = (family === "IPv4" ? ipv4 : ipv6)[message.type];
  return itsType === type && (code === undefined || itsCode === code);
}

/** The type that a message has on the wire. */
export function icmpTypeNumber(message: Icmp, family: Family): number {
  return (family === "IPv4" ? ipv4 : ipv6)[message.type][0];
}
