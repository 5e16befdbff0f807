/** Owns notebooks as front ends send and want them: any nbformat 4, read leniently, written as nbformat writes it. */
import { parseJson } from "../json";
import { type Notebook as FormattedNotebook, formatNotebook as format, isJsonMime } from "../nbformat";
import { SourceError } from "../problem";
import { HttpError, isObject, type JsonObject } from "./http";

/** A notebook as it is edited: sources and texts are single strings. */
export interface Notebook extends JsonObject {
  readonly cells: readonly Cell[];
  readonly metadata: JsonObject;
  readonly nbformat: 4;
  readonly nbformat_minor: number;
}

export interface Cell extends JsonObject {
  readonly cell_type: string;
  readonly source: string;
  readonly metadata: JsonObject;
}

/**
 * The notebook in a text.
 * @param path as it is named to the reader
 * @throws HttpError 400 "Unreadable Notebook: …", with line and column where it is not JSON
 */
export function readNotebook(text: string, path: string): Notebook {
  try {
    return asNotebook(parseJson(path, text));
  } catch (error) {
    const words =
      error instanceof SourceError
        ? `NotJSONError('Notebook does not appear to be JSON: ${error.message}')`
        : error instanceof Error
          ? error.message
          : String(error);
    throw new HttpError(400, `Unreadable Notebook: ${path} ${words}`);
  }
}

/** A value as a notebook, texts joined. @throws Error in the words of nbformat's validator */
export function asNotebook(value: unknown): Notebook {
  if (!isObject(value)) throw invalid("the notebook is not an object");
  const { nbformat, nbformat_minor: minor, cells, metadata = {} } = value;
  if (typeof nbformat !== "number") throw invalid("'nbformat' is a required property");
  if (nbformat !== 4) throw new Error(`NBFormatError('nbformat ${nbformat} is not supported: nbformat 4 is')`);
  if (!Array.isArray(cells)) throw invalid("'cells' is a required property");
  if (!isObject(metadata)) throw invalid("'metadata' is not an object");
  return {
    ...value,
    nbformat,
    nbformat_minor: typeof minor === "number" ? minor : 0,
    metadata,
    cells: cells.map(asCell),
  };
}

function asCell(cell: unknown, index: number): Cell {
  if (!isObject(cell) || typeof cell.cell_type !== "string") throw invalid(`cell ${index} has no 'cell_type'`);
  const source = joined(cell.source);
  if (typeof source !== "string") throw invalid(`the 'source' of cell ${index} is not a text`);
  const { cell_type } = cell;
  const metadata = isObject(cell.metadata) ? cell.metadata : {};
  if (cell_type !== "code") return { ...cell, cell_type, source, metadata };
  const outputs = (Array.isArray(cell.outputs) ? cell.outputs : []).map((output: unknown) => asOutput(output, index));
  return { ...cell, cell_type, source, metadata, outputs, execution_count: cell.execution_count ?? null };
}

function asOutput(output: unknown, index: number): JsonObject {
  if (!isObject(output) || typeof output.output_type !== "string")
    throw invalid(`an output of cell ${index} has no type`);
  if (output.output_type === "stream") return { ...output, text: joined(output.text) ?? "" };
  if (output.output_type === "error") return output;
  const data = Object.entries(isObject(output.data) ? output.data : {});
  return {
    ...output,
    data: Object.fromEntries(data.map(([mime, one]) => [mime, isJsonMime(mime) ? one : joined(one)])),
  };
}

/** Lines as one text; what is neither stays. */
function joined(value: unknown): unknown {
  return Array.isArray(value) && value.every((line) => typeof line === "string") ? value.join("") : value;
}

function invalid(words: string): Error {
  return new Error(`ValidationError("${words}")`);
}

/** A notebook as a file's text. `trusted` is what front ends are told, not what files say (nbformat `strip_transient`). */
export function writeNotebook(notebook: Notebook): string {
  const { orig_nbformat: _orig, ...metadata } = notebook.metadata;
  const cells = notebook.cells.map((cell) => {
    const { trusted: _trusted, ...own } = cell.metadata;
    return { ...cell, metadata: own };
  });
  // Leniently read, so not all that the type promises; `format` asks no more than `asNotebook` has seen to.
  return format({ ...notebook, metadata, cells } as unknown as FormattedNotebook);
}
