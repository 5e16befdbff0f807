/** Owns the commands that let virtual time pass: sleep, timeout and watch. */
import { rfc3339Micro } from "../../api/time";
import { second, type Time } from "../../sim/clock";
import { quote } from "./shell";
import { Shelled } from "./shelled";
import { type Call, Failed, type Tools } from "./tool";

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

export const waitTools: Tools = { sleep, timeout, watch };
