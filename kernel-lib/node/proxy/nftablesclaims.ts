/** Owns the elements that service ports claim of shared sets and maps: some are claimed by several, and one has them. */
import type { Element } from "../../net/nft/ruleset";
import type { Claim, PortPlan } from "./nftablesport";
import { byName } from "./view";

/** What changes in one shared set. */
export interface ElementChanges {
  readonly set: string;
  readonly gone: readonly Element[];
  readonly come: readonly Element[];
}

/**
 * Who claims what. Services that fight over an address or a node port: the first by name has it. (kube-proxy lets the
 * last one that it comes to have it, in no order; iptables rules are asked in the order of names.)
 */
export class Claims {
  /** By set, then by the key's text. One claim is kept bare: nearly all are alone. */
  readonly #claims = new Map<string, Map<string, Claim | Claim[]>>();
  /** What each touched key led to before, by set. */
  #before = new Map<string, Map<string, Element | undefined>>();
  /** Nothing has been asked yet: all is new. */
  #first = true;

  /** A port claims (or no longer does) what its plan says. */
  change({ claims }: PortPlan, how: "add" | "remove"): void {
    for (const claim of claims) {
      const keys = this.#of(claim.set);
      if (!this.#first) this.#touch(claim, keys);
      const known = keys.get(claim.id);
      if (known === undefined) {
        if (how === "add") keys.set(claim.id, claim);
        continue;
      }
      const list = Array.isArray(known) ? known : [known];
      const others = list.filter((each) => each.port !== claim.port);
      if (how === "add") others.push(claim);
      others.sort((one, other) => byName(one.port, other.port));
      const [only] = others;
      if (!only) keys.delete(claim.id);
      else keys.set(claim.id, others.length === 1 ? only : others);
    }
  }

  /** What has changed in the sets since this was asked last. */
  takeChanges(): readonly ElementChanges[] {
    if (this.#first) {
      this.#first = false;
      return [...this.#claims].map(([set, keys]) => {
        return {
          set,
          gone: [],
          come: [...keys.values()].map((each) => (Array.isArray(each) ? each[0] : each)?.element as Element),
        };
      });
    }
    const changes = [...this.#before].map(([set, keys]): ElementChanges => {
      const gone: Element[] = [];
      const come: Element[] = [];
      for (const [id, before] of keys) {
        const now = this.#holder(set, id);
        if (before !== undefined && now !== undefined && sameElement(before, now)) continue;
        if (before !== undefined) gone.push(before);
        if (now !== undefined) come.push(now);
      }
      return { set, gone, come };
    });
    this.#before = new Map();
    return changes.filter(({ gone, come }) => gone.length + come.length > 0);
  }

  #of(set: string): Map<string, Claim | Claim[]> {
    const known = this.#claims.get(set) ?? new Map<string, Claim | Claim[]>();
    this.#claims.set(set, known);
    return known;
  }

  #holder(set: string, id: string): Element | undefined {
    const claimed = this.#claims.get(set)?.get(id);
    return Array.isArray(claimed) ? claimed[0]?.element : claimed?.element;
  }

  #touch({ set, id }: Claim, keys: ReadonlyMap<string, Claim | Claim[]>): void {
    const touched = this.#before.get(set) ?? new Map<string, Element | undefined>();
    this.#before.set(set, touched);
    if (!touched.has(id)) touched.set(id, keys.has(id) ? this.#holder(set, id) : undefined);
  }
}

function sameElement(one: Element, other: Element): boolean {
  const chain = ({ verdict }: Element): string | undefined =>
    verdict && "chain" in verdict ? verdict.chain : undefined;
  return one.verdict?.do === other.verdict?.do && chain(one) === chain(other);
}
