/** Owns reading what `nft` is given: commands, and whole tables as `nft list ruleset` prints them. */
import { Tokens } from "./lex";
import type { Nftables } from "./nftables";
import { parseRule } from "./parserule";
import { parseChainBody, parseSetBody } from "./parseset";
import { type Names, parseElements } from "./parsevalue";
import { type Command, NftError, type Rule, type SetSpec, type Span, type Spans, type TableFamily } from "./ruleset";

/** A question: what to print. */
export interface ListCommand {
  readonly do: "list" | "get";
  readonly what: "ruleset" | "tables" | "table" | "chains" | "chain" | "sets" | "set" | "maps" | "map" | "element";
  readonly family?: TableFamily;
  readonly table?: string;
  readonly name?: string;
  readonly key?: Extract<Command, { what: "element" }>["elements"];
  readonly at: Spans;
}

export interface FlushRuleset {
  readonly do: "flush";
  readonly what: "ruleset";
  readonly family?: TableFamily;
}

export type Request = Command | ListCommand | FlushRuleset;

const families = ["ip", "ip6", "inet"] as const;

/** Reads all commands of a text. @throws {NftError} in nft's words, with the place */
export function parseCommands(text: string, nft: Nftables): readonly Request[] {
  return new Parser(text, nft).all();
}

class Parser {
  readonly #tokens: Tokens;
  readonly #nft: Nftables;
  readonly #requests: Request[] = [];
  /** Sets that the text itself makes, by family, table and name. */
  readonly #made = new Map<string, SetSpec>();
  #begin: Span;

  constructor(text: string, nft: Nftables) {
    this.#tokens = new Tokens(text);
    this.#nft = nft;
    this.#begin = this.#tokens.peek();
  }

  all(): readonly Request[] {
    const tokens = this.#tokens;
    tokens.skipEnds();
    while (tokens.peek().kind !== "end") {
      this.#begin = tokens.peek();
      this.#command();
      if (tokens.is("}") || !tokens.atEnd()) throw tokens.unexpected("end of file or newline or semicolon");
      tokens.skipEnds();
    }
    return this.#requests;
  }

  /** From the command's first word to its end. */
  #all(): Span {
    const last = this.#tokens.last();
    return { ...this.#begin, to: last.line === this.#begin.line ? last.to + 1 : this.#begin.to };
  }

