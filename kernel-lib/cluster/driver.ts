/** Owns the one driver of asynchronous work on virtual time: who runs now, and when the clock may move. */

import { second, type Time } from "../sim/clock";
import { readDuration } from "../sim/duration";
import type { Sim } from "../sim/sim";

/** How a pause ended: somebody woke it, its time was over, or the process was told to stop. */
export type PauseEnd = "woken" | "timeout" | "stopped";

/** What a paused process waits for: `arm` is called at once, with what ends the pause; it gives what disarms it. */
export type Arm = (wake: () => void) => undefined | (() => void);

/** How many events the driver runs before it lets the host's own event loop have a turn. */
const eventsPerTurn = 5_000;

/**
 * One asynchronous piece of work: a shell, a background job, a container's script.
 * Between two pauses it has the baton: nothing else runs, and virtual time stands still.
 */
export class Process {
  readonly name: string;
  #ended = false;
  #stopped = false;
  readonly #driver: Driver;
  readonly #stops = new Set<() => void>();
  /** What ends each pause that it is in. */
  readonly #pauses = new Set<() => void>();
  readonly #ends: (() => void)[] = [];
  #resume: (() => void) | undefined;
  #release: (() => void) | undefined;

  /** @internal use `Driver.start` */
  constructor(driver: Driver, name: string, body: (process: Process) => Promise<void>) {
    this.#driver = driver;
    this.name = name;
    this.#resume = () => void this.#run(body);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether somebody told it to stop. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Tells it to stop: its pauses end at once, now and from now on. */
  stop(): void {
    if (this.#stopped || this.#ended) return;
    this.#stopped = true;
    for (const stop of [...this.#stops]) stop();
  }

  /** What it does now is broken off, and it goes on: its pauses end as if it had been told to stop. */
  cut(): void {
    for (const stop of [...this.#pauses]) stop();
  }

  /** Calls `react` when it has ended; at once if it has already. */
  onEnd(react: () => void): void {
    if (this.#ended) react();
    else this.#ends.push(react);
  }

  /** Calls `react` when it is told to stop; gives what takes that back. */
  onStop(react: () => void): () => void {
    if (this.#stopped) react();
    else this.#stops.add(react);
    return () => void this.#stops.delete(react);
  }

  /**
   * Gives the baton away until it is woken, `timeout` microseconds are over, or it is told to stop.
   * @param kind background: `settle` does not wait for the timeout
   */
  async pause(arm: Arm, timeout?: Time, kind: "foreground" | "background" = "background"): Promise<PauseEnd> {
    if (this.#stopped) return "stopped";
    let end: PauseEnd | undefined;
    const wake = (how: PauseEnd): void => {
      if (end) return;
      end = how;
      this.#driver.ready(this);
    };
    const stop = (): void => wake("stopped");
    this.#stops.add(stop);
    this.#pauses.add(stop);
    const timer =
      timeout === undefined ? undefined : this.#driver.sim.clock.after(timeout, () => wake("timeout"), kind);
    const disarm = arm(() => wake("woken"));
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      this.#yield();
    });
    timer?.cancel();
    disarm?.();
    this.#stops.delete(stop);
    this.#pauses.delete(stop);
    return end ?? "woken";
  }

  /** Lets `duration` pass; false if it was told to stop meanwhile. */
  async sleep(duration: Time, kind: "foreground" | "background" = "background"): Promise<boolean> {
    return (await this.pause(() => undefined, duration, kind)) === "timeout";
  }

  /** @internal Has the baton until its next pause or its end. */
  turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#release = resolve;
      const resume = this.#resume;
      this.#resume = undefined;
      if (resume) resume();
      else this.#yield();
    });
  }

  async #run(body: (process: Process) => Promise<void>): Promise<void> {
    try {
      await body(this);
    } catch (error) {
      this.#driver.report(error);
    }
    this.#ended = true;
    for (const end of this.#ends) end();
    this.#yield();
  }

  #yield(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

/** What somebody waits for. */
interface Goal {
  readonly met: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The core is synchronous, shells are not. The driver hands the baton to one process at a time, in the order in which
 * they became ready, and steps the clock only when none is ready: the host's microtasks decide nothing.
 */
export class Driver {
  readonly sim: Sim;
  readonly #ready: Process[] = [];
  #goals: Goal[] = [];
  #pumping = false;
  #failure: { readonly error: unknown } | undefined;
  /** Counted up when a run is given up: an older one then does nothing more. */
  #pump = 0;
  #current: Process | undefined;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  /** Who has the baton. */
  get current(): Process | undefined {
    return this.#current;
  }

  /** Begins a process. It first runs when the driver next runs; time moves on only while somebody waits for a goal. */
  start(name: string, body: (process: Process) => Promise<void>): Process {
    const process = new Process(this, name, body);
    this.ready(process);
    return process;
  }

  /** Runs `body` as a process, and lets time pass until it ends. */
  async run<T>(name: string, body: (process: Process) => Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    const process = this.start(name, async (self) => {
      try {
        outcome = { value: await body(self) };
      } catch (error) {
        outcome = { error };
      }
    });
    const signal = cellSignal();
    const stop = (): void => {
      process.stop();
      this.interrupt();
    };
    signal?.addEventListener("abort", stop);
    try {
      await this.#until(() => process.ended);
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    if (!outcome) throw new Error(`${name} was interrupted`);
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Lets time pass until nothing in the foreground waits. */
  async settle(): Promise<void> {
    await this.#until(() => this.#ready.length === 0 && this.sim.clock.settled);
  }

  /** Lets exactly `duration` pass. */
  async advance(duration: Time): Promise<void> {
    await this.run("advance", async (self) => {
      await self.sleep(duration);
    });
  }

  /** Lets every process that can run have its turn; no time passes. */
  async breathe(): Promise<void> {
    await this.#until(() => this.#ready.length === 0);
  }

  /** Gives up all that is waited for, as Ctrl-C does: what an interrupt of the notebook calls. Jobs live on. */
  interrupt(): void {
    this.#pump++;
    this.#pumping = false;
    this.#giveUp(new Error("interrupted"));
  }

  /** @internal */
  ready(process: Process): void {
    this.#ready.push(process);
  }

  /** @internal A background process failed by our own mistake: whoever waits is told. */
  report(error: unknown): void {
    this.#failure ??= { error };
  }

  #until(met: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#goals.push({ met, resolve, reject });
      if (!this.#pumping) void this.#run();
    });
  }

  async #run(): Promise<void> {
    const pump = ++this.#pump;
    this.#pumping = true;
    try {
      for (let events = 0; this.#isWanted(pump); ) {
        const next = this.#ready.shift();
        if (next) await this.#give(next);
        events += next ? 1 : this.#step();
        if (this.#failure) throw this.#failure.error;
        if (events < eventsPerTurn) continue;
        events = 0;
        await new Promise((resolve) => setTimeout(resolve));
      }
    } catch (error) {
      this.#failure = undefined;
      this.#giveUp(error);
    }
    if (pump === this.#pump) this.#pumping = false;
  }

  /**
   * Steps the clock: on and on while something in the foreground waits and no process is ready, for till then nobody gets
   * what he waits for.
   * @returns how many events ran
   */
  #step(): number {
    const { clock } = this.sim;
    if (!clock.step()) throw new Error("everything waits, and nothing is left that could happen");
    let steps = 1;
    while (steps < eventsPerTurn && this.#ready.length === 0 && !clock.settled && clock.step()) steps++;
    return steps;
  }

  async #give(process: Process): Promise<void> {
    this.#current = process;
    await process.turn();
    this.#current = undefined;
  }

  /** Whether this run goes on: it was not given up, and somebody still waits. */
  #isWanted(pump: number): boolean {
    if (pump !== this.#pump) return false;
    for (let at = 0; at < this.#goals.length; ) {
      const goal = this.#goals[at] as Goal;
      if (!goal.met()) at++;
      else {
        this.#goals.splice(at, 1);
        goal.resolve();
      }
    }
    return this.#goals.length > 0;
  }

  #giveUp(error: unknown): void {
    const goals = this.#goals;
    this.#goals = [];
    for (const goal of goals) goal.reject(error);
  }
}

/** Our kernel's word for "the cell that runs now": its signal is aborted when the learner interrupts it. */
function cellSignal(): AbortSignal | undefined {
  const host = globalThis as unknown as Record<symbol, (() => AbortSignal | undefined) | undefined>;
  return host[Symbol.for("kubebook.signal")]?.();
}

/** `500ms`, `30s`, `5m`, `1h30m` (Go's durations), or a number of seconds → microseconds. */
export function parseDuration(text: string | number): Time {
  if (typeof text === "number") return Math.round(text * second);
  const span = readDuration(text.trim());
  if (typeof span === "string" || span < 0) {
    throw new Error(`time: invalid duration ${JSON.stringify(text)}: write it like 500ms, 30s, 5m or 1h30m`);
  }
  return span;
}
