/** Owns the comparison of a committed notebook with what its chapter says and with what a run shows now. */
import { createHash } from "node:crypto";
import { createTwoFilesPatch, diffArrays, FILE_HEADERS_ONLY } from "diff";
import { writeJson } from "./json";
import { type CodeNotebookCell, isJsonMime, type Notebook, type NotebookCell, type Output, tagsOf } from "./nbformat";

/** One thing that is not as it was promised. */
export interface Failure {
  /** The cell that it concerns, by its place from 0; none where it concerns the notebook as a whole. */
  readonly cell?: number;
  readonly what: string;
  /** What was expected and what is there, as a unified diff. */
  readonly diff?: string;
  /** The cell did not run because of a failure above it, which says more. */
  readonly skipped?: true;
}

/** How the two sides of a diff are called. */
export interface Sides {
  readonly old: string;
  readonly new: string;
}

/**
 * What differs between the outputs of the committed (golden) notebook and those of a fresh run of the same cells: JSON by
 * value, all else by text. Cells that are tagged `no-compare` are left out.
 */
export function compareOutputs(golden: Notebook, fresh: Notebook, sides: Sides): readonly Failure[] {
  return golden.cells.flatMap((cell, index) => {
    const now = fresh.cells[index];
    if (cell.cell_type !== "code" || tagsOf(cell).includes("no-compare")) return [];
    if (now?.cell_type !== "code") return [{ cell: index, what: "the cell is missing in this run" }];
    return compareCell(cell, now, sides).map((failure) => ({ cell: index, ...failure }));
  });
}

function compareCell(golden: CodeNotebookCell, fresh: CodeNotebookCell, sides: Sides): readonly Failure[] {
  if (golden.execution_count === null) {
    return [{ what: "the committed notebook has never run this cell: `kubebook run` makes its outputs" }];
  }
  const whats = outputDifferences(golden.outputs, fresh.outputs);
  const counted: Failure[] =
    golden.execution_count === fresh.execution_count
      ? []
      : [{ what: `it was execution ${golden.execution_count}, and is now ${fresh.execution_count ?? "none"}` }];
  if (whats.length === 0) return counted;
  const diff = unifiedDiff(outputsText(golden.outputs), outputsText(fresh.outputs), sides);
  return [...counted, { what: whats.join("; "), diff }];
}

/** Says of each output in what it differs; nothing where all are the same. */
function outputDifferences(golden: readonly Output[], fresh: readonly Output[]): string[] {
  const differences: string[] = [];
  for (let index = 0; index < Math.max(golden.length, fresh.length); index++) {
    const [old, now] = [golden[index], fresh[index]];
    const name = `output ${index + 1}`;
    if (now === undefined) differences.push(`${name} (${old ? kindOf(old) : ""}) is missing`);
    else if (old === undefined) differences.push(`${name} (${kindOf(now)}) is new`);
    else if (kindOf(old) !== kindOf(now)) differences.push(`${name} was ${kindOf(old)}, and is now ${kindOf(now)}`);
    else differences.push(...partDifferences(name, partsOf(old), partsOf(now)));
  }
  return differences;
}

function partDifferences(name: string, golden: Parts, fresh: Parts): string[] {
  return [...new Set([...golden.keys(), ...fresh.keys()])].flatMap((part) => {
    if (!fresh.has(part)) return [`${name} has no ${part} any more`];
    if (!golden.has(part)) return [`${name} has ${part}, which is new`];
    return golden.get(part) === fresh.get(part) ? [] : [`${name} (${part}) differs`];
  });
}

function kindOf(output: Output): string {
  return output.output_type === "stream" ? output.name : output.output_type;
}

/** An output as texts that are equal exactly when the parts mean the same: one a MIME type, and one for its metadata. */
type Parts = ReadonlyMap<string, string>;

function partsOf(output: Output): Parts {
  if (output.output_type === "stream") return new Map([[output.name, output.text]]);
  if (output.output_type === "error") {
    const { ename, evalue, traceback } = output;
    return new Map([
      ["error", `${ename}: ${evalue}`],
      ["traceback", traceback.join("\n")],
    ]);
  }
  const parts = new Map<string, string>();
  for (const mime of Object.keys(output.data).sort()) {
    const value = output.data[mime];
    parts.set(mime, typeof value === "string" && !isJsonMime(mime) ? value : writeJson(value));
  }
  if (Object.keys(output.metadata).length > 0) parts.set("metadata", writeJson(output.metadata));
  return parts;
}

/** All outputs of a cell as one text, for people. */
function outputsText(outputs: readonly Output[]): string {
  return outputs
    .flatMap((output, index) =>
      [...partsOf(output)].map(([part, text]) => {
        return `── output ${index + 1} · ${kindOf(output)}${part === kindOf(output) ? "" : ` · ${part}`}\n${shown(part, text)}`;
      }),
    )
    .map((text) => (text.endsWith("\n") ? text : `${text}\n`))
    .join("");
}

/** Binary data as its fingerprint. */
function shown(part: string, text: string): string {
  if (!/^(image|audio|video|application)\//.test(part) || part.endsWith("xml") || isJsonMime(part)) return text;
  return `${text.length} letters, SHA-256 ${createHash("sha256").update(text).digest("hex")}`;
}

/**
 * What differs between the committed notebook and the one that its chapter gives (`cell` counts in that one); outputs are
 * not looked at.
 */
export function compareCells(committed: Notebook, built: Notebook, sides: Sides): readonly Failure[] {
  const failures: Failure[] = [];
  const texts = { old: committed.cells.map(cellText), now: built.cells.map(cellText) };
  let place = { old: 0, now: 0 };
  let gone: readonly string[] = [];
  const settle = (come: readonly string[]) => {
    for (let i = 0; i < Math.max(gone.length, come.length); i++) {
      const [old, now] = [gone[i], come[i]];
      const diff = unifiedDiff(old ?? "", now ?? "", sides);
      if (now !== undefined) {
        const lacks = texts.old.includes(now)
          ? "the cell stands elsewhere in the notebook"
          : "the notebook lacks this cell";
        failures.push({
          cell: place.now + i,
          what: old === undefined ? lacks : "the cell is not as in the chapter",
          diff,
        });
      } else if (old !== undefined) {
        const where = texts.now.includes(old) ? "stands elsewhere in the chapter" : "is not in the chapter";
        failures.push({ what: `cell ${place.old + i + 1} of the notebook ${where}`, diff });
      }
    }
    place = { old: place.old + gone.length, now: place.now + come.length };
    gone = [];
  };
  for (const part of diffArrays(texts.old, texts.now)) {
    if (part.removed) gone = part.value;
    else if (part.added) settle(part.value);
    else {
      settle([]);
      place = { old: place.old + part.value.length, now: place.now + part.value.length };
    }
  }
  settle([]);
  const [old, now] = [writeJson(committed.metadata), writeJson(built.metadata)];
  if (old !== now) failures.push({ what: "the notebook's metadata differ", diff: unifiedDiff(old, now, sides) });
  return failures;
}

function cellText(cell: NotebookCell): string {
  return `── ${cell.cell_type} cell ${cell.id} ${writeJson(cell.metadata).replace(/\s+/g, " ")}\n${cell.source}\n`;
}

/** A unified diff; letters that would steer a terminal are shown by their code. */
export function unifiedDiff(old: string, now: string, sides: Sides): string {
  const patch = createTwoFilesPatch(sides.old, sides.new, visible(old), visible(now), undefined, undefined, {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
  return patch.trimEnd();
}

function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (letter) => {
    return `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
