/** Owns DNS messages: questions, records and answers as objects, with their size on the wire (RFC 1035). */
import type { Message } from "../net/packet";

export type RecordType = "A" | "AAAA" | "CNAME" | "NS" | "PTR" | "SOA" | "SRV" | "TXT";
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
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

export function isDns(payload: string | Message): payload is DnsMessage {
  return typeof payload === "object" && payload.type === "dns";
}

/** A query, as a stub resolver sends it. */
export function dnsQuery(id: number, question: Question): DnsMessage {
  return sized({
    id,
    response: false,
    rcode: "NOERROR",
    authoritative: false,
    recursionDesired: true,
    recursionAvailable: false,
    question,
    answers: [],
    authority: [],
    additional: [],
  });
}

/** The response to a query. */
export function dnsResponse(query: DnsMessage, answer: DnsAnswer): DnsMessage {
  const { id, question, recursionDesired } = query;
  return sized({ ...answer, id, response: true, recursionDesired, recursionAvailable: true, question });
}

function sized(message: Omit<DnsMessage, "type" | "size">): DnsMessage {
  const records = [...message.answers, ...message.authority, ...message.additional];
  const size = 12 + message.question.name.length + 1 + 4 + records.reduce((sum, record) => sum + recordSize(record), 0);
  return { ...message, type: "dns", size };
}

/** A record whose owner is written as a pointer (2 octets), with type, class, TTL and length (10). */
function recordSize({ type, data }: DnsRecord): number {
  const fixed: { readonly [T in RecordType]?: number } = { A: 4, AAAA: 16 };
  return 12 + (fixed[type] ?? data.length + 1);
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
