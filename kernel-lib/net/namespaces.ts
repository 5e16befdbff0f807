/** Owns the namespaces of a network by name: those that are, and those that are made when somebody first looks. */
import type { Netns } from "./netns";

/** A namespace that is reserved: looking for it has it made. */
interface Reserved {
  /** Makes it, and all that was put off before it. */
  readonly look: () => void;
}

/** Read like a Map. A reader finds every namespace complete: what was put off is done first. */
export class Namespaces {
  readonly #made = new Map<string, Netns>();
  readonly #reserved = new Map<string, Reserved>();

  /** Its name is taken from now on; `look` must call `Network.netns` with it. */
  reserve(name: string, look: () => void): void {
    this.#reserved.set(name, { look });
  }

  get(name: string): Netns | undefined {
    if (this.#reserved.size > 0) this.#reserved.get(name)?.look();
    const found = this.#made.get(name);
    found?.fill();
    return found;
  }

  has(name: string): boolean {
    return this.#made.has(name) || this.#reserved.has(name);
  }

  /** Whether there is one already, and not only its reserved name. */
  isMade(name: string): boolean {
    return this.#made.has(name);
  }

  keys(): IterableIterator<string> {
    return [...this.#made.keys(), ...this.#reserved.keys()].values();
  }

  /** All of them; those that were only reserved are made. */
  values(): IterableIterator<Netns> {
    return [...this.keys()].flatMap((name) => this.get(name) ?? []).values();
  }

  set(name: string, netns: Netns): void {
    this.#reserved.delete(name);
    this.#made.set(name, netns);
  }

  /** Takes a name away, also one that was only reserved. */
  delete(name: string): void {
    this.#reserved.delete(name);
    this.#made.delete(name);
  }
}
