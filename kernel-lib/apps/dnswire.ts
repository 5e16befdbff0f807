/** Owns DNS messages as octets (RFC 1035 section 4), with names compressed. */
import { parseIp } from "../net/address";
import { Octets, utf8 } from "../net/bytes";
import type { Message } from "../net/packet";
import { type DnsMessage, type DnsRecord, isDns, type Rcode, type RecordType } from "./dns";

const types: { readonly [T in RecordType]: number } = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
};

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

export function encodeDns(message: DnsMessage): Uint8Array {
  const bits = [message.response, false, false, false, false, message.authoritative, false, message.recursionDesired];
  const high = bits.reduce((sum, bit) => sum * 2 + (bit ? 1 : 0), 0);
  const out = new Octets().u16(message.id).u8(high, (message.recursionAvailable ? 0x80 : 0) | rcodes[message.rcode]);
  out.u16(1, message.answers.length, message.authority.length, message.additional.length);
  const known = new Map<string, number>();
  writeName(out, message.question.name, known);
  out.u16(types[message.question.type], 1);
  for (const record of [...message.answers, ...message.authority, ...message.additional]) {
    writeRecord(out, record, known);
  }
  return out.bytes();
}

function writeRecord(out: Octets, { name, type, ttl, data }: DnsRecord, known: Map<string, number>): void {
  writeName(out, name, known);
  out.u16(types[type], 1).u32(ttl).u16(0);
  const begin = out.length;
  writeData(out, type, data, known);
  out.setU16(begin - 2, out.length - begin);
}

function writeData(out: Octets, type: RecordType, data: string, known: Map<string, number>): void {
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
      writeName(out, words[3] ?? ".", new Map());
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
function writeName(out: Octets, name: string, known: Map<string, number>): void {
  const labels = name.replace(/\.$/, "").split(".").filter(Boolean);
  for (const [at, label] of labels.entries()) {
    const ending = labels.slice(at).join(".").toLowerCase();
    const seen = known.get(ending);
    if (seen !== undefined) {
      out.u16(0xc000 | seen);
      return;
    }
    if (out.length < 0x4000) known.set(ending, out.length);
    const bytes = utf8(label);
    out.u8(bytes.length).raw(bytes);
  }
  out.u8(0);
}
