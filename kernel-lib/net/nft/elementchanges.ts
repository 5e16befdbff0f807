/** Owns what a transaction does to the elements of sets and maps. */
import { united, widened } from "./intervals";
import { linkVerdict } from "./links";
import { checkMapped, normalElement } from "./normal";
import { type Command, type Element, kernelError, NftError, type Span } from "./ruleset";
import type { NamedSet, Table } from "./tables";

type ElementCommand = Extract<Command, { what: "element" }>;

const missing = "No such file or directory";
const exists = "File exists";
const unsupported = "Operation not supported";

/** Adds, deletes and flushes elements, each so that it can be taken back. */
export class ElementChanges {
  readonly #undo: (back: () => void) => void;
  readonly #leads: (table: Table, chain: string, span: Span | undefined) => void;

  /**
   * @param undo is handed how to take each change back
   * @param leads is told of each chain to which a map now leads
   */
  constructor(undo: (back: () => void) => void, leads: (table: Table, chain: string, span: Span | undefined) => void) {
    this.#undo = undo;
    this.#leads = leads;
  }

  /** `flush set`. */
  flush(table: Table, set: NamedSet): void {
    const held = [...set.elements.all()];
    if (held.length === 0) return;
    set.elements.clear();
    for (const { element } of held) linkVerdict(table, element.verdict, -1);
    this.#undo(() => {
      for (const { element, until } of held) {
        set.elements.set(element, until);
        linkVerdict(table, element.verdict, 1);
      }
    });
  }

  /** `add element`, `delete element`, … */
  change(table: Table, command: ElementCommand): void {
    const set = table.sets.get(command.name);
    if (!set) throw kernelError(missing, command.at?.name);
    // One way back for all: most transactions are of many elements, and hardly any is taken back.
    const added: Element[] = [];
    this.#undo(() => {
      for (const { key, verdict } of added) {
        set.elements.delete(key);
        linkVerdict(table, verdict, -1);
      }
    });
    for (let index = 0; index < command.elements.length; index++) {
      const element = command.elements[index] as Element;
      const at = command.at?.elements?.[index];
      if (command.do === "add" || command.do === "create") {
        const put = this.#addElement(table, set, normalElement(element, set.spec, at), command.do, at);
        if (put) added.push(put);
      } else if (!this.#deleteElement(table, set, element) && command.do === "delete") throw kernelError(missing, at);
    }
  }

  #addElement(
    table: Table,
    set: NamedSet,
    element: Element,
    how: "add" | "create",
    at: Span | undefined,
  ): Element | undefined {
    checkMapped(element, set.spec, at);
    const known = set.elements.exact(element.key, set.now());
    if (known) {
      if (how === "create" || !sameMeaning(known.element, element)) throw kernelError(exists, at);
      return undefined;
    }
    if (set.spec.size !== undefined && set.elements.size >= set.spec.size) {
      throw kernelError("Too many open files in system", at);
    }
    const { verdict } = element;
    if (verdict && "chain" in verdict) {
      const target = table.chains.get(verdict.chain);
      if (!target) throw kernelError(missing, at);
      if (target.base) throw kernelError(unsupported, at);
      if (set.uses > 0) this.#leads(table, verdict.chain, at);
    }
    const added = set.spec.flags?.includes("interval") ? this.#merged(set, element, at) : element;
    set.put(added);
    linkVerdict(table, verdict, 1);
    return added;
  }

  /** Intervals must not overlap; where the set merges them, one takes in what it touches. */
  #merged(set: NamedSet, element: Element, at: Span | undefined): Element {
    let key = element.key;
    for (;;) {
      const other = set.elements.overlapping(set.spec.autoMerge ? widened(key) : key);
      if (!other) return { ...element, key };
      if (!set.spec.autoMerge) throw new NftError("interval overlaps with an existing one", at);
      set.elements.delete(other.element.key);
      this.#undo(() => set.elements.set(other.element, other.until));
      key = united(set.spec.key[0] ?? "integer", key, other.element.key);
    }
  }

  #deleteElement(table: Table, set: NamedSet, element: Element): boolean {
    const { key } = normalElement(element, set.spec, undefined);
    const held = set.elements.exact(key, set.now());
    if (!held) return false;
    set.elements.delete(key);
    linkVerdict(table, held.element.verdict, -1);
    this.#undo(() => {
      set.elements.set(held.element, held.until);
      linkVerdict(table, held.element.verdict, 1);
    });
    return true;
  }
}

function sameMeaning(one: Element, other: Element): boolean {
  return JSON.stringify(plain(one)) === JSON.stringify(plain(other));
}

function plain({ verdict, data }: Element): unknown {
  return [verdict && [verdict.do, "chain" in verdict ? verdict.chain : ""], data?.map(String)];
}
