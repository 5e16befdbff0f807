/** Owns `kubectl exec`. */

import { runInside } from "../../shell/inside";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { containerNameOf, podOf, runningContainer } from "../pods";

export const exec: Verb = {
  name: "exec",
  short: "Execute a command in a container",
  usage: "exec (POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
  flags: [
    { name: "container", short: "c", type: "string" },
    { name: "stdin", short: "i", type: "bool" },
    { name: "tty", short: "t", type: "bool" },
    { name: "quiet", short: "q", type: "bool" },
    { name: "pod-running-timeout", type: "duration" },
  ],
  run: execute,
};

async function execute(context: Context): Promise<number> {
  const { call, flags } = context;
  const { args, beforeDash } = flags;
  const [word] = args;
  if (word === undefined || beforeDash === 0) {
    throw new Failed(
      "error: pod, type/name or --filename must be specified\nSee 'kubectl exec -h' for help and examples",
    );
  }
  if (beforeDash > 1 && beforeDash === args.length) {
    throw new Failed(
      "error: exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples",
    );
  }
  const command = args.slice(beforeDash);
  if (command.length === 0) {
    throw new Failed(
      "error: you must specify at least one command for the container\nSee 'kubectl exec -h' for help and examples",
    );
  }
  const pod = podOf(context, word);
  const container = runningContainer(context, pod, containerNameOf(context, pod));
  const interactive = flags.is("stdin");
  const tty = flags.is("tty");
  if (interactive && tty && !call.terminal) {
    context.err("Unable to use a TTY - input is not a terminal or the right kind of file\n");
  }
  const exitCode = await insideWorded(context, () =>
    runInside(call.cluster, container, command, {
      process: call.process,
      output: (stream, text) => (stream === "stdout" ? call.out(text) : call.err(text)),
      ...(interactive && call.terminal && { terminal: call.terminal }),
      ...(interactive && !call.terminal && { stdin: call.stdin }),
      tty: tty && call.terminal !== undefined,
    }),
  );
  if (exitCode !== 0 && !call.process.stopped)
    throw new Failed(`command terminated with exit code ${exitCode}`, exitCode);
  return exitCode;
}

/** An executable that is not there is an error of the runtime, which kubectl passes on. */
async function insideWorded(context: Context, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Failed) || !error.message.startsWith("exec: ")) throw error;
    const { random } = context.call.shell;
    const id = Array.from({ length: 64 }, () => random.integer(0, 15).toString(16)).join("");
    throw new Failed(
      `error: Internal error occurred: Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "${id}": OCI runtime exec failed: exec failed: unable to start container process: ${error.message}`,
    );
  }
}
