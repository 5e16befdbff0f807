/** Owns cutting a text by octets, and octets that are no text in one: streams count in UTF-8, and texts are what we send. */
import { utf8 } from "../net/bytes";
import { utf8Length } from "../net/packet";

/** The beginning of a text that is so many octets in UTF-8; undefined if there is not so much. */
export function takeOctets(text: string, octets: number): string | undefined {
  // Nearly always it is all of it, or more than there is yet.
  const whole = text.length <= octets ? utf8Length(text) : undefined;
  if (whole !== undefined && whole <= octets) return whole === octets ? text : undefined;
  let count = 0;
  let end = 0;
  while (count < octets && end < text.length) {
    const step = (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
    count += utf8Length(text.slice(end, end + step));
    end += step;
  }
  return count >= octets ? text.slice(0, end) : undefined;
}

/** A text's octets as a binary string: one character, 0 to 255, for each. */
export function binaryOf(text: string): string {
  let binary = "";
  for (const octet of utf8(text)) binary += String.fromCharCode(octet);
  return binary;
}

/** Octets as they are put into a stream of text: those beyond ASCII by their stand-ins (see `utf8Length`). */
export function streamOf(binary: string): string {
  return binary.replace(/[\x80-\xff]/g, (octet) => String.fromCharCode(0xdc00 + octet.charCodeAt(0)));
}

/** Octets read as UTF-8; those that are none stay as stand-ins. */
export function textOf(binary: string): string {
  const long = /[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x80-\xff]/g;
  return binary.replace(long, (sequence) => {
    if (sequence.length === 1) return streamOf(sequence);
    const codes = Array.from(sequence, (octet) => octet.charCodeAt(0));
    const lead = (codes[0] ?? 0) & (0xff >> (sequence.length + 1));
    const code = codes.slice(1).reduce((sum, octet) => sum * 64 + (octet & 63), lead);
    return code > 0x10_ffff ? streamOf(sequence) : String.fromCodePoint(code);
  });
}
