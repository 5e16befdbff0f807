/** Owns the notebook file format, nbformat 4.5: its shapes, and reading and writing it as Python's nbformat does. */
import { parseJson, problemAt, writeJson } from "./json";
import { notebookMistakes } from "./nbschema";
import { SourceError } from "./problem";
import type { MimeBundle } from "./protocol";

export type Metadata = Readonly<Record<string, unknown>>;

/** What a cell shows (nbformat, "Code cell outputs"); texts are whole, not lists of lines. */
export type Output =
  | { readonly output_type: "stream"; readonly name: string; readonly text: string }
  | { readonly output_type: "display_data"; readonly data: MimeBundle; readonly metadata: Metadata }
  | {
      readonly output_type: "execute_result";
      readonly data: MimeBundle;
      readonly metadata: Metadata;
      readonly execution_count: number | null;
    }
  | {
      readonly output_type: "error";
      readonly ename: string;
      readonly evalue: string;
      readonly traceback: readonly string[];
    };

/** A Markdown (or raw) cell. */
export interface TextNotebookCell {
  readonly cell_type: "markdown" | "raw";
  readonly id: string;
  readonly source: string;
  readonly metadata: Metadata;
  readonly attachments?: Readonly<Record<string, MimeBundle>>;
}

/** A code cell, with what it showed when it last ran. */
export interface CodeNotebookCell {
  readonly cell_type: "code";
  readonly id: string;
  readonly source: string;
  readonly metadata: Metadata;
  /** The how-manieth execution of its kernel it was; null if it never ran. */
  readonly execution_count: number | null;
  readonly outputs: readonly Output[];
}

export type NotebookCell = TextNotebookCell | CodeNotebookCell;

/** A notebook, in memory. */
export interface Notebook {
  readonly nbformat: 4;
  readonly nbformat_minor: number;
  readonly metadata: Metadata;
  readonly cells: readonly NotebookCell[];
}

/**
 * Reads a notebook file.
 * @param file the path to name in messages
 * @throws SourceError where it is no JSON or no nbformat 4.5, with line and column
 */
export function parseNotebook(file: string, text: string): Notebook {
  const value = parseJson(file, text);
  const mistakes = notebookMistakes(value);
  if (mistakes.length > 0) {
    throw new SourceError(mistakes.map(({ path, message }) => problemAt(file, text, path, message)));
  }
  const notebook = value as Notebook;
  return { ...notebook, cells: notebook.cells.map(joinedCell) };
}

/** The text of a notebook file: the same bytes that Python's nbformat writes. */
export function formatNotebook(notebook: Notebook): string {
  return `${writeJson({ ...notebook, cells: notebook.cells.map(splitCell) })}\n`;
}

/** A cell's tags (Jupyter's `metadata.tags`). */
export function tagsOf(cell: NotebookCell): readonly string[] {
  const { tags } = cell.metadata;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/** The notebook as nobody has run it. */
export function withoutOutputs(notebook: Notebook): Notebook {
  const cells = notebook.cells.map((cell) =>
    cell.cell_type === "code" ? { ...cell, outputs: [], execution_count: null } : cell,
  );
  return { ...notebook, cells };
}

/** Python's `str.splitlines(keepends=True)`: these, and no others, end a line there. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are line ends
const lineEnds = /[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|$)/g;

function splitLines(text: string): string[] {
  return (text.match(lineEnds) ?? []).filter((line) => line !== "");
}

/** Which texts of a MIME bundle are written as lists of lines (nbformat `v4/rwbase.py`). */
function isLined(mime: string): boolean {
  return mime.startsWith("text/") || mime === "image/svg+xml" || mime === "application/javascript";
}

/** Whether a MIME type's values are JSON: then a list is a list, not lines. */
export function isJsonMime(mime: string): boolean {
  return mime === "application/json" || (mime.startsWith("application/") && mime.endsWith("+json"));
}

function mapBundle(bundle: MimeBundle, change: (mime: string, value: unknown) => unknown): MimeBundle {
  return Object.fromEntries(Object.entries(bundle).map(([mime, value]) => [mime, change(mime, value)]));
}

const splitBundle = (bundle: MimeBundle): MimeBundle =>
  mapBundle(bundle, (mime, value) => (typeof value === "string" && isLined(mime) ? splitLines(value) : value));

const joinedBundle = (bundle: MimeBundle): MimeBundle =>
  mapBundle(bundle, (mime, value) => (isJsonMime(mime) ? value : joined(value)));

function joined<T>(value: T): T | string {
  return Array.isArray(value) && value.every((line) => typeof line === "string") ? value.join("") : value;
}

function splitCell(cell: NotebookCell): unknown {
  const source = splitLines(cell.source);
  if (cell.cell_type === "code") return { ...cell, source, outputs: cell.outputs.map(splitOutput) };
  const { attachments } = cell;
  return attachments === undefined
    ? { ...cell, source }
    : { ...cell, source, attachments: mapBundle(attachments, (_, bundle) => splitBundle(bundle as MimeBundle)) };
}

function joinedCell(cell: NotebookCell): NotebookCell {
  const source = joined(cell.source);
  if (cell.cell_type === "code") return { ...cell, source, outputs: cell.outputs.map(joinedOutput) };
  if (cell.attachments === undefined) return { ...cell, source };
  const attachments = mapBundle(cell.attachments, (_, bundle) => joinedBundle(bundle as MimeBundle));
  return { ...cell, source, attachments: attachments as Readonly<Record<string, MimeBundle>> };
}

function splitOutput(output: Output): unknown {
  if (output.output_type === "stream") return { ...output, text: splitLines(output.text) };
  return output.output_type === "error" ? output : { ...output, data: splitBundle(output.data) };
}

function joinedOutput(output: Output): Output {
  if (output.output_type === "stream") return { ...output, text: joined(output.text) };
  return output.output_type === "error" ? output : { ...output, data: joinedBundle(output.data) };
}
