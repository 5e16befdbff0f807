/** Owns what BGP speakers say to each other (RFC 4271), as lines of text: the meaning of its messages, not their octets. */

/** One message. */
export type BgpMessage =
  | { readonly type: "OPEN"; readonly asn: number /** Seconds. */; readonly hold: number; readonly id: string }
  | { readonly type: "KEEPALIVE" }
  | { readonly type: "UPDATE"; readonly announced: readonly string[]; readonly withdrawn: readonly string[] }
  | { readonly type: "NOTIFICATION"; readonly error: string };

export const bgpPort = 179;

/** Half a minute before the hold time is over for the second time: a third of it (section 10). */
export function keepaliveOf(hold: number): number {
  return hold / 3;
}

export function bgpText(message: BgpMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** Puts together what comes in pieces over TCP. */
export class BgpReader {
  #text = "";

  /** The messages that are whole now; undefined stands for what is none. */
  feed(text: string): readonly (BgpMessage | undefined)[] {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop() ?? "";
    return lines.map(readMessage);
  }
}

function readMessage(line: string): BgpMessage | undefined {
  try {
    const found: unknown = JSON.parse(line);
    const known = typeof found === "object" && found !== null && "type" in found;
    return known && types.has(String(found.type)) ? (found as BgpMessage) : undefined;
  } catch {
    return undefined;
  }
}

const types = new Set(["OPEN", "KEEPALIVE", "UPDATE", "NOTIFICATION"]);
