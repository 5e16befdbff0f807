/** Owns writing octets in network order, and the checksum of the Internet (RFC 1071). */

/** A growing row of octets, most significant first. */
export class Octets {
  #bytes = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What has been written, as a copy. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  u8(...values: readonly number[]): this {
    for (const value of values) {
      this.#grow(1);
      this.#bytes[this.#length++] = value;
    }
    return this;
  }

  u16(...values: readonly number[]): this {
    for (const value of values) this.u8((value >>> 8) & 0xff, value & 0xff);
    return this;
  }

  /** The value modulo 2³². */
  u32(value: number): this {
    const low = value % 0x1_0000_0000;
    return this.u16(Math.floor(low / 0x1_0000) & 0xffff, low & 0xffff);
  }

  raw(bytes: Uint8Array): this {
    this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Writes two octets again, where a length or checksum had to wait. */
  setU16(at: number, value: number): this {
    this.#bytes[at] = (value >>> 8) & 0xff;
    this.#bytes[at + 1] = value & 0xff;
    return this;
  }

  #grow(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** The one's complement of the one's complement sum of all 16-bit words; an odd last octet is padded with zero. */
export function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff;
}

/** The text in UTF-8; a lone U+DC80…U+DCFF is the octet that it stands for (see `utf8Length`). */
export function utf8(text: string): Uint8Array {
  const octets = new Octets();
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0;
    if (code < 0x80) octets.u8(code);
    else if (code < 0x800) octets.u8(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code >= 0xdc80 && code <= 0xdcff) octets.u8(code - 0xdc00);
    else if (code < 0x1_0000) octets.u8(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else octets.u8(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return octets.bytes();
}
