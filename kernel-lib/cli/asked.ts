/** Owns what the commands that ask have in common: files and standard input as texts, and being asked wrongly. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "./error";

/** One text, and what errors call it. */
export interface NamedText {
  readonly file: string;
  readonly text: string;
}

const readable = /\.(ya?ml|json)$/;

/** Reads files, folders of them, and `-` for standard input. @throws CliError with exit code 2 */
export function readTexts(paths: readonly string[]): readonly NamedText[] {
  return paths.flatMap((path): readonly NamedText[] => {
    if (path === "-") return [{ file: "standard input", text: readFileSync(0, "utf8") }];
    const info = statSync(path, { throwIfNoEntry: false });
    if (!info) throw new CliError(`error: the path ${JSON.stringify(path)} does not exist`, 2);
    if (!info.isDirectory()) return [{ file: path, text: readFileSync(path, "utf8") }];
    const names = readdirSync(path)
      .filter((name) => readable.test(name))
      .sort();
    if (names.length === 0) throw new CliError(`error: no .yaml, .yml or .json file in ${path}`, 2);
    return names.map((name) => ({ file: join(path, name), text: readFileSync(join(path, name), "utf8") }));
  });
}

/** For an option that may come several times. */
export function another(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** Being asked wrongly is 2, as in bash; commander has said what is wrong. */
export function askedWrongly({ exitCode }: { readonly exitCode: number }): never {
  process.exit(exitCode === 0 ? 0 : 2);
}

/** `-o json`, or nothing. @throws CliError */
export function isJson(output: string | undefined): boolean {
  if (output === undefined || output === "json") return output === "json";
  throw new CliError(`error: --output must be json, not ${JSON.stringify(output)}`, 2);
}

/** What somebody asked wrongly, in our words; a mistake of our own stays what it is. */
export function wrongly<T>(ask: () => T, where = ""): T {
  try {
    return ask();
  } catch (error) {
    if (error instanceof CliError || !(error instanceof Error)) throw error;
    throw new CliError(`error: ${where}${error.message}`, 2);
  }
}

/** Prints, and ends quietly when who reads has gone. */
export function print(text: string): void {
  process.stdout.on("error", (error: Error & { readonly code?: string }) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(141);
  });
  process.stdout.write(text);
}
