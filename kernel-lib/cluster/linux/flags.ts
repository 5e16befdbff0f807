/** Owns reading a tool's options as getopt(3) does: letters that may stand together, some with a value. */
import { Failed } from "../shell/tool";

/** What was given: each option in order, and the words that are none. */
export interface Flags {
  /** The value given last; empty for a flag. */
  readonly given: ReadonlyMap<string, string>;
  readonly words: readonly string[];
  has(option: string): boolean;
  /** How often, for `-vv`. */
  count(option: string): number;
  /** All values of an option that may be given again. */
  all(option: string): readonly string[];
}

/** Which options a tool has: letters as getopt writes them (`c:nq`), and what long ones stand for. */
export interface FlagRules {
  readonly tool: string;
  readonly letters: string;
  /** `{ count: "c" }`; a long option without a letter stands for its own name, with `:` if it has a value. */
  readonly long?: Readonly<Record<string, string>>;
  /** Printed below the complaint. */
  readonly usage?: string;
  readonly exitCode?: number;
  /** Everything after the first word that is no option is a word (`ssh HOST -l`); else options may stand anywhere. */
  readonly stopAtWord?: boolean;
  /** The complaint; getopt's own unless given. */
  readonly unknown?: (option: string) => string;
  readonly missing?: (option: string) => string;
}

/** @throws Failed in getopt's words */
export function readFlags(args: readonly string[], rules: FlagRules): Flags {
  const { tool, letters, usage, exitCode = 1 } = rules;
  const words: string[] = [];
  const found: (readonly [string, string])[] = [];
  const rest = [...args];
  const fail = (complaint: string): never => {
    throw new Failed(usage === undefined ? complaint : `${complaint}\n${usage}`, exitCode);
  };
  const unknown = (option: string): never =>
    fail(
      rules.unknown?.(option) ??
        (option.length > 1 ? `${tool}: unrecognized option '--${option}'` : `${tool}: invalid option -- '${option}'`),
    );
  const missing = (option: string): never =>
    fail(rules.missing?.(option) ?? `${tool}: option requires an argument -- '${option}'`);
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") {
      words.push(...rest.splice(0));
    } else if (arg.startsWith("--")) {
      const [name = "", value] = splitLong(arg.slice(2));
      const stands = rules.long && Object.hasOwn(rules.long, name) ? rules.long[name] : undefined;
      if (stands === undefined) unknown(name);
      else if (takesValue(stands, letters))
        found.push([stands.replace(":", ""), value ?? rest.shift() ?? missing(name)]);
      else found.push([stands, ""]);
    } else if (arg.startsWith("-") && arg !== "-") {
      for (let at = 1; at < arg.length; at++) {
        const letter = arg[at] ?? "";
        const place = letter === ":" ? -1 : letters.indexOf(letter);
        if (place < 0) unknown(letter);
        if (letters[place + 1] !== ":") {
          found.push([letter, ""]);
          continue;
        }
        found.push([letter, at + 1 < arg.length ? arg.slice(at + 1) : (rest.shift() ?? missing(letter))]);
        break;
      }
    } else {
      words.push(arg);
      if (rules.stopAtWord) words.push(...rest.splice(0));
    }
  }
  return {
    given: new Map(found),
    words,
    has: (option) => found.some(([name]) => name === option),
    count: (option) => found.filter(([name]) => name === option).length,
    all: (option) => found.flatMap(([name, value]) => (name === option ? value : [])),
  };
}

function splitLong(text: string): readonly [string, string | undefined] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}

function takesValue(stands: string, letters: string): boolean {
  if (stands.length === 1) return letters[letters.indexOf(stands) + 1] === ":";
  return stands.endsWith(":");
}
