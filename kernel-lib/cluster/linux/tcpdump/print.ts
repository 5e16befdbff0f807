/** Owns the lines that tcpdump (4.99) prints of frames: Ethernet, ARP and IP; what is inside, print*.ts. */
import { ipText, macAt, u8, u16 } from "./octets";
import { icmp, icmp6 } from "./printicmp";
import { Conversations, tcp } from "./printtcp";
import { udp } from "./printudp";

/** How much is told. */
export interface PrintOptions {
  /** `-e`: the Ethernet header. */
  readonly ethernet: boolean;
  /** `-v`: how often. */
  readonly verbose: number;
  /** `-q`: less of what protocols say. */
  readonly quiet: boolean;
  /** `-S`: sequence numbers as they are, and not from the connection's beginning. */
  readonly absolute: boolean;
  /** A port as a number (`-n`), or by its name. */
  port(port: number, protocol: "tcp" | "udp"): string;
}

/** An IP packet's surroundings, as the printers of its contents need them. */
export interface Inside {
  readonly frame: Uint8Array;
  /** Where the contents begin and end. */
  readonly begin: number;
  readonly end: number;
  readonly source: string;
  readonly target: string;
  readonly family: 4 | 6;
  /** Where the IP header begins. */
  readonly header: number;
}

/** Prints frames one after another, and remembers the TCP connections among them for relative sequence numbers. */
export class Printer {
  readonly options: PrintOptions;
  readonly conversations = new Conversations();

  constructor(options: PrintOptions) {
    this.options = options;
  }

  /** A frame's text, of one or more lines, without its time and without a last line end. */
  frame(frame: Uint8Array, begin = 0): string {
    const type = u16(frame, begin + 12);
    const length = frame.length - begin;
    const names: Readonly<Record<number, string>> = { 2048: "IPv4", 34525: "IPv6", 2054: "ARP" };
    const name = names[type];
    const hex = type.toString(16).padStart(4, "0");
    const macs = `${macAt(frame, begin + 6)} > ${macAt(frame, begin)}`;
    const head = `${macs}, ethertype ${name ?? "Unknown"} (0x${hex}), length ${length}: `;
    if (!name) return `${head}\n\t${name ?? ""}`.trimEnd();
    return (this.options.ethernet ? head : "") + this.network(frame, begin + 14, type);
  }

  /** What follows an Ethernet header. Without `-e` its kind is said first. */
  network(frame: Uint8Array, begin: number, type: number): string {
    const kind = this.options.ethernet ? "" : { 2048: "IP ", 34525: "IP6 ", 2054: "ARP, " }[type];
    const body =
      type === 0x0800 ? this.ip(frame, begin) : type === 0x86dd ? this.ip6(frame, begin) : this.#arp(frame, begin);
    return `${kind ?? ""}${body}`;
  }