  #command(): void {
    const tokens = this.#tokens;
    const verb = tokens.take(
      "add",
      "create",
      "insert",
      "replace",
      "delete",
      "destroy",
      "flush",
      "list",
      "get",
      "rename",
    );
    const noun = tokens.take("table", "chain", "rule", "set", "map", "element");
    switch (verb) {
      case "list":
      case "get":
        this.#list(verb, noun);
        return;
      case "flush":
        if (noun === undefined && tokens.take("ruleset")) {
          const family = this.#family();
          this.#requests.push({ do: "flush", what: "ruleset", ...(family && { family }) });
          return;
        }
        break;
      case undefined:
        if (noun === undefined) {
          tokens.word();
          throw tokens.unexpected("string");
        }
    }
    const how = verb ?? "add";
    if (noun === "table") this.#table(how);
    else if (noun === "chain") this.#chain(how);
    else if (noun === "set" || noun === "map") this.#set(how, noun === "map");
    else if (noun === "element") this.#element(how);
    else if (noun === "rule") this.#rule(how);
    // `add ip t c accept`: a rule is what is meant where nothing is named.
    else if (verb === "add" || verb === "insert") this.#rule(how);
    else throw tokens.unexpected();
  }

  #family(): TableFamily | undefined {
    return this.#tokens.take(...families) as TableFamily | undefined;
  }

  /** `ip t`, or `t`. */
  #tableName(): { family: TableFamily; table: string; span: Span } {
    const family = this.#family() ?? "ip";
    const span = this.#tokens.word();
    return { family, table: span.text, span };
  }

  #names(): { family: TableFamily; table: string; name: string; spans: Omit<Spans, "all"> } {
    const { family, table, span } = this.#tableName();
    const name = this.#tokens.word();
    return { family, table, name: name.text, spans: { table: span, name } };
  }

  #setSpec(family: TableFamily, table: string, name: string): SetSpec | undefined {
    return this.#made.get(`${family} ${table} ${name}`) ?? this.#nft.table(family, table)?.sets.get(name)?.spec;
  }

  // ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #table(how: string): void {
    const tokens = this.#tokens;
    if ((how === "delete" || how === "destroy") && tokens.is("handle")) throw tokens.unexpected("string");
    const { family, table, span } = this.#tableName();
    const at: Spans = { all: this.#all(), table: span };
    if (how === "delete" || how === "destroy" || how === "flush") {
      this.#requests.push({ do: how, what: "table", family, table, at });
      return;
    }
    // Chains come first, whoever leads to them; then sets, what is in them, and rules.
    const rows: [Command[], Command[], Command[], Command[]] = [[], [], [], []];
    let comment: string | undefined;
    if (tokens.take("{")) {
      tokens.skipEnds();
      while (!tokens.is("}")) {
        if (tokens.take("comment")) comment = tokens.quoted();
        else this.#inTable(family, table, span, rows);
        tokens.skipEnds();
      }
      tokens.next();
    }
    const does = how === "create" ? "create" : "add";
    this.#requests.push({ do: does, what: "table", family, table, at, ...(comment !== undefined && { comment }) });
    for (const row of rows) this.#requests.push(...row);
  }

  #inTable(family: TableFamily, table: string, span: Span, rows: readonly Command[][]): void {
    const [chains, sets, elements, rules] = rows as [Command[], Command[], Command[], Command[]];
    const tokens = this.#tokens;
    const noun = tokens.expect("chain", "set", "map").text;
    const name = tokens.word();
    const spans = { table: span, name };
    const at: Spans = { all: { ...name }, ...spans };
    if (noun === "chain") {
      const chain = parseChainBody(tokens, name.text, () => {
        rules.push(this.#ruleOf("add", family, table, name.text, spans));
      });
      chains.push({ do: "add", what: "chain", family, table, chain, at });
      return;
    }
    const declared = parseSetBody(tokens, name.text, noun === "map", new Map());
    this.#made.set(`${family} ${table} ${name.text}`, declared.set);
    sets.push({ do: "add", what: "set", family, table, set: declared.set, at });
    if (declared.elements.length > 0) {
      const places = { ...at, elements: declared.at };
      elements.push({
        do: "add",
        what: "element",
        family,
        table,
        name: name.text,
        elements: declared.elements,
        at: places,
      });
    }
  }

  // ── Chains and rules ─────────────────────────────────────────────────────────────────────────────────────────────

  #chain(how: string): void {
    const tokens = this.#tokens;
    const { family, table, name, spans } = this.#names();
    if (how === "rename") {
      const to = tokens.word().text;
      this.#requests.push({ do: "rename", what: "chain", family, table, name, to, at: { all: this.#all(), ...spans } });
      return;
    }
    if (how === "delete" || how === "destroy" || how === "flush") {
      this.#requests.push({ do: how, what: "chain", family, table, name, at: { all: this.#all(), ...spans } });
      return;
    }
    if (how !== "add" && how !== "create") throw tokens.unexpected();
    const chain = tokens.is("{") ? parseChainBody(tokens, name, undefined) : { name };
    this.#requests.push({ do: how, what: "chain", family, table, chain, at: { all: this.#all(), ...spans } });
  }

  #rule(how: string): void {
    const tokens = this.#tokens;
    const { family, table, name: chain, spans } = this.#names();
    if (how === "delete" || how === "destroy") {
      tokens.expect("handle");
      const at = tokens.peek();
      const handle = tokens.number();
      const places = { all: this.#all(), ...spans, handle: at };
      this.#requests.push({ do: how, what: "rule", family, table, chain, handle, at: places });
      return;
    }
    if (how !== "add" && how !== "insert" && how !== "replace") throw tokens.unexpected();
    const by = tokens.peek();
    const handle = tokens.take("handle", "position") ? tokens.number() : undefined;
    if (how === "replace" && handle === undefined) throw tokens.unexpected("handle");
    const at =
      handle === undefined ? undefined : by.text === "position" ? { ...by, to: tokens.last().to } : tokens.last();
    const rule = this.#ruleOf(how, family, table, chain, { ...spans, ...(at && { handle: at }) }, handle);
    this.#requests.push(rule);
  }

  #ruleOf(
    how: "add" | "insert" | "replace",
    family: TableFamily,
    table: string,
    chain: string,
    spans: Omit<Spans, "all">,
    handle?: number,
  ): Command {
    const names: Names = new Map();
    const begin = this.#tokens.peek();
    const set = (name: string): SetSpec | undefined => this.#setSpec(family, table, name);
    const rule: Rule = parseRule(this.#tokens, { family, names, set });
    const inBlock = begin.line !== this.#begin.line;
    const all = inBlock ? { ...begin, to: this.#tokens.last().to } : this.#all();
    const at: Spans = { all, ...spans, names };
    return { do: how, what: "rule", family, table, chain, rule, at, ...(handle !== undefined && { handle }) };
  }

  // ── Sets and their elements ──────────────────────────────────────────────────────────────────────────────────────

  #set(how: string, isMap: boolean): void {
    const { family, table, name, spans } = this.#names();
    if (how === "delete" || how === "destroy" || how === "flush") {
      if (how === "flush" && !this.#setSpec(family, table, name)) throw new NftError(missing, spans.name);
      this.#requests.push({ do: how, what: "set", family, table, name, at: { all: this.#all(), ...spans } });
      return;
    }
    if (how !== "add" && how !== "create") throw this.#tokens.unexpected();
    const declared = parseSetBody(this.#tokens, name, isMap, new Map());
    const at = { all: this.#all(), ...spans };
    this.#made.set(`${family} ${table} ${name}`, declared.set);
    this.#requests.push({ do: how, what: "set", family, table, set: declared.set, at });
    if (declared.elements.length === 0) return;
    const places = { ...at, elements: declared.at };
    this.#requests.push({ do: "add", what: "element", family, table, name, elements: declared.elements, at: places });
  }

  #element(how: string): void {
    const { family, table, name, spans } = this.#names();
    if (how !== "add" && how !== "create" && how !== "delete" && how !== "destroy") throw this.#tokens.unexpected();
    const { elements, at } = this.#elementsOf(family, table, name, spans);
    const places = { all: this.#all(), ...spans, elements: at };
    this.#requests.push({ do: how, what: "element", family, table, name, elements, at: places });
  }

  #elementsOf(family: TableFamily, table: string, name: string, spans: Omit<Spans, "all">) {
    const spec = this.#setSpec(family, table, name);
    const isThere =
      this.#nft.table(family, table) ?? [...this.#made.keys()].some((key) => key.startsWith(`${family} ${table} `));
    if (!spec) throw new NftError(missing, isThere ? spans.name : spans.table);
    const at: Span[] = [];
    return { elements: parseElements(this.#tokens, spec, new Map(), at), at };
  }

  // ── Questions ────────────────────────────────────────────────────────────────────────────────────────────────────

  #list(verb: "list" | "get", noun: string | undefined): void {
    const tokens = this.#tokens;
    if (verb === "get") {
      if (noun !== "element") throw tokens.unexpected();
      const { family, table, name, spans } = this.#names();
      const { elements, at } = this.#elementsOf(family, table, name, spans);
      const places = { all: this.#all(), ...spans, elements: at };
      this.#requests.push({ do: "get", what: "element", family, table, name, key: elements, at: places });
      return;
    }
    const what = noun ?? tokens.take("ruleset", "tables", "chains", "sets", "maps");
    if (what === undefined || what === "rule" || what === "element") throw tokens.unexpected();
    const at = { all: this.#all() };
    if (what === "ruleset" || what === "tables" || what === "chains" || what === "sets" || what === "maps") {
      if (what !== "ruleset" && what !== "tables" && tokens.take("table")) {
        const { family, table, span } = this.#tableName();
        this.#requests.push({ do: "list", what, family, table, at: { ...at, table: span } });
        return;
      }
      const family = this.#family();
      this.#requests.push({ do: "list", what, ...(family && { family }), at });
      return;
    }
    if (what === "table") {
      const { family, table, span } = this.#tableName();
      this.#requests.push({ do: "list", what, family, table, at: { ...at, table: span } });
      return;
    }
    const { family, table, name, spans } = this.#names();
    this.#requests.push({ do: "list", what: what as "chain", family, table, name, at: { ...at, ...spans } });
  }
}

const missing = "No such file or directory";
