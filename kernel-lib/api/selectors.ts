/** Owns label and field selectors: reading what somebody typed, and matching it. */
import type { LabelSelector, Labels } from "./meta";

/** One condition on a label. */
export interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist" | "GreaterThan" | "LessThan";
  readonly values: readonly string[];
}

/** Whether labels satisfy one requirement (k8s.io/apimachinery pkg/labels/selector.go: Requirement.Matches). */
export function matchesRequirement({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "GreaterThan":
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) > Number(values[0]);
    case "LessThan":
      return value !== undefined && /^-?\d+$/.test(value) && Number(value) < Number(values[0]);
  }
}

/** Whether labels satisfy all requirements; no requirement at all matches everything. */
export function matchesAll(requirements: readonly Requirement[], labels: Labels): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/** Whether labels satisfy a metav1.LabelSelector; an empty one matches everything. */
export function matchesSelector(selector: LabelSelector, labels: Labels): boolean {
  if (selector.matchLabels && !matchesLabels(selector.matchLabels, labels)) return false;
  return !selector.matchExpressions?.length || matchesAll(requirementsOf(selector), labels);
}

/** Whether labels hold all of a map's pairs (a Service's selector). */
export function matchesLabels(wanted: Labels, labels: Labels): boolean {
  for (const key of Object.keys(wanted)) if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  return true;
}

/** A LabelSelector as requirements. */
export function requirementsOf(selector: LabelSelector): readonly Requirement[] {
  const equal = Object.entries(selector.matchLabels ?? {});
  const pairs = equal.map(([key, value]): Requirement => ({ key, operator: "In", values: [value] }));
  const expressions = selector.matchExpressions ?? [];
  return [
    ...pairs,
    ...expressions.map(({ key, operator, values }): Requirement => {
      return { key, operator: operator as Requirement["operator"], values: values ?? [] };
    }),
  ];
}

/** What is wrong with a selector somebody typed, in the words of k8s.io/apimachinery pkg/labels and pkg/fields. */
export class SelectorError extends Error {}

/**
 * Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>3`.
 * @throws SelectorError
 */
export function parseSelector(text: string): readonly Requirement[] {
  const tokens = tokenize(text);
  const found: Requirement[] = [];
  let at = 0;
  const peek = (): string => tokens[at] ?? "";
  const take = (): string => tokens[at++] ?? "";
  while (at < tokens.length) {
    const negated = peek() === "!";
    if (negated) take();
    const key = take();
    if (!isWord(key)) throw new SelectorError(`unable to parse requirement: found '${key}', expected: identifier`);
    const operator = peek();
    if (negated || operator === "" || operator === ",") {
      found.push({ key, operator: negated ? "DoesNotExist" : "Exists", values: [] });
    } else if (operator === "in" || operator === "notin") {
      take();
      found.push({ key, operator: operator === "in" ? "In" : "NotIn", values: parseList(take, peek) });
    } else {
      found.push(compared(key, take(), isWord(peek()) ? take() : ""));
    }
    if (at >= tokens.length) break;
    const comma = take();
    if (comma !== ",")
      throw new SelectorError(`unable to parse requirement: found '${comma}', expected: ',' or 'end of string'`);
    if (at >= tokens.length)
      throw new SelectorError("unable to parse requirement: found '', expected: identifier after ','");
  }
  return found;
}

const comparisons: Readonly<Record<string, Requirement["operator"]>> = {
  "=": "In",
  "==": "In",
  "!=": "NotIn",
  ">": "GreaterThan",
  "<": "LessThan",
};

function compared(key: string, sign: string, value: string): Requirement {
  const operator = comparisons[sign];
  if (operator) return { key, operator, values: [value] };
  const known = "in, notin, =, ==, !=, gt, lt";
  throw new SelectorError(`unable to parse requirement: found '${sign}', expected: ${known}`);
}

function parseList(take: () => string, peek: () => string): readonly string[] {
  const open = take();
  if (open !== "(") throw new SelectorError(`unable to parse requirement: found '${open}' expected: '('`);
  const values: string[] = [];
  for (let token = take(); ; token = take()) {
    if (token === ")") return values.length > 0 ? values : [""];
    if (token === ",") {
      if (peek() === "," || peek() === ")") values.push("");
      continue;
    }
    if (!isWord(token))
      throw new SelectorError(`unable to parse requirement: found '${token}', expected: ',', ')' or identifier`);
    values.push(token);
  }
}

function isWord(token: string): boolean {
  return token !== "" && !/^[()!,=<>]/.test(token);
}

function tokenize(text: string): readonly string[] {
  return text.match(/==|!=|[()!,=<>]|[^\s()!,=<>]+/g) ?? [];
}

/** A field selector's terms: `metadata.name=web,status.phase!=Running`. */
export interface FieldTerm {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

/** @throws SelectorError */
export function parseFieldSelector(text: string): readonly FieldTerm[] {
  return text
    .split(",")
    .filter((term) => term !== "")
    .map((term) => {
      const match = /^([^=!]+)(==|!=|=)(.*)$/.exec(term);
      if (!match) throw new SelectorError(`invalid selector: '${text}'; can't understand '${term}'`);
      return { field: match[1] as string, equal: match[2] !== "!=", value: match[3] as string };
    });
}
