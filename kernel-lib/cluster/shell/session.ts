/** Owns what happens at a prompt: lines become commands, each costs its time, and what they print comes as it comes. */
import { parse, type ScriptNode } from "just-bash";
import { hour, minute, second, type Time } from "../../sim/clock";
import type { Process } from "../driver";
import type { Output } from "./filesystem";
import type { Shell } from "./shell";
import type { Terminal } from "./tool";
import { exitTrapName } from "./traps";

/** How long a command at the prompt may take before we press Ctrl-C for the learner. */
const patience = 24 * hour;
/** How long one that only watches (`get -w`, `logs -f`) may go on in the notebook's own prompt. */
const watching = minute;

const otherTerminal = 'to go on watching, start it in a second terminal: terminal("2").start';

/** What is different at a prompt that is no notebook's. */
export interface Typing {
  /** Asks for a line where somebody sits: what comes after the lines of the text. */
  readonly ask?: (prompt: string) => Promise<string | undefined>;
  /** What is said of a command that only watched, and was ended. */
  readonly advice?: string;
  /** The shell ends, as bash does: at `exit` nothing more of the text is run. Otherwise it is a line like others. */
  readonly exits?: boolean;
  /** False: nothing is said of jobs that begin and end, as in a script. */
  readonly notices?: boolean;
}

/** Runs text line by line at a shell's prompt. One text at a time: a second one waits for the first. */
export class Session {
  readonly shell: Shell;
  #last: Promise<unknown> = Promise.resolve();
  #process: Process | undefined;

  constructor(shell: Shell) {
    this.shell = shell;
  }

  /** Types `text` at the prompt; gives the exit code of its last command. */
  type(text: string, output: Output, typing: Typing = {}): Promise<number> {
    const { driver } = this.shell.cluster;
    const run = this.#last.then(() =>
      driver.run(`${this.shell.place.name}: ${text.trim().split("\n")[0] ?? ""}`, (process) =>
        this.#type(text, output, process, watching, typing),
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

  /** The shell ends: what a `trap … EXIT` of its lines has left is run. */
  async end(output: Output): Promise<void> {
    if (!this.shell.functions.includes(exitTrapName)) return;
    const code = this.shell.status;
    await this.type(exitTrapName, output);
    this.shell.status = code;
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#process?.stop();
  }

  async #type(
    text: string,
    output: Output,
    process: Process,
    watchLimit: Time | undefined,
    { ask, advice = otherTerminal, exits = false, notices = true }: Typing = {},
  ): Promise<number> {
    const { clock } = this.shell.cluster.sim;
    // What stands behind the last line's end is no line: nobody typed it at a prompt that is still there.
    const lines = text.replace(/\n$/, "").split("\n");
    const terminal: Terminal = {
      readLine: () => lines.shift(),
      ...(ask && { ask: async (prompt) => lines.shift() ?? (await ask(prompt)) }),
      ...{ patience: watchLimit, advice, notices },
    };
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
      if (exits && this.shell.ended) break;
      await this.#tellEndedJobs(notices ? output : () => {});
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

/** Whether a shell would show `> ` and wait for more lines of this command. */
export function isUnfinished(text: string): boolean {
  const state = stateOf(text);
  return state !== "complete" && /unexpected end of file|unexpected EOF|end-of-file/.test(state.error);
}

/** Adds typed lines to a command for as long as it is not complete. */
export async function completed(first: string, more: () => Promise<string | undefined>): Promise<string> {
  let text = first;
  for (;;) {
    if (!isUnfinished(text)) return text;
    const line = await more();
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
