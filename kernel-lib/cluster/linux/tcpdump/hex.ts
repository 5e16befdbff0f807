/** Owns tcpdump's dumps of octets: -x, -xx, -X, -XX and -A. */
import type { Flags } from "../flags";
import { ascii } from "./octets";

/** The octets of a frame below its line; empty if none were asked for. */
export function hexDump(frame: Uint8Array, flags: Flags): string {
  const [hex, both, plain] = [flags.count("x"), flags.count("X"), flags.count("A")];
  if (hex + both + plain === 0) return "";
  // Once: from the IP header on; twice: the Ethernet header too.
  const shown = Math.max(hex, both, plain) > 1 ? frame : frame.subarray(14);
  if (plain > 0) return `${Array.from(shown, (code, at) => letter(code, shown[at + 1])).join("")}\n`;
  const lines: string[] = [];
  for (let at = 0; at < shown.length; at += 16) {
    const row = shown.subarray(at, at + 16);
    const groups: string[] = [];
    for (let index = 0; index < row.length; index += 2) {
      groups.push(Array.from(row.subarray(index, index + 2), (code) => code.toString(16).padStart(2, "0")).join(""));
    }
    const digits = groups.join(" ");
    const text = both > 0 ? `${digits.padEnd(39)}  ${ascii(row).replaceAll(" ", ".")}` : digits;
    lines.push(`\t0x${at.toString(16).padStart(4, "0")}:  ${text}\n`);
  }
  return lines.join("");
}

/** Ends of lines and tabs are kept, but of CR and LF only the LF, and no CR at the end. */
function letter(code: number, next: number | undefined): string {
  if (code === 13 && (next === 10 || next === undefined)) return "";
  if (code === 10 || code === 9) return String.fromCharCode(code);
  return code >= 32 && code < 127 ? String.fromCharCode(code) : ".";
}
