/** Owns load: many requests or connections, and what became of them beside what the rules made one expect. */
import { formatIp, formatSocketAddress, type Ip } from "../net/address";
import { type FlowRun, runFlow } from "../net/flow";
import type { Walked } from "../net/passage";
import { type ChiSquare, chiSquare, chiSquareText } from "./chisquare";
import { askFlow, type ExplainQuestion, explain, type Outcome } from "./explain";
import { requestsKeptAlive } from "./keepalive";
import { coloursOf } from "./palette";
import { ask, type Ground, nameOf, type Question } from "./question";
import { type RequestOutcome, request } from "./request";
import { showAsTable } from "./table";

/** Either `requests`, which are HTTP and really sent one after another, or `connections` at flow level. */
export interface LoadOptions extends Omit<ExplainQuestion, "from"> {
  /** Who asks, as in a question. Several take turns. */
  readonly from: string | readonly string[];
  /** How many requests; at most a million. Time passes as they take it. */
  readonly requests?: number;
  /**
   * How many connections; at most a million. Only the first packet of each goes its way, through the same rules and
   * connection tracking as a live one, in no time: a hundred thousand in a second or two.
   */
  readonly connections?: number;
  /** All requests of a client go over one connection. */
  readonly keepAlive?: boolean;
  /** Source ports that connections use in turn; else each takes one that is free, as connect() does. */
  readonly sourcePorts?: readonly number[];
  /** Connections stay open until all have been made, as those of long downloads; else each ends before the next. */
  readonly open?: boolean;
}

/** One connection of a load. `source` is whom the endpoint saw, of connections at flow level. */
export interface LoadOutcome extends RequestOutcome {
  readonly source?: string;
}

/** The requests of one run, in order; shows itself as a table of who answered how often. */
export interface Load extends Question {
  readonly outcomes: readonly LoadOutcome[];
  /** How many requests each pod answered, in the order of the expectation; failures stand under their word (`refused`). */
  readonly byPod: Readonly<Record<string, number>>;
  /** What the rules say, asked before the first request: `explain` of the same question. Several clients count alike. */
  readonly expected: readonly Outcome[];
  /** Whether `byPod` fits `expected`; undefined where only one thing can happen. */
  readonly chiSquare: ChiSquare | undefined;
  /** At flow level: how much a Linux kernel would have tested for a connection, on average. */
  readonly walked?: Readonly<Walked>;
  /** The colour of each of `byPod` in this cluster's pictures. */
  readonly colours: Readonly<Record<string, string>>;
}

const most = 1_000_000;

interface Run {
  readonly outcomes: readonly LoadOutcome[];
  readonly walked?: Readonly<Walked>;
}

/** Makes the requests or the connections. @throws RangeError, Error in words that say which option is wrong */
export async function load(ground: Ground, options: LoadOptions): Promise<Load> {
  const count = checkOptions(options);
  const clients = typeof options.from === "string" ? [options.from] : options.from;
  const questions = clients.map((from): ExplainQuestion => questionOf(options, from));
  const expected = questions.flatMap((question) =>
    explain(ground, question).outcomes.map((outcome) => ({
      ...outcome,
      probability: outcome.probability / questions.length,
    })),
  );
  const names = namesOf(ground);
  const run =
    options.connections === undefined
      ? await sendRequests(ground, options, questions, count, names)
      : connect(ground, options, questions, count, names);
  const byPod: Record<string, number> = Object.fromEntries(expected.map(({ name, end }) => [labelOf(name, end), 0]));
  for (const { result, name, endpoint } of run.outcomes) {
    const label = result === "answered" ? labelOf(name ?? endpoint ?? options.to) : result;
    byPod[label] = (byPod[label] ?? 0) + 1;
  }
  const labels = Object.keys(byPod);
  const shares = labels.map((label) => probabilityOf(expected, label) * count);
  const test = chiSquare(Object.values(byPod), shares);
  const from = clients.join(", ");
  const what = options.connections === undefined ? "requests" : "connections";
  const caption = [
    `${count.toLocaleString("en-US")} ${what} from ${from} to ${options.to}`,
    ...(test ? [chiSquareText(test)] : []),
  ].join(" · ");
  const rows = Object.entries(byPod).map(([label, each], at) => [label, String(each), (shares[at] ?? 0).toFixed(1)]);
  const columns = [
    { title: "answered by" },
    { title: what, align: "right" as const },
    { title: "expected", align: "right" as const },
  ];
  const colours = coloursOf(ground.store, labels);
  const made: Load = { from, to: options.to, ...run, byPod, expected, chiSquare: test, colours };
  return showAsTable(made, caption, { columns, rows });
}

