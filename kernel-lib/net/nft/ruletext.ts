/** Owns the text of nftables rules, as `nft list` (1.0.6) prints them. */

import { typesOf } from "./operands";
import { elementText, partText, socketText, type TextStyle, timeText, verdictText } from "./parttext";
import {
  type Comparison,
  isRange,
  type MarkValue,
  type NatFlags,
  type Operand,
  type Part,
  type RejectWith,
  type Rule,
  type SetReference,
  type Statement,
  type TableFamily,
} from "./ruleset";
import { selector } from "./selectors";
import { type DataTypeName, formatValue } from "./types";

/** A rule as its line in a listing, without what stands before and the handle behind it. */
export function ruleText(
  rule: Rule,
  family: TableFamily,
  style: TextStyle = {},
  counters?: readonly { readonly packets: number; readonly bytes: number }[],
): string {
  let counted = 0;
  const words = rule.does.map((statement) => {
    if (!("counter" in statement)) return statementText(statement, family, style);
    const { packets, bytes } = counters?.[counted++] ?? statement.counter;
    return style.stateless ? "counter" : `counter packets ${packets} bytes ${bytes}`;
  });
  if (rule.comment !== undefined) words.push(`comment "${rule.comment}"`);
  return words.join(" ");
}

function statementText(
  statement: Exclude<Statement, { counter: unknown }>,
  family: TableFamily,
  style: TextStyle,
): string {
  if ("match" in statement) return matchText(statement.match, statement.op, statement.to, style);
  if ("vmap" in statement) {
    return `${operandText(statement.vmap)} vmap ${referenceText(statement.vmap, statement.in, style, "verdict")}`;
  }
  if ("verdict" in statement) return verdictText(statement.verdict);
  if ("assign" in statement) return `${statement.assign} set ${markText(statement.value)}`;
  if ("nat" in statement) return natText(statement, style);
  if ("reject" in statement) return rejectText(statement, family);
  if ("update" in statement) {
    const timeout = statement.timeout === undefined ? "" : ` timeout ${timeText(statement.timeout, style)}`;
    return `${statement.update} @${statement.set} { ${operandText(statement.key)}${timeout} }`;
  }
  const { prefix, level } = statement.log;
  return `log${prefix === undefined ? "" : ` prefix "${prefix}"`}${level === undefined ? "" : ` level ${level}`}`;
}

function operandText(operand: Operand): string {
  if (typeof operand === "string") return operand;
  if ("concat" in operand) return operand.concat.join(" . ");
  if ("numgen" in operand) return `numgen ${operand.numgen} mod ${operand.mod}`;
  return `${operand.of} & ${formatValue(selector(operand.of).type, operand.mask)}`;
}

function matchText(operand: Operand, op: Comparison, to: Part | SetReference, style: TextStyle): string {
  const masked = typeof operand === "object" && "mask" in operand;
  const reference = typeof to === "object" && !isRange(to);
  const sign = op === "==" && !(masked && !reference) ? "" : `${op} `;
  const value = reference
    ? referenceText(operand, to, style)
    : partText(typesOf(operand)[0] as DataTypeName, to, style);
  return `${operandText(operand)} ${sign}${value}`;
}

function referenceText(
  operand: Operand,
  reference: SetReference,
  style: TextStyle,
  data?: "verdict" | readonly DataTypeName[],
): string {
  if ("set" in reference) return `@${reference.set}`;
  const types = { key: typesOf(operand), ...(data && { data }) };
  return `{ ${reference.elements.map((element) => elementText(element, types, style)).join(", ")} }`;
}

function markText(value: MarkValue): string {
  if (typeof value === "number") return formatValue("mark", value);
  if ("numgen" in value) return operandText(value);
  return value.op === undefined ? value.of : `${value.of} ${value.op} ${formatValue("mark", value.bits ?? 0)}`;
}

function natText(statement: Extract<Statement, { nat: string }>, style: TextStyle): string {
  const flags = flagsText(statement.flags);
  if (statement.nat === "masquerade") return `masquerade${flags}`;
  if (statement.nat === "redirect") {
    return `redirect${statement.port === undefined ? "" : ` to :${statement.port}`}${flags}`;
  }
  const { nat, to, family } = statement;
  const head = family === undefined ? `${nat} to` : `${nat} ${family} to`;
  if ("ip" in to) return `${head} ${socketText(to.ip, to.port)}${flags}`;
  const map = referenceText(to.key, to.in, style, dataTypes(to.in));
  return `${head} ${operandText(to.key)} map ${map}${flags}`;
}

/** The types of data without a declaration: addresses, and ports behind them. */
function dataTypes(reference: SetReference): readonly DataTypeName[] {
  const first = "elements" in reference ? reference.elements[0]?.data : undefined;
  const address = typeof first?.[0] === "bigint" ? "ipv6_addr" : "ipv4_addr";
  return first && first.length > 1 ? [address, "inet_service"] : [address];
}

function flagsText({ random, fullyRandom, persistent }: NatFlags = {}): string {
  const flags = [random && "random", fullyRandom && "fully-random", persistent && "persistent"].filter(Boolean);
  return flags.length === 0 ? "" : ` ${flags.join(",")}`;
}

function rejectText({ reject, by }: Extract<Statement, { reject: RejectWith }>, family: TableFamily): string {
  if (reject === "tcp-reset") return "reject with tcp reset";
  if (reject === "port-unreachable" && by === undefined) return "reject";
  const protocol = by ?? { ip: "icmp", ip6: "icmpv6", inet: "icmpx" }[family];
  return `reject with ${protocol} ${reject}`;
}
