/** Owns times as the API writes them (RFC 3339) and as kubectl shows them (3m7s), made without the host's calendar. */
import { hour, minute, second, type Time } from "../sim/clock";
import { flat } from "./text";

const day = 24 * hour;

function two(value: number): string {
  return String(value).padStart(2, "0");
}

/** Days since 1970-01-01 → civil date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
function civil(days: number): { year: number; month: number; dayOfMonth: number } {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, dayOfMonth: doy - Math.floor((153 * mp + 2) / 5) + 1 };
}

function daysOf(year: number, month: number, dayOfMonth: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + dayOfMonth - 1;
  return era * 146_097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719_468;
}

/** `2026-01-01T00:00:07Z`: metav1.Time, whole seconds. */
export function rfc3339(time: Time): string {
  const whole = Math.floor(time / second);
  if (whole !== newest.second) newest = { second: whole, text: flat(written(time)) };
  return newest.text;
}

/** Most of what is written at a moment is written more than once. */
let newest = { second: Number.NaN, text: "" };

function written(time: Time): string {
  const { year, month, dayOfMonth } = civil(Math.floor(time / day));
  const rest = ((time % day) + day) % day;
  const date = `${String(year).padStart(4, "0")}-${two(month)}-${two(dayOfMonth)}`;
  const hours = two(Math.floor(rest / hour));
  return `${date}T${hours}:${two(Math.floor((rest % hour) / minute))}:${two(Math.floor((rest % minute) / second))}Z`;
}

/** `2026-01-01T00:00:07.012345Z`: metav1.MicroTime. */
export function rfc3339Micro(time: Time): string {
  const micros = ((time % second) + second) % second;
  return `${rfc3339(time).slice(0, -1)}.${String(micros).padStart(6, "0")}Z`;
}

/** The moment that an RFC 3339 text names; undefined if it is none. */
export function parseTime(text: string): Time | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (!match) return undefined;
  const [, y, mo, d, h, mi, s, fraction = "", zone = "Z"] = match;
  const days = daysOf(Number(y), Number(mo), Number(d));
  const offset =
    zone === "Z" ? 0 : (zone[0] === "-" ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4)));
  const micros = Number(fraction.padEnd(6, "0").slice(0, 6));
  return days * day + Number(h) * hour + (Number(mi) - offset) * minute + Number(s) * second + micros;
}

/** A span as kubectl shows it: `12s`, `3m7s`, `5h12m`, `2d3h`, `3y12d` (k8s.io/apimachinery util/duration). */
export function humanDuration(span: Time): string {
  const seconds = Math.trunc(span / second);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.trunc(days / 365);
  if (hours < 24 * 365 * 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}

/** How long ago a timestamp was, as kubectl's AGE shows it; `<unknown>` without one. */
export function ageOf(timestamp: string | undefined, now: Time): string {
  const then = timestamp === undefined ? undefined : parseTime(timestamp);
  return then === undefined ? "<unknown>" : humanDuration(now - then);
}
