/** Owns how tcpdump prints UDP datagrams, and the frames of a VXLAN tunnel in them. */

import { u8, u16, u32 } from "./octets";
import type { Inside, Printer } from "./print";
import { dns } from "./printdns";

/** Linux' port for VXLAN was given to another protocol later, and by that one's name tcpdump calls it (print-udp.c). */
const otvPort = 8472;
const vxlanPort = 4789;
const dnsPorts: readonly number[] = [53, 5353];

export function udp(printer: Printer, inside: Inside): string {
  const { frame, begin, end, source, target } = inside;
  const { options } = printer;
  const [from, to] = [u16(frame, begin), u16(frame, begin + 2)];
  const names = `${source}.${options.port(from, "udp")} > ${target}.${options.port(to, "udp")}: `;
  const length = u16(frame, begin + 4) - 8;
  if (options.quiet) return `${names}UDP, length ${length}`;
  const sum = u16(frame, begin + 6);
  const checked = options.verbose > 1 ? (sum === 0 ? "[no cksum] " : "[udp sum ok] ") : "";
  const data = frame.subarray(begin + 8, end);
  const tunnel = to === otvPort || from === otvPort ? "otv" : to === vxlanPort ? "vxlan" : undefined;
  if (tunnel && data.length >= 8) return `${names}${checked}${tunnelled(printer, data, tunnel)}`;
  if (dnsPorts.includes(from) || dnsPorts.includes(to)) return `${names}${checked}${dns(data, options.verbose)}`;
  return `${names}${checked}UDP, length ${length}`;
}

function tunnelled(printer: Printer, data: Uint8Array, kind: "otv" | "vxlan"): string {
  const flags = u8(data, 0);
  const about = `flags [${flags & 8 ? "I" : "."}] (0x${flags.toString(16).padStart(2, "0")})`;
  const network = Math.floor(u32(data, 4) / 256);
  const head =
    kind === "otv"
      ? `OTV, ${about}, overlay ${Math.floor(u32(data, 0) % 0x1_000_000)}, instance ${network}`
      : `VXLAN, ${about}, vni ${network}`;
  return `${head}\n${printer.frame(data, 8)}`;
}
