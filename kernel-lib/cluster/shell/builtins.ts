/** Owns the commands that a shell must take from us, because just-bash's own read the host's clock, dice or processes. */

import { rfc3339Micro } from "../../api/time";
import { second, type Time } from "../../sim/clock";
import { namespaceLinks } from "../runtime/processes";
import { jobTools, waitFor } from "./jobs";
import { lsOf } from "./ls";
import { quote, Shell } from "./shell";
import { type Call, Failed, type Tool, type Tools } from "./tool";

/** How much `yes` says when nobody stops it. */
const yesLines = 10_000;
/** How often `watch` looks when it is not told how long it may run. */
const watchTurns = 600;

/** Longer than anybody waits, and still a whole number of microseconds. */
const forEver: Time = 100 * 365 * 86_400 * second;

/** `2`, `1.5s`, `3m`, `1h`, `2d` as sleep(1) and timeout(1) read it. */
function seconds(text: string, command: string): Time {
  if (command === "sleep" && /^inf(inity)?$/i.test(text)) return forEver;
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
  ...jobTools,
  ls: lsOf((call) => namespaceLinks(call.cluster, call.place)),
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
  __history: history,
  __random: print((call) => call.shell.random.integer(0, 32_767)),
  __seconds: print((call) => Math.floor((call.cluster.sim.clock.now - call.shell.started) / second)),
  __epochseconds: print((call) => Math.floor(call.cluster.sim.clock.now / second)),
  __epochrealtime: print((call) => (call.cluster.sim.clock.now / second).toFixed(6)),
  __lastjob: print((call) => (call.shell.lastJob === 0 ? "" : call.shell.lastJob)),
};
