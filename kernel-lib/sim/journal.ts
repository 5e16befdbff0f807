/** Owns the journal: one line for everything that happens, kept for those who asked. */
import type { Time } from "./clock";

/** One line. `detail` is plain data of the layer that wrote it (a packet, an object's key). */
export interface Entry {
  readonly at: Time;
  /** Who or which place it happened to: `node-1`, `default/my-nginx-…`, `kube-proxy/node-2`. */
  readonly where: string;
  /** Which part of it: a device, a hook, a rule, a controller. */
  readonly about: string;
  /** What happened, as a sentence or a word. */
  readonly what: string;
  readonly detail?: unknown;
}

/** Reads entries as they are written, until it is stopped. */
export interface Reader {
  stop(): void;
}

/** Writing costs nothing while nobody reads: callers ask `journal.read` first where a note is not free. */
export class Journal {
  readonly #readers = new Set<(entry: Entry) => void>();

  /** Whether anybody reads. */
  get read(): boolean {
    return this.#readers.size > 0;
  }

  write(entry: Entry): void {
    for (const reader of this.#readers) reader(entry);
  }

  /** Hands every coming entry to `reader`. */
  follow(reader: (entry: Entry) => void): Reader {
    this.#readers.add(reader);
    return { stop: () => this.#readers.delete(reader) };
  }

  /** Everything written while `run` runs. */
  during(run: () => void): readonly Entry[] {
    const entries: Entry[] = [];
    const reader = this.follow((entry) => entries.push(entry));
    try {
      run();
    } finally {
      reader.stop();
    }
    return entries;
  }
}
