/** Owns spans of time as Go writes and reads them (time.Duration: String, ParseDuration): `450ms`, `5s`, `1h30m0s`. */
import { hour, microsecond, millisecond, minute, second, type Time } from "./clock";

const units: { readonly [unit: string]: Time } = {
  ns: microsecond / 1000,
  us: microsecond,
  µs: microsecond,
  ms: millisecond,
  s: second,
  m: minute,
  h: hour,
};

/** A span in microseconds; or, where the text is none, what is wrong with it, in Go's words. */
export function readDuration(text: string): Time | string {
  const [, sign = "", rest = ""] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  const quoted = JSON.stringify(text);
  if (rest === "") return `time: invalid duration ${quoted}`;
  let sum = 0;
  for (let left = rest; left !== ""; ) {
    const [whole = "", number = "", unit = ""] = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(left) ?? [];
    if (whole === "") return `time: invalid duration ${quoted}`;
    if (unit === "") return `time: missing unit in duration ${quoted}`;
    if (!Object.hasOwn(units, unit)) return `time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`;
    sum += Number(number) * (units[unit] ?? 0);
    left = left.slice(whole.length);
  }
  return Math.round(sign === "-" ? -sum : sum);
}

/** A span in microseconds as Go prints it. */
export function formatDuration(span: Time): string {
  if (span === 0) return "0s";
  if (span < 0) return `-${formatDuration(-span)}`;
  if (span < millisecond) return `${span}µs`;
  if (span < second) return `${span / millisecond}ms`;
  const hours = Math.floor(span / hour);
  const minutes = Math.floor(span / minute) % 60;
  const seconds = `${(span % minute) / second}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
