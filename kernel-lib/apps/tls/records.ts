/** Owns TLS 1.3's records and handshake messages as octets (RFC 8446); what is secret in them is modelled (see `Sealer`). */
import { sha256 } from "@noble/hashes/sha2";
import { tryParseIp } from "../../net/address";
import { binaryOf, textOf } from "../octets";

/** The types of records. */
export const record = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;

/** The types of handshake messages. */
export const message = {
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  encryptedExtensions: 8,
  certificate: 11,
  certificateVerify: 15,
  finished: 20,
} as const;

/** Descriptions of alerts, with their words. */
export const alerts: Readonly<Record<number, string>> = {
  0: "close notify",
  10: "unexpected_message",
  40: "handshake failure",
  42: "bad certificate",
  45: "certificate expired",
  46: "certificate unknown",
  48: "unknown CA",
  50: "decode error",
  70: "protocol version",
  80: "internal error",
  112: "unrecognized name",
};

/** The most that one record holds. */
export const recordLimit = 16_384;

function number(value: number, octets: number): string {
  let text = "";
  for (let shift = 8 * (octets - 1); shift >= 0; shift -= 8) text += String.fromCharCode((value >>> shift) & 255);
  return text;
}

function read(text: string, at: number, octets: number): number {
  let value = 0;
  for (let index = 0; index < octets; index++) value = value * 256 + (text.charCodeAt(at + index) || 0);
  return value;
}

/** Octets with their length before them. */
function vector(octets: string, width: number): string {
  return number(octets.length, width) + octets;
}

export function recordOf(type: number, body: string, version = 0x0303): string {
  return number(type, 1) + number(version, 2) + vector(body, 2);
}

export function messageOf(type: number, body: string): string {
  return number(type, 1) + vector(body, 3);
}

function extension(type: number, body: string): string {
  return number(type, 2) + vector(body, 2);
}

/** One record as it is read. */
export interface TlsRecord {
  readonly type: number;
  readonly body: string;
}

/** Reads records from a stream as it comes; "bad": it is none, and `rest` is what has come. */
export class RecordReader {
  rest = "";

  feed(binary: string): void {
    this.rest += binary;
  }

  next(): TlsRecord | "bad" | undefined {
    if (this.rest === "") return undefined;
    const type = read(this.rest, 0, 1);
    if (type < 20 || type > 23 || (this.rest.length > 1 && read(this.rest, 1, 1) !== 3)) return "bad";
    if (this.rest.length < 5) return undefined;
    const length = read(this.rest, 3, 2);
    if (this.rest.length < 5 + length) return undefined;
    const body = this.rest.slice(5, 5 + length);
    this.rest = this.rest.slice(5 + length);
    return { type, body };
  }
}

/** What a client's first message says. */
export interface ClientHello {
  readonly random: string;
  readonly session: string;
  /** The name by which it calls the server; undefined for an address. */
  readonly serverName: string | undefined;
  readonly protocols: readonly string[];
}

const extensions = {
  serverName: 0,
  groups: 10,
  pointFormats: 11,
  signatures: 13,
  protocols: 16,
  padding: 21,
  versions: 43,
};

/** A ClientHello as OpenSSL sends it for curl: padded to 512 octets. */
export function clientHello(hello: ClientHello & { readonly share: string; readonly padded: boolean }): string {
  const name = hello.serverName === undefined ? "" : `\0${vector(binaryOf(hello.serverName), 2)}`;
  const protocols = hello.protocols.map((protocol) => vector(protocol, 1)).join("");
  const offered = [
    name && extension(extensions.serverName, vector(name, 2)),
    extension(extensions.pointFormats, vector("\0\x01\x02", 1)),
    extension(extensions.groups, vector("\0\x1d\0\x17\0\x1e\0\x19\0\x18", 2)),
    extension(35, ""),
    protocols && extension(extensions.protocols, vector(protocols, 2)),
    extension(22, ""),
    extension(23, ""),
    extension(
      extensions.signatures,
      vector("\x04\x03\x05\x03\x06\x03\x08\x07\x08\x08\x08\x04\x08\x05\x08\x06\x04\x01\x05\x01\x06\x01", 2),
    ),
    extension(extensions.versions, vector("\x03\x04\x03\x03", 1)),
    extension(45, vector("\x01", 1)),
    extension(51, vector(`\0\x1d${vector(hello.share, 2)}`, 2)),
  ].join("");
  const suites =
    "\x13\x02\x13\x03\x13\x01\xc0\x2c\xc0\x30\x00\x9f\xcc\xa9\xcc\xa8\xcc\xaa\xc0\x2b\xc0\x2f\x00\x9e\x00\xff";
  const head = `\x03\x03${hello.random}${vector(hello.session, 1)}${vector(suites, 2)}${vector("\0", 1)}`;
  const short = 512 - 4 - head.length - 2 - offered.length - 4;
  const padding = hello.padded && short >= 0 ? extension(extensions.padding, "\0".repeat(short)) : "";
  return messageOf(message.clientHello, head + vector(offered + padding, 2));
}

