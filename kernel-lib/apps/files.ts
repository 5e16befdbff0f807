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

/** A symbolic link. */
export interface LinkEntry {
  /** As it was written: from the root, or from the folder that the link is in. */
  readonly target: string;
  readonly modified: Time;
}

/** Another tree that is seen at a folder: a volume, or a part of it. */
interface Mount {
  readonly files: Files;
  /** The folder of that tree that is seen; `""` is all of it. */
  readonly base: string;
}

interface Watch {
  /** The folder with a slash after it. */
  readonly inside: string;
  readonly react: (path: string) => void;
}

/**
 * The files of one container. Paths are absolute and normalised; folders exist because a file is in them, or by `makeFolder`.
 * What is mounted at a folder is read and written in its own tree: two containers that mount a volume share it.
 */
export class Files {
  readonly #clock: Clock;
  readonly #files = new Map<string, FileEntry>();
  readonly #folders = new Map<string, Time>([["/", 0]]);
  readonly #mounts = new Map<string, Mount>();
  readonly #links = new Map<string, LinkEntry>();
  readonly #watches: Watch[] = [];
  /** Puts in what has been there since `at`, before anybody looks. */
  #fill: { readonly at: Time; readonly run: (files: Files) => void } | undefined;

  /** @param initial path → text: what the image brings; or what writes it, run when somebody first looks, as of now */
  constructor(clock: Clock, initial: { readonly [path: string]: string } | ((files: Files) => void) = {}) {
    this.#clock = clock;
    this.#folders.set("/", clock.now);
    if (typeof initial === "function") this.#fill = { at: clock.now, run: initial };
    else for (const [path, text] of Object.entries(initial)) this.write(path, text);
  }

  /** Somebody looks. */
  #filled(): void {
    if (!this.#fill) return;
    const { at, run } = this.#fill;
    this.#fill = undefined;
    this.#clock.recall(at, () => run(this));
  }

  /** Shows `files`, or its folder `base`, at `path`; what was there is hidden. */
  mount(path: string, files: Files, base = "/"): void {
    this.makeFolder(path);
    const within = normal(base);
    if (within !== "/") files.makeFolder(within);
    this.#mounts.set(normal(path), { files, base: within.replace(/\/$/, "") });
  }

  /** Whether something is mounted at this very folder. */
  isMount(path: string): boolean {
    return this.#mounts.has(normal(path));
  }

  /** A file's text; undefined if there is no such file. */
  read(path: string): string | undefined {
    return this.entry(path)?.text;
  }

  /** A file with its mode and time; undefined if there is no such file. */
  entry(path: string): FileEntry | undefined {
    const [tree, at] = this.#tree(path);
    return tree.#files.get(at);
  }

  /** The link at a path, itself; undefined if there is none. */
  link(path: string): LinkEntry | undefined {
    const [tree, at] = this.#tree(path, false);
    return tree.#links.get(at);
  }

  /** Makes a symbolic link, and the folders that lead to it; one that is there is replaced at once (rename(2)). */
  makeLink(path: string, target: string): void {
    const [tree, at] = this.#tree(path, false);
    tree.makeFolder(at.slice(0, at.lastIndexOf("/")) || "/");
    tree.#links.set(at, { target, modified: this.#clock.now });
    tree.#tell(at);
  }

  /** Writes a file, and the folders that lead to it. */
  write(path: string, text: string, mode = this.entry(path)?.mode ?? 0o644): void {
    const [tree, at] = this.#tree(path);
    tree.makeFolder(at.slice(0, at.lastIndexOf("/")) || "/");
    tree.#files.set(at, { text, mode, modified: this.#clock.now });
    tree.#tell(at);
  }

  /** Calls `react` after each file that is written or removed in a folder, as inotify(7) would. */
  watch(folder: string, react: (path: string) => void): void {
    this.#filled();
    this.#watches.push({ inside: `${normal(folder)}/`, react });
  }

  #tell(path: string): void {
    for (const { inside, react } of this.#watches)
      if (path.startsWith(inside) || inside.startsWith(`${path}/`)) react(path);
  }

  /** Makes a folder and those that lead to it. */
  makeFolder(path: string): void {
    const [tree, wanted] = this.#tree(path);
    let at = wanted;
    while (!tree.#folders.has(at)) {
      tree.#folders.set(at, this.#clock.now);
      at = at.slice(0, at.lastIndexOf("/")) || "/";
    }
  }

