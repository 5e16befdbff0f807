/** Owns what `nft list` prints: tables with their sets, maps and chains. */
import { elementText, type TextStyle, timeText } from "./parttext";
import type { BaseChain, Element, SetSpec } from "./ruleset";
import { ruleText } from "./ruletext";
import type { Chain, NamedSet, Table } from "./tables";
import { perLine } from "./types";

/** Which things of a table are wanted; default: all. */
export interface Wanted {
  readonly chain?: (chain: Chain) => boolean;
  readonly set?: (set: NamedSet) => boolean;
  /** As `list chains` and `list sets` print: no rules or no space between, and no comment of the table. */
  readonly short?: boolean;
  /** Of sets, only these elements. */
  readonly element?: (element: Element) => boolean;
}

/** A table, as a part of `nft list ruleset`. */
export function tableText(table: Table, style: TextStyle = {}, wanted?: Wanted): string {
  const lines = [`table ${table.title} {${wanted ? "" : handleText(table.handle, style)}`];
  if (!wanted && table.comment !== undefined) lines.push(`\tcomment "${table.comment}"`);
  const things = [
    ...[...table.sets.values()]
      .filter(wanted ? (wanted.set ?? (() => false)) : () => true)
      .map((set) => setLines(set, style, wanted?.element)),
    ...[...table.chains.values()]
      .filter(wanted ? (wanted.chain ?? (() => false)) : () => true)
      .map((chain) => chainLines(table, chain, style, wanted?.short ?? false)),
  ];
  for (const [index, thing] of things.entries()) {
    if (index > 0 && !wanted?.short) lines.push("");
    lines.push(...thing);
  }
  return `${lines.join("\n")}\n}\n`;
}

function chainLines(table: Table, chain: Chain, style: TextStyle, short: boolean): readonly string[] {
  const lines = [`\tchain ${chain.name} {${handleText(chain.handle, style)}`];
  if (chain.comment !== undefined) lines.push(`\t\tcomment "${chain.comment}"`);
  if (chain.base) lines.push(`\t\t${baseText(chain.base, style)}`);
  if (!short) {
    for (const held of chain.rules) {
      const text = ruleText(held.rule, table.family, style, held.counters);
      lines.push(`\t\t${text}${style.handles ? ` # handle ${held.handle}` : ""}`);
    }
  }
  return [...lines, "\t}"];
}

function baseText({ type, hook, priority, policy }: BaseChain, style: TextStyle): string {
  return `type ${type} hook ${hook} priority ${priorityText(priority, hook, style)}; policy ${policy};`;
}

/** Names of priorities; some are known at one hook only (src/rule.c, std_prios). */
const priorities: readonly (readonly [name: string, value: number, hook?: string])[] = [
  ["raw", -300],
  ["mangle", -150],
  ["dstnat", -100, "prerouting"],
  ["filter", 0],
  ["security", 50],
  ["srcnat", 100, "postrouting"],
];

/** `dstnat - 10`: by the name of a priority at most 10 away. */
function priorityText(value: number, hook: string, { numeric }: TextStyle = {}): string {
  if (numeric) return String(value);
  const near = priorities.find(([, at, only]) => Math.abs(value - at) <= 10 && (only === undefined || only === hook));
  if (!near) return String(value);
  const [name, at] = near;
  return value === at ? name : `${name} ${value < at ? "-" : "+"} ${Math.abs(value - at)}`;
}

/** The value of a priority's name at a hook; undefined if it has none there. */
export function priorityValue(name: string, hook: string): number | undefined {
  return priorities.find(([known, , only]) => known === name && (only === undefined || only === hook))?.[1];
}

function setLines(set: NamedSet, style: TextStyle, only?: Wanted["element"]): readonly string[] {
  const { spec } = set;
  const lines = [`\t${set.isMap ? "map" : "set"} ${spec.name} {${handleText(set.handle, style)}`];
  lines.push(...declaration(spec, style).map((line) => `\t\t${line}`));
  if (!style.terse) {
    const text = elementsText(set, style, only);
    if (text !== "") lines.push(`\t\telements = { ${text} }`);
  }
  return [...lines, "\t}"];
}

function declaration(spec: SetSpec, style: TextStyle): readonly string[] {
  const data = spec.data === undefined ? "" : ` : ${spec.data === "verdict" ? "verdict" : spec.data.join(" . ")}`;
  const lines = [`type ${spec.key.join(" . ")}${data}`];
  if (spec.size !== undefined) lines.push(`size ${spec.size}`);
  const flags = (["constant", "dynamic", "interval", "timeout"] as const).filter((flag) => spec.flags?.includes(flag));
  // A default timeout says by itself that elements leave.
  if (flags.some((flag) => flag !== "timeout" || spec.timeout === undefined)) lines.push(`flags ${flags.join(",")}`);
  if (spec.autoMerge) lines.push("auto-merge");
  if (spec.timeout !== undefined) lines.push(`timeout ${timeText(spec.timeout, style)}`);
  if (spec.gcInterval !== undefined) lines.push(`gc-interval ${timeText(spec.gcInterval, style)}`);
  if (spec.comment !== undefined) lines.push(`comment "${spec.comment}"`);
  return lines;
}

function elementsText(set: NamedSet, style: TextStyle, only: Wanted["element"] = () => true): string {
  const now = set.now();
  const width = perLine(set.spec.key);
  let text = "";
  const wanted = set.elements.list(now).filter(({ element }) => only(element));
  for (const [index, { element, until }] of wanted.entries()) {
    if (index > 0) text += index % width === 0 ? ",\n\t\t\t     " : ", ";
    text += elementText(element, set.spec, style, until === undefined ? undefined : until - now);
  }
  return text;
}

function handleText(handle: number, { handles }: TextStyle): string {
  return handles ? ` # handle ${handle}` : "";
}
