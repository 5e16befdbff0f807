/** Owns reading a rule of what `nft` is given. */
import type { Tokens } from "./lex";
import { typesOf } from "./operands";
import {
  isVerdict,
  type Names,
  parseDuration,
  parseElements,
  parsePart,
  parseSocket,
  parseVerdict,
} from "./parsevalue";
import {
  type Comparison,
  type MarkValue,
  type NatFlags,
  NftError,
  type Operand,
  type Part,
  type RejectWith,
  type Rule,
  type SetReference,
  type SetSpec,
  type Statement,
  type TableFamily,
} from "./ruleset";
import { impliedFamily, impliedProtocol, isSelector, type SelectorName } from "./selectors";
import type { DataTypeName } from "./types";

/** What reading a rule needs to know. */
export interface RuleContext {
  readonly family: TableFamily;
  /** Where the chains and sets stand that the rule names. */
  readonly names: Names;
  /** A set that is there, or is made before. */
  set(name: string): SetSpec | undefined;
}

/** The statements up to the end of the command, and the comment. */
export function parseRule(tokens: Tokens, context: RuleContext): Rule {
  const does: Statement[] = [];
  let comment: string | undefined;
  if (tokens.atEnd()) throw tokens.unexpected();
  while (!tokens.atEnd()) {
    const at = tokens.peek();
    if (tokens.take("comment")) {
      comment = tokens.quoted();
      continue;
    }
    const last = does.at(-1);
    const statement = parseStatement(tokens, context, does);
    if (last && isTerminal(last)) {
      throw new NftError("Statement after terminal statement has no effect", { ...at, to: tokens.last().to });
    }
    does.push(statement);
  }
  return { does, ...(comment !== undefined && { comment }) };
}

function isTerminal(statement: Statement): boolean {
  return "verdict" in statement || "reject" in statement;
}

function parseStatement(tokens: Tokens, context: RuleContext, before: readonly Statement[]): Statement {
  if (isVerdict(tokens)) return { verdict: parseVerdict(tokens, context.names) };
  if (tokens.take("counter")) return { counter: parseCounter(tokens) };
  if (tokens.take("log")) return { log: parseLog(tokens) };
  if (tokens.take("reject")) return parseReject(tokens, context.family);
  if (tokens.take("masquerade")) return { nat: "masquerade", ...parseFlags(tokens) };
  if (tokens.take("redirect")) {
    const port = tokens.take("to") && tokens.expect(":") ? { port: tokens.number() } : {};
    return { nat: "redirect", ...port, ...parseFlags(tokens) };
  }
  if (tokens.is("dnat", "snat")) return parseNat(tokens, context, before);
  if (tokens.is("update", "add", "delete") && tokens.peek(1).text === "@") return parseUpdate(tokens, context);
  const at = tokens.peek();
  const operand = parseOperand(tokens, context);
  if ((operand === "meta mark" || operand === "ct mark") && tokens.take("set")) {
    return { assign: operand, value: parseMark(tokens, context) };
  }
  if (tokens.take("vmap")) return { vmap: operand, in: parseReference(tokens, operand, context, "verdict") };
  const op = (tokens.take("==", "!=", "<", ">", "<=", ">=") ?? "==") as Comparison;
  if (tokens.is("@", "{")) return { match: operand, op, to: parseReference(tokens, operand, context) };
  const [type] = typesOf(operand);
  if (typeof operand === "object" && "concat" in operand)
    throw new NftError("Can't parse symbolic invalid expressions", at);
  return { match: operand, op, to: parsePart(tokens, type as DataTypeName) as Part };
}

// ── What is looked at ────────────────────────────────────────────────────────────────────────────────────────────────

function parseOperand(tokens: Tokens, context: RuleContext): Operand {
  if (tokens.is("numgen")) return parseNumgen(tokens);
  const first = parseSelector(tokens, context);
  if (tokens.take("&", "and")) return { of: first, mask: tokens.number() };
  const parts = [first];
  while (tokens.take(".")) parts.push(parseSelector(tokens, context));
  return parts.length === 1 ? first : { concat: parts };
}

function parseNumgen(tokens: Tokens): { readonly numgen: "random" | "inc"; readonly mod: number } {
  tokens.expect("numgen");
  const numgen = tokens.expect("random", "inc").text as "random" | "inc";
  tokens.expect("mod");
  return { numgen, mod: tokens.number() };
}

