/** Owns RESP, the protocol of Redis: commands and replies as text (redis.io, "RESP protocol specification"). */
import { utf8Length } from "../net/packet";
import { takeOctets } from "./octets";

/** A reply. A bulk of `null` is "nil". */
export type Reply =
  | { readonly status: string }
  /** With its code in front: `ERR unknown command …`. */
  | { readonly error: string }
  | { readonly integer: number }
  | { readonly bulk: string | null }
  | { readonly array: readonly Reply[] };

/** A command as clients send it: an array of bulk strings. */
export function formatCommand(words: readonly string[]): string {
  return formatReply({ array: words.map((bulk) => ({ bulk })) });
}

/** A reply as it goes over the wire. */
export function formatReply(reply: Reply): string {
  if ("status" in reply) return `+${reply.status}\r\n`;
  if ("error" in reply) return `-${reply.error}\r\n`;
  if ("integer" in reply) return `:${reply.integer}\r\n`;
  if ("array" in reply) return `*${reply.array.length}\r\n${reply.array.map(formatReply).join("")}`;
  return reply.bulk === null ? "$-1\r\n" : `$${utf8Length(reply.bulk)}\r\n${reply.bulk}\r\n`;
}

/** What a client may send at most in one command (proto-max-bulk-len is larger; nothing here needs more). */
const mostText = 1024 * 1024;

/** Reads a stream of commands or replies as it comes. */
export class RespReader {
  #rest = "";

  feed(text: string): void {
    this.#rest += text;
  }

  /** The next whole command: an array of words, or a line as typed in telnet; undefined if more is needed. */
  nextCommand(): readonly string[] | "bad" | undefined {
    if (this.#rest.length > mostText) return "bad";
    if (this.#rest !== "" && !this.#rest.startsWith("*")) {
      const end = this.#rest.indexOf("\n");
      if (end < 0) return undefined;
      const line = this.#rest.slice(0, end);
      this.#rest = this.#rest.slice(end + 1);
      return line.trim().split(/\s+/).filter(Boolean);
    }
    const reply = this.nextReply();
    if (reply === undefined || reply === "bad") return reply;
    if (!("array" in reply)) return "bad";
    const words = reply.array.flatMap((word) => ("bulk" in word && word.bulk !== null ? [word.bulk] : []));
    return words.length === reply.array.length ? words : "bad";
  }

  /** The next whole reply; undefined if more is needed. */
  nextReply(): Reply | "bad" | undefined {
    const read = readReply(this.#rest);
    if (read === undefined || read === "bad") return read;
    this.#rest = this.#rest.slice(read.end);
    return read.reply;
  }
}

interface Read {
  readonly reply: Reply;
  /** Where it ends in the text. */
  readonly end: number;
}

function readReply(text: string, from = 0): Read | "bad" | undefined {
  const eol = text.indexOf("\r\n", from);
  if (eol < 0) return undefined;
  const word = text.slice(from + 1, eol);
  const end = eol + 2;
  switch (text[from]) {
    case "+":
      return { reply: { status: word }, end };
    case "-":
      return { reply: { error: word }, end };
    case ":":
      return /^-?\d+$/.test(word) ? { reply: { integer: Number(word) }, end } : "bad";
    case "$":
      return readBulk(text, end, word);
    case "*":
      return readArray(text, end, word);
    default:
      return "bad";
  }
}

function readBulk(text: string, from: number, word: string): Read | "bad" | undefined {
  if (word === "-1") return { reply: { bulk: null }, end: from };
  if (!/^\d+$/.test(word)) return "bad";
  const bulk = takeOctets(text.slice(from), Number(word));
  const end = from + (bulk?.length ?? 0) + 2;
  if (bulk === undefined || text.length < end) return undefined;
  return text.slice(end - 2, end) === "\r\n" ? { reply: { bulk }, end } : "bad";
}

function readArray(text: string, from: number, word: string): Read | "bad" | undefined {
  if (!/^\d+$/.test(word)) return "bad";
  const array: Reply[] = [];
  let end = from;
  for (let at = 0; at < Number(word); at++) {
    const item = readReply(text, end);
    if (item === undefined || item === "bad") return item;
    array.push(item.reply);
    end = item.end;
  }
  return { reply: { array }, end };
}
