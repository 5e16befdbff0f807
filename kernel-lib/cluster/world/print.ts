/** Owns how an answer looks in a terminal: what can happen as a table, and a packet's way drawn place by place, without colour. */
import { percent } from "../explain";
import type { Hop } from "../hops";
import { tableText } from "../table";
import type { StaticAnswer, StaticOutcome } from "./ask";
import { fabricName, outsideName } from "./world";

/** What is printed of an answer. */
export interface PrintOptions {
  readonly mode: string;
  /** Draw the way of every outcome; otherwise of one of each fate. */
  readonly all: boolean;
}

/** The whole answer as text, ending with a line break. */
export function answerText(answer: StaticAnswer, { mode, all }: PrintOptions): string {
  const { from, to, source, target, protocol, outcomes, notes, advice } = answer;
  const named = (word: string, address: string): string => (word.includes(address) ? word : `${word} (${address})`);
  const head = `${named(from, source)} → ${named(to, target)}, ${protocol.toUpperCase()}, kube-proxy ${mode}`;
  const drawn = all ? outcomes : firstOfEach(outcomes);
  const rest = outcomes.length - drawn.length;
  const parts = [
    tableText(head, tableOf(outcomes)),
    verdictOf(answer),
    ...drawn.map(wayText),
    ...(rest > 0 ? [`${rest} more ${rest === 1 ? "way goes" : "ways go"} alike (--all draws them all).`] : []),
    ...listText("Look at", advice),
    ...listText("Taken as given", notes),
  ];
  return `${parts.join("\n\n")}\n`;
}

function tableOf(outcomes: readonly StaticOutcome[]) {
  const entered = outcomes.some(({ entry }) => entry !== undefined);
  const chosen = outcomes.some(({ chosenBy }) => chosenBy !== "");
  const rows = outcomes.map((one) => [
    percent(one.probability),
    ...(entered ? [one.entry ?? ""] : []),
    one.fate,
    one.fate === "delivered" ? one.endpoint : "",
    one.fate === "delivered" ? whoOf(one) : one.why,
    one.fate === "delivered" ? `${one.source}${one.masqueraded ? " (masqueraded)" : ""}` : "",
    ...(chosen ? [one.chosenBy] : []),
  ]);
  const titles = [
    ...(entered ? ["comes in by"] : []),
    ...["what happens", "endpoint", "who it is", "source it sees"],
    ...(chosen ? ["chosen by"] : []),
  ];
  return { columns: [{ title: "probability", align: "right" as const }, ...titles.map((title) => ({ title }))], rows };
}

function whoOf({ name, endpoint, netns }: StaticOutcome): string {
  if (netns === outsideName) return "somebody outside";
  return name === endpoint ? "" : name;
}

function verdictOf({ delivered, outcomes }: StaticAnswer): string {
  if (delivered) return "Delivered.";
  const share = outcomes.reduce((sum, { fate, probability }) => sum + (fate === "delivered" ? probability : 0), 0);
  return share === 0 ? "Not delivered." : `Not always delivered: in ${percent(share)} of the cases only.`;
}

function firstOfEach(outcomes: readonly StaticOutcome[]): readonly StaticOutcome[] {
  return outcomes.filter(({ fate }, at) => outcomes.findIndex((other) => other.fate === fate) === at);
}

function listText(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [[`${title}:`, ...lines.map((line) => `  - ${line}`)].join("\n")];
}

function wayText(outcome: StaticOutcome): string {
  const { fate, probability, endpoint, walked } = outcome;
  const end = fate === "delivered" ? `to ${whoOf(outcome) || endpoint}` : `until it is ${fate}`;
  const counted = [
    count(walked.rules, "rule"),
    ...(walked.lookups > 0 ? [`${walked.lookups} ${walked.lookups === 1 ? "set or map" : "sets or maps"}`] : []),
  ];
  const head = `The way ${end}  (${percent(probability)}; a kernel tests ${counted.join(" and ")})`;
  const { hops, entry } = outcome;
  const begin = hops[0]?.before;
  const outside = entry === undefined || !begin ? [] : [`  ● outside   ${begin.source} → ${begin.target}`, "  │"];
  const lines = hops.flatMap((hop, at) => hopLines(hop, at === hops.length - 1, outcome));
  return [head, "", ...outside, ...lines].join("\n");
}

function count(number: number, what: string): string {
  return `${number.toLocaleString("en-US")} ${what}${number === 1 ? "" : "s"}`;
}

function hopLines(hop: Hop, isLast: boolean, { fate, why }: StaticOutcome): readonly string[] {
  const { where, before, changes, reasons, way } = hop;
  const bar = isLast ? " " : "│";
  const told = [
    ...reasons.flatMap(({ kind, text }) => (kind === "rule" ? [`  ${text}`] : [])),
    ...changes.map(({ text }) => `▸ ${text}`),
    ...(isLast ? [`${fate === "delivered" ? "■" : "✕"} ${lastWords(fate, why, hop)}`] : []),
  ];
  const head = `  ● ${placeOf(where)}   ${way === "out" ? "" : "back "}${before.source} → ${before.target}  ${before.word}`;
  return [head, ...told.map((line) => `  ${bar}  ${line}`), ...(isLast ? [] : ["  │"])];
}

function placeOf(where: string): string {
  if (where === fabricName) return "the network between the nodes";
  return where === outsideName ? "outside" : where;
}

function lastWords(fate: StaticOutcome["fate"], why: string, { before, where }: Hop): string {
  if (fate !== "delivered") return `${why.startsWith(fate) ? "" : `${fate}: `}${why}`;
  return where === outsideName ? "it has left the cluster" : `delivered: it comes from ${before.source}`;
}
