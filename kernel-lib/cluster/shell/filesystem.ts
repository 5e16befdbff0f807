/** Owns the bridge from a place's files to what the shell calls a file system; a few of its paths are devices. */
import type { FsStat, IFileSystem } from "just-bash";
import type { Files } from "../../apps/files";

/** Where the shell writes what is meant for the terminal. */
export type Output = (stream: "stdout" | "stderr", text: string) => void;

/** Paths that stand for the terminal: the shell's transform sends output there as it comes. */
export const terminalPaths = {
  stdin: "/dev/.terminal/stdin",
  stdout: "/dev/.terminal/stdout",
  stderr: "/dev/.terminal/stderr",
} as const;

/** Where a line leaves what `declare -p` prints at its end. */
export const variablesPath = "/dev/.terminal/variables";

/**
 * Ends the path of a file that a redirection opens. just-bash takes an error of the file system there for its host's and
 * gives up the whole line; a path that cannot be opened keeps the mark, so that it is refused before it is opened.
 */
export const openMark = "\u0002";

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

/** What a path means when it is no file: the terminal, the place where variables are saved, or nothing. */
type DeviceName = "stdin" | "stdout" | "stderr" | "variables" | "null";

const devices: Readonly<Record<string, DeviceName>> = {
  [terminalPaths.stdin]: "stdin",
  [terminalPaths.stdout]: "stdout",
  [terminalPaths.stderr]: "stderr",
  "/dev/stdout": "stdout",
  "/dev/stderr": "stderr",
  "/dev/null": "null",
  [variablesPath]: "variables",
};

/** What is in no tree of files: the symbolic links of /proc, and its texts. */
export interface Links {
  /** What the link at a path says; undefined where there is none. */
  target(path: string): string | undefined;
  /** The names of the links in a folder; undefined where there are none. */
  list(path: string): readonly string[] | undefined;
  /** What the file at a path says; undefined where there is none. */
  text(path: string): string | undefined;
}

/** The files of a place as just-bash wants them: times are virtual, and a few paths are devices. */
export class PlaceFileSystem implements IFileSystem {
  readonly #files: Files;
  readonly #output: Output;
  readonly #variables: (text: string) => void;
  readonly #links: Links;
  readonly #input: () => Promise<string>;

  /**
   * @param output told what is written to the paths of the terminal
   * @param input the next typed line with its end; empty when nothing more is typed
   * @param variables told what is written to `variablesPath`
   */
  constructor(
    files: Files,
    output: Output,
    variables: (text: string) => void,
    links: Links,
    input: () => Promise<string>,
  ) {
    this.#input = input;
    this.#files = files;
    this.#links = links;
    this.#output = output;
    this.#variables = variables;
  }

  resolvePath(base: string, path: string): string {
    if (!path.endsWith(openMark)) return resolvePath(base, path);
    const plain = resolvePath(base, path.slice(0, -openMark.length));
    return devices[plain] || this.#files.isFolder(parentOf(plain)) ? plain : `${plain}${openMark}`;
  }

