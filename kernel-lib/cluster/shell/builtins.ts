/** Owns the commands that a shell must take from us, because just-bash's own read the host's clock, dice or processes. */

import { rfc3339Micro } from "../../api/time";
import { second, type Time } from "../../sim/clock";
import type { PauseEnd, Process } from "../driver";
import { namespaceLinks, processesOf } from "../runtime/processes";
import { lsOf } from "./ls";
import { endingOf, jobLine } from "./session";
import { quote, Shell } from "./shell";
import { type Call, Failed, type Tool, type Tools } from "./tool";

/** How much `yes` says when nobody stops it. */
const yesLines = 10_000;
/** How often `watch` looks when it is not told how long it may run. */
const watchTurns = 600;

/** `2`, `1.5s`, `3m`, `1h`, `2d` as sleep(1) and timeout(1) read it. */
function seconds(text: string, command: string): Time {
  const match = /^(\d+\.?\d*|\.\d+)([smhd]?)$/.exec(text);
  if (!match)
    throw new Failed(`${command}: invalid time interval '${text}'\nTry '${command} --help' for more information.`);
  const unit = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 }[match[2] ?? ""] ?? 1;
  return Math.round(Number(match[1]) * unit * second);
}

async function sleep(call: Call): Promise<number> {
  if (call.args.length === 0) throw new Failed("sleep: missing operand\nTry 'sleep --help' for more information.");
  const whole = call.args.reduce((sum, text) => sum + seconds(text, "sleep"), 0);
  return (await call.process.sleep(whole)) ? 0 : 130;
}

/** GNU date: the moment is ours, the formatting is the shell's own. */
async function date(call: Call): Promise<number> {
  const { args } = call;
  const now = call.cluster.sim.clock.now;
  const own = args.some((arg) => /^(-d|--date|-r|--reference|-s|--set|--help)/.test(arg));
  const given = own
    ? args.map((arg, at) => (/^(-d|--date)$/.test(args[at - 1] ?? "") ? relative(arg, now) : relativeOption(arg, now)))
    : ["-d", `@${Math.floor(now / second)}`, ...args];
  const nanoseconds = String((now % second) * 1000).padStart(9, "0");
  const filled = given.map((arg) =>
    arg.startsWith("+")
      ? arg.replace(/%(\d?)N/g, (_, digits: string) => nanoseconds.slice(0, Number(digits || 9)))
      : arg,
  );
  const result = await call.original(filled);
  call.out(result.stdout);
  call.err(result.stderr);
  return result.exitCode;
}

function relativeOption(arg: string, now: Time): string {
  return arg.startsWith("--date=") ? `--date=${relative(arg.slice(7), now)}` : arg;
}

/** `now`, `1 hour ago`, `+2 days` → `@seconds`; anything else as it is. */
function relative(text: string, now: Time): string {
  const units: Readonly<Record<string, number>> = {
    sec: 1,
    second: 1,
    min: 60,
    minute: 60,
    hour: 3600,
    day: 86_400,
    week: 604_800,
  };
  const words = /^\s*([+-]?\d+)\s*([a-z]+?)s?(\s+ago)?\s*$/.exec(text);
  const unit = words && units[words[2] ?? ""];
  if (words && unit) return `@${Math.floor(now / second) + Number(words[1]) * unit * (words[3] ? -1 : 1)}`;
  const day = { now: 0, today: 0, tomorrow: 86_400, yesterday: -86_400 }[text.trim()];
  return day === undefined ? text : `@${Math.floor(now / second) + day}`;
}

/** `%(…)T` in a format reads the clock; the rest is the shell's own printf. */
async function printf(call: Call): Promise<number> {
  const at = call.args[0] === "-v" ? 2 : 0;
  const args = [...call.args];
  const format = args[at] ?? "";
  if (/%\([^)]*\)T/.test(format)) {
    const values = args.splice(at + 1);
    let text = "";
    for (const piece of format.split(/(%(?:\([^)]*\)T|[^%\s]*?[a-zA-Z%]))/)) {
      const time = /^%\(([^)]*)\)T$/.exec(piece);
      if (!time) {
        text += piece;
        continue;
      }
      const used = (text.match(/%(?!%)[^%\s]*?[a-zA-Z]/g) ?? []).length;
      const value = values.splice(used, 1)[0] ?? "-1";
      const moment = Number(value) < 0 ? Math.floor(call.cluster.sim.clock.now / second) : Number(value);
      text += (await strftime(call, time[1] || "%H:%M:%S", moment)).replaceAll("%", "%%");
    }
    args[at] = text;
    args.push(...values);
  }
  const result = await call.original(args);
  call.out(result.stdout);
  call.err(result.stderr);
  return result.exitCode;
}

