/** Owns what running code prints and shows: whose it is, in which order, and when it is enough. */
import { type Cell, currentCell } from "./cell";
import type { Event, PublishType, StreamName } from "./jobs";

/** How much one cell may print and show. A cell that goes on is cut, not the kernel's memory filled. */
export interface OutputLimits {
  /** Characters of text on both streams together. */
  readonly characters: number;
  /** Messages that show something. */
  readonly messages: number;
}

/** The limits unless somebody sets others. */
export const defaultLimits: OutputLimits = { characters: 1_048_576, messages: 5_000 };

/** Carries what running code prints and shows to whoever asked for it. */
export class Output {
  readonly #tell: (event: Event) => void;
  readonly #limits: OutputLimits;

  constructor(tell: (event: Event) => void, limits: OutputLimits = defaultLimits) {
    this.#tell = tell;
    this.#limits = limits;
  }

  /** Takes over the process's own streams. */
  capture(): void {
    for (const name of ["stdout", "stderr"] as const) {
      const stream = process[name];
      const write = (chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
        const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
        this.text(name, text);
        const callback = typeof encoding === "function" ? encoding : done;
        if (typeof callback === "function") process.nextTick(callback as () => void);
        return true;
      };
      stream.write = write as typeof stream.write;
    }
  }

  /** Text of the running code. */
  text(name: StreamName, text: string, cell: Cell | undefined = currentCell()): void {
    if (!cell || silenced(cell) || text === "") return;
    const room = this.#limits.characters - cell.characters;
    cell.characters += text.length;
    if (text.length <= room) {
      this.#tell({ kind: "stream", cell: cell.id, name, text });
      return;
    }
    if (room > 0) this.#tell({ kind: "stream", cell: cell.id, name, text: text.slice(0, room) });
    this.#cut(cell, `it printed more than ${this.#limits.characters.toLocaleString("en-US")} characters`);
  }

  /** A message that shows something. Throws a TypeError where the content is not JSON. */
  publish(type: PublishType, content: Record<string, unknown>, cell: Cell | undefined = currentCell()): void {
    if (!cell || (silenced(cell) && type !== "error")) return;
    cell.messages += 1;
    if (cell.messages > this.#limits.messages && type !== "error" && type !== "execute_result") {
      this.#cut(cell, `it showed more than ${this.#limits.messages.toLocaleString("en-US")} things`);
      return;
    }
    this.#tell({ kind: "publish", cell: cell.id, type, json: JSON.stringify(content) });
  }

  #cut(cell: Cell, reason: string): void {
    cell.cut = true;
    const text = `\n[kubebook] The output of this cell is cut here: ${reason}.\n`;
    this.#tell({ kind: "stream", cell: cell.id, name: "stderr", text });
  }
}

/** A cell is heard no more when it was cut, or interrupted: what a library does in its name may go on for a while. */
function silenced(cell: Cell): boolean {
  return cell.cut || cell.abort.signal.aborted;
}