const bareMeta = new Set(["mark", "l4proto", "nfproto", "length"]);
const devices = new Set(["iif", "oif", "iifname", "oifname"]);

function parseSelector(tokens: Tokens, { family }: RuleContext): SelectorName {
  const first = tokens.peek();
  const words = [tokens.word().text];
  if (words[0] === "meta" && devices.has(tokens.peek().text)) words[0] = tokens.next().text;
  else if (words[0] === "fib") words.push(tokens.word().text, tokens.word().text);
  else if (bareMeta.has(words[0] ?? "")) words.unshift("meta");
  else if (!devices.has(words[0] ?? "")) {
    // What is no selector at all is a name where no name can be.
    if (!selectorHeads.has(words[0] ?? "")) {
      throw tokens.atEnd() ? tokens.unexpected() : new NftError("No symbol type information", first);
    }
    words.push(tokens.word().text);
  }
  const name = words.join(" ");
  const span = { ...first, to: tokens.last().to };
  if (!isSelector(name)) throw new NftError(`syntax error, unexpected ${tokens.last().text}`, tokens.last());
  const only = impliedFamily(name);
  if (only !== undefined && family !== "inet" && only !== family) {
    throw new NftError(`conflicting protocols specified: ${family} vs. ${only}`, span);
  }
  if (name === "meta nfproto" && family !== "inet") {
    throw new NftError("meta nfproto is only useful in the inet family", span);
  }
  return name;
}

const selectorHeads = new Set(["ip", "ip6", "tcp", "udp", "sctp", "th", "icmp", "icmpv6", "meta", "ct", "fib"]);

/** `@name`, or elements without a name. */
function parseReference(
  tokens: Tokens,
  operand: Operand,
  context: RuleContext,
  data?: "verdict" | readonly DataTypeName[],
): SetReference {
  const at = tokens.peek();
  if (!tokens.take("@")) {
    const types = { key: typesOf(operand), ...(data && { data }) };
    return { elements: parseElements(tokens, types, context.names) };
  }
  const { text: name, to } = tokens.word();
  const span = { ...at, to };
  context.names.set(`@${name}`, span);
  const spec = context.set(name);
  if (!spec) throw new NftError("No such file or directory", span);
  if (data !== undefined && spec.data === undefined) throw new NftError("Expression is not a map", span);
  checkTypes(operand, spec, span);
  return { set: name };
}

const typeWords: { readonly [Type in DataTypeName]?: string } = {
  ipv4_addr: "IPv4 address",
  ipv6_addr: "IPv6 address",
  inet_proto: "Internet protocol",
  inet_service: "internet network service",
  mark: "packet mark",
  ifname: "network interface name",
  ct_state: "conntrack state",
  integer: "integer",
};

function checkTypes(operand: Operand, { key }: SetSpec, span: ConstructorParameters<typeof NftError>[1]): void {
  const types = typesOf(operand);
  if (types.length === key.length && types.every((type, at) => type === key[at])) return;
  const words = (list: readonly DataTypeName[]): string =>
    `${list.length > 1 ? "concatenation of " : ""}${list.map((type) => typeWords[type] ?? type).join(", ")}`;
  throw new NftError(`datatype mismatch, expected ${words(types)}, expression has type ${words(key)}`, span);
}

// ── What is done ─────────────────────────────────────────────────────────────────────────────────────────────────────

function parseCounter(tokens: Tokens): { packets: number; bytes: number } {
  const packets = tokens.take("packets") ? tokens.number() : 0;
  return { packets, bytes: tokens.take("bytes") ? tokens.number() : 0 };
}

function parseLog(tokens: Tokens): { prefix?: string; level?: string } {
  const prefix = tokens.take("prefix") ? { prefix: tokens.quoted() } : {};
  return { ...prefix, ...(tokens.take("level") ? { level: tokens.word().text } : {}) };
}

const rejectWords: readonly RejectWith[] = [
  "port-unreachable",
  "host-unreachable",
  "net-unreachable",
  "admin-prohibited",
  "no-route",
  "addr-unreachable",
];

