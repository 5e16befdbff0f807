/** Owns the data of a new ConfigMap or Secret: `--from-literal`, `--from-file`, `--from-env-file`. */
import { resolvePath } from "../../../shell/filesystem";
import { Failed } from "../../../shell/tool";
import type { Context } from "../../context";
import type { Flag } from "../../flags";

export const keyFlags: readonly Flag[] = [
  { name: "from-literal", type: "list" },
  { name: "from-file", type: "list" },
  { name: "from-env-file", type: "list" },
  { name: "append-hash", type: "bool" },
];

/** Key → text, in the order in which they are given. @throws Failed in kubectl's words */
export function dataOf(context: Context, what: "configmap" | "secret"): Readonly<Record<string, string>> {
  const { flags } = context;
  const [literals, files, envs] = ["from-literal", "from-file", "from-env-file"].map((name) => flags.texts(name));
  if (envs?.length && (files?.length || literals?.length)) {
    throw new Failed("error: from-env-file cannot be combined with from-file or from-literal");
  }
  const data: Record<string, string> = {};
  const add = (key: string, text: string): void => {
    const problem = keyProblem(key);
    if (problem)
      throw new Failed(
        `error: ${JSON.stringify(key)} is not a valid key name for a ${what === "secret" ? "Secret" : "ConfigMap"}: ${problem}`,
      );
    if (Object.hasOwn(data, key)) {
      throw new Failed(
        `error: cannot add key ${JSON.stringify(key)}, another key by that name already exists in Data for ${what === "secret" ? "Secret" : "ConfigMap"} ${JSON.stringify(flags.args[0] ?? "")}`,
      );
    }
    Object.defineProperty(data, key, { value: text, enumerable: true, configurable: true, writable: true });
  };
  for (const given of files ?? []) for (const [key, text] of filesOf(context, given)) add(key, text);
  for (const literal of literals ?? []) {
    const equals = literal.indexOf("=");
    if (equals <= 0) throw new Failed(`error: invalid literal source ${literal}, expected key=value`);
    add(literal.slice(0, equals), unquoted(literal.slice(equals + 1)));
  }
  for (const given of envs ?? []) for (const [key, text] of envOf(context, given)) add(key, text);
  return data;
}

/** util.ParseLiteralSource: quotes around the whole value go. */
function unquoted(text: string): string {
  const quoted = text.length >= 2 && text[0] === text.at(-1) && (text[0] === '"' || text[0] === "'");
  return quoted ? text.slice(1, -1) : text;
}

const keyRule =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

function keyProblem(key: string): string | undefined {
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) return keyRule;
  if (key === ".") return "must not be '.'";
  return key.startsWith("..") ? "must not start with '..'" : undefined;
}

/** `[key=]path`; a folder means all files in it that have the name of a key. */
function filesOf({ call }: Context, given: string): readonly (readonly [string, string])[] {
  const equals = given.split("=");
  if (equals.length > 2) throw new Failed("error: key names or file paths cannot contain '='");
  const path = equals[1] ?? given;
  const key = equals.length === 2 ? (equals[0] ?? "") : undefined;
  if (key === "") throw new Failed(`error: key name for file path ${path} missing`);
  if (path === "") throw new Failed(`error: file path for key name ${key} missing`);
  const { files } = call.place;
  const at = resolvePath(call.folder, path);
  const text = files.read(at);
  if (text !== undefined) return [[key ?? path.slice(path.lastIndexOf("/") + 1), text]];
  const names = files.list(at);
  if (!names) throw new Failed(`error: error reading ${path}: no such file or directory`);
  if (key !== undefined) throw new Failed("error: cannot give a key name for a directory path");
  return names.flatMap((name) => {
    const inside = files.read(`${at}/${name}`);
    return inside === undefined || keyProblem(name) ? [] : [[name, inside] as const];
  });
}

function envOf({ call }: Context, path: string): readonly (readonly [string, string])[] {
  const text = call.place.files.read(resolvePath(call.folder, path));
  if (text === undefined) throw new Failed(`error: error reading ${path}: no such file or directory`);
  return text.split("\n").flatMap((raw): readonly (readonly [string, string])[] => {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) return [];
    const equals = line.indexOf("=");
    const key = equals < 0 ? line : line.slice(0, equals);
    // A name alone is looked up in the environment.
    return [[key, equals < 0 ? (call.env.get(key) ?? "") : line.slice(equals + 1)]];
  });
}
