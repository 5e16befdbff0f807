/** Owns what a node has put off until somebody looks: of thousands of nodes most are never looked at. */
import type { Clock, Time } from "../sim/clock";

/**
 * Work that nobody sees the result of yet, in the order in which it came up. Who looks at the node, or at a pod on it, has
 * all of it done first, each piece as of its own moment: what is seen is what would be there had it been done at once.
 */
export class Later {
  readonly #clock: Clock;
  readonly #watch: (look: () => void) => void;
  #waiting: { readonly at: Time; readonly run: () => void }[] = [];
  #asleep: boolean;
  #doing = false;

  /**
   * @param asleep false: nothing is ever put off
   * @param watch calls back before a packet or a reader next needs what the node's namespace holds
   */
  constructor(clock: Clock, asleep: boolean, watch: (look: () => void) => void) {
    this.#clock = clock;
    this.#asleep = asleep;
    this.#watch = watch;
  }

  /** Whether nobody has looked yet. */
  get asleep(): boolean {
    return this.#asleep;
  }

  /** Puts work off; a node that somebody has looked at does it at once. */
  add(run: () => void): void {
    if (!this.#asleep && !this.#doing) {
      run();
      return;
    }
    if (this.#waiting.length === 0 && !this.#doing) this.#watch(() => this.look());
    this.#waiting.push({ at: this.#clock.now, run });
  }

  /** Somebody looks: all is done, and from now on nothing is put off. Where nothing was, the node goes on sleeping. */
  look(): void {
    if (this.#doing || this.#waiting.length === 0) return;
    this.#asleep = false;
    this.catchUp();
  }

  /** Does what was put off, for something comes that must not come before it. */
  catchUp(): void {
    if (this.#doing || this.#waiting.length === 0) return;
    this.#doing = true;
    const waiting = this.#waiting;
    try {
      for (let at = 0; at < waiting.length; at++) {
        const { at: then, run } = waiting[at] as (typeof waiting)[number];
        this.#clock.recall(then, run);
      }
    } finally {
      this.#waiting = [];
      this.#doing = false;
    }
  }
}
