/** Owns the learner's copies of the chapters in `work/`: made, judged, reset, and updated when a chapter changes. */
import { copyFile, link, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mergeCells } from "./merge";
import { writeWhole } from "./server/atomic";
import { HttpError, isObject } from "./server/http";
import { type Cell, type Notebook, readNotebook, writeNotebook } from "./server/notebookfile";

/** A chapter in the list that the learner sees. */
export interface ChapterStatus {
  /** `05-connecting-applications` */
  readonly name: string;
  readonly title: string;
  /** How long it takes, as its author thinks; 0 where that is not said. */
  readonly minutes: number;
  readonly goals: readonly string[];
  /** Of the learner's copy, relative to the work folder. */
  readonly path: string;
  /** done: every cell ran without an error that is not part of the chapter, since the last reset */
  readonly state: "new" | "opened" | "done";
  /** The chapter has changed since the copy was made. */
  readonly update: boolean;
}

export class Work {
  private turn: Promise<unknown> = Promise.resolve();

  /**
   * @param notebooks folder of the chapters as they are published; only read
   * @param folder the learner's, which is there
   * @param state the server's own folder: `chapters` in it holds what each copy was made from
   */
  constructor(
    private readonly notebooks: string,
    private readonly folder: string,
    private readonly state: string,
    private readonly log: (line: string) => void,
  ) {}

  /** All chapters in their order. One whose notebook cannot be read is left out, and the log says so. */
  async chapters(): Promise<ChapterStatus[]> {
    const all = await Promise.all((await this.names()).map((name) => this.status(name)));
    return all.flatMap((status) => status ?? []);
  }

  /** The path of the learner's copy, made now if there is none. @throws HttpError 404 no such chapter, 400 unreadable */
  open(name: string): Promise<string> {
    return this.inTurn(name, async () => {
      await this.published(name);
      if ((await stat(this.copyFile(name)).catch(() => null)) === null) await this.make(name);
      return pathOf(name);
    });
  }

  /** A fresh copy; the old one stays beside it as `NAME.before-reset-N.ipynb`. @throws HttpError 404, 400 */
  reset(name: string): Promise<string> {
    return this.inTurn(name, async () => {
      await this.published(name);
      const copy = this.copyFile(name);
      if ((await stat(copy).catch(() => null)) !== null) {
        await keepBeside(copy, (number) => join(this.folder, `${name}.before-reset-${number}.ipynb`));
        await rm(copy);
      }
      await this.make(name);
      return pathOf(name);
    });
  }

  /** The chapter's new text in the learner's copy, with what they wrote kept. @throws HttpError 404, 400 unreadable */
  update(name: string): Promise<string> {
    return this.inTurn(name, async () => {
      const theirs = cleared(await this.published(name));
      const copy = this.copyFile(name);
      const text = await readFile(copy, "utf8").catch(() => null);
      if (text === null) await this.make(name);
      else {
        const mine = readNotebook(text, pathOf(name));
        const cells = mergeCells((await this.base(name))?.cells ?? [], theirs.cells, mine.cells);
        const metadata = { ...mine.metadata, kubebook: theirs.metadata.kubebook };
        const trash = join(this.state, "trash");
        await mkdir(trash, { recursive: true });
        await copyFile(copy, join(trash, `${Date.now()}-${name}.before-update.ipynb`));
        await writeWhole(copy, writeNotebook({ ...mine, nbformat_minor: theirs.nbformat_minor, metadata, cells }));
        await this.keepBase(name, theirs);
      }
      return pathOf(name);
    });
  }

  private async status(name: string): Promise<ChapterStatus | null> {
    let theirs: Notebook;
    try {
      theirs = await this.published(name);
    } catch (error) {
      this.log(error instanceof Error ? error.message : String(error));
      return null;
    }
    const about = isObject(theirs.metadata.kubebook) ? theirs.metadata.kubebook : {};
    const text = await readFile(this.copyFile(name), "utf8").catch(() => null);
    const mine = text === null ? null : readOrNull(text, pathOf(name));
    return {
      name,
      title: typeof about.title === "string" ? about.title : name,
      minutes: typeof about.minutes === "number" ? about.minutes : 0,
      goals: Array.isArray(about.goals) ? about.goals.filter((goal) => typeof goal === "string") : [],
      path: pathOf(name),
      state: text === null ? "new" : mine !== null && isDone(mine) ? "done" : "opened",
      update: mine !== null && isOutdated(await this.base(name), theirs, mine),
    };
  }

