/** Owns what openssl's commands have in common: their options, files, and complaints. */
import { resolvePath } from "../../shell/filesystem";
import { type Call, Failed } from "../../shell/tool";

/** The version whose words these are. */
export const version = "OpenSSL 3.0.13 30 Jan 2024 (Library: OpenSSL 3.0.13 30 Jan 2024)";

/** What was given to a command: options in any order, some with a value. */
export class Options {
  readonly #found: (readonly [string, string])[] = [];
  readonly words: readonly string[];

  /** @param rules `in:` has a value, `noout` has none */
  constructor(command: string, args: readonly string[], rules: readonly string[]) {
    const words: string[] = [];
    const rest = [...args];
    for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
      if (!arg.startsWith("-") || arg === "-") {
        words.push(arg);
        continue;
      }
      const name = arg.replace(/^--?/, "");
      if (rules.includes(name)) this.#found.push([name, ""]);
      else if (rules.includes(`${name}:`)) {
        const value = rest.shift();
        if (value === undefined) throw usage(command, `Option -${name} needs a value`);
        this.#found.push([name, value]);
      } else throw usage(command, `Unknown option: -${name}`);
    }
    this.words = words;
  }

  has(name: string): boolean {
    return this.#found.some(([each]) => each === name);
  }

  /** The value given last. */
  text(name: string): string | undefined {
    return this.#found.filter(([each]) => each === name).at(-1)?.[1];
  }

  all(name: string): readonly string[] {
    return this.#found.flatMap(([each, value]) => (each === name ? value : []));
  }

  /** Those of some that were given, in the order in which they were. */
  given(names: readonly string[]): readonly (readonly [string, string])[] {
    return this.#found.filter(([each]) => names.includes(each));
  }
}

export function usage(command: string, problem: string): Failed {
  return new Failed(`${command}: ${problem}\n${command}: Use -help for summary.`);
}

/** A file's text. @throws Failed in openssl's words */
export function readInput(call: Call, path: string | undefined, what: string): string {
  if (path === undefined || path === "-") return call.stdin;
  const at = resolvePath(call.folder, path);
  const text = call.place.files.read(at);
  if (text !== undefined) return text;
  throw new Failed(
    `Could not open file or uri for loading ${what} from ${path}\n${trace(`80000002:system library:file_open:No such file or directory:../providers/implementations/storemgmt/file_store.c:266:calling stat(${path})`)}\nUnable to load ${what}`,
  );
}

export function unreadable(what: string, path: string | undefined): Failed {
  const problem = trace(
    "1608010C:STORE routines:ossl_store_handle_load_result:unsupported:../crypto/store/store_result.c:149:",
  );
  return new Failed(`Could not read ${what} from ${path ?? "<stdin>"}\n${problem}\nUnable to load ${what}`);
}

/** A line of OpenSSL's list of errors. */
export function trace(error: string): string {
  return `4047F2C1517F0000:error:${error}`;
}

/** Writes to a file, or to the output. */
export function write(call: Call, path: string | undefined, text: string, mode?: number): void {
  if (path === undefined || path === "-") {
    call.out(text);
    return;
  }
  const at = resolvePath(call.folder, path);
  const folder = at.slice(0, at.lastIndexOf("/")) || "/";
  if (!call.place.files.isFolder(folder)) {
    throw new Failed(`${call.args[0]}: Can't open "${path}" for writing, No such file or directory`);
  }
  if (mode === undefined) call.place.files.write(at, text);
  else call.place.files.write(at, text, mode);
}
