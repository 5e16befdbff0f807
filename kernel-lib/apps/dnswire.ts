/** Owns DNS messages as octets (RFC 1035 section 4), with names compressed. */
import { formatIp, parseIp } from "../net/address";
import { Octets, utf8 } from "../net/bytes";
import type { Message } from "../net/packet";
import { type DnsMessage, type DnsRecord, isDns, type Question, type Rcode, type RecordType, recordTypes } from "./dns";

const rcodes: { readonly [R in Rcode]: number } = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
};

/** The octets of a message, if it is one of DNS: what `pcapFile` takes as `encode`. */
export function encodeMessage(message: Message): Uint8Array | undefined {
  return isDns(message) ? encodeDns(message) : undefined;
}

/** What of a message is written; its size is not. */
export type Unsized = Omit<DnsMessage, "type" | "size">;

/** @param compress false: every name in full */
export function encodeDns(message: Unsized, compress = !message.uncompressed): Uint8Array {
  const { response, authoritative, truncated } = message;
  const bits = [response, false, false, false, false, authoritative, truncated, message.recursionDesired];
  const high = bits.reduce((sum, bit) => sum * 2 + (bit ? 1 : 0), 0);
  const out = new Octets().u16(message.id).u8(high, (message.recursionAvailable ? 0x80 : 0) | rcodes[message.rcode]);
  const options = message.udpSize === undefined ? 0 : 1;
  out.u16(1, message.answers.length, message.authority.length, message.additional.length + options);
  const known = compress ? new Map<string, number>() : undefined;
  writeName(out, message.question.name, known);
  out.u16(recordTypes[message.question.type], 1);
  for (const record of [...message.answers, ...message.authority, ...message.additional]) {
    writeRecord(out, record, known);
  }
  if (message.udpSize !== undefined) {
    const cookie = [...(message.cookie ?? "").matchAll(/../g)].map(([digits]) => Number.parseInt(digits, 16));
    out.u8(0).u16(optType, message.udpSize).u32(0);
    if (cookie.length === 0) out.u16(0);
    else out.u16(4 + cookie.length, cookieOption, cookie.length).u8(...cookie);
  }
  return out.bytes();
}

/** Where endings of names are in the message; undefined: names are not compressed. */
type Known = Map<string, number> | undefined;
const optType = 41;
const cookieOption = 10;

function writeRecord(out: Octets, { name, type, ttl, data }: DnsRecord, known: Known): void {
  writeName(out, name, known);
  out.u16(recordTypes[type], 1).u32(ttl).u16(0);
  const begin = out.length;
  writeData(out, type, data, known);
  out.setU16(begin - 2, out.length - begin);
}

function writeData(out: Octets, type: RecordType, data: string, known: Known): void {
  const words = data.split(" ");
  switch (type) {
    case "A":
      out.u32(Number(parseIp(data)));
      return;
    case "AAAA": {
      const ip = BigInt(parseIp(data));
      for (let shift = 96n; shift >= 0n; shift -= 32n) out.u32(Number((ip >> shift) & 0xffff_ffffn));
      return;
    }
    case "TXT":
      for (let at = 0, bytes = utf8(data.replace(/^"(.*)"$/, "$1")); at === 0 || at < bytes.length; at += 255) {
        const part = bytes.slice(at, at + 255);
        out.u8(part.length).raw(part);
      }
      return;
    case "SRV":
      // RFC 2782: the target's name is never compressed.
      out.u16(...words.slice(0, 3).map(Number));
      writeName(out, words[3] ?? ".", undefined);
      return;
    case "SOA":
      writeName(out, words[0] ?? ".", known);
      writeName(out, words[1] ?? ".", known);
      for (const number of words.slice(2, 7)) out.u32(Number(number));
      return;
    default:
      writeName(out, data, known);
  }
}

/** Labels up to the root, or up to an ending that the message already has: there a pointer to it. */
function writeName(out: Octets, name: string, known: Known): void {
  const labels = name.replace(/\.$/, "").split(".").filter(Boolean);
  for (const [at, label] of labels.entries()) {
    const ending = labels.slice(at).join(".").toLowerCase();
    const seen = known?.get(ending);
    if (seen !== undefined) {
      out.u16(0xc000 | seen);
      return;
    }
    if (out.length < 0x4000) known?.set(ending, out.length);
    const bytes = utf8(label);
    out.u8(bytes.length).raw(bytes);
  }
  out.u8(0);
}