async function strftime(call: Call, format: string, moment: number): Promise<string> {
  const lines = new Shelled(call);
  await lines.run(`date -d @${moment} ${quote(`+${format}`)}`);
  return lines.stdout.replace(/\n$/, "");
}

/** A command line run as a process of its own, its output collected. */
class Shelled {
  stdout = "";
  stderr = "";
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  /** @param limit stop it after this time; the exit code is then 124 */
  async run(line: string, limit?: Time, live = false): Promise<number> {
    const call = this.#call;
    let exitCode = 0;
    const child = call.cluster.driver.start(`${call.place.name}: ${line}`, async (process) => {
      exitCode = await call.shell.run(line, {
        process,
        env: call.env,
        folder: call.folder,
        stdin: call.stdin,
        output: (stream, text) => {
          if (!live) this[stream] += text;
          else if (stream === "stdout") call.out(text);
          else call.err(text);
        },
      });
    });
    const end = await waitFor(call, child, limit);
    if (end !== "woken") {
      child.stop();
      await waitFor(call, child);
      return end === "timeout" ? 124 : 130;
    }
    return exitCode;
  }
}

/** Pauses until another process has ended. */
export async function waitFor(call: Call, other: Process, limit?: Time): Promise<PauseEnd> {
  if (other.ended) return "woken";
  return call.process.pause((wake) => {
    other.onEnd(wake);
    return undefined;
  }, limit);
}

async function timeout(call: Call): Promise<number> {
  const args = [...call.args];
  while (args[0]?.startsWith("-")) {
    const option = args.shift() ?? "";
    if (/^(-k|-s|--kill-after|--signal)$/.test(option)) args.shift();
  }
  const [limit, ...command] = args;
  if (limit === undefined || command.length === 0) {
    throw new Failed("timeout: missing operand\nTry 'timeout --help' for more information.", 125);
  }
  const time = seconds(limit, "timeout");
  return new Shelled(call).run(command.map(quote).join(" "), time === 0 ? undefined : time, true);
}

