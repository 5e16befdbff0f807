/** Owns the reading of flags in kubectl's way (spf13/pflag): `-l a=b`, `-la=b`, `--selector=a=b`, `-it`, `--`. */
import { readDuration } from "../../sim/duration";
import { Failed } from "../shell/tool";

/** One flag of a verb. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** `bool` takes no argument; `list` may be given several times. */
  readonly type: "bool" | "string" | "int" | "duration" | "list";
  /** The value when the flag stands alone (`--dry-run`). */
  readonly alone?: string;
}

/** What was given. */
export class Flags {
  readonly args: readonly string[];
  /** How many arguments stood before `--`; all, if there was none. */
  readonly beforeDash: number;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(args: readonly string[], beforeDash: number, values: ReadonlyMap<string, readonly string[]>) {
    this.args = args;
    this.beforeDash = beforeDash;
    this.#values = values;
  }

  given(name: string): boolean {
    return this.#values.has(name);
  }

  /** The last value given. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  is(name: string): boolean {
    const value = this.text(name);
    return value !== undefined && isTrue(value);
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Number(value);
  }
}

const truths = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const untruths = new Set(["0", "f", "F", "false", "FALSE", "False"]);

function isTrue(text: string): boolean {
  return truths.has(text);
}

/** Flags that every verb knows. */
const globalFlags: readonly Flag[] = [
  { name: "namespace", short: "n", type: "string" },
  { name: "help", short: "h", type: "bool" },
  { name: "v", short: "v", type: "string" },
  { name: "context", type: "string" },
  { name: "kubeconfig", type: "string" },
  { name: "request-timeout", type: "string" },
];

/**
 * Reads arguments.
 * @param stopAtArgument an argument ends the flags (`kubectl exec POD ls -l`)
 * @throws Failed in pflag's words
 */
export function parseFlags(
  given: readonly string[],
  known: readonly Flag[],
  verb: string,
  { stopAtArgument = false }: { stopAtArgument?: boolean } = {},
): Flags {
  const flags = [...known, ...globalFlags];
  const values = new Map<string, string[]>();
  const args: string[] = [];
  let beforeDash: number | undefined;
  const usage = `See 'kubectl ${verb} --help' for usage.`;
  const set = (flag: Flag, value: string, shown: string): void => {
    const problem = check(flag, value);
    if (problem)
      throw new Failed(`error: invalid argument ${JSON.stringify(value)} for "${shown}" flag: ${problem}\n${usage}`);
    values.set(flag.name, [...(values.get(flag.name) ?? []), value]);
  };
  for (let at = 0; at < given.length; at++) {
    const arg = given[at] ?? "";
    if (arg === "--") {
      beforeDash = args.length;
      args.push(...given.slice(at + 1));
      break;
    }
    if (arg === "-" || !arg.startsWith("-")) {
      args.push(arg);
      if (!stopAtArgument) continue;
      args.push(...given.slice(at + 1));
      break;
    }
    if (arg.startsWith("--")) {
      const equals = arg.indexOf("=");
      const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
      const flag = flags.find((each) => each.name === name);
      if (!flag) throw new Failed(`error: unknown flag: --${name}\n${usage}`);
      const shown = flag.short ? `-${flag.short}, --${name}` : `--${name}`;
      if (equals >= 0) set(flag, arg.slice(equals + 1), shown);
      else if (flag.type === "bool" || flag.alone !== undefined) set(flag, flag.alone ?? "true", shown);
      else if (at + 1 < given.length) set(flag, given[++at] ?? "", shown);
      else throw new Failed(`error: flag needs an argument: --${name}\n${usage}`);
      continue;
    }
    for (let rest = arg.slice(1); rest !== ""; ) {
      const flag = flags.find((each) => each.short === rest[0]);
      if (!flag) throw new Failed(`error: unknown shorthand flag: '${rest[0]}' in ${arg}\n${usage}`);
      const shown = `-${flag.short}, --${flag.name}`;
      const after = rest.slice(1);
      if (after.startsWith("=")) {
        set(flag, after.slice(1), shown);
        break;
      }
      if (flag.type === "bool" || flag.alone !== undefined) {
        set(flag, flag.alone ?? "true", shown);
        rest = after;
        continue;
      }
      if (after !== "") set(flag, after, shown);
      else if (at + 1 < given.length) set(flag, given[++at] ?? "", shown);
      else throw new Failed(`error: flag needs an argument: '${rest[0]}' in ${arg}\n${usage}`);
      break;
    }
  }
  return new Flags(args, beforeDash ?? args.length, values);
}

function check(flag: Flag, value: string): string | undefined {
  if (flag.type === "bool" && !isTrue(value) && !untruths.has(value)) {
    return `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
  }
  if (flag.type === "int" && !/^[+-]?\d+$/.test(value)) {
    return `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`;
  }
  if (flag.type === "duration") {
    const span = readDuration(value);
    if (typeof span === "string") return span;
  }
  return undefined;
}

/** The microseconds of a flag that is a duration. */
export function durationOf(text: string): number {
  const span = readDuration(text);
  return typeof span === "string" ? 0 : span;
}
