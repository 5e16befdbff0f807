/** Owns the form in which the kernel keeps rules, sets and elements: that of what `nft list` prints. */
import { intervalPart, mergedElements } from "./intervals";
import { typesOf } from "./operands";
import {
  type Element,
  isConcat,
  isRange,
  kernelError,
  NftError,
  type Operand,
  type Part,
  type Rule,
  type SetFlag,
  type SetReference,
  type SetSpec,
  type Span,
  type Statement,
  type TableFamily,
} from "./ruleset";
import { impliedFamily, type SelectorName } from "./selectors";
import { compareSwapped, compareValues, type DataTypeName, type Value } from "./types";

/** A rule without what goes without saying, its nameless sets sorted. */
export function normalRule(rule: Rule, family: TableFamily): Rule {
  let same = true;
  const kept: Statement[] = [];
  for (const written of rule.does) {
    const statement = normalStatement(written);
    const last = kept.at(-1);
    const merged = last && withoutProtocol(last, statement);
    if (merged) kept[kept.length - 1] = merged;
    else kept.push(family === "inet" && "reject" in statement ? rejectFor(statement, kept) : statement);
    same &&= kept.at(-1) === written;
  }
  return same ? rule : { ...rule, does: kept };
}

const transports: { readonly [protocol: number]: string } = { 6: "tcp", 17: "udp", 132: "sctp" };

/** `meta l4proto tcp tcp dport 80` is `tcp dport 80`; so is `ip protocol tcp th dport 80`. */
function withoutProtocol(before: Statement, now: Statement): Statement | undefined {
  if (!("match" in before) || !("match" in now) || before.op !== "==" || typeof now.match !== "string")
    return undefined;
  if (before.match !== "meta l4proto" && before.match !== "ip protocol" && before.match !== "ip6 nexthdr")
    return undefined;
  const transport = transports[typeof before.to === "number" ? before.to : 0];
  const [protocol, field] = now.match.split(" ");
  if (transport === undefined || (protocol !== transport && protocol !== "th")) return undefined;
  return { ...now, match: `${transport} ${field}` as SelectorName };
}

function rejectFor(statement: Extract<Statement, { reject: unknown }>, before: readonly Statement[]): Statement {
  if (statement.by !== undefined || statement.reject === "tcp-reset") return statement;
  const families = before.map((each) =>
    "match" in each && typeof each.match === "string" ? impliedFamily(each.match) : undefined,
  );
  const family = families.find((each) => each !== undefined);
  return family === undefined ? statement : { ...statement, by: family === "ip" ? "icmp" : "icmpv6" };
}

function normalStatement(statement: Statement): Statement {
  if ("match" in statement) {
    const { match, to } = statement;
    if (typeof to !== "object" || isRange(to)) return statement;
    if ("set" in to) return statement;
    const [only] = to.elements;
    if (to.elements.length === 1 && only && !isConcat(match)) return { ...statement, to: only.key[0] as Part };
    return { ...statement, to: normalReference(match, to) };
  }
  if ("vmap" in statement) {
    const reference = normalReference(statement.vmap, statement.in);
    return reference === statement.in ? statement : { ...statement, in: reference };
  }
  if ("to" in statement && "in" in statement.to) {
    const reference = normalReference(statement.to.key, statement.to.in);
    return reference === statement.to.in ? statement : { ...statement, to: { ...statement.to, in: reference } };
  }
  return statement;
}

function normalReference(operand: Operand, reference: SetReference): SetReference {
  if ("set" in reference) return reference;
  const types = typesOf(operand);
  const [type] = types;
  if (types.length === 1 && type) {
    return isSorted(reference.elements) ? reference : { elements: mergedElements(type, reference.elements) };
  }
  const values = (element: Element): readonly Value[] => element.key.map((part) => (isRange(part) ? part.from : part));
  return { elements: [...reference.elements].sort((one, other) => compareSwapped(types, values(one), values(other))) };
}

/** Whether elements are single values in a row that rises. */
function isSorted(elements: readonly Element[]): boolean {
  return elements.every(({ key: [part] }, at) => {
    const before = elements[at - 1]?.key[0];
    return typeof part !== "object" && (at === 0 || compareValues(before as Value, part as Value) < 0);
  });
}

/** A set with the flags that follow from others. */
export function normalSet(spec: SetSpec): SetSpec {
  const flags = new Set<SetFlag>(spec.flags ?? []);
  if (spec.timeout !== undefined) flags.add("timeout");
  if (spec.autoMerge) flags.add("interval");
  return { ...spec, ...(flags.size > 0 && { flags: [...flags] }) };
}

/** An element as its set keeps it; throws where it does not fit. */
export function normalElement(element: Element, spec: SetSpec, at: Span | undefined): Element {
  const { key, verdict, data } = element;
  if (key.length !== spec.key.length) throw kernelError("Invalid argument", at);
  const mapped = verdict !== undefined || data !== undefined;
  if (mapped && spec.data === undefined) throw new NftError("set is not a map");
  if (!key.some(isRange)) return element;
  if (!spec.flags?.includes("interval")) {
    const prefix = key.some((part) => isRange(part) && part.prefix !== undefined);
    const what = prefix ? "prefix elements" : "range elements";
    throw new NftError(`You must add 'flags interval' to your set declaration if you want to add ${what}`, at);
  }
  return {
    ...element,
    key: key.map((part, index) => {
      return isRange(part) ? intervalPart(spec.key[index] as DataTypeName, part.from, part.to) : part;
    }),
  };
}

/** A map's new element must say what its key leads to. */
export function checkMapped({ verdict, data }: Element, { data: types }: SetSpec, at: Span | undefined): void {
  const fits = types === undefined || (types === "verdict" ? verdict !== undefined : data?.length === types.length);
  if (!fits) throw kernelError("Invalid argument", at);
}
