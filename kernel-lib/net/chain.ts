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

/** A rule as it runs. */
export interface Step {
  readonly rule: Rule;
  readonly test: Test;
  /** Where it jumps to; that chain cannot go as long as this rule is there. */
  readonly next: Chain | undefined;
  readonly count: RuleCount;
}

/**
 * Of a node's hundred thousand chains few ever see a packet: tests, texts and counters of a rule are made when it is
 * first tested, told of, counted.
 */
export class Chain {
  /** As they were written; nobody changes the list. */
  rules: readonly Rule[] = noRules;
  #steps: (Step | undefined)[] | undefined;
  #texts: (string | undefined)[] | undefined;
  #index: RuleIndex | undefined;
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
    this.#steps = undefined;
    this.#texts = undefined;
    this.#index = undefined;
  }

  /** One more rule, or one less; the others keep what they have counted. */
  splice(at: number, remove: number, ...added: readonly Rule[]): void {
    const rules = [...this.rules];
    const steps = rules.map((_, each) => this.#steps?.[each]);
    rules.splice(at, remove, ...added);
    steps.splice(at, remove, ...added.map(() => undefined));
    this.replace(rules);
    this.#steps = steps;
  }

  /** The rules that may match a packet, if it pays to look them up. */
  get index(): RuleIndex | undefined {
    if (this.rules.length < this.indexed) return undefined;
    this.#index ??= new RuleIndex(this.rules);
    return this.#index;
  }

  /** Its rules as they run. Who runs them makes those that are missing. */
  get steps(): (Step | undefined)[] {
    this.#steps ??= [];
    return this.#steps;
  }

  /** A rule as `iptables-save` prints it. */
  text(at: number, family: Family): string {
    this.#texts ??= [];
    const text = this.#texts[at] ?? ruleText(this.name, this.rules[at] as Rule, family);
    this.#texts[at] = text;
    return text;
  }

  counted(at: number): Readonly<RuleCount> {
    return this.#steps?.[at]?.count ?? nothing;
  }

  /** `-Z`. */
  zero(): void {
    for (const step of this.#steps ?? []) if (step) Object.assign(step.count, nothing);
    this.packets = 0;
    this.bytes = 0;
  }
}
