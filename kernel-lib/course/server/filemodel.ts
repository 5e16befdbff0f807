/** Owns what the contents API says of a file, a notebook or a folder that is there. */
import { createHash } from "node:crypto";
import { access, constants, lstat, readdir, readFile, stat } from "node:fs/promises";
import { HttpError } from "./http";
import { mimeType } from "./mime";
import { readNotebook } from "./notebookfile";
import { fileError, isHidden, normal, type Root } from "./paths";
import type { Trust } from "./trust";

/** A contents model (Jupyter Server, "Contents API"). */
export interface FileModel {
  readonly name: string;
  readonly path: string;
  readonly type: "file" | "notebook" | "directory";
  readonly writable: boolean;
  readonly created: string;
  readonly last_modified: string;
  /** Bytes; null for folders. */
  readonly size: number | null;
  readonly mimetype: string | null;
  readonly content: unknown;
  readonly format: "text" | "base64" | "json" | null;
  readonly hash: string | null;
  readonly hash_algorithm: string | null;
  readonly message?: string;
}

export interface Wanted {
  /** What the asker takes it for; else the name decides. */
  readonly type?: FileModel["type"];
  readonly content?: boolean;
  /** For files: refuse what is not UTF-8 ("text"), or encode ("base64"). */
  readonly format?: "text" | "base64";
  readonly hash?: boolean;
}

const notListed = /^__pycache__$|\.py[co]$|~$/;

/**
 * The model of what a path names.
 * @throws HttpError 404 nothing there, hidden or outside; 400 another type or format than asked, an unreadable notebook; 403
 */
export async function readModel(root: Root, trust: Trust, given: string, wanted: Wanted): Promise<FileModel> {
  const path = normal(given);
  try {
    const file = await root.locate(path);
    const info = await stat(file);
    if (info.isDirectory()) {
      if (wanted.type !== undefined && wanted.type !== "directory") {
        throw new HttpError(400, `${path} is a directory, not a ${wanted.type}`, "bad type");
      }
      return await folderModel(root, trust, path, file, wanted.content === true);
    }
    if (wanted.type === "directory") throw new HttpError(400, `${path} is not a directory`, "bad type");
    if (!info.isFile()) throw new HttpError(400, `Cannot read non-file ${path}`);
    const notebook = wanted.type === "notebook" || (wanted.type === undefined && path.endsWith(".ipynb"));
    return await documentModel(trust, path, file, notebook, wanted);
  } catch (error) {
    throw fileError(error, path);
  }
}

async function base(path: string, file: string, type: FileModel["type"]): Promise<FileModel> {
  const info = await lstat(file);
  const created = info.birthtimeMs > 0 ? info.birthtime : info.ctime;
  return {
    name: path.slice(path.lastIndexOf("/") + 1),
    path,
    type,
    writable: await access(file, constants.W_OK).then(
      () => true,
      () => false,
    ),
    created: created.toISOString(),
    last_modified: info.mtime.toISOString(),
    size: type === "directory" ? null : info.size,
    mimetype: null,
    content: null,
    format: null,
    hash: null,
    hash_algorithm: null,
  };
}

async function folderModel(root: Root, trust: Trust, path: string, file: string, list: boolean): Promise<FileModel> {
  const model = await base(path, file, "directory");
  if (!list) return model;
  const names = (await readdir(file)).filter((name) => !isHidden(name) && !notListed.test(name));
  // What cannot be looked at (a link out of the root, a socket, no permission) is not shown.
  const inside = (name: string) => (path === "" ? name : `${path}/${name}`);
  const models = await Promise.all(
    names.sort().map((name) => readModel(root, trust, inside(name), {}).catch(() => null)),
  );
  return { ...model, format: "json", content: models.filter((one) => one !== null) };
}

async function documentModel(
  trust: Trust,
  path: string,
  file: string,
  notebook: boolean,
  wanted: Wanted,
): Promise<FileModel> {
  const model = await base(path, file, notebook ? "notebook" : "file");
  const mimetype = notebook ? null : (mimeType(path) ?? null);
  if (wanted.content !== true && wanted.hash !== true) return { ...model, mimetype };
  const bytes = await readFile(file);
  const hash = wanted.hash ? { hash: createHash("sha256").update(bytes).digest("hex"), hash_algorithm: "sha256" } : {};
  if (wanted.content !== true) return { ...model, mimetype, ...hash };
  if (notebook) {
    const content = await trust.mark(readNotebook(asText(bytes, path), path));
    return { ...model, format: "json", content, ...hash };
  }
  const text = wanted.format === "base64" ? null : asTextOr(bytes, wanted.format === "text" ? path : null);
  return text === null
    ? {
        ...model,
        mimetype: mimetype ?? "application/octet-stream",
        format: "base64",
        content: bytes.toString("base64"),
        ...hash,
      }
    : { ...model, mimetype: mimetype ?? "text/plain", format: "text", content: text, ...hash };
}

function asText(bytes: Uint8Array, path: string): string {
  const text = asTextOr(bytes, path);
  if (text === null) throw new HttpError(400, `${path} is not UTF-8 encoded`, "bad format");
  return text;
}

/** Bytes as UTF-8; where they are not, `null`, or with a path a refusal in its name. */
function asTextOr(bytes: Uint8Array, path: string | null): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    if (path !== null) throw new HttpError(400, `${path} is not UTF-8 encoded`, "bad format");
    return null;
  }
}
