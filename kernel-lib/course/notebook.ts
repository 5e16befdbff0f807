/** Owns the way from a chapter to its notebook: cells with stable ids, and the outputs of what did not change. */
import { createHash } from "node:crypto";
import type { Cell, Chapter } from "./chapter";
import { languageInfo } from "./language";
import type { Metadata, Notebook, NotebookCell } from "./nbformat";

/** The kernelspec that every chapter's notebook names. */
export const kernelspec = { name: "kubebook", display_name: "TypeScript (kubebook)", language: "typescript" } as const;

/**
 * The notebook of a chapter.
 *
 * A code cell takes the outputs of the cell with its id in `previous`: an id is made from the source, so what has it
 * did not change. The same chapter and outputs give the same bytes.
 */
export function buildNotebook(chapter: Chapter, previous?: Notebook): Notebook {
  const old = new Map(previous?.cells.map((cell) => [cell.id, cell]));
  const seen = new Map<string, number>();
  const cells = chapter.cells.map((cell) => notebookCell(cell, nextId(cell, seen), old));
  const { name, title, minutes, goals } = chapter;
  const metadata = { kernelspec, language_info: languageInfo, kubebook: { chapter: name, title, minutes, goals } };
  return { nbformat: 4, nbformat_minor: 5, metadata, cells };
}

/** An id of nbformat 4.5: the hash of what the cell is, and which of several equal cells it is. */
function nextId(cell: Cell, seen: Map<string, number>): string {
  const hash = createHash("sha256").update(`${cell.kind}\n${cell.source}`).digest("hex").slice(0, 12);
  const which = (seen.get(hash) ?? 0) + 1;
  seen.set(hash, which);
  return `${hash}-${which}`;
}

function notebookCell(cell: Cell, id: string, old: ReadonlyMap<string, NotebookCell>): NotebookCell {
  const { source } = cell;
  if (cell.kind === "markdown") return { cell_type: "markdown", id, metadata: {}, source };
  const kept = old.get(id);
  const shown =
    kept?.cell_type === "code"
      ? { execution_count: kept.execution_count, outputs: kept.outputs }
      : { execution_count: null, outputs: [] };
  return { cell_type: "code", id, metadata: cellMetadata(cell.tags, cell.noCompare), source, ...shown };
}

/** Tags, what JupyterLab folds because of them, and why outputs are not compared. */
function cellMetadata(tags: readonly string[], noCompare: string | undefined): Metadata {
  const jupyter = {
    ...(tags.includes("hide-input") ? { source_hidden: true } : {}),
    ...(tags.includes("hide-output") ? { outputs_hidden: true } : {}),
  };
  return {
    ...(tags.length > 0 ? { tags } : {}),
    ...(Object.keys(jupyter).length > 0 ? { jupyter } : {}),
    ...(noCompare === undefined ? {} : { kubebook: { noCompare } }),
  };
}
