/** Owns dates as commands write them, made from virtual time without the host's calendar. */
import { rfc3339 } from "../api/time";
import { hour, type Time } from "../sim/clock";

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

interface Moment {
  readonly weekday: string;
  readonly day: string;
  readonly month: string;
  readonly year: string;
  /** `00:01:07` */
  readonly time: string;
}

function momentOf(time: Time): Moment {
  const text = rfc3339(time);
  // 1970-01-01 was a Thursday.
  const weekday = weekdays[(((Math.floor(time / (24 * hour)) + 4) % 7) + 7) % 7] ?? "";
  const month = months[Number(text.slice(5, 7)) - 1] ?? "";
  return { weekday, day: text.slice(8, 10), month, year: text.slice(0, 4), time: text.slice(11, 19) };
}

/** `Thu, 01 Jan 2026 00:01:07 +0000` (RFC 1123, as `kubectl describe` shows times). */
export function rfc1123(time: Time): string {
  const { weekday, day, month, year, time: clock } = momentOf(time);
  return `${weekday}, ${day} ${month} ${year} ${clock} +0000`;
}

/** `Thu Jan  1 00:01:07 UTC 2026`, as date(1) and dig(1) print it. */
export function unixDate(time: Time): string {
  const { weekday, day, month, year, time: clock } = momentOf(time);
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${clock} UTC ${year}`;
}
