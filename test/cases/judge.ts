/** Owns what judging a file of cases gives: each smallest thing with an expectation, and what is wrong with it. */

import { type FlowCase, readFlowFile } from "../../kernel-lib/cluster/flows/file";

/** One thing that was looked at: a flow, a row, a pair. */
export interface Judged {
  readonly name: string;
  /** What differs, `expected …, got …`; empty: it passes. */
  readonly differences: readonly string[];
}

/** A JSON object of a case file. */
export type Json = { readonly [key: string]: unknown };

/** Reads a file's content. Throws an error in words if it cannot be what its name says. */
export type Judge = (content: Json) => readonly Judged[];

/** Runs a judgement of one thing; what it throws is what is wrong with it. */
export function judged(name: string, differences: () => readonly string[]): Judged {
  try {
    return { name, differences: differences() };
  } catch (error) {
    return { name, differences: [error instanceof Error ? error.message : String(error)] };
  }
}

/** A difference in words, unless the two are equal as JSON with sorted keys. */
export function same(what: string, expected: unknown, got: unknown): readonly string[] {
  const [wanted, found] = [canonical(expected), canonical(got)];
  return wanted === found ? [] : [`${what}: expected ${wanted}, got ${found}`];
}

/** JSON with sorted keys; what is undefined is not there. */
export function canonical(value: unknown): string {
  const text = JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
  return text ?? "nothing";
}

/** Keys that no judge of this format knows: nothing may be expected unseen. */
export function unknownKeys(of: object, known: readonly string[], what: string): readonly string[] {
  return Object.keys(of).flatMap((key) => (known.includes(key) ? [] : [`${what} ${JSON.stringify(key)} is not known`]));
}

export function listOf(content: Json, key: string): readonly Json[] {
  const list = content[key];
  if (!Array.isArray(list)) throw new Error(`it has no list ${JSON.stringify(key)}`);
  return list as readonly Json[];
}

/** Judges each thing of a list apart: one that cannot be read fails, and no other with it. */
export function judgeEach(content: Json, key: string, check: (one: Json) => readonly string[]): readonly Judged[] {
  return listOf(content, key).map((one: unknown, at) => {
    if (typeof one !== "object" || one === null) return { name: `${key}[${at}]`, differences: ["no JSON object"] };
    const { name } = one as Json;
    return judged(name === undefined ? `${key}[${at}]` : String(name), () => check(one as Json));
  });
}

/** A text case is a flow case without flows. */
export function flowCase(one: Json): FlowCase {
  const { expectText: _text, ...rest } = one;
  const [found] = readFlowFile(JSON.stringify({ objects: [], ...rest, flows: [] }), "case", "asGiven");
  if (!found) throw new Error("no case");
  return found;
}
