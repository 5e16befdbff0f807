/** Owns the info string of a code fence: its language, and the options behind it. */
import { nearest } from "./suggest";

/** The options of a fence: flags are true, the others hold their value. */
export interface FenceOptions {
  /** The fence's text is written to this file in the learner's shell. */
  readonly file?: string;
  /** The cell must fail (Jupyter's own tag). */
  readonly "raises-exception"?: true;
  /** The source is folded in notebooks and hidden on pages. */
  readonly "hide-input"?: true;
  readonly "hide-output"?: true;
  /** Why the outputs are not compared; the cell must still run. */
  readonly "no-compare"?: string;
  /** The fence is shown, not run. */
  readonly "no-run"?: true;
  /** README only: the fence is what the cell before it prints. */
  readonly output?: true;
}

/** An info string taken apart; a mistake's column counts from 0, from the first letter of the info string. */
export interface Fence {
  readonly language: string;
  readonly options: FenceOptions;
  readonly mistakes: readonly { readonly column: number; readonly message: string }[];
}

export type FenceOption = keyof FenceOptions;

/** What a value means, for options that take one. */
const valued: Partial<Record<FenceOption, string>> = {
  file: "file=NAME",
  "no-compare": 'no-compare="why its output differs from run to run"',
};

/**
 * Reads an info string such as `yaml file=run-my-nginx.yaml` or `sh no-compare="a random port"`.
 * @param known the options that mean something at this place
 */
export function parseFence(info: string, known: readonly FenceOption[]): Fence {
  const [language = ""] = info.trim().split(/\s/, 1);
  const mistakes: { column: number; message: string }[] = [];
  const options: Partial<Record<FenceOption, string | true>> = {};
  const start = info.indexOf(language) + language.length;
  for (const match of info.slice(start).matchAll(/([^\s=]+)(?:=("[^"]*"|\S*))?/g)) {
    const [written, name = "", value] = match;
    const mistake = readOption(written, name, value, known, options);
    if (mistake !== undefined) mistakes.push({ column: start + (match.index ?? 0), message: mistake });
  }
  return { language, options: options as FenceOptions, mistakes };
}

/** Takes one option into `options`, or says what is wrong with it. */
function readOption(
  written: string,
  name: string,
  value: string | undefined,
  known: readonly FenceOption[],
  options: Partial<Record<FenceOption, string | true>>,
): string | undefined {
  const option = known.find((one) => one === name);
  if (option === undefined) {
    const meant = nearest(name, known);
    const list = known.map((one) => valued[one] ?? one).join(", ");
    return `unknown fence option ${written}${meant ? `; did you mean ${meant}?` : ""} (known: ${list})`;
  }
  if (option in options) return `the fence option ${option} is given twice`;
  const form = valued[option];
  const plain = value?.replace(/^"(.*)"$/, "$1").trim();
  if (form !== undefined && !plain) return `the fence option ${option} needs its value: ${form}`;
  if (form === undefined && value !== undefined) return `the fence option ${option} takes no value, but has ${written}`;
  options[option] = form === undefined ? true : (plain ?? "");
  return undefined;
}
