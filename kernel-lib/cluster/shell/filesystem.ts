/** Owns the bridge from a place's files to what the shell calls a file system; a few of its paths are devices. */
import type { FsStat, IFileSystem } from "just-bash";
import type { Files } from "../../apps/files";

/** Where the shell writes what is meant for the terminal. */
export type Output = (stream: "stdout" | "stderr", text: string) => void;

/** Paths that stand for the terminal: the shell's transform sends output there as it comes. */
export const terminalPaths = { stdout: "/dev/.terminal/stdout", stderr: "/dev/.terminal/stderr" } as const;

type Content = string | Uint8Array;
type Encoding = Parameters<IFileSystem["appendFile"]>[2];

/** A file-system error in the words that the shell's commands look for. */
function errno(code: "ENOENT" | "ENOTDIR" | "EISDIR" | "EEXIST" | "ENOTEMPTY" | "EPERM", path: string): Error {
  const words = {
    ENOENT: "no such file or directory",
    ENOTDIR: "not a directory",
    EISDIR: "illegal operation on a directory",
    EEXIST: "file already exists",
    ENOTEMPTY: "directory not empty",
    EPERM: "operation not permitted",
  };
  return Object.assign(new Error(`${code}: ${words[code]}, '${path}'`), { code });
}

function decode(content: Content, encoding: Encoding): string {
  const name = typeof encoding === "object" ? encoding.encoding : encoding;
  if (typeof content !== "string") return new TextDecoder().decode(content);
  if (name !== "binary" && name !== "latin1") return content;
  // One character an octet: text again if it is UTF-8, else as it is.
  if (!/[\u0080-\u00ff]/.test(content)) return content;
  const octets = Uint8Array.from(content, (character) => character.charCodeAt(0) & 0xff);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch {
    return content;
  }
}

/** `..` and `.` taken out of an absolute or relative path. */
export function resolvePath(base: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${base}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * The files of a place as just-bash wants them: times are virtual, and a few paths are devices.
 * @param output told what is appended to the paths of the terminal
 */
export function createFileSystem(files: Files, output: Output): IFileSystem {
  const device = (path: string): "stdout" | "stderr" | "null" | undefined => {
    if (path === terminalPaths.stdout || path === "/dev/stdout") return "stdout";
    if (path === terminalPaths.stderr || path === "/dev/stderr") return "stderr";
    return path === "/dev/null" ? "null" : undefined;
  };
  const write = (given: string, content: Content, encoding: Encoding, append: boolean): void => {
    const path = resolvePath("/", given);
    const text = decode(content, encoding);
    const at = device(path);
    if (at === "null") return;
    if (at) {
      if (text !== "") output(at, text);
      return;
    }
    if (files.isFolder(path)) throw errno("EISDIR", path);
    const parent = path.slice(0, path.lastIndexOf("/")) || "/";
    if (!files.isFolder(parent)) throw errno(files.entry(parent) ? "ENOTDIR" : "ENOENT", path);
    files.write(path, append ? (files.read(path) ?? "") + text : text);
  };
  const read = (given: string): string => {
    const path = resolvePath("/", given);
    if (device(path)) return "";
    const text = files.read(path);
    if (text === undefined) throw errno(files.isFolder(path) ? "EISDIR" : "ENOENT", path);
    return text;
  };
  const stat = (given: string): FsStat => {
    const path = resolvePath("/", given);
    const entry = device(path) ? { text: "", mode: 0o666, modified: 0 } : files.entry(path);
    if (!entry && !files.isFolder(path)) throw errno("ENOENT", path);
    return {
      isFile: entry !== undefined,
      isDirectory: entry === undefined,
      isSymbolicLink: false,
      mode: entry?.mode ?? 0o755,
      size: entry ? new TextEncoder().encode(entry.text).length : 4096,
      mtime: new Date((entry?.modified ?? files.folderTime(path) ?? 0) / 1000),
    };
  };
  const list = (given: string): string[] => {
    const path = resolvePath("/", given);
    const names = files.list(path);
    if (!names) throw errno(files.entry(path) ? "ENOTDIR" : "ENOENT", path);
    return [...names];
  };
  const exists = (given: string): boolean => {
    const path = resolvePath("/", given);
    return device(path) !== undefined || files.entry(path) !== undefined || files.isFolder(path);
  };
  const copy = (from: string, to: string, recursive: boolean): void => {
    const [source, target] = [resolvePath("/", from), resolvePath("/", to)];
    if (!files.isFolder(source)) {
      write(target, read(source), undefined, false);
      return;
    }
    if (!recursive) throw errno("EISDIR", source);
    files.makeFolder(target);
    for (const name of list(source)) copy(`${source}/${name}`, `${target}/${name}`, true);
  };
  const remove = (given: string, recursive: boolean, force: boolean): void => {
    const path = resolvePath("/", given);
    if (!exists(path)) {
      if (force) return;
      throw errno("ENOENT", path);
    }
    if (!recursive && files.isFolder(path) && list(path).length > 0) throw errno("ENOTEMPTY", path);
    files.remove(path);
  };
  return {
    readFile: async (path) => read(path),
    readFileBuffer: async (path) => new TextEncoder().encode(read(path)),
    writeFile: async (path, content, encoding) => write(path, content, encoding, false),
    appendFile: async (path, content, encoding) => write(path, content, encoding, true),
    exists: async (path) => exists(path),
    stat: async (path) => stat(path),
    lstat: async (path) => stat(path),
    mkdir: async (given, options) => {
      const path = resolvePath("/", given);
      if (exists(path) && !options?.recursive) throw errno("EEXIST", path);
      const parent = path.slice(0, path.lastIndexOf("/")) || "/";
      if (!files.isFolder(parent) && !options?.recursive) throw errno("ENOENT", path);
      files.makeFolder(path);
    },
    readdir: async (path) => list(path),
    readdirWithFileTypes: async (path) =>
      list(path).map((name) => {
        const isFile = files.entry(resolvePath(path, name)) !== undefined;
        return { name, isFile, isDirectory: !isFile, isSymbolicLink: false };
      }),
    rm: async (path, options) => remove(path, options?.recursive ?? false, options?.force ?? false),
    cp: async (from, to, options) => copy(from, to, options?.recursive ?? false),
    mv: async (from, to) => {
      copy(from, to, true);
      remove(from, true, false);
    },
    resolvePath,
    getAllPaths: () => [...files.paths()],
    chmod: async (path, mode) => {
      const at = resolvePath("/", path);
      if (files.entry(at)) files.write(at, read(at), mode);
      else if (!files.isFolder(at)) throw errno("ENOENT", at);
    },
    symlink: async (_target, path) => {
      throw errno("EPERM", path);
    },
    link: async (_from, path) => {
      throw errno("EPERM", path);
    },
    readlink: async (path) => {
      throw errno("ENOENT", path);
    },
    realpath: async (path) => {
      if (!exists(path)) throw errno("ENOENT", path);
      return resolvePath("/", path);
    },
    utimes: async (path) => {
      const at = resolvePath("/", path);
      if (files.entry(at)) files.write(at, read(at));
    },
  };
}
