/** Owns stopping a cell from outside: asked first; where the cell holds its thread, torn away. */
import { Session } from "node:inspector";
import { type Job, stopKey } from "./jobs";

const patienceMilliseconds = 50;
const attempts = 200;

/**
 * Interrupts executions. A cell that awaits is ended by the engine when told. One that computes cannot be told: then the
 * inspector, which V8 lets in at any loop, calls a function in that thread which terminates what runs there.
 */
export class Interrupter {
  readonly #work: (job: Job) => void;
  readonly #waiting = new Map<number, NodeJS.Timeout>();
  #session: Session | undefined;

  constructor(work: (job: Job) => void) {
    this.#work = work;
  }

  /** Stops the execution with this id. */
  interrupt(id: number): void {
    if (this.#waiting.has(id)) return;
    this.#work({ kind: "interrupt", id });
    this.#insist(id, attempts);
  }

  /** The engine has heard of the interrupt. */
  heard(id: number): void {
    clearTimeout(this.#waiting.get(id));
    this.#waiting.delete(id);
  }

  /** Lets go of the engine's thread, which otherwise waits for us at its end. */
  close(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#session?.disconnect();
    this.#session = undefined;
  }

  #insist(id: number, left: number): void {
    const timer = setTimeout(() => {
      if (left === 0) {
        this.#waiting.delete(id);
        return;
      }
      this.#terminate();
      this.#insist(id, left - 1);
    }, patienceMilliseconds);
    this.#waiting.set(id, timer);
  }

  #terminate(): void {
    if (!this.#session) {
      this.#session = new Session();
      this.#session.connectToMainThread();
    }
    this.#session.post("Runtime.evaluate", { expression: `globalThis[Symbol.for("${stopKey}")]?.()` });
  }
}
