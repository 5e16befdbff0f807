/** Owns the commands on jobs and processes: jobs, kill, wait, fg. */
import { type Signal, signalNumbers } from "../../apps/app";
import type { Time } from "../../sim/clock";
import type { PauseEnd, Process } from "../driver";
import { processesOf } from "../runtime/processes";
import { endingOf, jobLine } from "./session";
import { endJob, type Shell } from "./shell";
import { signalOf } from "./signals";
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

const usage = "kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]";

/** `-TERM`, `-SIGTERM`, `-15`, `-s TERM`, `-n 15`; 0 only asks. */
function kill(call: Call): number {
  const targets = [...call.args];
  let name = "TERM";
  if (targets[0] === "-l") return list(call);
  if (targets[0] === "-s" || targets[0] === "-n") [, name = ""] = targets.splice(0, 2);
  else if (targets[0]?.startsWith("-") && targets[0] !== "--") name = targets.shift()?.slice(1) ?? "";
  if (targets[0] === "--") targets.shift();
  if (targets.length === 0) throw new Failed(usage, 2);
  const signal = name === "0" ? "none" : signalOf(name);
  if (!signal) throw new Failed(`bash: kill: ${name}: invalid signal specification`);
  let failed = 0;
  for (const target of targets) {
    const job = findJob(call.shell, target);
    if (job && (target.startsWith("%") || !job.process.ended)) {
      if (signal !== "none") endJob(job, signal);
    } else if (!signalProcess(call, target, signal)) {
      call.err(`bash: kill: ${target.startsWith("%") ? `${target}: no such job` : `(${target}) - No such process`}\n`);
      failed = 1;
    }
  }
  return failed;
}

function list(call: Call): number {
  const names = (Object.keys(signalNumbers) as Signal[]).sort(
    (one, other) => signalNumbers[one] - signalNumbers[other],
  );
  call.out(names.map((name) => `${String(signalNumbers[name]).padStart(2)}) ${name}\n`).join(""));
  return 0;
}

/**
 * Sends a signal to a process of the place; false if there is none of that number. In its own PID namespace process 1 hears
 * only what it handles: SIGKILL from within does nothing (pid_namespaces(7)). From the node it ends it.
 */
function signalProcess(call: Call, target: string, signal: Signal | "none"): boolean {
  const { container } = call.place;
  if (target === String(call.shell.pid) && target !== "1") {
    if (signal !== "none") call.shell.hear(signal);
    return true;
  }
  const found = processesOf(call.cluster, call.place).find(({ pid }) => String(pid) === target);
  if (!found || signal === "none") return found !== undefined;
  if (found.hear) found.hear(signal);
  else if (container) {
    if (target === "1" && signal !== "SIGKILL") container.signal(signal);
  } else if (found.container) found.container.signal(signal);
  else found.sandboxOf?.stopSandbox();
  return true;
}

/** Until it has ended, or a trapped signal comes: then 128 + its number. */
async function waitOrTrap(call: Call, other: Process): Promise<PauseEnd | number> {
  const { signals } = call.shell;
  const end = await call.process.pause((wake) => {
    other.onEnd(wake);
    return signals.onTrapped(wake);
  });
  const signal = signals.next;
  return end === "woken" && signal !== undefined && call.shell.mainOf(call.process) ? 128 + signalNumbers[signal] : end;
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
    if (!job.process.ended) {
      const end = await waitOrTrap(call, job.process);
      if (end === "stopped") return 130;
      if (typeof end === "number") return end;
    }
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
