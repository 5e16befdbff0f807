/** Owns the form of a scenario: command lines and what they print, in a text that can be read and written again. */
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { modeNames } from "../../kernel-lib/node/proxy/mode";

/** A command as typed (further lines are its input), and what it printed. */
export interface Step {
  readonly comments: readonly string[];
  readonly lines: readonly string[];
  readonly printed: string;
}

export interface Scenario {
  /** The lines before the first command: comments, `# seed: N`, and `# mode: ipvs` (kube-proxy's). */
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

/** Types every command at a new cluster's prompt. */
export async function runScenario(scenario: Scenario): Promise<Scenario> {
  const seed = Number(/^# seed: (\d+)/m.exec(scenario.head.join("\n"))?.[1] ?? "1");
  const mode = modeNames.find((name) => name === /^# mode: (\S+)/m.exec(scenario.head.join("\n"))?.[1]);
  const cluster = new Cluster({ seed, ...(mode && { mode }) });
  await cluster.start();
  const session = cluster.session();
  const steps: Step[] = [];
  for (const { comments, lines } of scenario.steps) {
    let printed = "";
    const exitCode = await session.type(lines.join("\n"), (_stream, part) => {
      printed += part;
    });
    if (printed !== "" && !printed.endsWith("\n")) printed += "\n";
    steps.push({ comments, lines, printed: exitCode === 0 ? printed : `${printed}[exit ${exitCode}]\n` });
  }
  return { head: scenario.head, steps };
}
