/** Owns how tcpdump prints TCP segments: flags, sequence numbers counted from the connection's beginning, HTTP inside. */
import { u8, u16, u32 } from "./octets";
import type { Inside, Printer } from "./print";

interface Conversation {
  sequence: number;
  acknowledgement: number;
}

/** Which connections have been seen, and where they began: print-tcp.c numbers what follows from there. */
export class Conversations {
  readonly #known = new Map<string, Conversation>();

  /** The numbers of a segment as they are printed. */
  relative(
    one: string,
    other: string,
    syn: boolean,
    [sequence, acknowledgement]: readonly [number, number],
  ): readonly [number, number] {
    const turned = one > other;
    const key = turned ? `${other} ${one}` : `${one} ${other}`;
    const known = this.#known.get(key);
    if (!known || syn) {
      const [first, second] = turned ? [acknowledgement - 1, sequence] : [sequence, acknowledgement - 1];
      this.#known.set(key, { sequence: first, acknowledgement: second });
      return [sequence, acknowledgement];
    }
    const [mine, theirs] = turned ? [known.acknowledgement, known.sequence] : [known.sequence, known.acknowledgement];
    return [(sequence - mine) >>> 0, (acknowledgement - theirs) >>> 0];
  }
}

const letters: readonly (readonly [bit: number, letter: string])[] = [
  [0x01, "F"],
  [0x02, "S"],
  [0x04, "R"],
  [0x08, "P"],
  [0x10, "."],
  [0x20, "U"],
];

export function tcp(printer: Printer, inside: Inside): string {
  const { frame, begin, end, source, target } = inside;
  const { options } = printer;
  const [from, to] = [u16(frame, begin), u16(frame, begin + 2)];
  const names = `${source}.${options.port(from, "tcp")} > ${target}.${options.port(to, "tcp")}: `;
  const header = (u8(frame, begin + 12) >> 4) * 4;
  const length = end - begin - header;
  if (options.quiet) return `${names}tcp ${length}`;
  const bits = u8(frame, begin + 13);
  const flags = letters.map(([bit, letter]) => (bits & bit ? letter : "")).join("");
  const [syn, ack] = [(bits & 2) !== 0, (bits & 16) !== 0];
  let numbers: readonly [number, number] = [u32(frame, begin + 4), u32(frame, begin + 8)];
  if (ack && !options.absolute) {
    numbers = printer.conversations.relative(`${source} ${from}`, `${target} ${to}`, syn, numbers);
  }
  const [sequence, acknowledgement] = numbers;
  const words = [`Flags [${flags || "none"}]`];
  if (options.verbose > 0)
    words.push(
      `cksum 0x${u16(frame, begin + 16)
        .toString(16)
        .padStart(4, "0")} (correct)`,
    );
  if (options.verbose > 1 || length > 0 || (bits & 7) !== 0) {
    words.push(`seq ${sequence}${length > 0 ? `:${(sequence + length) >>> 0}` : ""}`);
  }
  if (ack) words.push(`ack ${acknowledgement}`);
  words.push(`win ${u16(frame, begin + 14)}`, `length ${length}`);
  const text = names + words.join(", ");
  if (length <= 0) return text;
  const data = frame.subarray(begin + header, end);
  return text + (isHttp(from, to) ? http(data, options.verbose) : "");
}

/** HTTP_PORT, HTTP_PORT_ALT and the proxy's (print-tcp.c). */
const httpPorts: readonly number[] = [80, 8080, 3128];

function isHttp(from: number, to: number): boolean {
  return httpPorts.includes(from) || httpPorts.includes(to);
}

const methods =
  /^(GET|PUT|COPY|HEAD|LOCK|MOVE|POLL|POST|BCOPY|BMOVE|MKCOL|TRACE|LABEL|MERGE|DELETE|SEARCH|UNLOCK|REPORT|UPDATE|NOTIFY|BDELETE|CONNECT|OPTIONS|CHECKIN|PROPFIND|CHECKOUT|CCM_POST|SUBSCRIBE|PROPPATCH|BPROPFIND|BPROPPATCH|UNCHECKOUT|MKACTIVITY|MKWORKSPACE|UNSUBSCRIBE|RPC_CONNECT|VERSION-CONTROL|BASELINE-CONTROL)\s/;

/** The first line of a request or answer; with `-v` the whole head (print-http.c, txtproto_print). */
function http(data: Uint8Array, verbose: number): string {
  const text = Array.from(data, (code) => String.fromCharCode(code)).join("");
  const begins = methods.test(text) || /^\S+\s+\d{3}\s/.test(text);
  if (!begins) return ": HTTP";
  if (verbose === 0) return `: HTTP: ${shown(text.split(/\r?\n/)[0] ?? "")}`;
  const all = text.split(/\r?\n/);
  // What follows the last end of line is no line of its own.
  if (all.at(-1) === "") all.pop();
  const lines = all.map((line) => `\n\t${shown(line)}`);
  return `: HTTP, length: ${data.length}${lines.join("")}`;
}

/** Octets beyond ASCII are shown as octal numbers. */
function shown(line: string): string {
  return line.replace(/[^\x20-\x7e\t]/g, (letter) => `\\${letter.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
