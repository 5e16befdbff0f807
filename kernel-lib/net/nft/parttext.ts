/** Owns the text of nftables' smaller things: values and ranges, elements, verdicts, times. */
import { millisecond, second, type Time } from "../../sim/clock";
import { formatIp, type Ip } from "../address";
import { type Element, isRange, type Part, type SetSpec, type Verdict } from "./ruleset";
import { type DataTypeName, formatValue, type Value, type ValueStyle } from "./types";

/** How `nft` was asked to print. */
export interface TextStyle extends ValueStyle {
  /** `-a`. */
  readonly handles?: boolean;
  /** `-s`: no counters, no times that are left. */
  readonly stateless?: boolean;
  /** `-t`: sets without their elements. */
  readonly terse?: boolean;
}

/** `10.0.0.0/8`, `80-443`, `"cni0"`. */
export function partText(type: DataTypeName, part: Part, style: TextStyle = {}): string {
  if (!isRange(part)) return formatValue(type, part, style);
  if (part.prefix !== undefined) return `${formatIp(part.from as Ip)}/${part.prefix}`;
  return `${formatValue(type, part.from, style)}-${formatValue(type, part.to, style)}`;
}

/** `accept`, `goto service-…`. */
export function verdictText(verdict: Verdict): string {
  return "chain" in verdict ? `${verdict.do} ${verdict.chain}` : verdict.do;
}

/** What the parts of keys and data are. */
export type Types = Pick<SetSpec, "key" | "data" | "timeout">;

/** `10.96.0.10 . udp . 53 : goto service-…`. @param left how long it has left, where elements leave */
export function elementText(element: Element, types: Types, style: TextStyle = {}, left?: Time): string {
  const words = [keyText(element.key, types.key, style)];
  if (element.timeout !== undefined && element.timeout !== types.timeout) {
    words.push(`timeout ${timeText(element.timeout, style)}`);
  }
  if (left !== undefined && !style.stateless) words.push(`expires ${timeText(left, style)}`);
  if (element.comment !== undefined) words.push(`comment "${element.comment}"`);
  if (element.verdict) words.push(`: ${verdictText(element.verdict)}`);
  else if (element.data && types.data && types.data !== "verdict") {
    words.push(`: ${keyText(element.data, types.data, style)}`);
  }
  return words.join(" ");
}

function keyText(parts: readonly Part[], types: readonly DataTypeName[], style: TextStyle = {}): string {
  return parts.map((part, at) => partText(types[at] ?? "integer", part, style)).join(" . ");
}

/** `1h30m`, `9m59s992ms`; numeric: `5400s`. */
export function timeText(time: Time, { numeric }: TextStyle = {}): string {
  const milliseconds = Math.floor(time / millisecond);
  const rest = milliseconds % 1000;
  let seconds = (milliseconds - rest) / 1000;
  const words: string[] = [];
  if (!numeric) {
    for (const [size, unit] of [
      [86_400, "d"],
      [3600, "h"],
      [60, "m"],
    ] as const) {
      const count = Math.floor(seconds / size);
      if (count > 0) words.push(`${count}${unit}`);
      seconds %= size;
    }
  }
  if (seconds > 0) words.push(`${seconds}s`);
  if (rest > 0) words.push(`${rest}ms`);
  return words.join("") || "0s";
}

/** Reads `3h`, `1d2h3m4s`, `90`, `500ms`; undefined if it is no time. */
export function parseTime(text: string): Time | undefined {
  if (/^\d+$/.test(text)) return Number(text) * second;
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text);
  if (!match || text === "") return undefined;
  const [days, hours, minutes, seconds, rest] = match.slice(1).map((digits) => Number(digits ?? 0));
  const whole = (((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0);
  return whole * second + (rest ?? 0) * millisecond;
}

/** A value as data of a `dnat`: `10.244.1.2:80`, `[fd00::2]:80`. */
export function socketText(ip: Value, port: number | undefined): string {
  const text = formatIp(ip as Ip);
  if (port === undefined) return text;
  return typeof ip === "bigint" ? `[${text}]:${port}` : `${text}:${port}`;
}
