/** Owns intervals: prefixes and ranges as parts of keys, and merging those that touch. */
import { type Cidr, lastOf, networkOf, widthOf } from "../address";
import { highest, lowest } from "./elements";
import type { Element, Part } from "./ruleset";
import { compareValues, type DataTypeName, type Value } from "./types";

/** The addresses of a prefix; one of full length is just its address. */
export function prefixPart(cidr: Cidr): Part {
  const { ip, length } = networkOf(cidr);
  return length === widthOf(ip) ? ip : { from: ip, to: lastOf(cidr), prefix: length };
}

/** A range as sets keep it: a value if it is one, and known as a prefix if it is one. */
export function intervalPart(type: DataTypeName, from: Value, to: Value): Part {
  if (from === to) return from;
  const prefix = type === "ipv4_addr" || type === "ipv6_addr" ? prefixLength(from, to) : undefined;
  return { from, to, ...(prefix !== undefined && { prefix }) };
}

function prefixLength(from: Value, to: Value): number | undefined {
  if (typeof from === "string") return undefined;
  const size = BigInt(to) - BigInt(from) + 1n;
  if ((size & (size - 1n)) !== 0n || BigInt(from) % size !== 0n) return undefined;
  return widthOf(from) - (size.toString(2).length - 1);
}

/** Elements of a set without a name, sorted; where there are intervals, those that touch made one (auto-merge). */
export function mergedElements(type: DataTypeName, elements: readonly Element[]): readonly Element[] {
  const sorted = [...elements].sort((one, other) => compareValues(begin(one), begin(other)));
  if (!sorted.some(({ key }) => typeof key[0] === "object")) return sorted;
  const merged: Element[] = [];
  for (const element of sorted) {
    const last = merged.at(-1);
    const part = element.key[0] as Part;
    if (last && !element.verdict && !element.data && lowest(part) <= after(highest(last.key[0] as Part))) {
      const from = lowest(last.key[0] as Part);
      const to = highest(part) > highest(last.key[0] as Part) ? highest(part) : highest(last.key[0] as Part);
      merged[merged.length - 1] = { ...last, key: [intervalPart(type, from, to)] };
    } else merged.push({ ...element, key: [intervalPart(type, lowest(part), highest(part))] });
  }
  return merged;
}

/** A key and what lies just beside it. */
export function widened([part]: readonly Part[]): readonly Part[] {
  const from = lowest(part as Part);
  return [{ from: typeof from === "bigint" ? from - 1n : Number(from) - 1, to: after(highest(part as Part)) }];
}

/** The smallest interval that holds both. */
export function united(type: DataTypeName, [one]: readonly Part[], [other]: readonly Part[]): readonly Part[] {
  const froms = [lowest(one as Part), lowest(other as Part)].sort(compareValues);
  const tos = [highest(one as Part), highest(other as Part)].sort(compareValues);
  return [intervalPart(type, froms[0] as Value, tos[1] as Value)];
}

function begin({ key }: Element): Value {
  return lowest(key[0] as Part);
}

function after(value: Value): Value {
  return typeof value === "bigint" ? value + 1n : Number(value) + 1;
}
