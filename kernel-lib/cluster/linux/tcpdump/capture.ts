/** Owns capture files as they are read again: the packets of a libpcap file (pcap-savefile(5)). */
import type { Time } from "../../../sim/clock";

/** A frame as octets, and when and where it was seen. */
export interface Captured {
  readonly at: Time;
  readonly bytes: Uint8Array;
  /** Set when several devices are watched (`-i any`). */
  readonly device?: string;
  readonly direction?: "in" | "out";
  readonly index?: number;
}

const magic = 0xa1b2c3d4;
const fileHeader = 24;
const recordHeader = 16;

/** The packets of a file, whichever way round its numbers stand; undefined if it is none. */
export function readCapture(file: Uint8Array): readonly Captured[] | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < fileHeader) return undefined;
  const little = view.getUint32(0, true) === magic;
  if (!little && view.getUint32(0, false) !== magic) return undefined;
  const found: Captured[] = [];
  for (let at = fileHeader; at + recordHeader <= file.length; ) {
    const [seconds, micros, length] = [0, 4, 8].map((offset) => view.getUint32(at + offset, little));
    const begin = at + recordHeader;
    at = begin + (length ?? 0);
    found.push({ at: (seconds ?? 0) * 1_000_000 + (micros ?? 0), bytes: file.subarray(begin, at) });
  }
  return found;
}

/** Files here hold text: octets are kept as characters of the same number. */
export function octetsToText(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return text;
}

export function textToOctets(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);
}
