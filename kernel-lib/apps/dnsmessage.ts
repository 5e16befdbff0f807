/** Owns making DNS messages: with their size on the wire, cut where they would not fit, and in a stream of TCP. */
import type { DnsAnswer, DnsMessage, Question } from "./dns";
import { decodeDns, encodeDns, type Unsized } from "./dnswire";

/** The most that an answer over UDP may have, unless the question allows more (RFC 1035). */
const plainUdp = 512;

function sized(message: Unsized): DnsMessage {
  return { ...message, type: "dns", size: encodeDns(message).length };
}

/** A query, as a stub resolver sends it; `udpSize`: with EDNS0. */
export function dnsQuery(id: number, question: Question, udpSize?: number, cookie?: string): DnsMessage {
  return sized({
    id,
    response: false,
    rcode: "NOERROR",
    authoritative: false,
    truncated: false,
    ...(udpSize !== undefined && { udpSize }),
    ...(cookie !== undefined && { cookie }),
    recursionDesired: true,
    recursionAvailable: false,
    question,
    answers: [],
    authority: [],
    additional: [],
  });
}

/** The response to a query. Over UDP it is cut to what the asker takes: first what was only helpful, then answers. */
export function dnsResponse(query: DnsMessage, answer: DnsAnswer, transport: "udp" | "tcp" = "udp"): DnsMessage {
  const { id, question, recursionDesired, udpSize, cookie } = query;
  const { rcode, authoritative, recursionAvailable = false, answers, authority, additional } = answer;
  const whole: Unsized = {
    ...{ id, response: true, rcode, authoritative, truncated: false, recursionDesired, recursionAvailable, question },
    // CoreDNS names its own size, 1232 octets, as the DNS flag day of 2020 had it.
    ...(udpSize !== undefined && { udpSize: Math.min(udpSize, 1232) }),
    ...(cookie !== undefined && { cookie }),
    ...{ answers, authority, additional },
  };
  const most = transport === "tcp" ? 65_535 : Math.max(plainUdp, udpSize ?? 0);
  // CoreDNS compresses names only where it must (request.Scrub).
  const plain = sized({ ...whole, uncompressed: true });
  if (plain.size <= most) return plain;
  const message = sized(whole);
  if (message.size <= most) return message;
  const cut = (records: number): Unsized => {
    const extra = Math.max(0, records - answers.length - authority.length);
    return {
      ...whole,
      truncated: true,
      answers: answers.slice(0, records),
      authority: authority.slice(0, Math.max(0, records - answers.length)),
      additional: additional.slice(0, extra),
    };
  };
  let [fits, tooMany] = [0, answers.length + authority.length + additional.length];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (encodeDns(cut(middle)).length <= most) fits = middle;
    else tooMany = middle;
  }
  return sized(cut(fits));
}

/** A message in a stream: its length in two octets before it (RFC 1035, 4.2.2); each octet is one letter. */
export function dnsStream(message: DnsMessage): string {
  const bytes = encodeDns(message);
  const letters = Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");
  return `${String.fromCharCode(bytes.length >> 8, bytes.length & 255)}${letters}`;
}

/** Reads messages out of a stream, as pieces of it come. */
export class DnsStreamReader {
  #text = "";

  feed(text: string): void {
    this.#text += text;
  }

  /** The next whole message; "bad" if it is none, undefined until more has come. */
  next(): DnsMessage | "bad" | undefined {
    if (this.#text.length < 2) return undefined;
    const length = this.#text.charCodeAt(0) * 256 + this.#text.charCodeAt(1);
    if (this.#text.length < 2 + length) return undefined;
    const bytes = Uint8Array.from({ length }, (_, at) => this.#text.charCodeAt(2 + at));
    this.#text = this.#text.slice(2 + length);
    const message = decodeDns(bytes);
    return message ? { ...message, type: "dns", size: length } : "bad";
  }
}