async function watch(call: Call): Promise<number> {
  const args = [...call.args];
  let interval = 2 * second;
  let title = true;
  while (args[0]?.startsWith("-")) {
    const option = args.shift() ?? "";
    const value = /^-n(.+)$/.exec(option)?.[1] ?? /^--interval=(.+)$/.exec(option)?.[1];
    if (value) interval = seconds(value, "watch");
    else if (option === "-n" || option === "--interval") interval = seconds(args.shift() ?? "", "watch");
    else if (/^-[a-z]*t/.test(option) || option === "--no-title") title = false;
  }
  const line = args.join(" ");
  let shown = "";
  const begin = call.cluster.sim.clock.now;
  for (let turn = 0; turn < watchTurns; turn++) {
    const screen = new Shelled(call);
    await screen.run(line);
    const text = screen.stdout + screen.stderr;
    // A page cannot be overwritten: it is shown again only when it differs.
    if (text !== shown) {
      const head = `Every ${(interval / second).toFixed(1)}s: ${line}`;
      const clock = rfc3339Micro(call.cluster.sim.clock.now).slice(11, 19);
      call.out(title ? `${head}    ${call.place.hostname}: ${clock}\n\n${text}\n` : text);
    }
    shown = text;
    const { patience, advice } = call.terminal ?? {};
    if (patience !== undefined && call.cluster.sim.clock.now - begin >= patience) {
      call.err(`^C (a minute has passed; ${advice})\n`);
      return 130;
    }
    if (!(await call.process.sleep(interval))) return 130;
  }
  call.err(`watch: stopped after ${watchTurns} looks\n`);
  return 130;
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

function yes(call: Call): number {
  call.out(`${call.args.length > 0 ? call.args.join(" ") : "y"}\n`.repeat(yesLines));
  return 0;
}

function history(call: Call): number {
  for (const [at, line] of call.shell.history.entries()) call.out(`${String(at + 1).padStart(5)}  ${line}\n`);
  return 0;
}

function alias(call: Call): number {
  const { aliases } = call.shell;
  if (call.args.length === 0) {
    for (const [name, text] of [...aliases].sort()) call.out(`alias ${name}='${text}'\n`);
  }
  let missing = 0;
  for (const arg of call.args) {
    const equals = arg.indexOf("=");
    if (equals > 0) aliases.set(arg.slice(0, equals), arg.slice(equals + 1));
    else if (aliases.has(arg)) call.out(`alias ${arg}='${aliases.get(arg)}'\n`);
    else {
      call.err(`bash: alias: ${arg}: not found\n`);
      missing = 1;
    }
  }
  return missing;
}

function unalias(call: Call): number {
  if (call.args.includes("-a")) call.shell.aliases.clear();
  for (const name of call.args) call.shell.aliases.delete(name);
  return 0;
}

function which(call: Call): number {
  let missing = 0;
  for (const name of call.args.filter((arg) => !arg.startsWith("-"))) {
    if (call.shell.commands.has(name)) call.out(`/usr/bin/${name}\n`);
    else missing = 1;
  }
  return missing;
}

/** The end of `time`: what bash prints of it. Commands here need no processor time that could be told. */
function timeEnd(call: Call): number {
  const took = call.cluster.sim.clock.now - (call.shell.stopwatches.pop() ?? call.cluster.sim.clock.now);
  const text = `${Math.floor(took / (60 * second))}m${((took % (60 * second)) / second).toFixed(3)}s`;
  call.err(`\nreal\t${text}\nuser\t0m0.000s\nsys\t0m0.000s\n`);
  return Number(call.args[0]);
}

/** Only what was given to the process: a shell's own variables are not the environment of what it starts. */
function environment(call: Call): string {
  return [...call.env].map(([name, value]) => `${name}=${value}\n`).join("");
}

function printenv(call: Call): number {
  if (call.args.length === 0) call.out(environment(call));
  let missing = 0;
  for (const name of call.args) {
    const value = call.env.get(name);
    if (value === undefined) missing = 1;
    else call.out(`${value}\n`);
  }
  return missing;
}

async function env(call: Call): Promise<number> {
  if (call.args.length === 0) {
    call.out(environment(call));
    return 0;
  }
  const result = await call.original(call.args);
  call.out(result.stdout);
  call.err(result.stderr);
  return result.exitCode;
}

function print(value: (call: Call) => string | number): Tool {
  return (call) => {
    call.out(`${value(call)}\n`);
    return 0;
  };
}

/** The same command as root, on this machine. */
async function sudo(call: Call): Promise<number> {
  const args = call.args[0] === "-i" || call.args[0] === "-s" ? call.args.slice(1) : call.args;
  if (args.length === 0) throw new Failed("usage: sudo [-u user] command [arg ...]");
  const { cluster, place, process } = call;
  const root = new Shell(cluster, { ...place, user: "root" }, `sudo/${cluster.nextShell()}`, cluster.tools);
  return root.runDirectly(args, {
    process,
    output: (stream, text) => (stream === "stdout" ? call.out(text) : call.err(text)),
    env: call.env,
    folder: call.folder,
    ...(call.terminal && { terminal: call.terminal }),
    ...(!call.terminal && { stdin: call.stdin }),
  });
}

/** A trap for the end of a script has become a function by now (transform.ts); signals do not reach scripts. */
function trap(call: Call): number {
  const signals = call.args.slice(1).filter((name) => name !== "EXIT" && name !== "0");
  if (call.args.length < 2) return 0;
  throw new Failed(`bash: trap: ${signals.join(" ")}: only EXIT, with its commands in quotes, can be trapped here`);
}

/** Everything that must be ours in every shell. */
export const builtinTools: Tools = {
  sleep,
  date,
  printf,
  timeout,
  watch,
  jobs,
  kill,
  ls: lsOf((call) => namespaceLinks(call.cluster, call.place)),
  fg: foreground,
  yes,
  sudo,
  nohup: (call) => new Shelled(call).run(call.args.map(quote).join(" "), undefined, true),
  printenv,
  env,
  hostname: print((call) => call.place.hostname),
  whoami: print((call) => call.place.user),
  alias,
  trap,
  unalias,
  which,
  __timestart: (call) => {
    call.shell.stopwatches.push(call.cluster.sim.clock.now);
    return 0;
  },
  __timeend: timeEnd,
  __wait: wait,
  __history: history,
  __random: print((call) => call.shell.random.integer(0, 32_767)),
  __seconds: print((call) => Math.floor((call.cluster.sim.clock.now - call.shell.started) / second)),
  __epochseconds: print((call) => Math.floor(call.cluster.sim.clock.now / second)),
  __epochrealtime: print((call) => (call.cluster.sim.clock.now / second).toFixed(6)),
  __lastjob: print((call) => (call.shell.lastJob === 0 ? "" : call.shell.lastJob)),
};
