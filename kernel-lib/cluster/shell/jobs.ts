/** Owns the commands on jobs and processes: jobs, kill, wait, fg. */
import type { Time } from "../../sim/clock";
import type { PauseEnd, Process } from "../driver";
import { processesOf } from "../runtime/processes";
import { endingOf, jobLine } from "./session";
import type { Shell } from "./shell";
import { type Call, Failed, type Tools } from "./tool";

/** Pauses until another process has ended. */
export async function waitFor(call: Call, other: Process, limit?: Time): Promise<PauseEnd> {
  if (other.ended) return "woken";
  return call.process.pause((wake) => {
    other.onEnd(wake);
    return undefined;
  }, limit);
}

function jobs(call: Call): number {
  const { jobs: list } = call.shell;
  for (const [at, job] of list.entries()) {
    const sign = at === list.length - 1 ? "+" : at === list.length - 2 ? "-" : " ";
    const ended = job.process.ended;
    const state = ended ? endingOf(job.exitCode, job.process.stopped) : "Running";
    job.told ||= ended;
    call.out(
      call.args.includes("-p")
        ? `${job.pid}\n`
        : `${jobLine(job.number, sign, state)}${job.text}${ended ? "" : " &"}\n`,
    );
  }
  return 0;
}

function findJob(shell: Shell, text: string | undefined): Shell["jobs"][number] | undefined {
  if (text === undefined || text === "%%" || text === "%+") return shell.jobs.at(-1);
  if (text.startsWith("%")) return shell.jobs.find((job) => job.number === Number(text.slice(1)));
  return shell.jobs.find((job) => job.pid === Number(text));
}

function kill(call: Call): number {
  const targets = call.args.filter((arg) => !arg.startsWith("-"));
  if (targets.length === 0)
    throw new Failed("kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]", 2);
  const name = call.args
    .find((arg) => arg.startsWith("-"))
    ?.slice(1)
    .replace(/^SIG/, "");
  let failed = 0;
  for (const target of targets) {
    const job = findJob(call.shell, target);
    if (job) job.process.stop();
    else if (!signalProcess(call, target, name)) {
      call.err(`bash: kill: ${target.startsWith("%") ? `${target}: no such job` : `(${target}) - No such process`}\n`);
      failed = 1;
    }
  }
  return failed;
}

/**
 * Sends a signal to a process of the place; false if there is none of that number. In its own PID namespace process 1 hears
 * only what it handles: SIGKILL from within does nothing (pid_namespaces(7)). From the node it ends it.
 */
function signalProcess(call: Call, target: string, name: string | undefined): boolean {
  const found = processesOf(call.cluster, call.place).find(({ pid }) => String(pid) === target);
  if (!found) return false;
  const kill = name === "9" || name === "KILL";
  const { container } = call.place;
  if (container) {
    if (target === "1" && !kill) container.signal(signalOf(name));
  } else if (found.container) found.container.signal(kill ? "SIGKILL" : signalOf(name));
  else found.sandboxOf?.stopSandbox();
  return true;
}

function signalOf(name: string | undefined): "SIGTERM" | "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGUSR1" | "SIGUSR2" {
  const names = {
    "1": "SIGHUP",
    HUP: "SIGHUP",
    "2": "SIGINT",
    INT: "SIGINT",
    "3": "SIGQUIT",
    QUIT: "SIGQUIT",
  } as const;
  const users = { "10": "SIGUSR1", USR1: "SIGUSR1", "12": "SIGUSR2", USR2: "SIGUSR2" } as const;
  const all: Readonly<Record<string, ReturnType<typeof signalOf>>> = { ...names, ...users };
  return all[name ?? ""] ?? "SIGTERM";
}

/** `wait [job…]`: until they end; the exit code is the last one's. */
async function wait(call: Call): Promise<number> {
  const all = call.args.length === 0;
  const wanted = all ? [...call.shell.jobs] : call.args.map((arg) => findJob(call.shell, arg));
  let exitCode = 0;
  for (const [at, job] of wanted.entries()) {
    if (!job) {
      call.err(`bash: wait: pid ${call.args[at] ?? ""} is not a child of this shell\n`);
      exitCode = 127;
      continue;
    }
    if (!job.process.ended && (await waitFor(call, job.process)) === "stopped") return 130;
    exitCode = all ? 0 : (job.exitCode ?? 143);
  }
  return exitCode;
}

async function foreground(call: Call): Promise<number> {
  const job = findJob(call.shell, call.args[0]);
  if (!job) throw new Failed(`bash: fg: ${call.args[0] ?? "current"}: no such job`);
  call.out(`${job.text}\n`);
  job.told = true;
  const end = await waitFor(call, job.process);
  if (end === "stopped") job.process.stop();
  return end === "stopped" ? 130 : (job.exitCode ?? 0);
}

/** By name; `wait` is bash's own word, so the shell's rewriting calls ours instead. */
export const jobTools: Tools = { jobs, kill, fg: foreground, __wait: wait };
