/** Owns reading values, ranges, elements and verdicts of what `nft` is given. */
import { tryParseCidr, tryParseIp } from "../address";
import { prefixPart } from "./intervals";
import type { Token, Tokens } from "./lex";
import { parseTime } from "./parttext";
import { type Element, NftError, type Part, type SetSpec, type Span, type Verdict } from "./ruleset";
import { type DataTypeName, dataType, parseValue, type Value } from "./types";

const verdicts = ["accept", "drop", "return", "continue", "jump", "goto"] as const;

/** Where chains stand that are named. */
export type Names = Map<string, Span>;

/** Reads `accept`, `drop`, `jump CHAIN` … @param names is told of the chain that it leads to */
export function parseVerdict(tokens: Tokens, names: Names): Verdict {
  const word = tokens.expect(...verdicts).text as (typeof verdicts)[number];
  if (word !== "jump" && word !== "goto") return { do: word };
  if (tokens.atEnd()) throw tokens.unexpected("'{'");
  const chain = tokens.word();
  names.set(chain.text, chain);
  return { do: word, chain: chain.text };
}

/** Whether a verdict comes next. */
export function isVerdict(tokens: Tokens): boolean {
  return tokens.is(...verdicts);
}

/** One value, or several flags with commas between. */
function value(type: DataTypeName, token: Token): Value {
  const read = parseValue(type, token.text);
  if (typeof read === "object") throw new NftError(read.error, token);
  return read;
}

/** A value, a prefix, a range, or flags. */
export function parsePart(tokens: Tokens, type: DataTypeName, flags = true): Part {
  const token = tokens.word(type === "inet_service" ? "number" : "string");
  if (type === "ipv4_addr" || type === "ipv6_addr") return addressPart(tokens, type, token);
  const bounds = type === "ifname" ? null : /^(\d+)-(\d+)$/.exec(token.text);
  if (bounds) {
    const [from, to] = [bounds[1], bounds[2]].map((text) => value(type, { ...token, text: text ?? "" }));
    if (Number(from) > Number(to)) throw new NftError("Range negative size", token);
    return from === to ? (from as Value) : { from: from as Value, to: to as Value };
  }
  let read = value(type, token);
  if (!dataType(type).flags || !flags) return read;
  while (tokens.is(",")) {
    tokens.next();
    read = Number(read) | Number(value(type, tokens.word()));
  }
  return read;
}

function addressPart(tokens: Tokens, type: DataTypeName, token: Token): Part {
  const { text } = token;
  const of = (ip: Value): boolean => (typeof ip === "number") === (type === "ipv4_addr");
  if (text.includes("/")) {
    const cidr = tryParseCidr(text);
    if (!cidr || !of(cidr.ip)) throw new NftError("Could not resolve hostname: Name or service not known", token);
    return prefixPart(cidr);
  }
  const [first = "", second] = type === "ipv4_addr" && /^[\d.]+-[\d.]+$/.test(text) ? text.split("-") : [text];
  const from = value(type, { ...token, text: first });
  const last = second === undefined ? (tokens.take("-") ? tokens.word() : undefined) : { ...token, text: second };
  if (!last) return from;
  const to = value(type, last);
  if (from > to) throw new NftError("Range negative size", token);
  return from === to ? from : { from, to };
}

/** The words between `{` and `}`. @param at gets where each element stands */
export function parseElements(
  tokens: Tokens,
  types: Pick<SetSpec, "key" | "data">,
  names: Names,
  at: Span[] = [],
): readonly Element[] {
  const elements: Element[] = [];
  tokens.skipNewlines();
  tokens.expect("{");
  tokens.skipNewlines();
  while (!tokens.is("}")) {
    const first = tokens.peek();
    const key = parseKey(tokens, types.key);
    at.push({ line: first.line, from: first.from, to: tokens.last().to });
    elements.push({ key, ...parseMore(tokens, types, names) });
    tokens.skipNewlines();
    if (!tokens.take(",")) break;
    tokens.skipNewlines();
  }
  tokens.expect("}");
  return elements;
}

function parseKey(tokens: Tokens, types: readonly DataTypeName[]): readonly Part[] {
  const begin = tokens.peek();
  const parts: Part[] = [];
  for (;;) {
    const type = types[parts.length];
    if (type === undefined) throw new NftError("Can't parse symbolic invalid expressions", begin);
    parts.push(parsePart(tokens, type, false));
    if (!tokens.take(".")) return parts;
  }
}

function parseMore(tokens: Tokens, types: Pick<SetSpec, "data">, names: Names): Omit<Element, "key"> {
  let more: Omit<Element, "key"> = {};
  for (;;) {
    if (tokens.take("timeout")) more = { ...more, timeout: parseDuration(tokens) };
    else if (tokens.take("expires")) more = { ...more, expires: parseDuration(tokens) };
    else if (tokens.take("comment")) more = { ...more, comment: tokens.quoted() };
    else if (tokens.take("counter")) skipCounter(tokens);
    else break;
  }
  if (!tokens.take(":")) return more;
  if (isVerdict(tokens)) return { ...more, verdict: parseVerdict(tokens, names) };
  if (types.data === undefined || types.data === "verdict") throw tokens.unexpected();
  return { ...more, data: parseKey(tokens, types.data) as readonly Value[] };
}

function skipCounter(tokens: Tokens): void {
  while (tokens.is("packets", "bytes")) {
    tokens.next();
    tokens.number();
  }
}

/** Reads `10s`, `1h30m`. */
export function parseDuration(tokens: Tokens): number {
  const token = tokens.word("number");
  const time = parseTime(token.text);
  if (time === undefined) throw new NftError("Could not parse time", token);
  return time;
}

/** `10.244.1.2`, `10.244.1.2:80`, `[fd00::1]:80`. */
export function parseSocket(tokens: Tokens): { readonly ip: Value; readonly port?: number } {
  const bracket = tokens.take("[");
  const token = tokens.word();
  const ip = tryParseIp(token.text);
  if (ip === undefined) throw new NftError("Could not resolve hostname: Name or service not known", token);
  if (bracket) tokens.expect("]");
  if (!tokens.take(":")) return { ip };
  const port = tokens.peek();
  tokens.number();
  return { ip, port: value("inet_service", port) as number };
}