/** Reads a message; undefined if these octets are none (a pointer out of it or in a circle, an end too soon). */
export function decodeDns(bytes: Uint8Array): Unsized | undefined {
  const reader = new Reader(bytes);
  try {
    return reader.message();
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const typeNames = new Map(Object.entries(recordTypes).map(([name, value]) => [value as number, name as RecordType]));
const rcodeNames = new Map(Object.entries(rcodes).map(([name, value]) => [value, name as Rcode]));

interface Edns {
  readonly udpSize: number;
  readonly cookie?: string;
}

class Reader {
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  message(): Unsized {
    const id = this.#u16();
    const [high, low] = [this.#u8(), this.#u8()];
    const [, answers = 0, authority = 0, additional = 0] = [this.#u16(), this.#u16(), this.#u16(), this.#u16()];
    const question: Question = { name: this.#name(), type: this.#type(this.#u16()) };
    this.#u16();
    const records = (count: number): (DnsRecord | Edns)[] => Array.from({ length: count }, () => this.#record());
    const plain = (list: readonly (DnsRecord | Edns)[]): readonly DnsRecord[] => {
      return list.filter((one): one is DnsRecord => "name" in one);
    };
    const [first, second, third] = [records(answers), records(authority), records(additional)];
    const edns = third.find((one): one is Edns => "udpSize" in one);
    return {
      id,
      response: (high & 0x80) !== 0,
      rcode: rcodeNames.get(low & 15) ?? "SERVFAIL",
      authoritative: (high & 4) !== 0,
      truncated: (high & 2) !== 0,
      recursionDesired: (high & 1) !== 0,
      recursionAvailable: (low & 0x80) !== 0,
      ...edns,
      question,
      answers: plain(first),
      authority: plain(second),
      additional: plain(third),
    };
  }

  #u8(): number {
    const value = this.bytes[this.#at++];
    if (value === undefined) throw new RangeError("the message ends too soon");
    return value;
  }

  #u16(): number {
    return this.#u8() * 256 + this.#u8();
  }

  #u32(): number {
    return this.#u16() * 65_536 + this.#u16();
  }

  #type(value: number): RecordType {
    const type = typeNames.get(value);
    if (type === undefined) throw new RangeError(`unknown type ${value}`);
    return type;
  }

  #name(): string {
    const labels: string[] = [];
    let back: number | undefined;
    for (let jumps = 0; jumps < 128; ) {
      const length = this.#u8();
      if (length >= 0xc0) {
        const target = (length & 0x3f) * 256 + this.#u8();
        back ??= this.#at;
        this.#at = target;
        jumps++;
      } else if (length === 0) {
        if (back !== undefined) this.#at = back;
        return `${labels.join(".")}.`;
      } else {
        labels.push(Array.from({ length }, () => String.fromCharCode(this.#u8())).join(""));
      }
    }
    throw new RangeError("a name goes in a circle");
  }

  /** A record, or what OPT says. */
  #record(): DnsRecord | Edns {
    const name = this.#name();
    const number = this.#u16();
    const size = this.#u16();
    const ttl = this.#u32();
    const end = this.#u16() + this.#at;
    if (number === optType) {
      const option = end > this.#at ? [this.#u16(), this.#u16()] : [];
      const octets = option[0] === cookieOption ? Array.from({ length: option[1] ?? 0 }, () => this.#u8()) : [];
      this.#at = end;
      const cookie = octets.map((octet) => octet.toString(16).padStart(2, "0")).join("");
      return { udpSize: size, ...(cookie !== "" && { cookie }) };
    }
    const type = this.#type(number);
    const data = this.#data(type, end);
    this.#at = end;
    return { name, type, ttl, data };
  }

  #data(type: RecordType, end: number): string {
    switch (type) {
      case "A":
        return formatIp(this.#u32());
      case "AAAA":
        return formatIp(
          Array.from({ length: 16 }, () => BigInt(this.#u8())).reduce((sum, octet) => sum * 256n + octet),
        );
      case "SRV":
        return `${this.#u16()} ${this.#u16()} ${this.#u16()} ${this.#name()}`;
      case "SOA": {
        const names = `${this.#name()} ${this.#name()}`;
        return [names, ...Array.from({ length: 5 }, () => this.#u32())].join(" ");
      }
      case "TXT": {
        const parts: string[] = [];
        while (this.#at < end) {
          const length = this.#u8();
          parts.push(Array.from({ length }, () => String.fromCharCode(this.#u8())).join(""));
        }
        return parts.map((part) => `"${part}"`).join(" ");
      }
      default:
        return this.#name();
    }
  }
}
