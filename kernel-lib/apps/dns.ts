/** Owns DNS messages: questions, records and answers as objects (RFC 1035), and names. */
import type { Message } from "../net/packet";

/** The types that there are, with their numbers. Records of HINFO, MX, HTTPS and ANY are only asked for. */
export const recordTypes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  HTTPS: 65,
  ANY: 255,
} as const;

export type RecordType = keyof typeof recordTypes;
export type Rcode = "NOERROR" | "FORMERR" | "SERVFAIL" | "NXDOMAIN" | "NOTIMP" | "REFUSED";

export interface Question {
  /** With its last dot: `my-nginx.default.svc.cluster.local.` */
  readonly name: string;
  readonly type: RecordType;
}

/** A record as `dig` prints it. */
export interface DnsRecord {
  readonly name: string;
  readonly type: RecordType;
  /** Seconds. */
  readonly ttl: number;
  /** Its data in presentation form: an address, a name, `0 100 80 my-nginx.default.svc.cluster.local.` */
  readonly data: string;
}

/** One message, asked or answered. */
export interface DnsMessage extends Message {
  readonly type: "dns";
  readonly id: number;
  readonly response: boolean;
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  /** TC: more was to be said than fits; ask again over TCP. */
  readonly truncated: boolean;
  /** How large an answer may be over UDP (EDNS0, RFC 6891); without it 512. */
  readonly udpSize?: number;
  /** A cookie of EDNS0, 16 hexadecimal digits (RFC 7873): a server without cookies sends it back as it is. */
  readonly cookie?: string;
  /** Every name is written in full: what fits like that is not compressed by CoreDNS. */
  readonly uncompressed?: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly question: Question;
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

/** What a server has to say to a question. */
export interface DnsAnswer {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  /** Default false. */
  readonly recursionAvailable?: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

/** What a server tells the journal of a query that it answered. */
export interface DnsQueryNote {
  readonly kind: "dns-query";
  readonly client: string;
  readonly port: number;
  /** The server's own host name. */
  readonly server: string;
  readonly transport: "udp" | "tcp";
  readonly name: string;
  readonly type: RecordType;
  readonly rcode: Rcode;
  readonly answers: readonly string[];
}

export function isDns(payload: string | Message): payload is DnsMessage {
  return typeof payload === "object" && payload.type === "dns";
}

/** The name under which an address is looked up: `1.0.96.10.in-addr.arpa.`, or nibbles under `ip6.arpa.` */
export function reverseName(ip: string): string {
  if (!ip.includes(":")) return `${ip.split(".").reverse().join(".")}.in-addr.arpa.`;
  const [head = "", tail] = ip.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  const digits = [...left, ...zeros, ...right].map((group) => group.padStart(4, "0")).join("");
  return `${[...digits].reverse().join(".")}.ip6.arpa.`;
}

/** Why a text cannot be a name (BIND's words); undefined if it can. */
export function nameProblem(name: string): string | undefined {
  const labels = name.replace(/\.$/, "").split(".");
  if (name === "." || name === "") return undefined;
  if (labels.some((label) => label === "")) return "empty label";
  if (labels.some((label) => label.length > 63)) return "label too long";
  return labels.join(".").length > 253 ? "ran out of space" : undefined;
}
