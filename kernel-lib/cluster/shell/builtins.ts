/** Owns the commands that a shell must take from us, because just-bash's own read the host's clock, dice or processes. */

import { second } from "../../sim/clock";
import { namespaceLinks } from "../runtime/processes";
import { dateTools } from "./dates";
import { jobTools } from "./jobs";
import { lsOf } from "./ls";
import { quote, Shell } from "./shell";
import { Shelled } from "./shelled";
import { trapTools } from "./signals";
import { tail } from "./tail";
import { type Call, Failed, originally, type Tool, type Tools } from "./tool";
import { waitTools } from "./waits";

/** How much `yes` says when nobody stops it. */
const yesLines = 10_000;

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
  return originally(call, call.args);
}

/** `tr` of the shell does not know octets in octal: `tr '\0' ' '`. */
function tr(call: Call): Promise<number> {
  const octet = (written: string, octal: string | undefined): string =>
    octal === undefined ? written : String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
  return originally(
    call,
    call.args.map((arg) => arg.replace(/\\([0-7]{1,3})|\\./g, octet)),
  );
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

/** Everything that must be ours in every shell. */
export const builtinTools: Tools = {
  ...waitTools,
  ...dateTools,
  ...jobTools,
  ...trapTools,
  tail,
  ls: lsOf((call) => namespaceLinks(call.cluster, call.place)),
  yes,
  sudo,
  nohup: (call) => new Shelled(call).run(call.args.map(quote).join(" "), undefined, true),
  printenv,
  env,
  tr,
  hostname: print((call) => call.place.hostname),
  whoami: print((call) => call.place.user),
  alias,
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
