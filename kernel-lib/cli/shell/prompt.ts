/** Owns the prompt of `kubebook shell` at a terminal: reading lines, running them, Ctrl-C and Ctrl-D. */
import type { Cluster } from "../../cluster/cluster";
import { complete } from "../../cluster/shell/completion";
import type { Output } from "../../cluster/shell/filesystem";
import { isUnfinished } from "../../cluster/shell/session";
import type { Shell } from "../../cluster/shell/shell";
import { watchAdvice } from "../shell";
import { Keyboard } from "./keyboard";

/** A terminal: where somebody types, where the typing is shown, and where commands print. */
export interface Desk {
  readonly input: NodeJS.ReadableStream;
  readonly screen: NodeJS.WritableStream;
  readonly output: Output;
}

/** Lets somebody work until `exit` or Ctrl-D; gives the exit code of the last command. */
export async function runPrompt(cluster: Cluster, desk: Desk): Promise<number> {
  const session = cluster.session();
  const { shell } = session;
  let lineBegun = false;
  const output: Output = (stream, text) => {
    if (text === "") return;
    desk.output(stream, text);
    lineBegun = !text.endsWith("\n");
  };
  const keyboard = new Keyboard(desk.input, desk.screen, (line) => complete(line, shell));
  const ask = async (prompt: string): Promise<string | undefined> => {
    if (lineBegun) output("stdout", "\n");
    const answer = await keyboard.ask(prompt);
    // Ctrl-C at the prompt of a shell within (ssh, exec -it) gives up its line.
    return answer === "interrupt" ? "" : answer === "end" ? undefined : answer.line;
  };
  output("stdout", `${cluster.overview()}\nType commands (kubectl, ssh node-1, curl, …); Ctrl-D ends.\n`);
  let exitCode = 0;
  for (;;) {
    if (lineBegun) output("stdout", "\n");
    const text = await commandFrom(keyboard, promptOf(shell));
    if (text === "end") {
      output("stdout", "exit\n");
      break;
    }
    if (text.trim() === "") continue;
    const stop = keyboard.onInterrupt(() => {
      output("stdout", "^C\n");
      session.interrupt();
    });
    exitCode = await session.type(text, output, { exits: true, advice: watchAdvice, ask });
    stop();
    if (shell.ended) break;
  }
  await session.end(output);
  keyboard.close();
  return exitCode;
}

/** One command, of as many lines as it takes; `""` if Ctrl-C gave it up. */
async function commandFrom(keyboard: Keyboard, prompt: string): Promise<string> {
  const first = await keyboard.ask(prompt);
  if (first === "end") return "end";
  if (first === "interrupt") return "";
  let text = first.line;
  while (isUnfinished(text)) {
    const more = await keyboard.ask("> ");
    if (more === "interrupt") return "";
    // The shell says what is missing.
    if (more === "end") return text;
    text += `\n${more.line}`;
  }
  return text;
}

/** `learner@workstation:~$ `, as Ubuntu's bash shows it. */
function promptOf(shell: Shell): string {
  const { place, folder } = shell;
  const home = place.env.get("HOME") ?? "/";
  const shown = folder === home || folder.startsWith(`${home}/`) ? `~${folder.slice(home.length)}` : folder;
  return `${place.user}@${place.hostname}:${shown}$ `;
}
