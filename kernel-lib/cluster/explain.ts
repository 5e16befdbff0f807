/** Owns `explain`: everything that can become of a connection, each outcome with its probability. */
import { formatIp, formatSocketAddress } from "../net/address";
import type { Possibility } from "../net/explore";
import { explainFlow, type FlowResult } from "../net/flow";
import { ask, type Ground, nameOf, type Question } from "./question";
import { showAsTable, type Table } from "./table";

/** One thing that can happen. */
export interface Outcome {
  /** From 0 to 1; those of one question add up to 1. */
  readonly probability: number;
  /** What becomes of the first packet. */
  readonly end: FlowResult["end"];
  /** Who gets it, `10.244.1.3:80`. */
  readonly endpoint: string;
  /** The endpoint's name: `pod/my-nginx-…`. */
  readonly name: string;
  /** The source address that the endpoint sees. */
  readonly source: string;
  /** The rules that matched on the way, as `iptables-save` prints them, with the node they are on. */
  readonly rules: readonly {
    readonly node: string;
    readonly table: string;
    readonly chain: string;
    readonly text: string;
  }[];
}

/** What becomes of a connection; shows itself as a table. */
export interface Explanation extends Question {
  readonly outcomes: readonly Outcome[];
}

/** Asks the rules, without sending anything: the same hook functions that a real packet meets, with every choice taken. */
export function explain(ground: Ground, question: Question): Explanation {
  const { netns, ip, port } = ask(ground, question);
  const found = explainFlow(netns, { protocol: "tcp", target: ip, targetPort: port });
  const outcomes = found.map((possibility) => outcomeOf(ground, possibility));
  const caption = `What can become of a connection from ${question.from} to ${question.to}`;
  return showAsTable({ ...question, outcomes }, caption, outcomeTable(outcomes));
}

function outcomeOf(ground: Ground, { outcome, probability }: Possibility<FlowResult>): Outcome {
  const endpoint = formatSocketAddress(outcome.target, outcome.targetPort);
  return {
    probability,
    end: outcome.end,
    endpoint,
    name: nameOf(ground, outcome.target) ?? endpoint,
    source: formatIp(outcome.source),
    rules: outcome.rules.map(({ netns, table, chain, text }) => ({ node: netns, table, chain, text })),
  };
}

/** The rule that made the choice: the last one with a probability, or the one that sent the packet on. */
function chosenBy({ rules }: Outcome): string {
  const sent = rules.filter(({ text }) => / -j KUBE-SEP-/.test(text)).at(-1);
  const probability = sent && /--probability (\S+)/.exec(sent.text)?.[1];
  if (!sent) return "";
  return probability === undefined
    ? `${sent.chain}: the last rule takes the rest`
    : `${sent.chain}: --probability ${probability}`;
}

function outcomeTable(outcomes: readonly Outcome[]): Table {
  const rows = outcomes.map((outcome) => [
    `${(outcome.probability * 100).toFixed(2)} %`,
    outcome.end,
    outcome.endpoint,
    outcome.name,
    outcome.source,
    chosenBy(outcome),
  ]);
  const columns = [
    { title: "probability", align: "right" as const },
    { title: "outcome" },
    { title: "endpoint" },
    { title: "who it is" },
    { title: "source it sees" },
    { title: "chosen by" },
  ];
  return { columns, rows };
}
