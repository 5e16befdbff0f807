/** Owns the requests of one client in virtual time: when each begins, what is tried again, what became of all. */
import type { Time } from "../../sim/clock";
import { second } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import type { HttpClient } from "./client";
import type { CheckedTraffic, RetryOn } from "./options";
import type { TrafficOutcome, TrafficTry } from "./outcome";

/**
 * Begins requests when they are due (open loop): a slow answer holds none of them back. Its timers are background ones:
 * `settle` lets the cluster come to rest, and does not wait for the end of the traffic.
 */
export class Requests {
  readonly #sim: Sim;
  readonly #client: HttpClient;
  readonly #options: CheckedTraffic;
  readonly #over: () => void;
  /** By the number of the request, less one; there as soon as the outcome is. */
  readonly #outcomes: (TrafficOutcome | undefined)[] = [];
  readonly #gaps: Iterator<Time>;
  readonly began: Time;
  #begun = 0;
  #underWay = 0;
  #next: { cancel(): void } | undefined;

  /** @param over called once when every request has its outcome */
  constructor(sim: Sim, client: HttpClient, options: CheckedTraffic, stream: string, over: () => void) {
    this.#sim = sim;
    this.#client = client;
    this.#options = options;
    this.#over = over;
    this.began = sim.clock.now;
    this.#gaps = arrivals(sim, options, stream);
    this.#wait();
  }

  /** Those that have their outcome, in the order in which they began. */
  get outcomes(): readonly TrafficOutcome[] {
    return this.#outcomes.flatMap((outcome) => outcome ?? []);
  }

  get over(): boolean {
    return this.#next === undefined && this.#underWay === 0;
  }

  /** Begins no more. */
  stop(): void {
    if (!this.#next) return;
    this.#next.cancel();
    this.#next = undefined;
    if (this.over) this.#over();
  }

  #wait(): void {
    this.#next = undefined;
    const due = this.#gaps.next();
    if (due.done) return;
    const { clock } = this.#sim;
    const begin = (): void => {
      this.#wait();
      this.#begin();
    };
    this.#next = clock.after(this.began + due.value - clock.now, begin, "background");
  }

  #begin(): void {
    this.#underWay++;
    this.#try(++this.#begun, this.#sim.clock.now, []);
  }

  #try(number: number, began: Time, before: readonly TrafficTry[]): void {
    this.#client.try((tried) => {
      if (before.length < this.#options.retries && this.#isRetried(tried)) {
        this.#try(number, began, [...before, tried]);
        return;
      }
      const took = this.#sim.clock.now - began;
      const attempts = before.length + 1;
      const all = before.length > 0 ? { before } : {};
      this.#outcomes[number - 1] = { number, ...tried, at: began, took, attempts, ...all };
      this.#underWay--;
      if (this.over) this.#over();
    });
  }

  #isRetried({ result, during }: TrafficTry): boolean {
    if (result === "ok") return false;
    const word: RetryOn = result === "5xx" ? "5xx" : during === "exchange" ? "reset" : "connect-failure";
    return this.#options.retryOn.has(word);
  }
}

/** When requests begin, counted from the beginning. */
function* arrivals(sim: Sim, { rate, duration, arrivals: how }: CheckedTraffic, stream: string): Generator<Time> {
  if (how === "even") {
    for (let at = 0, due = 0; due < duration; due = Math.round((++at * second) / rate)) yield due;
    return;
  }
  const random = sim.random.fork(stream);
  for (let due = gap(); due < duration; due += gap()) yield Math.round(due);
  /** Between two events of a Poisson process: exponentially distributed. */
  function gap(): number {
    return (-Math.log(1 - random.float()) * second) / rate;
  }
}
