/** Owns load: many requests, one after another, each over a connection of its own, and what became of them. */
import { formatIp, formatSocketAddress, type Ip } from "../net/address";
import { explain, type Outcome } from "./explain";
import { coloursOf } from "./palette";
import { ask, type Ground, nameOf, type Question } from "./question";
import { type RequestOutcome, request } from "./request";
import { showAsTable } from "./table";

export interface LoadOptions extends Question {
  /** How many requests; at most a million. */
  readonly requests: number;
}

/** The requests of one run, in order; shows itself as a table of who answered how often. */
export interface Load extends Question {
  readonly outcomes: readonly RequestOutcome[];
  /** How many requests each pod answered, in the order of the expectation; failures stand under their word (`refused`). */
  readonly byPod: Readonly<Record<string, number>>;
  /** What the rules say, asked before the first request: `explain` of the same question. */
  readonly expected: readonly Outcome[];
  /** The colour of each of `byPod` in this cluster's pictures. */
  readonly colours: Readonly<Record<string, string>>;
}

const requestLimit = 1_000_000;

/** Sends the requests, and lets as much time pass as they take. */
export async function load(ground: Ground, options: LoadOptions): Promise<Load> {
  const { from, to, requests } = options;
  if (!Number.isInteger(requests) || requests < 1 || requests > requestLimit) {
    throw new RangeError(`requests: ${requests} is no whole number from 1 to ${requestLimit}`);
  }
  const asked = ask(ground, options);
  const { outcomes: expected } = explain(ground, options);
  const outcomes = await ground.driver.run(`load from ${from}`, async (process) => {
    const names = new Map<Ip, string>();
    const name = (ip: Ip): string => {
      const known = names.get(ip) ?? nameOf(ground, ip) ?? formatIp(ip);
      names.set(ip, known);
      return known;
    };
    const done: RequestOutcome[] = [];
    while (done.length < requests) done.push(await request(ground, process, asked, name));
    return done;
  });
  const byPod: Record<string, number> = Object.fromEntries(expected.map(({ name, end }) => [labelOf(name, end), 0]));
  for (const outcome of outcomes) {
    const label =
      outcome.result === "answered"
        ? labelOf(outcome.name ?? formatSocketAddress(asked.ip, asked.port))
        : outcome.result;
    byPod[label] = (byPod[label] ?? 0) + 1;
  }
  const caption = `${requests.toLocaleString("en-US")} requests from ${from} to ${to}`;
  const rows = Object.entries(byPod).map(([name, count]) => {
    const share = probabilityOf(expected, name);
    return [name, String(count), (share * requests).toFixed(1)];
  });
  const columns = [
    { title: "answered by" },
    { title: "requests", align: "right" as const },
    { title: "expected", align: "right" as const },
  ];
  const colours = coloursOf(ground.store, Object.keys(byPod));
  return showAsTable({ from, to, outcomes, byPod, expected, colours }, caption, { columns, rows });
}

/** What an outcome is counted under: the pod's own name, or what went wrong. */
export function labelOf(name: string, end: Outcome["end"] = "delivered"): string {
  if (end === "dropped") return "timeout";
  return end === "delivered" ? name.replace(/^pod\//, "") : "refused";
}

/** The sum of the probabilities of what is counted under a label. */
export function probabilityOf(expected: readonly Outcome[], label: string): number {
  return expected.reduce(
    (sum, { name, end, probability }) => sum + (labelOf(name, end) === label ? probability : 0),
    0,
  );
}
