/** Owns the form of a scenario: command lines and what they print, in a text that can be read and written again. */
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";

/** A command as typed (further lines are its input), and what it printed. */
export interface Step {
  readonly comments: readonly string[];
  readonly lines: readonly string[];
  readonly printed: string;
}

export interface Scenario {
  /** The lines before the first command: comments, and a cluster's options: `# seed: N`, `# mode: ipvs`, `# lb: none`. */
  readonly head: readonly string[];
  readonly steps: readonly Step[];
}

/**
 * Reads `$ command`, `> further line`, and what is printed below them. Comments (`# …`) and empty lines before a command
 * belong to it.
 */
export function readScenario(text: string): Scenario {
  const head: string[] = [];
  const steps: { comments: string[]; lines: string[]; printed: string }[] = [];
  let comments: string[] = [];
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const step = steps.at(-1);
    if (line.startsWith("$ ")) {
      steps.push({ comments, lines: [line.slice(2)], printed: "" });
      comments = [];
    } else if (step?.printed === "" && (line.startsWith("> ") || line === ">")) step.lines.push(line.slice(2));
    else if (line.startsWith("## ")) comments.push(line);
    else if (!step) head.push(line);
    else step.printed += `${line}\n`;
  }
  return { head, steps };
}

/** Writes it again. */
export function writeScenario({ head, steps }: Scenario): string {
  const text = steps.map(({ comments, lines, printed }) => {
    const [first = "", ...rest] = lines;
    const typed = [`$ ${first}`, ...rest.map((line) => `> ${line}`.trimEnd())];
    return `${[...comments, ...typed].join("\n")}\n${printed}`;
  });
  return `${[...head, ""].join("\n")}${text.join("")}`;
}

/** What the head says of the cluster; a word that is none is the cluster's to refuse. */
function optionsOf({ head }: Scenario): ClusterOptions {
  const said = head.flatMap((line) => {
    const [, name, value = ""] = /^# (seed|mode|lb): (\S+)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, name === "seed" ? Number(value) : value]];
  });
  return Object.fromEntries(said) as ClusterOptions;
}

/** Types every command at a new cluster's prompt. */
export async function runScenario(scenario: Scenario): Promise<Scenario> {
  const cluster = new Cluster(optionsOf(scenario));
  await cluster.start();
  const session = cluster.session();
  const steps: Step[] = [];
  // What a job in the background prints stands below the command that runs just then, as at a terminal.
  let printed = "";
  for (const { comments, lines } of scenario.steps) {
    printed = "";
    const exitCode = await session.type(lines.join("\n"), (_stream, part) => {
      printed += part;
    });
    if (printed !== "" && !printed.endsWith("\n")) printed += "\n";
    steps.push({ comments, lines, printed: exitCode === 0 ? printed : `${printed}[exit ${exitCode}]\n` });
  }
  return { head: scenario.head, steps };
}
