/** Owns the keyboard: lines as they are typed, with history and completion, and the keys that end or interrupt. */
import { createInterface, type Interface } from "node:readline";

/** A line, Ctrl-D on an empty one, or Ctrl-C. */
export type Answer = { readonly line: string } | "end" | "interrupt";

type Completer = (line: string) => readonly [words: readonly string[], typed: string];

const historySize = 1_000;

export class Keyboard {
  readonly #input: NodeJS.ReadableStream;
  readonly #screen: NodeJS.WritableStream;
  readonly #completer: Completer;
  readonly #ahead: string[] = [];
  readonly #interrupts: (() => void)[] = [];
  #history: string[] = [];
  #reader: Interface | undefined;
  #answer: ((answer: Answer) => void) | undefined;

  constructor(input: NodeJS.ReadableStream, screen: NodeJS.WritableStream, completer: Completer) {
    this.#input = input;
    this.#screen = screen;
    this.#completer = completer;
  }

  /** Shows a prompt and waits for a line; one that was typed ahead comes at once. */
  ask(prompt: string): Promise<Answer> {
    const reader = this.#open();
    const typed = this.#ahead.shift();
    if (typed !== undefined) {
      this.#screen.write(`${prompt}${typed}\n`);
      return Promise.resolve({ line: typed });
    }
    reader.setPrompt(prompt);
    reader.prompt();
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  /** Calls `react` when Ctrl-C is pressed while nobody asks; gives what takes that back. */
  onInterrupt(react: () => void): () => void {
    this.#interrupts.push(react);
    return () => void this.#interrupts.splice(this.#interrupts.indexOf(react), 1);
  }

  /** Nobody asks any more. */
  close(): void {
    this.#reader?.close();
  }

  /** Ctrl-D closes readline for good: a shell within ends, and the next question opens another. */
  #open(): Interface {
    if (this.#reader) return this.#reader;
    const reader = createInterface({
      input: this.#input,
      output: this.#screen,
      terminal: true,
      completer: (line: string) => this.#completer(line),
      history: [...this.#history],
      historySize,
      removeHistoryDuplicates: true,
    });
    reader.on("line", (line) => {
      if (this.#answer) this.#give({ line });
      else this.#ahead.push(line);
    });
    reader.on("history", (lines) => {
      this.#history = lines;
    });
    reader.on("close", () => {
      this.#reader = undefined;
      this.#give("end");
    });
    reader.on("SIGINT", () => this.#interrupt(reader));
    this.#reader = reader;
    return reader;
  }

  #interrupt(reader: Interface): void {
    if (!this.#answer) {
      this.#interrupts.at(-1)?.();
      return;
    }
    this.#screen.write("^C\n");
    // What was typed of the line is gone.
    reader.write(null, { ctrl: true, name: "e" });
    reader.write(null, { ctrl: true, name: "u" });
    this.#give("interrupt");
  }

  #give(answer: Answer): void {
    const waiting = this.#answer;
    this.#answer = undefined;
    waiting?.(answer);
  }
}
