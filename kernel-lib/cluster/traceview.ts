/** Owns how a trace looks: the way out and the answer's way, place by place, as text and as HTML. */
import { displayable, type MimeBundle } from "./display";
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
  const bundle = (): MimeBundle => ({ "text/html": traceHtml(trace), "text/plain": text() });
  return displayable(trace, bundle, text);
}

function captionOf({ from, to, outcome }: Trace): string {
  const { result, status, name, endpoint } = outcome;
  const ends = {
    answered: `answered with HTTP ${status} by ${name} (${endpoint})`,
    refused: "connection refused",
    timeout: "timed out",
    unreachable: "unreachable",
    reset: "connection reset",
  };
  return `From ${from} to ${to}: ${ends[result]}`;
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
    case "drop":
    case "reject":
      return [{ style: "end", text: step.what }];
    default:
      return [{ style: "plain", text: step.what }];
  }
}

/** Of `nat` every jump is told, for they make the choice; of other tables only the rule that decided. */
function ruleLines({ rule }: Step, after: Step | undefined): readonly Told[] {
  if (!rule) return [];
  const jumpsOn = after?.rule !== undefined && rule.text.endsWith(` -j ${after.rule.chain}`);
  return jumpsOn && rule.table !== "nat" ? [] : [{ style: "rule", text: `${rule.table}: ${rule.text}` }];
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

function traceHtml(trace: Trace): string {
  const section = (way: "out" | "back", open: boolean): string => {
    const rows = stopsOf(trace.steps.filter((step) => step.way === way)).map(stopHtml);
    if (rows.length === 0) return "";
    return `<details${open ? " open" : ""}><summary><b>${ways[way]}</b></summary><table><tbody>${rows.join("")}</tbody></table></details>`;
  };
  return `<div><p><b>${escapeHtml(captionOf(trace))}</b></p>${section("out", true)}${section("back", false)}</div>`;
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
