/** Owns what a notebook shows: a pure fold of the kernel's messages into the outputs of its cells. */
import type { Metadata, Output } from "./nbformat";
import type { Message, MimeBundle } from "./protocol";

/** A message from the kernel, and the cell whose execution caused it. */
export interface CellMessage {
  readonly cell: number;
  readonly message: { readonly header: Pick<Message["header"], "msg_type">; readonly content: Message["content"] };
}

/** An output, with the name by which a later message may change it. */
interface Shown {
  readonly output: Output;
  readonly displayId?: string;
}

interface Area {
  readonly shown: Shown[];
  /** `clear_output(wait=True)` has come: the next output replaces what is here. */
  clearing: boolean;
}

/**
 * The outputs of every cell after these messages, in the order in which they came (Jupyter messaging, "Messages on the
 * IOPub channel").
 *
 * Text of one stream runs together until something else comes. A display that is updated changes wherever in the notebook
 * it is shown; a display with a name that is shown already changes those too, as in JupyterLab and nbclient.
 */
export function foldOutputs(messages: Iterable<CellMessage>): ReadonlyMap<number, readonly Output[]> {
  const areas = new Map<number, Area>();
  const areaOf = (cell: number): Area => {
    const area = areas.get(cell) ?? { shown: [], clearing: false };
    areas.set(cell, area);
    return area;
  };
  for (const { cell, message } of messages) {
    const { msg_type: type } = message.header;
    const { content } = message;
    const displayId = displayIdOf(content);
    if (displayId !== undefined) updateDisplays(areas, displayId, content);
    if (type === "clear_output") {
      const area = areaOf(cell);
      if (content.wait === true) area.clearing = true;
      else area.shown.length = 0;
    }
    const output = outputOf(type, content);
    if (output !== undefined) show(areaOf(cell), output, displayId);
  }
  return new Map([...areas].map(([cell, { shown }]) => [cell, shown.map(({ output }) => output)]));
}

function show(area: Area, output: Output, displayId: string | undefined): void {
  if (area.clearing) {
    area.shown.length = 0;
    area.clearing = false;
  }
  const last = area.shown.at(-1)?.output;
  if (output.output_type === "stream" && last?.output_type === "stream" && last.name === output.name) {
    area.shown[area.shown.length - 1] = { output: { ...last, text: last.text + output.text } };
  } else area.shown.push(displayId === undefined ? { output } : { output, displayId });
}

function updateDisplays(areas: ReadonlyMap<number, Area>, displayId: string, content: Message["content"]): void {
  for (const { shown } of areas.values()) {
    for (const [index, entry] of shown.entries()) {
      if (entry.displayId !== displayId || !("data" in entry.output)) continue;
      shown[index] = { displayId, output: { ...entry.output, ...dataOf(content) } };
    }
  }
}

function displayIdOf(content: Message["content"]): string | undefined {
  const { transient } = content;
  if (typeof transient !== "object" || transient === null || !("display_id" in transient)) return undefined;
  return typeof transient.display_id === "string" ? transient.display_id : undefined;
}

function outputOf(type: string, content: Message["content"]): Output | undefined {
  switch (type) {
    case "stream":
      // An empty text would split what it stands between, and shows nothing.
      if (content.text === "") return undefined;
      return { output_type: "stream", name: String(content.name), text: String(content.text) };
    case "display_data":
      return { output_type: "display_data", ...dataOf(content) };
    case "execute_result": {
      const count = typeof content.execution_count === "number" ? content.execution_count : null;
      return { output_type: "execute_result", ...dataOf(content), execution_count: count };
    }
    case "error": {
      const traceback = Array.isArray(content.traceback) ? content.traceback.map(String) : [];
      return { output_type: "error", ename: String(content.ename), evalue: String(content.evalue), traceback };
    }
    default:
      return undefined;
  }
}

function dataOf(content: Message["content"]): { data: MimeBundle; metadata: Metadata } {
  return { data: objectOf(content.data), metadata: objectOf(content.metadata) };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
