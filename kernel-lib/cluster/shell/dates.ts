/** Owns the commands that tell the time: the moment is ours, the formatting is the shell's own. */
import { second, type Time } from "../../sim/clock";
import { quote } from "./shell";
import { Shelled } from "./shelled";
import type { Call, Tools } from "./tool";

/** GNU date. */
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

export const dateTools: Tools = { date, printf };