  #arp(frame: Uint8Array, begin: number): string {
    const verbose = this.options.verbose > 0 ? "Ethernet (len 6), IPv4 (len 4), " : "";
    const [sender, target] = [ipText(frame, begin + 14, 4), ipText(frame, begin + 24, 4)];
    const mac = macAt(frame, begin + 18);
    const known = mac === "00:00:00:00:00:00" || mac === "ff:ff:ff:ff:ff:ff" ? "" : ` (${mac})`;
    const words =
      u16(frame, begin + 6) === 1
        ? `Request who-has ${target}${known} tell ${sender}`
        : `Reply ${sender} is-at ${macAt(frame, begin + 8)}`;
    return `${verbose}${words}, length ${frame.length - begin}`;
  }

  /** An IPv4 packet (print-ip.c). */
  ip(frame: Uint8Array, begin: number): string {
    const total = u16(frame, begin + 2);
    const [source, target] = [ipText(frame, begin + 12, 4), ipText(frame, begin + 16, 4)];
    const offset = (u16(frame, begin + 6) & 0x1fff) * 8;
    const protocol = u8(frame, begin + 9);
    const end = Math.min(begin + total, frame.length);
    const head = this.options.verbose > 0 ? `${ipHeader(frame, begin, total)}\n    ` : "";
    if (offset > 0) return `${head}${source} > ${target}: ${protocolWord(protocol)}`;
    const inside = {
      frame,
      begin: begin + (u8(frame, begin) & 15) * 4,
      end,
      source,
      target,
      family: 4 as const,
      header: begin,
    };
    return head + this.#contents(protocol, inside);
  }

  /** An IPv6 packet (print-ip6.c). */
  ip6(frame: Uint8Array, begin: number): string {
    const length = u16(frame, begin + 4);
    const next = u8(frame, begin + 6);
    const name = nextHeader[next] ?? "unknown";
    const head =
      this.options.verbose > 0
        ? `(hlim ${u8(frame, begin + 7)}, next-header ${name} (${next}) payload length: ${length}) `
        : "";
    const [source, target] = [ipText(frame, begin + 8, 16), ipText(frame, begin + 24, 16)];
    const end = Math.min(begin + 40 + length, frame.length);
    const inside = { frame, begin: begin + 40, end, source, target, family: 6 as const, header: begin };
    return head + (next === 44 ? this.#fragment(inside) : this.#contents(next, inside));
  }

  /** IPv6 says by a header of its own which part of a packet this is. */
  #fragment(inside: Inside): string {
    const { frame, begin, source, target } = inside;
    const [field, next] = [u16(frame, begin + 2), u8(frame, begin)];
    const part = `frag (${this.options.verbose > 0 ? `0x${fragmentId(frame, begin)}:` : ""}${field & 0xfff8}|${inside.end - begin - 8})`;
    if ((field & 0xfff8) > 0) return `${source} > ${target}: ${part}`;
    const words = this.#contents(next, { ...inside, begin: begin + 8 });
    const ports = next === 6 || next === 17;
    if (ports)
      return `${source} > ${target}: ${part} ${words.replace(/^\S+ > \S+: /, (both) => both.replace(/\S*?(\.\d+) > \S*?(\.\d+): $/, "$1 > $2: ").replace(/(^| )\./g, "$1"))}`;
    return `${source} > ${target}: ${part} ${words.slice(`${source} > ${target}: `.length)}`;
  }

  #contents(protocol: number, inside: Inside): string {
    const addresses = `${inside.source} > ${inside.target}: `;
    switch (protocol) {
      case 6:
        return tcp(this, inside);
      case 17:
        return udp(this, inside);
      case 1:
        return `${addresses}${icmp(this, inside)}`;
      case 58:
        return `${addresses}${icmp6(this, inside)}`;
      default:
        return `${addresses} ${protocolWord(protocol)} ${inside.end - inside.begin}`;
    }
  }
}

const nextHeader: Readonly<Record<number, string>> = { 6: "TCP", 17: "UDP", 44: "Fragment", 58: "ICMPv6", 132: "SCTP" };

function fragmentId(frame: Uint8Array, begin: number): string {
  return ((u16(frame, begin + 4) << 16) | u16(frame, begin + 6)).toString(16).padStart(8, "0");
}

function protocolWord(protocol: number): string {
  return { 1: "ip-proto-1", 6: "ip-proto-6", 17: "ip-proto-17" }[protocol] ?? `ip-proto-${protocol}`;
}

/** `(tos 0x0, ttl 63, id 4711, offset 0, flags [DF], proto ICMP (1), length 84)`. */
function ipHeader(frame: Uint8Array, begin: number, total: number): string {
  const field = u16(frame, begin + 6);
  const flags = [field & 0x2000 ? "+" : "", field & 0x4000 ? "DF" : ""].filter((flag) => flag !== "").join(", ");
  const protocol = u8(frame, begin + 9);
  const name = { 1: "ICMP", 6: "TCP", 17: "UDP", 132: "SCTP" }[protocol] ?? "unknown";
  const tos = u8(frame, begin + 1).toString(16);
  const words = [
    `tos 0x${tos}`,
    `ttl ${u8(frame, begin + 8)}`,
    `id ${u16(frame, begin + 4)}`,
    `offset ${(field & 0x1fff) * 8}`,
    `flags [${flags || "none"}]`,
    `proto ${name} (${protocol})`,
    `length ${total}`,
  ];
  return `(${words.join(", ")})`;
}
