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
  /** Those of one word only: what costs most, every packet's way, is not written for them. */
  readonly #narrow = new Map<string, Set<(entry: Entry) => void>>();

  #read = false;

  /** Whether anybody reads everything: asked at every step of every packet. */
  get read(): boolean {
    return this.#read;
  }

  /** Whether anybody reads entries whose `what` is this word. */
  reads(what: string): boolean {
    return this.#readers.size > 0 || this.#narrow.has(what);
  }

  write(entry: Entry): void {
    for (const reader of this.#readers) reader(entry);
    if (this.#narrow.size === 0) return;
    for (const reader of this.#narrow.get(entry.what) ?? []) reader(entry);
  }

  /** Hands every coming entry whose `what` is this word to `reader`. */
  followOnly(what: string, reader: (entry: Entry) => void): Reader {
    const readers = this.#narrow.get(what) ?? new Set();
    this.#narrow.set(what, readers.add(reader));
    return {
      stop: () => {
        readers.delete(reader);
        if (readers.size === 0) this.#narrow.delete(what);
      },
    };
  }

  /** Hands every coming entry to `reader`. */
  follow(reader: (entry: Entry) => void): Reader {
    this.#readers.add(reader);
    this.#read = true;
    return {
      stop: () => {
        this.#readers.delete(reader);
        this.#read = this.#readers.size > 0;
      },
    };
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
