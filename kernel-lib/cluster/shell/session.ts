/** Owns what happens at a prompt: lines become commands, each costs its time, and what they print comes as it comes. */
import { parse, type ScriptNode } from "just-bash";
import { hour, minute, second, type Time } from "../../sim/clock";
import type { Process } from "../driver";
import type { Output } from "./filesystem";
import type { Shell } from "./shell";
import type { Terminal } from "./tool";

/** How long a command at the prompt may take before we press Ctrl-C for the learner. */
const patience = 24 * hour;
/** How long one that only watches (`get -w`, `logs -f`) may go on in the notebook's own prompt. */
const watching = minute;

/** Runs text line by line at a shell's prompt. One text at a time: a second one waits for the first. */
export class Session {
  readonly shell: Shell;
  #last: Promise<unknown> = Promise.resolve();
  #process: Process | undefined;

  constructor(shell: Shell) {
    this.shell = shell;
  }

  /** Types `text` at the prompt; gives the exit code of its last command. */
  type(text: string, output: Output): Promise<number> {
    const { driver } = this.shell.cluster;
    const run = this.#last.then(() =>
      driver.run(`${this.shell.place.name}: ${text.trim().split("\n")[0] ?? ""}`, (process) =>
        this.#type(text, output, process, watching),
      ),
    );
    this.#last = run.catch(() => undefined);
    return run;
  }

  /** The same as a process of the background. */
  start(text: string, output: Output): Process {
    const { driver } = this.shell.cluster;
    return driver.start(`${this.shell.place.name}: ${text.trim()}`, async (process) => {
      await this.#type(text, output, process, undefined);
    });
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#process?.stop();
  }

  async #type(text: string, output: Output, process: Process, watchLimit: Time | undefined): Promise<number> {
    const { clock } = this.shell.cluster.sim;
    const lines = text.split("\n");
    const terminal: Terminal = { readLine: () => lines.shift(), patience: watchLimit };
    this.#process = process;
    while (lines.length > 0 && !process.stopped) {
      const command = nextCommand(lines);
      if (command === undefined) continue;
      if (typeof command !== "string") {
        output("stderr", command.error);
        this.shell.status = 2;
        continue;
      }
      this.shell.history.push(command.trim());
      const begin = clock.now;
      const limit = clock.after(patience, () => process.stop(), "background");
      await this.shell.run(command, { process, output, terminal });
      limit.cancel();
      if (process.stopped) {
        if (clock.now - begin >= patience) output("stderr", "^C\n(it ran for a day of the cluster's time)\n");
        break;
      }
      await this.#tellEndedJobs(output);
      const took = clock.now - begin;
      const cost = Math.max(second, Math.ceil(took / second) * second);
      if (cost > took) await process.sleep(cost - took);
    }
    return process.stopped ? 130 : this.shell.status;
  }

  async #tellEndedJobs(output: Output): Promise<void> {
    const { jobs } = this.shell;
    for (const job of [...jobs]) {
      if (!job.process.ended) continue;
      jobs.splice(jobs.indexOf(job), 1);
      if (!job.told)
        output("stderr", `${jobLine(job.number, "+", endingOf(job.exitCode, job.process.stopped))}${job.text}\n`);
    }
  }
}

/** `[1]+  Done                    sleep 1`, as bash pads it. */
export function jobLine(number: number, sign: string, state: string): string {
  return `[${number}]${sign}  ${state.padEnd(24)}`;
}

/** How bash names a job's ending. */
export function endingOf(exitCode: number | undefined, stopped: boolean): string {
  if (stopped) return "Terminated";
  return exitCode ? `Exit ${exitCode}` : "Done";
}

/** Takes the lines of the next command from the front; undefined for a line that holds none. */
function nextCommand(lines: string[]): string | { readonly error: string } | undefined {
  const first = lines.shift() ?? "";
  if (/^\s*(#.*)?$/.test(first)) return undefined;
  let text = first;
  let problem = "";
  for (let taken = 0; ; taken++) {
    const state = stateOf(text);
    if (state === "complete") {
      lines.splice(0, taken);
      return text;
    }
    if (taken === 0) problem = state.error;
    if (taken >= lines.length) break;
    text += `\n${lines[taken] ?? ""}`;
  }
  return { error: problem };
}

/** Adds typed lines to a command for as long as it is not complete, as a shell does that shows `> `. */
export function completed(first: string, more: () => string | undefined): string {
  let text = first;
  for (;;) {
    const state = stateOf(text);
    if (state === "complete" || !/unexpected end of file|unexpected EOF|end-of-file/.test(state.error)) return text;
    const line = more();
    if (line === undefined) return text;
    text += `\n${line}`;
  }
}

function stateOf(text: string): "complete" | { readonly error: string } {
  let script: ScriptNode;
  if (/(^|[^\\])(\\\\)*\\$/.test(text)) return { error: "bash: syntax error: unexpected end of file\n" };
  try {
    script = parse(text);
  } catch (error) {
    return { error: `bash: ${problemOf(error instanceof Error ? error.message : String(error))}\n` };
  }
  if (JSON.stringify(script).includes('"terminated":false')) {
    return { error: "bash: warning: here-document delimited by end-of-file\n" };
  }
  return "complete";
}

/** The parser's words, as near as they come to bash's. */
function problemOf(message: string): string {
  if (/got EOF|end of (input|file)/i.test(message) && !message.includes("matching"))
    return "syntax error: unexpected end of file";
  const token = /(?:got|token) [`'"]?([^`'"\s]+)/.exec(message)?.[1];
  if (message.startsWith("Parse error") && token) return `syntax error near unexpected token \`${token}'`;
  return message.replace(/^(Parse error at |line )/, "line ");
}