  private async names(): Promise<string[]> {
    const files = await readdir(this.notebooks).catch(() => []);
    return files.flatMap((file) => /^([^.].*)(?<!\.changed)\.ipynb$/.exec(file)?.[1] ?? []).sort();
  }

  private async published(name: string): Promise<Notebook> {
    // The name comes from a request: it is one of those in the folder, or it is nothing.
    if (!(await this.names()).includes(name)) throw new HttpError(404, `notebooks/${name}.ipynb does not exist`);
    return readNotebook(await readFile(join(this.notebooks, `${name}.ipynb`), "utf8"), `notebooks/${name}.ipynb`);
  }

  private async make(name: string): Promise<void> {
    const notebook = cleared(await this.published(name));
    await this.keepBase(name, notebook);
    await writeFile(this.copyFile(name), writeNotebook(notebook), { flag: "wx" });
  }

  private async base(name: string): Promise<Notebook | null> {
    const text = await readFile(this.baseFile(name), "utf8").catch(() => null);
    return text === null ? null : readOrNull(text, name);
  }

  private async keepBase(name: string, notebook: Notebook): Promise<void> {
    await mkdir(join(this.state, "chapters"), { recursive: true });
    await writeWhole(this.baseFile(name), writeNotebook(notebook));
  }

  private baseFile(name: string): string {
    return join(this.state, "chapters", `${name}.ipynb`);
  }

  private copyFile(name: string): string {
    return join(this.folder, pathOf(name));
  }

  private inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const done = this.turn.then(work).catch((error: unknown) => {
      if (error instanceof HttpError) throw error;
      const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
      throw new HttpError(500, `Unexpected error with file: ${pathOf(name)}${code}`);
    });
    this.turn = done.catch(() => {});
    return done;
  }
}

function pathOf(name: string): string {
  return `${name}.ipynb`;
}

function readOrNull(text: string, path: string): Notebook | null {
  try {
    return readNotebook(text, path);
  } catch {
    return null;
  }
}

/** Gives a file a second name, the first numbered one that is free. */
async function keepBeside(file: string, nameFor: (number: number) => string): Promise<void> {
  for (let number = 1; ; number += 1) {
    try {
      await link(file, nameFor(number));
      return;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EEXIST") continue;
      // File systems without hard links get a copy that must be new, too.
      await writeFile(nameFor(number), await readFile(file), { flag: "wx" });
      return;
    }
  }
}

/** A chapter as somebody begins it. */
function cleared(notebook: Notebook): Notebook {
  const cells = notebook.cells.map((cell) =>
    cell.cell_type === "code" ? { ...cell, outputs: [], execution_count: null } : cell,
  );
  return { ...notebook, cells };
}

/** Whether the chapter's text is another than the copy was made from. */
function isOutdated(base: Notebook | null, theirs: Notebook, mine: Notebook): boolean {
  const texts = (notebook: Notebook) =>
    JSON.stringify(notebook.cells.map((cell) => [cell.id, cell.cell_type, cell.source]));
  if (base !== null) return texts(base) !== texts(theirs);
  // What it was made from is lost: then a cell that it lacks is news.
  const known = new Set(mine.cells.map(({ id }) => id));
  return theirs.cells.some(({ id }) => !known.has(id));
}

/** Whether every code cell has run, with no error but where the cell's tag expects one. */
export function isDone(notebook: Notebook): boolean {
  const code = notebook.cells.filter((cell) => cell.cell_type === "code" && cell.source.trim() !== "");
  return code.length > 0 && code.every(hasRunWell);
}

function hasRunWell(cell: Cell): boolean {
  const outputs = Array.isArray(cell.outputs) ? cell.outputs.filter(isObject) : [];
  const { tags } = cell.metadata;
  const mayFail = Array.isArray(tags) && tags.includes("raises-exception");
  return typeof cell.execution_count === "number" && (mayFail || !outputs.some((one) => one.output_type === "error"));
}
