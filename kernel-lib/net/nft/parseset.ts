/** Owns reading the declarations of sets, maps and chains: what stands between their braces. */
import type { Hook } from "../netfilter";
import type { Tokens } from "./lex";
import { priorityValue } from "./listing";
import { type Names, parseDuration, parseElements } from "./parsevalue";
import {
  type BaseChain,
  type ChainSpec,
  type ChainType,
  type Element,
  NftError,
  type SetFlag,
  type SetSpec,
  type Span,
} from "./ruleset";
import { type DataTypeName, isDataType } from "./types";

/** A set as it is declared, with the elements that it has from the start. */
export interface Declared {
  readonly set: SetSpec;
  readonly elements: readonly Element[];
  readonly at: readonly Span[];
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Reads what stands in the braces of a `set` or `map`. */
export function parseSetBody(tokens: Tokens, name: string, isMap: boolean, names: Names): Declared {
  const spec: Writable<Partial<SetSpec>> = {};
  const at: Span[] = [];
  let elements: readonly Element[] = [];
  const open = tokens.expect("{");
  tokens.skipEnds();
  while (!tokens.is("}")) {
    const word = tokens.word();
    switch (word.text) {
      case "type":
        Object.assign(spec, parseTypes(tokens, isMap));
        break;
      case "flags":
        spec.flags = parseFlags(tokens);
        break;
      case "timeout":
        spec.timeout = parseDuration(tokens);
        break;
      case "gc-interval":
        spec.gcInterval = parseDuration(tokens);
        break;
      case "size":
        spec.size = tokens.number();
        break;
      case "comment":
        spec.comment = tokens.quoted();
        break;
      case "auto-merge":
        spec.autoMerge = true;
        break;
      case "counter":
        break;
      case "elements":
        tokens.expect("=");
        elements = parseElements(tokens, { key: spec.key ?? [], ...(spec.data && { data: spec.data }) }, names, at);
        break;
      default:
        throw new NftError(`syntax error, unexpected ${word.text}`, word);
    }
    if (!tokens.atEnd()) throw tokens.unexpected("newline or semicolon");
    tokens.skipEnds();
  }
  const { line, to } = tokens.last();
  tokens.next();
  if (spec.key === undefined) {
    throw new NftError("set definition does not specify key", line === open.line ? { ...open, to } : open);
  }
  return { set: { ...spec, name, key: spec.key }, elements, at };
}

function parseTypes(tokens: Tokens, isMap: boolean): Pick<SetSpec, "key" | "data"> {
  const key = typeList(tokens);
  if (!isMap) return { key };
  if (!tokens.is(":")) throw tokens.unexpected("colon or .");
  tokens.next();
  if (tokens.take("verdict")) return { key, data: "verdict" };
  return { key, data: typeList(tokens) };
}

function typeList(tokens: Tokens): readonly DataTypeName[] {
  const types: DataTypeName[] = [];
  do {
    const word = tokens.word();
    if (!isDataType(word.text)) throw new NftError(`unknown datatype ${word.text}`, word);
    types.push(word.text);
  } while (tokens.take("."));
  return types;
}

function parseFlags(tokens: Tokens): readonly SetFlag[] {
  const flags: SetFlag[] = [];
  do flags.push(tokens.expect("constant", "dynamic", "interval", "timeout").text as SetFlag);
  while (tokens.take(","));
  return flags;
}

const hooks: readonly Hook[] = ["prerouting", "input", "forward", "output", "postrouting"];

/** The `type … hook … priority …;` and the comment of a chain; what else stands there is given to `rule`. */
export function parseChainBody(tokens: Tokens, name: string, rule: (() => void) | undefined): ChainSpec {
  let base: BaseChain | undefined;
  let comment: string | undefined;
  tokens.expect("{");
  tokens.skipEnds();
  while (!tokens.is("}")) {
    if (tokens.is("type")) base = parseBase(tokens);
    else if (tokens.take("policy")) base = withPolicy(tokens, base);
    else if (tokens.is("comment") && tokens.peek(1).kind === "text") {
      tokens.next();
      comment = tokens.quoted();
    } else if (rule) rule();
    else throw tokens.unexpected();
    if (!tokens.atEnd()) throw tokens.unexpected("newline or semicolon");
    tokens.skipEnds();
  }
  tokens.next();
  return { name, ...(base && { base }), ...(comment !== undefined && { comment }) };
}

function parseBase(tokens: Tokens): BaseChain {
  tokens.expect("type");
  const kind = tokens.word();
  if (!["filter", "nat", "route"].includes(kind.text)) throw new NftError("unknown chain type", kind);
  tokens.expect("hook");
  const hook = tokens.word();
  if (!hooks.includes(hook.text as Hook)) throw new NftError("unknown chain hook", hook);
  const at = tokens.expect("priority");
  const priority = parsePriority(tokens, hook.text);
  if (priority === undefined) {
    throw new NftError("invalid priority expression value in this context.", { ...at, to: tokens.last().to });
  }
  return { type: kind.text as ChainType, hook: hook.text as Hook, priority, policy: "accept" };
}

function parsePriority(tokens: Tokens, hook: string): number | undefined {
  const sign = tokens.take("-") ? -1 : 1;
  const { text } = tokens.word("number");
  if (/^\d+$/.test(text)) return sign * Number(text);
  const [, name = text, written] = /^([a-z]+)-(\d+)$/.exec(text) ?? [];
  const value = priorityValue(name, hook);
  if (value === undefined) return undefined;
  if (written !== undefined) return value - Number(written);
  const offset = tokens.take("+", "-");
  return offset === undefined ? value : value + (offset === "+" ? 1 : -1) * tokens.number();
}

function withPolicy(tokens: Tokens, base: BaseChain | undefined): BaseChain {
  if (!base) throw tokens.unexpected();
  return { ...base, policy: tokens.expect("accept", "drop").text as "accept" | "drop" };
}