  getAllPaths(): string[] {
    return [...this.#files.paths()];
  }

  async readFile(path: string): Promise<string> {
    return devices[path] === "stdin" ? this.#input() : this.#read(path);
  }

  async readFileBuffer(path: string): Promise<Uint8Array> {
    return new TextEncoder().encode(await this.readFile(path));
  }

  async writeFile(path: string, content: Content, encoding?: Encoding): Promise<void> {
    this.#write(path, decode(content, encoding), false);
  }

  async appendFile(path: string, content: Content, encoding?: Encoding): Promise<void> {
    this.#write(path, decode(content, encoding), true);
  }

  async exists(path: string): Promise<boolean> {
    return path.endsWith(openMark) || this.#exists(path);
  }

  async stat(path: string): Promise<FsStat> {
    return this.#stat(path);
  }

  async lstat(given: string): Promise<FsStat> {
    const path = resolvePath("/", given);
    const target = this.#target(path);
    if (target === undefined) return this.#stat(path);
    const mtime = new Date((this.#files.link(path)?.modified ?? 0) / 1000);
    return { isFile: false, isDirectory: false, isSymbolicLink: true, mode: 0o777, size: target.length, mtime };
  }

  async mkdir(given: string, options?: { readonly recursive?: boolean }): Promise<void> {
    const path = resolvePath("/", given);
    if (this.#exists(path) && !options?.recursive) throw errno("EEXIST", path);
    if (!this.#files.isFolder(parentOf(path)) && !options?.recursive) throw errno("ENOENT", path);
    this.#files.makeFolder(path);
  }

  async readdir(path: string): Promise<string[]> {
    return this.#list(path);
  }

  async readdirWithFileTypes(path: string): ReturnType<NonNullable<IFileSystem["readdirWithFileTypes"]>> {
    return this.#list(path).map((name) => {
      const there = resolvePath(path, name);
      const isSymbolicLink = this.#files.link(there) !== undefined;
      const isFile = !isSymbolicLink && this.#files.entry(there) !== undefined;
      return { name, isFile, isDirectory: !isFile && !isSymbolicLink, isSymbolicLink };
    });
  }

  async rm(path: string, options?: { readonly recursive?: boolean; readonly force?: boolean }): Promise<void> {
    this.#remove(path, options?.recursive ?? false, options?.force ?? false);
  }

  async cp(from: string, to: string, options?: { readonly recursive?: boolean }): Promise<void> {
    this.#copy(from, to, options?.recursive ?? false);
  }

  async mv(from: string, to: string): Promise<void> {
    this.#copy(from, to, true);
    this.#remove(from, true, false);
  }

  async chmod(given: string, mode: number): Promise<void> {
    const path = resolvePath("/", given);
    if (this.#files.entry(path)) this.#files.write(path, this.#read(path), mode);
    else if (!this.#files.isFolder(path)) throw errno("ENOENT", path);
  }

  async symlink(target: string, given: string): Promise<void> {
    const path = resolvePath("/", given);
    if (this.#exists(path) || this.#files.link(path)) throw errno("EEXIST", path);
    if (!this.#files.isFolder(parentOf(path))) throw errno("ENOENT", path);
    this.#files.makeLink(path, target);
  }

  async link(_from: string, path: string): Promise<void> {
    throw errno("EPERM", path);
  }

  async readlink(given: string): Promise<string> {
    const path = resolvePath("/", given);
    const target = this.#target(path);
    if (target === undefined) throw errno("ENOENT", path);
    return target;
  }

  async realpath(path: string): Promise<string> {
    if (!this.#exists(path)) throw errno("ENOENT", path);
    return resolvePath("/", path);
  }

  /** `touch`: the time is now's, whatever was asked. */
  async utimes(given: string): Promise<void> {
    const path = resolvePath("/", given);
    if (this.#files.entry(path)) this.#files.write(path, this.#read(path));
  }

  /** What the link at a path says, be it one of /proc or a file's; undefined where there is none. */
  #target(path: string): string | undefined {
    return this.#links.target(path) ?? this.#files.link(path)?.target;
  }

  #write(given: string, written: string, append: boolean): void {
    const path = resolvePath("/", given);
    const text = withoutMark(written);
    const device = devices[path];
    if (device) {
      if (text === "" || device === "null" || device === "stdin") return;
      if (device === "variables") this.#variables(text);
      else this.#output(device, text);
      return;
    }
    if (this.#files.isFolder(path)) throw errno("EISDIR", path);
    const parent = parentOf(path);
    if (!this.#files.isFolder(parent)) throw errno(this.#files.entry(parent) ? "ENOTDIR" : "ENOENT", path);
    this.#files.write(path, append ? (this.#files.read(path) ?? "") + text : text);
  }

  #read(given: string): string {
    const path = resolvePath("/", given);
    if (devices[path]) return "";
    const text = this.#links.text(path) ?? this.#files.read(path);
    if (text === undefined) throw errno(this.#files.isFolder(path) ? "EISDIR" : "ENOENT", path);
    return text;
  }

  #stat(given: string): FsStat {
    const path = resolvePath("/", given);
    if (this.#links.list(path)) {
      return { isFile: false, isDirectory: true, isSymbolicLink: false, mode: 0o555, size: 0, mtime: new Date(0) };
    }
    if (this.#links.target(path) !== undefined || this.#links.text(path) !== undefined) {
      return { isFile: true, isDirectory: false, isSymbolicLink: false, mode: 0o444, size: 0, mtime: new Date(0) };
    }
    const entry = devices[path] ? { text: "", mode: 0o666, modified: 0 } : this.#files.entry(path);
    if (!entry && !this.#files.isFolder(path)) throw errno("ENOENT", path);
    return {
      isFile: entry !== undefined,
      isDirectory: entry === undefined,
      isSymbolicLink: false,
      mode: entry?.mode ?? 0o755,
      size: entry ? new TextEncoder().encode(entry.text).length : 4096,
      // The shell's interface asks for a Date; the moment in it is virtual.
      mtime: new Date((entry?.modified ?? this.#files.folderTime(path) ?? 0) / 1000),
    };
  }

  #list(given: string): string[] {
    const path = resolvePath("/", given);
    const names = this.#links.list(path) ?? this.#files.list(path);
    if (!names) throw errno(this.#files.entry(path) ? "ENOTDIR" : "ENOENT", path);
    return [...names];
  }

  #exists(given: string): boolean {
    const path = resolvePath("/", given);
    const { target, list, text } = this.#links;
    if (target(path) !== undefined || list(path) || text(path) !== undefined) return true;
    return devices[path] !== undefined || this.#files.entry(path) !== undefined || this.#files.isFolder(path);
  }

  #copy(from: string, to: string, recursive: boolean): void {
    const [source, target] = [resolvePath("/", from), resolvePath("/", to)];
    if (!this.#files.isFolder(source)) {
      this.#write(target, this.#read(source), false);
      return;
    }
    if (!recursive) throw errno("EISDIR", source);
    this.#files.makeFolder(target);
    for (const name of this.#list(source)) this.#copy(`${source}/${name}`, `${target}/${name}`, true);
  }

  #remove(given: string, recursive: boolean, force: boolean): void {
    const path = resolvePath("/", given);
    if (this.#files.link(path)) {
      this.#files.remove(path);
      return;
    }
    if (!this.#exists(path)) {
      if (force) return;
      throw errno("ENOENT", path);
    }
    if (!recursive && this.#files.isFolder(path) && this.#list(path).length > 0) throw errno("ENOTEMPTY", path);
    this.#files.remove(path);
  }
}

/** bash's words for a redirection that could not be opened. */
export function withoutMark(text: string): string {
  if (!text.includes(openMark)) return text;
  return text
    .replaceAll(`${openMark}: cannot open redirect target`, ": No such file or directory")
    .replaceAll(openMark, "");
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