  /** Removes a file, a link, or a folder with all that is in it; false if there is none, or something is mounted there. */
  remove(path: string): boolean {
    const [tree, at] = this.#tree(path, false);
    if (tree !== this) return !this.isMount(path) && tree.remove(at);
    if (this.#links.delete(at)) {
      this.#tell(at);
      return true;
    }
    const inside = `${at}/`;
    if ([...this.#mounts.keys()].some((mount) => mount.startsWith(inside))) return false;
    let found = this.#files.delete(at);
    if (at === "/" || !this.#folders.delete(at)) {
      if (found) this.#tell(at);
      return found;
    }
    found = true;
    for (const file of [...this.#files.keys()]) if (file.startsWith(inside)) this.#files.delete(file);
    for (const link of [...this.#links.keys()]) if (link.startsWith(inside)) this.#links.delete(link);
    for (const folder of [...this.#folders.keys()]) if (folder.startsWith(inside)) this.#folders.delete(folder);
    this.#tell(at);
    return found;
  }

  isFolder(path: string): boolean {
    const [tree, at] = this.#tree(path);
    return tree.#folders.has(at);
  }

  /** When a folder was made; undefined if there is none. */
  folderTime(path: string): Time | undefined {
    const [tree, at] = this.#tree(path);
    return tree.#folders.get(at);
  }

  /** The names in a folder, sorted; undefined if there is no such folder. */
  list(path: string): readonly string[] | undefined {
    const [tree, at] = this.#tree(path);
    if (tree !== this) return tree.list(at);
    if (!this.#folders.has(at)) return undefined;
    const inside = at === "/" ? "/" : `${at}/`;
    const names = new Set<string>();
    for (const known of [...this.#files.keys(), ...this.#folders.keys(), ...this.#links.keys()]) {
      if (!known.startsWith(inside) || known === at) continue;
      const rest = known.slice(inside.length);
      names.add(rest.split("/")[0] as string);
    }
    return [...names].sort();
  }

  /** The paths of all files, sorted; those of what is mounted among them. */
  paths(): readonly string[] {
    this.#filled();
    const own = [...this.#files.keys()].filter((path) => this.#tree(path)[0] === this);
    for (const [at, { files, base }] of this.#mounts) {
      for (const path of files.paths()) if (path.startsWith(`${base}/`)) own.push(`${at}${path.slice(base.length)}`);
    }
    return own.sort();
  }

  /** Whether there is a symbolic link anywhere: nearly always there is none. */
  get #linked(): boolean {
    if (this.#links.size > 0 || this.#fill) return true;
    for (const { files } of this.#mounts.values()) if (files.#linked) return true;
    return false;
  }

  /** A path without the links on its way; with `last` its last part, too, may be one. */
  #followed(path: string, last: boolean): string {
    let at = normal(path);
    for (let hops = 0; hops < mostHops; hops++) {
      const found = this.#firstLink(at, last);
      if (!found) return at;
      const { end, target } = found;
      const from = target.startsWith("/") ? "" : at.slice(0, at.lastIndexOf("/", end - 1));
      at = normal(`${from}/${target}${at.slice(end)}`);
    }
    return at;
  }

  #firstLink(at: string, last: boolean): { readonly end: number; readonly target: string } | undefined {
    const single = this.#mounts.size === 0;
    if (single) this.#filled();
    for (let end = at.indexOf("/", 1); ; end = at.indexOf("/", end + 1)) {
      const whole = end < 0;
      if (whole && !last) return undefined;
      const link = single
        ? this.#links.get(whole ? at : at.slice(0, end))
        : this.#linkAt(whole ? at : at.slice(0, end));
      if (link) return { end: whole ? at.length : end, target: link.target };
      if (whole) return undefined;
    }
  }

  #linkAt(path: string): LinkEntry | undefined {
    const [tree, at] = this.#mounted(path);
    return tree.#links.get(at);
  }

  /** The tree that a path leads to, and where in it, through links; with `last` false a link at its end stays one. */
  #tree(path: string, last = true): readonly [tree: Files, at: string] {
    return this.#mounted(this.#linked ? this.#followed(path, last) : path);
  }

  /** The tree that a path is in: this one, unless a mount is on the way. */
  #mounted(path: string): readonly [tree: Files, at: string] {
    this.#filled();
    const at = normal(path);
    let longest = "";
    let found: Mount | undefined;
    for (const [mount, there] of this.#mounts) {
      if (mount.length < longest.length || (at !== mount && !at.startsWith(`${mount}/`))) continue;
      longest = mount;
      found = there;
    }
    return found ? found.files.#mounted(`${found.base}${at.slice(longest.length)}` || "/") : [this, at];
  }
}

/** So many links on one way are taken for a circle (path_resolution(7)). */
const mostHops = 40;

/** `/a/./b/../c/` → `/a/c`. A relative path is taken from the root. */
function normal(path: string): string {
  // Nearly every path is so already: absolute, with no empty part, and none that begins with a dot.
  if (
    path.length > 1 &&
    path.charCodeAt(0) === 47 &&
    !path.includes("//") &&
    !path.includes("/.") &&
    !path.endsWith("/")
  )
    return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}
