/** Owns the words of what `nft` reads, and where they stand. */
import { NftError, type Span } from "./ruleset";

export interface Token extends Span {
  readonly kind: "word" | "text" | "sign" | "newline" | "end";
  /** A text without its quotation marks. */
  readonly text: string;
}

const patterns: readonly (readonly [Token["kind"] | "space", RegExp])[] = [
  ["space", /(?:[ \t\r]|\\\r?\n|#[^\n]*)+/y],
  ["newline", /\n/y],
  ["text", /"[^"\n]*"/y],
  // IPv6, with a prefix length.
  ["word", /(?:[0-9a-fA-F]*:){2,7}[0-9a-fA-F]*(?:(?:\.\d+){3})?(?:\/\d+)?/y],
  ["word", /[A-Za-z0-9_/\\*][A-Za-z0-9_./\\*-]*/y],
  ["sign", /==|!=|<=|>=|[{}()[\],;:.@&|^!<>=+$-]/y],
];

/** All words of a text, an `end` last. @throws {NftError} at a character that nothing begins with */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let [at, line, begin] = [0, 1, 0];
  while (at < text.length) {
    const found = patterns
      .map(([kind, pattern]) => [kind, matched(pattern, text, at)] as const)
      .find(([, word]) => word);
    const [kind, word] = found ?? [undefined, undefined];
    const span = { line, from: at - begin, to: at - begin + (word?.length ?? 1) };
    if (kind === undefined || word === undefined) throw new NftError("syntax error, unexpected junk", span);
    at += word.length;
    if (kind !== "space") tokens.push({ kind, text: kind === "text" ? word.slice(1, -1) : word, ...span });
    const breaks = word.split("\n").length - 1;
    if (breaks > 0) {
      line += breaks;
      begin = at - (word.length - word.lastIndexOf("\n") - 1);
    }
  }
  if (tokens.at(-1)?.kind !== "newline")
    tokens.push({ kind: "newline", text: "\n", line, from: at - begin, to: at - begin + 1 });
  tokens.push({ kind: "end", text: "", line, from: at - begin, to: at - begin + 1 });
  return tokens;
}

function matched(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Words that the grammar knows: an error calls them by themselves, and others a string. */
const keywords = new Set(
  (
    "add create insert replace delete destroy flush list get rename table tables chain chains rule rules set sets map " +
    "maps element ruleset handle position ip ip6 inet type hook priority policy flags timeout size comment elements " +
    "accept drop return continue jump goto counter log reject with masquerade dnat snat redirect to meta ct fib numgen " +
    "vmap mark tcp udp sctp th icmp icmpv6 saddr daddr sport dport state status and or xor update"
  ).split(" "),
);

/** Reads one word after the other. */
export class Tokens {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }

  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as Token;
  }

  next(): Token {
    const token = this.peek();
    if (this.#at < this.#tokens.length - 1) this.#at++;
    return token;
  }

  /** The word before. */
  last(): Token {
    return this.#tokens[Math.max(this.#at - 1, 0)] as Token;
  }

  is(...texts: readonly string[]): boolean {
    const { kind, text } = this.peek();
    return (kind === "word" || kind === "sign") && texts.includes(text);
  }

  /** Takes a word if it is the next one. */
  take(...texts: readonly string[]): string | undefined {
    return this.is(...texts) ? this.next().text : undefined;
  }

  expect(...texts: readonly string[]): Token {
    if (!this.is(...texts)) throw this.unexpected(texts.length <= 2 ? texts.map(named).join(" or ") : undefined);
    return this.next();
  }

  /** A name or a value. */
  word(expecting = "string"): Token {
    const { kind } = this.peek();
    if (kind !== "word" && kind !== "text") throw this.unexpected(expecting);
    return this.next();
  }

  /** A text: in quotation marks, or one word (a shell has taken the marks away). */
  quoted(): string {
    return this.word("string").text;
  }

  number(): number {
    const token = this.peek();
    if (token.kind !== "word" || !/^(0x[0-9a-fA-F]+|\d+)$/.test(token.text)) throw this.unexpected("number");
    return Number(this.next().text);
  }

  /** Whether a command ends here. */
  atEnd(): boolean {
    const { kind, text } = this.peek();
    return kind === "newline" || kind === "end" || (kind === "sign" && (text === ";" || text === "}"));
  }

  skipNewlines(): void {
    while (this.peek().kind === "newline") this.next();
  }

  /** Goes past the ends of lines and commands. */
  skipEnds(): void {
    while (this.peek().kind === "newline" || this.is(";")) this.next();
  }

  /** A syntax error at the next word. */
  unexpected(expecting?: string): NftError {
    const token = this.peek();
    const { kind, text } = token;
    const what =
      kind === "newline"
        ? "newline"
        : kind === "end"
          ? "end of file"
          : kind === "text"
            ? "quoted string"
            : kind === "word" && !keywords.has(text)
              ? /^\d+$/.test(text)
                ? "number"
                : "string"
              : named(text);
    return new NftError(`syntax error, unexpected ${what}${expecting ? `, expecting ${expecting}` : ""}`, token);
  }
}

function named(text: string): string {
  return { ";": "semicolon", ":": "colon", ",": "comma", "{": "'{'", "}": "'}'" }[text] ?? text;
}