/** Undefined: it is none. */
export function readClientHello(octets: string): ClientHello | undefined {
  if (read(octets, 0, 1) !== message.clientHello || octets.length < 40) return undefined;
  const random = octets.slice(6, 38);
  const session = octets.slice(39, 39 + read(octets, 38, 1));
  let at = 39 + session.length;
  at += 2 + read(octets, at, 2);
  at += 1 + read(octets, at, 1);
  const end = at + 2 + read(octets, at, 2);
  let serverName: string | undefined;
  const protocols: string[] = [];
  for (at += 2; at + 4 <= Math.min(end, octets.length); ) {
    const [type, length] = [read(octets, at, 2), read(octets, at + 2, 2)];
    const body = octets.slice(at + 4, at + 4 + length);
    if (type === extensions.serverName) serverName = textOf(body.slice(5, 5 + read(body, 3, 2)));
    if (type === extensions.protocols) {
      for (let each = 2; each < body.length; each += 1 + read(body, each, 1)) {
        protocols.push(body.slice(each + 1, each + 1 + read(body, each, 1)));
      }
    }
    at += 4 + length;
  }
  return { random, session, serverName, protocols };
}

/** A ServerHello: TLS 1.3, AES-256-GCM with SHA-384, X25519. */
export function serverHello(random: string, session: string, share: string): string {
  const chosen = extension(extensions.versions, "\x03\x04") + extension(51, `\0\x1d${vector(share, 2)}`);
  return messageOf(message.serverHello, `\x03\x03${random}${vector(session, 1)}\x13\x02\0${vector(chosen, 2)}`);
}

export function serverRandom(octets: string): string {
  return octets.slice(6, 38);
}

/** The protocol that the server has chosen, if any. */
export function encryptedExtensions(protocol: string | undefined): string {
  const chosen = protocol === undefined ? "" : extension(extensions.protocols, vector(vector(protocol, 1), 2));
  return messageOf(message.encryptedExtensions, vector(chosen, 2));
}

export function readProtocol(body: string): string | undefined {
  return body.length > 9 ? body.slice(9, 9 + read(body, 8, 1)) : undefined;
}

/** The chain, each certificate in DER. */
export function certificateMessage(chain: readonly string[]): string {
  const entries = chain.map((der) => `${vector(der, 3)}\0\0`).join("");
  return messageOf(message.certificate, `\0${vector(entries, 3)}`);
}

export function readCertificateMessage(body: string): readonly string[] {
  const chain: string[] = [];
  for (let at = 4; at + 3 < body.length; ) {
    const length = read(body, at, 3);
    chain.push(body.slice(at + 3, at + 3 + length));
    at += 3 + length;
    at += 2 + read(body, at, 2);
  }
  return chain;
}

/** Handshake messages in the body of records, however they are cut. */
export function messagesIn(
  octets: string,
): readonly { readonly type: number; readonly body: string; readonly whole: string }[] {
  const found: { type: number; body: string; whole: string }[] = [];
  for (let at = 0; at + 4 <= octets.length; ) {
    const length = read(octets, at + 1, 3);
    if (at + 4 + length > octets.length) break;
    const whole = octets.slice(at, at + 4 + length);
    found.push({ type: read(octets, at, 1), body: whole.slice(4), whole });
    at += 4 + length;
  }
  return found;
}

/** What goes into the server name: a host's name, never an address (RFC 6066, section 3). */
export function serverNameOf(host: string): string | undefined {
  return tryParseIp(host) === undefined ? host.replace(/\.$/, "") : undefined;
}

/**
 * Makes records that nobody can read on the way, and reads them at the other end. They have TLS's form and length (the
 * content's type within, a tag of 16 octets), but the key comes from the two hellos alone: what an exchange of keys would
 * keep secret is only hidden here, and no signature is made over the handshake.
 */
export class Sealer {
  readonly #key: string;
  #count = 0;

  /** @param direction whose records these are */
  constructor(clientRandom: string, serverRandom: string, direction: "client" | "server") {
    this.#key = octetsOf(sha256(bytesOf(clientRandom + serverRandom + direction)));
  }

  seal(type: number, content: string): string {
    const inner = content + String.fromCharCode(type);
    const hidden = this.#mix(inner);
    const tag = octetsOf(sha256(bytesOf(`${this.#key}${this.#count}tag`))).slice(0, 16);
    this.#count++;
    return recordOf(record.data, hidden + tag);
  }

  open(body: string): TlsRecord {
    const inner = this.#mix(body.slice(0, -16));
    this.#count++;
    return { type: inner.charCodeAt(inner.length - 1), body: inner.slice(0, -1) };
  }

  #mix(octets: string): string {
    let mixed = "";
    for (let block = 0; block * 32 < octets.length; block++) {
      const stream = sha256(bytesOf(`${this.#key}${this.#count}.${block}`));
      for (let at = 0; at < 32 && block * 32 + at < octets.length; at++) {
        mixed += String.fromCharCode(octets.charCodeAt(block * 32 + at) ^ (stream[at] ?? 0));
      }
    }
    return mixed;
  }
}

function bytesOf(binary: string): Uint8Array {
  return Uint8Array.from(binary, (octet) => octet.charCodeAt(0));
}

function octetsOf(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");
}
