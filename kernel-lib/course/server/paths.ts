/** Owns the way from a path in a request to a file: never out of the root, never to what is hidden. */
import { lstat, realpath, stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { HttpError } from "./http";

/** The parts of an API path (`/` between them); empty ones do not count. */
export function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "");
}

/** An API path as models show it: no slash at either end, none doubled. */
export function normal(path: string): string {
  return parts(path).join("/");
}

/** Whether some part of the path begins with a dot: hidden files, our own state, `.` and `..` among them. */
export function isHidden(path: string): boolean {
  return parts(path).some((part) => part.startsWith("."));
}

/** Names that mean something else than a file of that name, on Windows or to Windows programs that see this folder. */
const windowsOnly = /[<>:"|?*]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

function isPlain(part: string): boolean {
  if (part.includes("\\") || /\p{Cc}/u.test(part) || /^[a-z]:/i.test(part)) return false;
  return process.platform !== "win32" || !windowsOnly.test(part);
}

/** The folder that contents are served from. */
export class Root {
  /** @param directory absolute path of a folder that exists */
  constructor(readonly directory: string) {}

  /**
   * Where a path leads, with symbolic links followed (but for a last one when `link` is true: to rename or delete it).
   * The file need not exist. Links may lead around inside the root only.
   * @throws HttpError 404 where it is outside the root, hidden, or no path at all: the same words for all three
   */
  async locate(path: string, link = false): Promise<string> {
    const refused = new HttpError(404, `file or directory '${path}' does not exist`);
    const names = parts(path);
    if (isHidden(path) || !names.every(isPlain)) throw refused;
    const root = await realpath(this.directory);
    const found = await this.follow(join(root, ...names), refused);
    const inside = relative(root, found).split(sep).join("/");
    if (found !== root && !found.startsWith(root.endsWith(sep) ? root : root + sep)) throw refused;
    if (isHidden(inside)) throw refused;
    if (!link || names.length === 0) return found;
    return join(await this.follow(join(root, ...names.slice(0, -1)), refused), names.at(-1) ?? "");
  }

  /** `realpath`, also for what does not exist yet: the part that does is followed. A link to nowhere is refused. */
  private async follow(path: string, refused: HttpError): Promise<string> {
    try {
      return await realpath(path);
    } catch {
      if ((await lstat(path).catch(() => null)) !== null || dirname(path) === path) throw refused;
      return join(await this.follow(dirname(path), refused), relative(dirname(path), path));
    }
  }

  /** The folder of a document (itself, if it is one), or the nearest one above that exists: a kernel's working folder. */
  async folderFor(path: string): Promise<string> {
    for (let names = parts(path); ; names = names.slice(0, -1)) {
      if (names.length === 0) return this.directory;
      const found = await this.locate(names.join("/")).catch(() => null);
      if (found !== null && (await stat(found).catch(() => null))?.isDirectory() === true) return found;
    }
  }
}

/** A failed file operation in the words of Jupyter, with the API path and without ours. */
export function fileError(error: unknown, path: string): HttpError {
  if (error instanceof HttpError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ENOENT" || code === "ENOTDIR") return new HttpError(404, `file or directory '${path}' does not exist`);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new HttpError(403, `Permission denied: ${path}`);
  if (code === "ENAMETOOLONG") return new HttpError(400, `File name too long: ${path}`);
  if (code === "ENOSPC") return new HttpError(507, `No space left on device: ${path}`);
  if (code === "EEXIST" || code === "ENOTEMPTY") return new HttpError(409, `File already exists: ${path}`);
  return new HttpError(500, `Unexpected error with file: ${path}${code === "" ? "" : ` (${code})`}`);
}
