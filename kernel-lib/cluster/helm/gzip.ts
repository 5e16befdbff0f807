/** Owns gzip without compression (RFC 1952, stored blocks of RFC 1951): what any gunzip reads, the same on every machine. */

const crcTable = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value >>> 0;
});

function crc32(octets: Uint8Array): number {
  let crc = 0xffffffff;
  for (const octet of octets) crc = (crcTable[(crc ^ octet) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function little(value: number, size: number): readonly number[] {
  return Array.from({ length: size }, (_, at) => (value >>> (8 * at)) & 0xff);
}

const longestBlock = 0xffff;

export function gzip(octets: Uint8Array): Uint8Array {
  const parts: number[] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
  for (let at = 0; at === 0 || at < octets.length; at += longestBlock) {
    const block = octets.subarray(at, at + longestBlock);
    const last = at + longestBlock >= octets.length ? 1 : 0;
    parts.push(last, ...little(block.length, 2), ...little(~block.length & 0xffff, 2));
    for (const octet of block) parts.push(octet);
  }
  return Uint8Array.from([...parts, ...little(crc32(octets), 4), ...little(octets.length, 4)]);
}

/** What `gzip` wrote; undefined for anything else. */
export function gunzip(octets: Uint8Array): Uint8Array | undefined {
  if (octets[0] !== 0x1f || octets[1] !== 0x8b || octets[3] !== 0) return undefined;
  const out: number[] = [];
  for (let at = 10; at < octets.length - 8; ) {
    const head = octets[at] as number;
    if (head > 1) return undefined;
    const length = (octets[at + 1] as number) | ((octets[at + 2] as number) << 8);
    for (let each = 0; each < length; each++) out.push(octets[at + 5 + each] as number);
    at += 5 + length;
    if (head === 1) break;
  }
  return Uint8Array.from(out);
}