function questionOf({ to, protocol, family, node }: LoadOptions, from: string): ExplainQuestion {
  return { from, to, ...(protocol && { protocol }), ...(family && { family }), ...(node !== undefined && { node }) };
}

/** How many there are to be. */
function checkOptions({ from, requests, connections, keepAlive, sourcePorts, open, protocol }: LoadOptions): number {
  if ((requests === undefined) === (connections === undefined)) {
    throw new RangeError("say either requests (HTTP, really sent) or connections (first packets only): one of the two");
  }
  const word = requests === undefined ? "connections" : "requests";
  const count = requests ?? connections ?? 0;
  if (!Number.isInteger(count) || count < 1 || count > most) {
    throw new RangeError(`${word}: ${count} is no whole number from 1 to ${most}`);
  }
  if (from.length === 0) throw new RangeError("from: nobody is named");
  if (requests !== undefined && protocol !== undefined && protocol !== "tcp") {
    throw new RangeError(`protocol: requests are HTTP over tcp; make connections to speak ${protocol}`);
  }
  if (requests !== undefined && (sourcePorts ?? open) !== undefined) {
    throw new RangeError(`${sourcePorts ? "sourcePorts" : "open"}: an option of connections, not of requests`);
  }
  if (connections !== undefined && keepAlive !== undefined) {
    throw new RangeError("keepAlive: an option of requests, not of connections");
  }
  for (const port of sourcePorts ?? []) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`sourcePorts: ${port} is no port`);
  }
  return count;
}

/** What an address is called; each is looked up once. */
function namesOf(ground: Ground): (ip: Ip) => string {
  const known = new Map<Ip, string>();
  return (ip) => {
    const name = known.get(ip) ?? nameOf(ground, ip) ?? formatIp(ip);
    known.set(ip, name);
    return name;
  };
}

async function sendRequests(
  ground: Ground,
  { keepAlive }: LoadOptions,
  questions: readonly ExplainQuestion[],
  count: number,
  name: (ip: Ip) => string,
): Promise<Run> {
  const asked = questions.map((question) => ask(ground, question));
  const outcomes = await ground.driver.run(`load from ${questions[0]?.from}`, async (process) => {
    const done: RequestOutcome[] = [];
    for (const [at, client] of asked.entries()) {
      if (!keepAlive) break;
      const each = Math.floor(count / asked.length) + (at < count % asked.length ? 1 : 0);
      if (each > 0) done.push(...(await requestsKeptAlive(ground, process, client, each, name)));
    }
    for (let at = done.length; at < count; at++) {
      const client = asked[at % asked.length];
      if (client) done.push(await request(ground, process, client, name));
    }
    return done;
  });
  return { outcomes };
}

/** Connections at flow level: the clock stands still. */
function connect(
  ground: Ground,
  { sourcePorts, open }: LoadOptions,
  questions: readonly ExplainQuestion[],
  count: number,
  name: (ip: Ip) => string,
): Run {
  const at = ground.network.sim.clock.now;
  const flows = questions.map((question) => {
    const { netns, flow } = askFlow(ground, question);
    const source = flow.source ?? netns.sourceFor(flow.target);
    return { netns, flow: source === undefined ? flow : { ...flow, source } };
  });
  const outcomes: LoadOutcome[] = [];
  const walked = { rules: 0, lookups: 0 };
  const closing: (() => void)[] = [];
  // Thousands end alike: one object for all of these.
  const alike = new Map<string, LoadOutcome>();
  for (let made = 0; made < count; made++) {
    const asked = flows[made % flows.length];
    if (!asked) break;
    const turn = Math.floor(made / flows.length);
    const sourcePort = sourcePorts?.length ? { sourcePort: sourcePorts[turn % sourcePorts.length] ?? 0 } : {};
    const found = runFlow(asked.netns, { ...asked.flow, ...sourcePort }, { open: open ?? false });
    if (open) closing.push(found.close);
    walked.rules += found.walked.rules;
    walked.lookups += found.walked.lookups;
    const key = `${found.end} ${found.target} ${found.targetPort} ${found.source}`;
    const outcome = alike.get(key) ?? outcomeOf(found, at, name);
    alike.set(key, outcome);
    outcomes.push(outcome);
  }
  for (const close of closing) close();
  return { outcomes, walked: { rules: walked.rules / count, lookups: walked.lookups / count } };
}

const results = { delivered: "answered", refused: "refused", rejected: "refused", dropped: "timeout" } as const;

function outcomeOf({ end, target, targetPort, source }: FlowRun, at: number, name: (ip: Ip) => string): LoadOutcome {
  const endpoint = formatSocketAddress(target, targetPort);
  return { at, took: 0, result: results[end], endpoint, name: name(target), source: formatIp(source) };
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
