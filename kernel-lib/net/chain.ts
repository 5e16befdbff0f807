/** Owns a chain of iptables rules: the rules as they were written, and what running them needs, made when they first run. */
import type { Family } from "./address";
import type { Rule } from "./rule";
import { RuleIndex } from "./ruleindex";
import type { Test } from "./rulematch";
import { ruleText } from "./ruletext";

/** What a rule has counted. */
export interface RuleCount {
  readonly packets: number;
  readonly bytes: number;
}

/** From so many rules on, those that a packet can match are looked up. */
const indexedFrom = 8;
const nothing: RuleCount = { packets: 0, bytes: 0 };

/**
 * Of a node's hundred thousand chains few ever see a packet: tests, texts and counters of a rule are made when it is
 * first tested, matched, counted.
 */
export class Chain {
  #rules: readonly Rule[] = [];
  #tests: (Test | undefined)[] = [];
  #texts: (string | undefined)[] = [];
  #counts: (RuleCount | undefined)[] = [];
  #index: RuleIndex | undefined;
  /** What was counted by the policy. */
  packets = 0;
  bytes = 0;
  /** How many rules jump here. */
  links = 0;
  /** Greater than that of every chain that a rule of this one jumps to. */
  height = 0;

  /**
   * @param policy only built-in chains have one
   * @param indexed from how many rules on an index is made
   */
  constructor(
    readonly name: string,
    public policy: "ACCEPT" | "DROP" | undefined,
    private readonly indexed = indexedFrom,
  ) {}

  get rules(): readonly Rule[] {
    return this.#rules;
  }

  /** Other rules instead; they have counted nothing. */
  replace(rules: readonly Rule[]): void {
    this.#rules = rules;
    this.#index = undefined;
    if (this.#tests.length > 0) this.#tests = [];
    if (this.#texts.length > 0) this.#texts = [];
    if (this.#counts.length > 0) this.#counts = [];
  }

  /** One more rule, or one less; the others keep what they have counted. */
  splice(at: number, remove: number, ...added: readonly Rule[]): void {
    const rules = [...this.#rules];
    const counts = rules.map((_, index) => this.#counts[index]);
    rules.splice(at, remove, ...added);
    counts.splice(at, remove, ...added.map(() => undefined));
    this.replace(rules);
    this.#counts = counts;
  }

  /** The rules that may match a packet, if it pays to look them up. */
  get index(): RuleIndex | undefined {
    if (this.#rules.length < this.indexed) return undefined;
    this.#index ??= new RuleIndex(this.#rules);
    return this.#index;
  }

  test(at: number, compile: (rule: Rule) => Test): Test {
    const known = this.#tests[at];
    if (known) return known;
    const made = compile(this.#rules[at] as Rule);
    this.#tests[at] = made;
    return made;
  }

  /** A rule as `iptables-save` prints it. */
  text(at: number, family: Family): string {
    const text = this.#texts[at] ?? ruleText(this.name, this.#rules[at] as Rule, family);
    this.#texts[at] = text;
    return text;
  }

  count(at: number, bytes: number): void {
    const known = this.#counts[at];
    if (known) {
      (known as { packets: number }).packets++;
      (known as { bytes: number }).bytes += bytes;
    } else this.#counts[at] = { packets: 1, bytes };
  }

  counted(at: number): RuleCount {
    return this.#counts[at] ?? nothing;
  }

  /** `-Z`. */
  zero(): void {
    this.#counts = [];
    this.packets = 0;
    this.bytes = 0;
  }
}
