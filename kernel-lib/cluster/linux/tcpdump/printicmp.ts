/** Owns how tcpdump prints ICMP and ICMPv6 messages, neighbour discovery among them. */
import { ipText, macAt, u8, u16, u32 } from "./octets";
import type { Inside, Printer } from "./print";

/** ICMP (print-icmp.c). */
export function icmp(printer: Printer, inside: Inside): string {
  const { frame, begin, end } = inside;
  const { options } = printer;
  const [type, code] = [u8(frame, begin), u8(frame, begin + 1)];
  const length = end - begin;
  const echo = `id ${u16(frame, begin + 4)}, seq ${u16(frame, begin + 6)}`;
  const quoted = begin + 8;
  const words =
    type === 8
      ? `echo request, ${echo}`
      : type === 0
        ? `echo reply, ${echo}`
        : type === 3
          ? unreachable(printer, frame, quoted, code, u16(frame, begin + 6))
          : type === 11
            ? code === 0
              ? "time exceeded in-transit"
              : "ip reassembly time exceeded"
            : `type-#${type}`;
  const text = `ICMP ${words}, length ${length}`;
  if (options.verbose === 0 || (type !== 3 && type !== 11)) return text;
  // With -v the packet that the error is about is printed too.
  return `${text}\n\t${options.ethernet ? "" : "IP "}${printer.ip(frame.subarray(0, end), quoted)}`;
}

function unreachable(printer: Printer, frame: Uint8Array, quoted: number, code: number, mtu: number): string {
  const target = ipText(frame, quoted + 16, 4);
  switch (code) {
    case 0:
      return `net ${target} unreachable`;
    case 1:
      return `host ${target} unreachable`;
    case 2:
      return `${target} protocol ${u8(frame, quoted + 9)} unreachable`;
    case 3: {
      const ports = quoted + (u8(frame, quoted) & 15) * 4;
      return `${portOf(printer, target, u8(frame, quoted + 9), u16(frame, ports + 2))} unreachable`;
    }
    case 4:
      return `${target} unreachable - need to frag${mtu > 0 ? ` (mtu ${mtu})` : ""}`;
    case 10:
      return `host ${target} unreachable - admin prohibited`;
    case 13:
      return `host ${target} unreachable - admin prohibited filter`;
    default:
      return `${target} unreachable - #${code}`;
  }
}

function portOf(printer: Printer, target: string, protocol: number, port: number): string {
  if (protocol === 6) return `${target} tcp port ${printer.options.port(port, "tcp")}`;
  if (protocol === 17) return `${target} udp port ${printer.options.port(port, "udp")}`;
  return `${target} protocol ${protocol} port ${port}`;
}

/** ICMPv6 (print-icmp6.c). */
export function icmp6(printer: Printer, inside: Inside): string {
  const { frame, begin, end } = inside;
  const { verbose } = printer.options;
  const type = u8(frame, begin);
  const length = end - begin;
  const checked = verbose > 0 ? "[icmp6 sum ok] " : "";
  const head = `${checked}ICMP6, `;
  const wanted = ipText(frame, begin + 8, 16);
  const sized = `, length ${length}`;
  switch (type) {
    case 128:
    case 129: {
      const what = type === 128 ? "echo request" : "echo reply";
      return `${head}${what}, id ${u16(frame, begin + 4)}, seq ${u16(frame, begin + 6)}${sized}`;
    }
    case 135:
      return `${head}neighbor solicitation${sized}, who has ${wanted}${optionsOf(frame, begin + 24, end, verbose)}`;
    case 136: {
      const bits = u8(frame, begin + 4);
      const flags = [bits & 0x80 ? "router" : "", bits & 0x40 ? "solicited" : "", bits & 0x20 ? "override" : ""]
        .filter((flag) => flag !== "")
        .join(", ");
      const said = verbose > 0 ? `, Flags [${flags || "none"}]` : "";
      return `${head}neighbor advertisement${sized}, tgt is ${wanted}${said}${optionsOf(frame, begin + 24, end, verbose)}`;
    }
    case 1:
      return `${head}destination unreachable, ${unreachable6(printer, frame, begin)}${sized}`;
    case 2:
      return `${head}packet too big, mtu ${u32(frame, begin + 4)}${sized}`;
    case 3:
      return `${head}time exceeded in-transit for ${ipText(frame, begin + 8 + 24, 16)}${sized}`;
    default:
      return `${head}type-#${type}${sized}`;
  }
}

function unreachable6(printer: Printer, frame: Uint8Array, begin: number): string {
  const quoted = begin + 8;
  const target = ipText(frame, quoted + 24, 16);
  switch (u8(frame, begin + 1)) {
    case 0:
      return `unreachable route ${target}`;
    case 1:
      return `unreachable prohibited ${target}`;
    case 3:
      return `unreachable address ${target}`;
    case 4: {
      const protocol = u8(frame, quoted + 6) === 6 ? "tcp" : "udp";
      return `unreachable port, ${target} ${protocol} port ${printer.options.port(u16(frame, quoted + 42), protocol)}`;
    }
    default:
      return `unreachable code-#${u8(frame, begin + 1)}`;
  }
}

/** With `-v`: the link-layer addresses that neighbours tell each other. */
function optionsOf(frame: Uint8Array, begin: number, end: number, verbose: number): string {
  if (verbose === 0) return "";
  let text = "";
  for (let at = begin; at + 8 <= end; at += Math.max(1, u8(frame, at + 1)) * 8) {
    const name = { 1: "source", 2: "destination" }[u8(frame, at)];
    if (name) text += `\n\t  ${name} link-address option (${u8(frame, at)}), length 8 (1): ${macAt(frame, at + 2)}`;
  }
  return text;
}
