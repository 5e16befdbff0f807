/** Owns changes to the learner's files: save, upload, new, copy, rename, delete. One at a time, and nothing is lost. */
import {
  appendFile,
  constants,
  copyFile,
  cp,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { basename, join } from "node:path";
import { writeWhole } from "./atomic";
import { Checkpoints } from "./checkpoints";
import { type FileModel, readModel, type Wanted } from "./filemodel";
import { HttpError, type JsonObject } from "./http";
import { mimeType } from "./mime";
import { asNotebook, type Notebook, readNotebook, writeNotebook } from "./notebookfile";
import { fileError, isHidden, normal, parts, type Root } from "./paths";
import type { Trust } from "./trust";

const newNotebook = { cells: [], metadata: {}, nbformat: 4, nbformat_minor: 5 };

export class Contents {
  readonly checkpoints: Checkpoints;
  private turn: Promise<unknown> = Promise.resolve();

  /** @param state the server's own folder: deleted files go to `trash` in it */
  constructor(
    readonly root: Root,
    readonly trust: Trust,
    private readonly state: string,
  ) {
    this.checkpoints = new Checkpoints(root);
  }

  read(path: string, wanted: Wanted): Promise<FileModel> {
    return readModel(this.root, this.trust, path, wanted);
  }

  async exists(path: string): Promise<boolean> {
    return this.root.locate(path).then(
      (file) =>
        lstat(file).then(
          () => true,
          () => false,
        ),
      () => false,
    );
  }

  /** Writes a document or makes a folder; without content a new empty one. @throws HttpError 400, 403, 404, 409 */
  save(given: string, model: JsonObject): Promise<FileModel> {
    const path = normal(given);
    if (isHidden(path)) throw new HttpError(400, `Cannot create file or directory '${path}'`);
    return this.inTurn(path, () => this.write(path, model));
  }

  private async write(path: string, model: JsonObject): Promise<FileModel> {
    const file = await this.root.locate(path);
    const old = await stat(file).catch(() => null);
    const type = model.type ?? (path.endsWith(".ipynb") ? "notebook" : "file");
    const content = model.content ?? undefined;
    if (type === "directory") return this.makeFolder(path, file, old !== null);
    if (old?.isDirectory() === true) throw new HttpError(400, `${path} is a directory, not a ${String(type)}`);
    if (model.chunk !== undefined && model.chunk !== null) return this.saveChunk(path, file, model);
    if (old !== null && model.type === undefined) throw new HttpError(400, "No file type provided");
    if (old !== null && content === undefined) throw new HttpError(400, "No file content provided");
    if (type === "notebook") await this.saveNotebook(path, file, content ?? newNotebook);
    else await writeWhole(file, bytesOf(path, content ?? "", content === undefined ? "text" : model.format));
    return this.read(path, { type: type === "notebook" ? "notebook" : "file" });
  }

  private async makeFolder(path: string, file: string, exists: boolean): Promise<FileModel> {
    if (exists && !(await stat(file)).isDirectory()) throw new HttpError(400, `Not a directory: ${path}`);
    if (!exists) await mkdir(file);
    return this.read(path, { type: "directory" });
  }

  private async saveNotebook(path: string, file: string, content: unknown): Promise<void> {
    let notebook: Notebook;
    try {
      notebook = asNotebook(content);
    } catch (error) {
      throw new HttpError(400, `Notebook validation failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    await this.keepUnreadable(path, file);
    await writeWhole(file, writeNotebook(notebook));
    await this.trust.saved(notebook);
    if ((await this.checkpoints.list(path)).length === 0) await this.checkpoints.create(path);
  }

  /** What stands there and cannot be read as a notebook may be somebody's work all the same. */
  private async keepUnreadable(path: string, file: string): Promise<void> {
    const text = await readFile(file, "utf8").catch(() => null);
    if (text === null || text === "") return;
    try {
      readNotebook(text, path);
    } catch {
      await copyFile(file, await this.trashPlace(basename(file)));
    }
  }

  /** A large file comes in numbered parts, the last one -1. It takes its place when it is whole. */
  private async saveChunk(path: string, file: string, model: JsonObject): Promise<FileModel> {
    if (model.type !== "file") {
      throw new HttpError(400, `File type "${String(model.type)}" is not supported for large file transfer`);
    }
    if (model.content === undefined) throw new HttpError(400, "No file content provided");
    const part = join(file, "..", `.${basename(file)}.upload`);
    const bytes = bytesOf(path, model.content, model.format);
    if (model.chunk === 1) await writeFile(part, bytes);
    else if ((await stat(part).catch(() => null)) === null) throw new HttpError(400, `No upload of ${path} has begun`);
    else await appendFile(part, bytes);
    if (model.chunk === -1) await rename(part, file);
    if (await this.exists(path)) return this.read(path, { type: "file" });
    const { size, mtime } = await stat(part);
    const now = mtime.toISOString();
    const times = { created: now, last_modified: now };
    const nothing = { mimetype: mimeType(path) ?? null, content: null, format: null, hash: null, hash_algorithm: null };
    return { name: basename(file), path, type: "file", writable: true, size, ...times, ...nothing };
  }

  /** A new document or folder under a name that is free. @throws HttpError 404, 400 */
  async newUntitled(folder: string, type: string | undefined, extension: string): Promise<FileModel> {
    if (!(await this.isFolder(folder))) throw new HttpError(404, `No such directory: ${normal(folder)}`);
    const kind = type ?? (extension === ".ipynb" ? "notebook" : "file");
    const [name, insert] =
      kind === "directory"
        ? ["Untitled Folder", " "]
        : kind === "notebook"
          ? ["Untitled.ipynb", ""]
          : [`untitled${extension}`, ""];
    const empty = kind === "file" ? { content: "", format: "text" } : {};
    return this.inTurn(folder, async () =>
      this.write(await this.freePath(folder, name, insert), { type: kind, ...empty }),
    );
  }

  /** A copy in a folder, `name-Copy1.ext` where the name is taken. @throws HttpError 404, 400 */
  async copy(given: string, folder: string): Promise<FileModel> {
    const source = normal(given);
    const { type, name } = await this.read(source, {});
    if (!(await this.isFolder(folder))) throw new HttpError(404, `No such directory: ${normal(folder)}`);
    return this.inTurn(source, async () => {
      const target = await this.freePath(folder, name.replace(/-Copy\d*\./, "."), "-Copy");
      const [from, to] = [await this.root.locate(source), await this.root.locate(target)];
      if (type !== "directory") await copyFile(from, to, constants.COPYFILE_EXCL);
      else {
        await cp(from, to, { recursive: true, errorOnExist: true, force: false }).catch(() => {
          throw new HttpError(400, `Can't copy '${source}' into Folder '${normal(folder)}'`);
        });
      }
      return this.read(target, {});
    });
  }

  /** @throws HttpError 400, 404, 409 "File already exists" */
  async rename(from: string, to: string): Promise<FileModel> {
    const [old, wanted] = [normal(from), normal(to)];
    if (isHidden(old) || isHidden(wanted) || old === "" || wanted === "") {
      throw new HttpError(400, `Cannot rename file or directory '${old}'`);
    }
    if (old === wanted) return this.read(old, {});
    return this.inTurn(old, async () => {
      const [source, target] = [await this.root.locate(old, true), await this.root.locate(wanted, true)];
      const there = await lstat(target).catch(() => null);
      const same = there !== null && there.ino === (await lstat(source)).ino;
      if (there !== null && !same) throw new HttpError(409, `File already exists: ${wanted}`);
      await rename(source, target);
      await this.checkpoints.follow(source, target);
      return this.read(wanted, {});
    });
  }

  /** Moves to the server's own trash, from where it can be brought back by hand. @throws HttpError 400, 404, 403 */
  async remove(given: string): Promise<void> {
    const path = normal(given);
    if (path === "") throw new HttpError(400, "Can't delete root");
    if (isHidden(path)) throw new HttpError(400, `Cannot delete file or directory '${path}'`);
    await this.inTurn(path, async () => {
      const file = await this.root.locate(path, true);
      await lstat(file);
      const place = await this.trashPlace(basename(file));
      await rename(file, place).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== "EXDEV") throw error;
        await cp(file, place, { recursive: true, verbatimSymlinks: true });
        await rm(file, { recursive: true });
      });
    });
  }

  private async trashPlace(name: string): Promise<string> {
    const trash = join(this.state, "trash");
    await mkdir(trash, { recursive: true });
    const stamp = new Date().toISOString().replaceAll(":", "-");
    for (let number = 0; ; number += 1) {
      const place = join(trash, `${stamp}-${number}-${name}`);
      if ((await lstat(place).catch(() => null)) === null) return place;
    }
  }

  async isFolder(path: string): Promise<boolean> {
    const file = await this.root.locate(path).catch(() => null);
    return file !== null && (await stat(file).catch(() => null))?.isDirectory() === true;
  }

  /** `name.ext`, else `name<insert>1.ext` and so on. What counts as the extension is everything after the first dot, as in `.tar.gz`. */
  private async freePath(folder: string, name: string, insert: string): Promise<string> {
    const dot = name.endsWith(".ipynb") ? name.lastIndexOf(".") : name.indexOf(".");
    const [stem, extension] = dot < 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
    for (let number = 0; ; number += 1) {
      const path = [...parts(folder), `${stem}${number === 0 ? "" : `${insert}${number}`}${extension}`].join("/");
      if (!(await this.exists(path))) return path;
    }
  }

  private inTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work).catch((error: unknown) => {
      throw fileError(error, path);
    });
    this.turn = done.catch(() => {});
    return done;
  }
}

/** @throws HttpError 400 in Jupyter's words */
function bytesOf(path: string, content: unknown, format: unknown): Buffer {
  if (format !== "text" && format !== "base64") {
    throw new HttpError(400, "Must specify format of file contents as 'text' or 'base64'");
  }
  if (typeof content !== "string") throw new HttpError(400, `Encoding error saving ${path}: the content is not a text`);
  if (format === "text") return Buffer.from(content, "utf8");
  const bare = content.replace(/\s/g, "");
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(bare) || bare.length % 4 !== 0) {
    throw new HttpError(400, `Encoding error saving ${path}: the content is not base64`);
  }
  return Buffer.from(bare, "base64");
}
