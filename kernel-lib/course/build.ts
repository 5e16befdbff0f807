/** Owns building: a chapter's notebook from its Markdown, with the outputs of the cells that did not change. */
import { type ChapterFiles, readChapter, readIfThere, shortPath, writeIfChanged } from "./files";
import { formatNotebook, type Notebook, parseNotebook } from "./nbformat";
import { buildNotebook } from "./notebook";

/** What a build did to a notebook. */
export interface BuildResult {
  readonly notebook: Notebook;
  readonly state: "new" | "changed" | "same";
  /** Code cells that have never run as they are now. */
  readonly unrun: number;
}

/**
 * Builds a chapter's notebook and writes it, if that changes it.
 * @throws SourceError where the chapter, or the notebook that is there, cannot be read; nothing is overwritten then
 */
export async function buildChapter(root: string, files: ChapterFiles): Promise<BuildResult> {
  const chapter = await readChapter(root, files);
  const text = await readIfThere(files.notebook);
  const previous = text === undefined ? undefined : parseNotebook(shortPath(root, files.notebook), text);
  const notebook = buildNotebook(chapter, previous);
  const written = await writeIfChanged(files.notebook, formatNotebook(notebook));
  const unrun = notebook.cells.filter((cell) => cell.cell_type === "code" && cell.execution_count === null).length;
  return { notebook, unrun, state: text === undefined ? "new" : written ? "changed" : "same" };
}
