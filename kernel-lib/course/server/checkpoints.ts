/** Owns checkpoints: one earlier state of a document, kept in `.ipynb_checkpoints` beside it as Jupyter does. */
import { copyFile, lstat, mkdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { writeWhole } from "./atomic";
import { HttpError } from "./http";
import { fileError, type Root } from "./paths";

/** The only one there is of a document. */
const only = "checkpoint";

export interface Checkpoint {
  readonly id: string;
  readonly last_modified: string;
}

export class Checkpoints {
  constructor(private readonly root: Root) {}

  async list(path: string): Promise<Checkpoint[]> {
    const file = this.fileFor(await this.root.locate(path));
    const info = await stat(file).catch(() => null);
    return info === null ? [] : [{ id: only, last_modified: info.mtime.toISOString() }];
  }

  /** Keeps the document as it is now. @throws HttpError 404, 403 */
  async create(path: string): Promise<Checkpoint> {
    try {
      const document = await this.root.locate(path);
      if (!(await stat(document)).isFile()) throw new HttpError(400, `Cannot read non-file ${path}`);
      const file = this.fileFor(document);
      await mkdir(dirname(file), { recursive: true });
      // A link in this place would lead our writing somewhere else.
      if (!(await lstat(dirname(file))).isDirectory()) throw new HttpError(403, `Permission denied: ${path}`);
      await rm(file, { force: true });
      await copyFile(document, file);
      return { id: only, last_modified: (await stat(file)).mtime.toISOString() };
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** Puts the document back to its checkpoint. @throws HttpError 404 */
  async restore(path: string, id: string): Promise<void> {
    const document = await this.root.locate(path);
    const content = await readFile(await this.existing(path, id));
    await writeWhole(document, content).catch((error: unknown) => {
      throw fileError(error, path);
    });
  }

  /** @throws HttpError 404 */
  async remove(path: string, id: string): Promise<void> {
    await rm(await this.existing(path, id));
  }

  /** A moved document takes its checkpoint along. Both are places of documents, not of checkpoints. */
  async follow(from: string, to: string): Promise<void> {
    const old = this.fileFor(from);
    if ((await stat(old).catch(() => null)) === null) return;
    await mkdir(dirname(this.fileFor(to)), { recursive: true });
    await rename(old, this.fileFor(to));
  }

  private async existing(path: string, id: string): Promise<string> {
    const file = this.fileFor(await this.root.locate(path));
    const known = id === only && (await lstat(file).catch(() => null))?.isFile() === true;
    if (!known) throw new HttpError(404, `Checkpoint does not exist: ${path}@${id}`);
    return file;
  }

  private fileFor(document: string): string {
    const extension = extname(document);
    const name = `${basename(document, extension)}-${only}${extension}`;
    return join(dirname(document), ".ipynb_checkpoints", name);
  }
}
