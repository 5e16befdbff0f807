/** Owns cutting a text by octets: streams count in UTF-8, and texts are what we send. */
import { utf8Length } from "../net/packet";

/** The beginning of a text that is so many octets in UTF-8; undefined if there is not so much. */
export function takeOctets(text: string, octets: number): string | undefined {
  let count = 0;
  let end = 0;
  while (count < octets && end < text.length) {
    const step = (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
    count += utf8Length(text.slice(end, end + step));
    end += step;
  }
  return count >= octets ? text.slice(0, end) : undefined;
}
