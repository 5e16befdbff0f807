/** Owns a chain of iptables rules: the rules as they were written, and what running them needs, made when they first run. */
import type { Family } from "./address";
import type { Rule } from "./rule";
import { RuleIndex } from "./ruleindex";
import type { Test } from "./rulematch";
import { ruleText } from "./ruletext";

/** What a rule has counted. */
export interface RuleCount {
  packets: number;
  bytes: number;
}

/** From so many rules on, those that a packet can match are looked up. */
const indexedFrom = 8;
const noRules: readonly Rule[] = [];
const nothing: Readonly<RuleCount> = { packets: 0, bytes: 0 };

/** What running a chain needs. */
interface Running {
  readonly tests: (Test | undefined)[];
  readonly texts: (string | undefined)[];
  counts: (RuleCount | undefined)[];
  index: RuleIndex | undefined;
}

/**
 * Of a node's hundred thousand chains few ever see a packet: tests, texts and counters of a rule are made when it is
 * first tested, told of, counted.
 */
export class Chain {
  /** As they were written; nobody changes the list. */
  rules: readonly Rule[] = noRules;
  #running: Running | undefined;
  /** What was counted by the policy. */
  packets = 0;
  bytes = 0;
  /** How many rules jump here. */
  links = 0;
  /** Greater than that of every chain that a rule of this one jumps to. */
  height = 0;
  /** The rules that it is about to get, while they are checked. */
  planned: readonly Rule[] | undefined;
  /** The last check of jumps that came by here (see linkJumps). */
  visit = 0;

  /**
   * @param policy only built-in chains have one
   * @param indexed from how many rules on an index is made
   */
  constructor(
    readonly name: string,
    public policy: "ACCEPT" | "DROP" | undefined,
    private readonly indexed = indexedFrom,
  ) {}

  /** Other rules instead; they have counted nothing. */
  replace(rules: readonly Rule[]): void {
    this.rules = rules;
    this.planned = undefined;
    this.#running = undefined;
  }

  /** One more rule, or one less; the others keep what they have counted. */
  splice(at: number, remove: number, ...added: readonly Rule[]): void {
    const rules = [...this.rules];
    const counts = rules.map((_, each) => this.#running?.counts[each]);
    rules.splice(at, remove, ...added);
    counts.splice(at, remove, ...added.map(() => undefined));
    this.replace(rules);
    this.#run().counts = counts;
  }

  /** The rules that may match a packet, if it pays to look them up. */
  get index(): RuleIndex | undefined {
    if (this.rules.length < this.indexed) return undefined;
    const running = this.#run();
    running.index ??= new RuleIndex(this.rules);
    return running.index;
  }

  /** The tests of its rules, as far as they have been made. */
  get tests(): (Test | undefined)[] {
    return this.#run().tests;
  }

  /** A rule as `iptables-save` prints it. */
  text(at: number, family: Family): string {
    const { texts } = this.#run();
    const text = texts[at] ?? ruleText(this.name, this.rules[at] as Rule, family);
    texts[at] = text;
    return text;
  }

  count(at: number, bytes: number): void {
    const { counts } = this.#run();
    const known = counts[at];
    if (known) {
      known.packets++;
      known.bytes += bytes;
    } else counts[at] = { packets: 1, bytes };
  }

  counted(at: number): Readonly<RuleCount> {
    return this.#running?.counts[at] ?? nothing;
  }

  /** `-Z`. */
  zero(): void {
    if (this.#running) this.#running.counts = [];
    this.packets = 0;
    this.bytes = 0;
  }

  #run(): Running {
    this.#running ??= { tests: [], texts: [], counts: [], index: undefined };
    return this.#running;
  }
}
