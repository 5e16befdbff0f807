/** Owns the pieces of a TCP stream: what is under way, and how a text is cut into segments. */
import { type TcpFlags, utf8Length } from "./packet";

/** What has been sent and not yet been acknowledged. */
export interface Sent {
  readonly flags: TcpFlags;
  readonly sequence: number;
  readonly end: number;
  readonly payload: string;
}

/** The same octets in pieces of at most `most`. */
export function cutSmaller(sent: Sent, most: number): readonly Sent[] {
  const pieces: Sent[] = [];
  let { payload, sequence } = sent;
  while (payload !== "") {
    const piece = firstOctets(payload, most);
    payload = payload.slice(piece.length);
    const end = sequence + utf8Length(piece);
    pieces.push({ flags: payload === "" ? sent.flags : ".", sequence, end, payload: piece });
    sequence = end;
  }
  return pieces.length > 0 ? pieces : [sent];
}

/** The longest beginning of a text that is at most `most` octets long, not cutting a character. */
export function firstOctets(text: string, most: number): string {
  if (text.length * 3 <= most || utf8Length(text) <= most) return text;
  let octets = 0;
  let at = 0;
  for (const character of text) {
    octets += utf8Length(character);
    if (octets > most) break;
    at += character.length;
  }
  return text.slice(0, at);
}