function parseReject(tokens: Tokens, family: TableFamily): Statement {
  if (!tokens.take("with")) return { reject: "port-unreachable" };
  if (tokens.take("tcp")) {
    tokens.expect("reset");
    return { reject: "tcp-reset" };
  }
  const by = tokens.expect("icmp", "icmpv6", "icmpx").text;
  tokens.take("type");
  const reject = tokens.expect(...rejectWords).text as RejectWith;
  return by === "icmpx" || family !== "inet" ? { reject } : { reject, by: by as "icmp" | "icmpv6" };
}

function parseFlags(tokens: Tokens): { flags?: NatFlags } {
  const flags: { -readonly [Flag in keyof NatFlags]: NatFlags[Flag] } = {};
  while (tokens.is("random", "fully-random", "persistent")) {
    const flag = tokens.next().text;
    flags[flag === "fully-random" ? "fullyRandom" : (flag as "random" | "persistent")] = true;
    if (!tokens.take(",")) break;
  }
  return Object.keys(flags).length === 0 ? {} : { flags };
}

/** `dnat to 10.0.0.1:80`, `dnat ip addr . port to numgen random mod 2 map { … }`. */
function parseNat(tokens: Tokens, context: RuleContext, before: readonly Statement[]): Statement {
  const head = tokens.peek();
  const nat = tokens.next().text as "dnat" | "snat";
  const family = tokens.take("ip", "ip6") as "ip" | "ip6" | undefined;
  if (tokens.take("addr") && tokens.take(".")) tokens.expect("port");
  tokens.take("to");
  const of = context.family === "inet" ? (family ?? "ip") : context.family;
  const written = context.family === "inet" ? { family: of } : {};
  const at = tokens.peek();
  if (/^[\d.]+$|:/.test(at.text) || at.text === "[") {
    const to = parseSocket(tokens);
    if (to.port !== undefined && !before.some(namesTransport)) {
      const why = "transport protocol mapping is only valid after transport protocol match";
      throw new NftError(why, tokens.last() ?? head);
    }
    return { nat, to, ...written, ...parseFlags(tokens) };
  }
  const key = parseOperand(tokens, context);
  tokens.expect("map");
  const address: DataTypeName = of === "ip6" ? "ipv6_addr" : "ipv4_addr";
  const reference = parseReference(tokens, key, context, [address, "inet_service"]);
  const spec = "set" in reference ? context.set(reference.set) : undefined;
  const parts = spec
    ? (spec.data?.length ?? 1)
    : "elements" in reference
      ? (reference.elements[0]?.data?.length ?? 1)
      : 1;
  return { nat, to: { key, in: reference }, ...(parts > 1 ? { family: of } : written), ...parseFlags(tokens) };
}

function namesTransport(statement: Statement): boolean {
  const operand = "match" in statement ? statement.match : "vmap" in statement ? statement.vmap : undefined;
  const names = typeof operand === "string" ? [operand] : operand && "concat" in operand ? operand.concat : [];
  const named = new Set<SelectorName>(["meta l4proto", "ip protocol", "ip6 nexthdr"]);
  return names.some((name) => named.has(name) || impliedProtocol(name) !== undefined);
}

function parseUpdate(tokens: Tokens, context: RuleContext): Statement {
  const update = tokens.next().text as "add" | "update" | "delete";
  const at = tokens.next();
  const { text: set, to } = tokens.word();
  context.names.set(`@${set}`, { ...at, to });
  if (!context.set(set)) throw new NftError("No such file or directory", { ...at, to });
  tokens.expect("{");
  const key = parseOperand(tokens, context);
  const timeout = tokens.take("timeout") ? { timeout: parseDuration(tokens) } : {};
  if (tokens.take("counter")) parseCounter(tokens);
  tokens.expect("}");
  return { update, set, key, ...timeout };
}

function parseMark(tokens: Tokens, context: RuleContext): MarkValue {
  if (tokens.is("numgen")) return parseNumgen(tokens);
  if (/^(0x|\d)/.test(tokens.peek().text)) return parsePart(tokens, "mark") as number;
  const at = tokens.peek();
  const of = parseSelector(tokens, context);
  if (of !== "meta mark" && of !== "ct mark") throw new NftError("Could not parse packet mark", at);
  const sign = tokens.take("&", "|", "^", "and", "or", "xor");
  if (sign === undefined) return { of };
  const op = sign === "and" ? "&" : sign === "or" ? "|" : sign === "xor" ? "^" : (sign as "&" | "|" | "^");
  return { of, op, bits: tokens.number() };
}
