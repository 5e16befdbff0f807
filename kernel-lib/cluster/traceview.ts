/** Owns how a trace looks: the way out and the answer's way, place by place, as text and as HTML. */
import { drawTrace } from "./diagram";
import { displayable, type MimeBundle } from "./display";
import { imageOf, svgOfDrawing } from "./drawing";
import type { Hop } from "./hops";
import { ruleLine } from "./rules";
import { escapeHtml } from "./table";
import type { Step, Trace } from "./trace";

/** What happens at one place, until the packet leaves it. */
interface Stop {
  readonly time: number;
  readonly where: string;
  readonly lines: readonly Told[];
}

/** One line of the story. Rules are quoted, what changes the packet is said loud. */
interface Told {
  readonly style: "plain" | "rule" | "change" | "end";
  readonly text: string;
}

/** Makes a trace show itself. */
export function showTrace(trace: Trace): Trace {
  const text = (): string => traceText(trace);
  const bundle = (): MimeBundle => ({
    ...(trace.hops.length > 0 && { "image/svg+xml": traceSvg(trace) }),
    "text/html": traceHtml(trace),
    "text/plain": text(),
  });
  return displayable(trace, bundle, text);
}

/** The picture; its `<desc>` tells the same in words. */
function traceSvg(trace: Trace): string {
  const drawing = drawTrace(trace, {
    caption: `${trace.from} → ${trace.to}`,
    subtitle: sentence(`${endingOf(trace)}${failureOf(trace)}`),
    description: `${captionOf(trace)}. ${trace.hops.map(hopText).join(" ")}`,
  });
  return svgOfDrawing(drawing);
}

/** One hop in a sentence. */
function hopText({ number, way, where, device, before, changes, end }: Hop): string {
  const told = [`${before.source} to ${before.target}`, ...changes.map(({ text }) => text), ...(end ? [end.why] : [])];
  return `${number}, ${way === "out" ? "going" : "coming back"}, ${where} ${device}: ${told.join("; ")}.`;
}

function captionOf(trace: Trace): string {
  return `From ${trace.from} to ${trace.to}: ${endingOf(trace)}`;
}

/** Where the way out ended before its time. */
function failureOf({ hops, outcome }: Trace): string {
  const last = hops.find(({ way, end }) => way === "out" && end !== undefined);
  if (!last?.end || last.end.fate === "deliver" || last.end.fate === "consume" || outcome.result === "refused")
    return "";
  const { fate, why } = last.end;
  return fate === "lost"
    ? `: ${why}, behind ${last.where}`
    : `: ${fate === "drop" ? "dropped" : "rejected"} at ${last.where}, ${why}`;
}

function sentence(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function endingOf({ outcome, protocol }: Trace): string {
  const { result, status, name, endpoint, error, took } = outcome;
  const who = `${name} (${endpoint})`;
  const answers = {
    tcp: status === undefined ? `answered, not in HTTP, by ${who}` : `answered with HTTP ${status} by ${who}`,
    udp: `answered by ${who}`,
    icmp: `answered by ${who} in ${took / 1000} ms`,
  };
  const ends = {
    answered: answers[protocol],
    refused: protocol === "udp" ? "port unreachable" : "connection refused",
    timeout: protocol === "tcp" ? "timed out" : "no answer",
    unreachable: error === undefined ? "unreachable" : `${error}, says ${who}`,
    reset: "connection reset",
  };
  return ends[result];
}

function stopsOf(steps: readonly Step[]): readonly Stop[] {
  const stops: { time: number; where: string; lines: Told[] }[] = [];
  for (const [at, step] of steps.entries()) {
    const last = stops.at(-1);
    const lines = tell(step, steps[at - 1], steps[at + 1]);
    if (last?.where === step.where) last.lines.push(...lines);
    else stops.push({ time: step.time, where: step.where, lines: [...lines] });
  }
  return stops;
}

/** A step in words; some say nothing that the one beside them does not say better. */
function tell(step: Step, before: Step | undefined, after: Step | undefined): readonly Told[] {
  const here = (kind: Step["kind"], other: Step | undefined): boolean =>
    other?.where === step.where && other.kind === kind;
  switch (step.kind) {
    case "send":
      return [{ style: "plain", text: `sends ${step.packet}` }];
    case "receive":
      return here("decapsulate", before) ? [] : [{ style: "plain", text: step.what.replace(/: .*$/, "") }];
    case "rule":
      return ruleLines(step, after);
    case "nat":
      return [{ style: "change", text: step.what }];
    case "transmit":
      return here("encapsulate", after) ? [] : [{ style: "plain", text: step.what.replace(/, [0-9a-f:]{17}$/, "") }];
    case "encapsulate":
    case "decapsulate":
      return [{ style: "change", text: step.what }];
    case "deliver":
    case "consume":
    case "drop":
    case "reject":
      return [{ style: "end", text: step.what }];
    default:
      return [{ style: "plain", text: step.what }];
  }
}

/** Of iptables' other tables than `nat` only the rule that decided is told; the jumps of all others make the choice. */
function ruleLines({ rule }: Step, after: Step | undefined): readonly Told[] {
  if (!rule) return [];
  const { effect, tool = "iptables" } = rule;
  const jumpsOn = (effect?.does === "jump" || effect?.does === "goto") && effect.chain === after?.rule?.chain;
  if (jumpsOn && tool === "iptables" && rule.table !== "nat") return [];
  return [{ style: "rule", text: ruleLine(rule) }];
}

const ways = { out: "The way out", back: "The way of the answer" } as const;

function traceText(trace: Trace): string {
  const lines = [captionOf(trace)];
  for (const way of ["out", "back"] as const) {
    const stops = stopsOf(trace.steps.filter((step) => step.way === way));
    if (stops.length > 0) lines.push("", ways[way]);
    for (const { time, where, lines: told } of stops) {
      lines.push(`${`${time} µs`.padStart(8)}  ${where}`, ...told.map(({ text }) => `            ${text}`));
    }
  }
  return lines.join("\n");
}

/** The picture, and under it every step with its rules, folded. */
function traceHtml(trace: Trace): string {
  const section = (way: "out" | "back"): string => {
    const rows = stopsOf(trace.steps.filter((step) => step.way === way)).map(stopHtml);
    if (rows.length === 0) return "";
    return `<details><summary>${ways[way]}, step by step</summary><table><tbody>${rows.join("")}</tbody></table></details>`;
  };
  const caption = captionOf(trace);
  const seen = trace.hops.length > 0 ? imageOf(traceSvg(trace), caption) : `<p><b>${escapeHtml(caption)}</b></p>`;
  return `<div>${seen}${section("out")}${section("back")}</div>`;
}

function stopHtml({ time, where, lines }: Stop): string {
  const cell = "vertical-align:top;padding:4px 12px 4px 0;text-align:left";
  const told = lines.map((line) => `<div>${lineHtml(line)}</div>`).join("");
  return `<tr><td style="${cell};white-space:nowrap;text-align:right">${time} µs</td><th scope="row" style="${cell};white-space:nowrap">${escapeHtml(where)}</th><td style="${cell}">${told}</td></tr>`;
}

function lineHtml({ style, text }: Told): string {
  const shown = escapeHtml(text);
  if (style === "rule") return `<code style="font-size:85%">${shown}</code>`;
  return style === "plain" ? shown : `<b>${style === "change" ? "▸ " : "■ "}${shown}</b>`;
}
