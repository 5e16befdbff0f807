/** Owns the shape of a Kubernetes component's log lines (klog's structured text). */
import { rfc3339 } from "../../api/time";
import type { Time } from "../../sim/clock";

export type Severity = "I" | "W" | "E";

/** What may stand behind a key: text is quoted, the rest is written as it is. */
export type LogValue = string | number | boolean | readonly string[];

/** `I1120 13:00:01.123456       1 server_linux.go:141] "Using iptables Proxier" ipFamily="IPv4"`. @param at where in the source */
export function klogLine(
  now: Time,
  severity: Severity,
  at: string,
  message: string,
  values: { readonly [key: string]: LogValue } = {},
): string {
  const [date = "", time = ""] = rfc3339(now).replace("Z", "").split("T");
  const micros = String(now % 1_000_000).padStart(6, "0");
  const pairs = Object.entries(values).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  const day = date.slice(5).replace("-", "");
  return `${severity}${day} ${time.slice(0, 8)}.${micros}       1 ${at}] ${JSON.stringify(message)}${pairs.join("")}\n`;
}
