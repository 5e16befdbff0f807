/** Owns a container's files: an in-memory tree of texts, with the times at which they changed. */
import type { Clock, Time } from "../sim/clock";

/** One file. */
export interface FileEntry {
  readonly text: string;
  /** Unix permission bits. */
  readonly mode: number;
  /** When it was last written, microseconds since 1970. */
  readonly modified: Time;
}

/** The files of one container. Paths are absolute and normalised; folders exist because a file is in them, or by `makeFolder`. */
export class Files {
  readonly #clock: Clock;
  readonly #files = new Map<string, FileEntry>();
  readonly #folders = new Map<string, Time>([["/", 0]]);

  /** @param initial path → text: what the image brings */
  constructor(clock: Clock, initial: { readonly [path: string]: string } = {}) {
    this.#clock = clock;
    for (const [path, text] of Object.entries(initial)) this.write(path, text);
  }

  /** A file's text; undefined if there is no such file. */
  read(path: string): string | undefined {
    return this.#files.get(normal(path))?.text;
  }

  /** A file with its mode and time; undefined if there is no such file. */
  entry(path: string): FileEntry | undefined {
    return this.#files.get(normal(path));
  }

  /** Writes a file, and the folders that lead to it. */
  write(path: string, text: string, mode = this.#files.get(normal(path))?.mode ?? 0o644): void {
    const at = normal(path);
    this.makeFolder(at.slice(0, at.lastIndexOf("/")) || "/");
    this.#files.set(at, { text, mode, modified: this.#clock.now });
  }

  /** Makes a folder and those that lead to it. */
  makeFolder(path: string): void {
    let at = normal(path);
    while (!this.#folders.has(at)) {
      this.#folders.set(at, this.#clock.now);
      at = at.slice(0, at.lastIndexOf("/")) || "/";
    }
  }

  /** Removes a file, or a folder with all that is in it; false if there is neither. */
  remove(path: string): boolean {
    const at = normal(path);
    const inside = `${at}/`;
    let found = this.#files.delete(at);
    if (at === "/" || !this.#folders.delete(at)) return found;
    found = true;
    for (const file of [...this.#files.keys()]) if (file.startsWith(inside)) this.#files.delete(file);
    for (const folder of [...this.#folders.keys()]) if (folder.startsWith(inside)) this.#folders.delete(folder);
    return found;
  }

  isFolder(path: string): boolean {
    return this.#folders.has(normal(path));
  }

  /** When a folder was made; undefined if there is none. */
  folderTime(path: string): Time | undefined {
    return this.#folders.get(normal(path));
  }

  /** The names in a folder, sorted; undefined if there is no such folder. */
  list(path: string): readonly string[] | undefined {
    const at = normal(path);
    if (!this.#folders.has(at)) return undefined;
    const inside = at === "/" ? "/" : `${at}/`;
    const names = new Set<string>();
    for (const known of [...this.#files.keys(), ...this.#folders.keys()]) {
      if (!known.startsWith(inside) || known === at) continue;
      const rest = known.slice(inside.length);
      names.add(rest.split("/")[0] as string);
    }
    return [...names].sort();
  }

  /** The paths of all files, sorted. */
  paths(): readonly string[] {
    return [...this.#files.keys()].sort();
  }
}

/** `/a/./b/../c/` → `/a/c`. A relative path is taken from the root. */
function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}
