/** Owns tcpdump: what it is asked to watch, when it ends, and what it says before and after. */

import { rfc3339Micro } from "../../../api/time";
import { encodeMessage } from "../../../apps/dnswire";
import type { Device } from "../../../net/device";
import { frameBytes } from "../../../net/framebytes";
import type { Frame } from "../../../net/packet";
import { type CapturedFrame, pcapFile } from "../../../net/pcap";
import { second, type Time } from "../../../sim/clock";
import { resolvePath } from "../../shell/filesystem";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { type Flags, readFlags } from "../flags";
import { type Captured, octetsToText, readCapture, textToOctets } from "./capture";
import { compileFilter, FilterError } from "./filter";
import { hexDump } from "./hex";
import type { Filter } from "./layers";
import { macAt, u16 } from "./octets";
import { Printer } from "./print";
import { serviceName } from "./services";

const version = `tcpdump version 4.99.3
libpcap version 1.10.3 (with TPACKET_V3)
OpenSSL 3.0.17 1 Jul 2025`;
const usage = `${version}
Usage: tcpdump [-AbdDefhHIJKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [--count]
\t\t[ -C file_size ] [ -E algo:secret ] [ -F file ] [ -G seconds ]
\t\t[ -i interface ] [ --immediate-mode ] [ -j tstamptype ]
\t\t[ -M secret ] [ --number ] [ --print ] [ -Q in|out|inout ]
\t\t[ -r file ] [ -s snaplen ] [ -T type ] [ --version ]
\t\t[ -V file ] [ -w file ] [ -W filecount ] [ -y datalinktype ]
\t\t[ --time-stamp-precision precision ] [ --micro ] [ --nano ]
\t\t[ -z postrotate-command ] [ -Z user ] [ expression ]`;
const snapLength = 262_144;

const rules = {
  tool: "tcpdump",
  letters: "AbB:c:C:dDeE:fF:G:hHi:IJKlLnNOpqQ:r:s:StT:uUvV:w:W:xXy:z:Z:#",
  long: {
    interface: "i",
    count: "count",
    number: "#",
    print: "print",
    version: "version",
    "list-interfaces": "D",
    direction: "Q",
    "immediate-mode": "immediate",
    "snapshot-length": "s",
    "absolute-tcp-sequence-numbers": "S",
  },
  usage,
  stopAtWord: false,
};

export const tcpdump: Tool = async (call) => {
  const flags = readFlags(call.args, rules);
  if (flags.has("h") || flags.has("version")) {
    call.err(`${flags.has("h") ? usage : version}\n`);
    return 0;
  }
  if (flags.has("D")) return listDevices(call);
  const count = flags.given.get("c");
  if (count !== undefined && !/^[1-9]\d*$/.test(count)) throw new Failed(`tcpdump: invalid packet count ${count}`);
  const filter = filterOf(flags.words.join(" "));
  const file = flags.given.get("r");
  if (file !== undefined) return replay(call, flags, filter, file);
  if (call.place.user !== "root") {
    const [first = "eth0"] = flags.all("i");
    throw new Failed(
      `tcpdump: ${first}: You don't have permission to perform this capture on that device\n(socket: Operation not permitted)`,
    );
  }
  const devices = devicesOf(call, flags.given.get("i"));
  return new Capture(call, flags, filter, devices).run();
};

function filterOf(text: string): Filter {
  try {
    return compileFilter(text);
  } catch (error) {
    if (error instanceof FilterError) throw new Failed(`tcpdump: ${error.message}`);
    throw error;
  }
}

function listDevices(call: Call): number {
  const all = [...call.place.netns.devices.values()];
  const ordered = [...all.filter(({ name }) => name !== "lo"), undefined, ...all.filter(({ name }) => name === "lo")];
  for (const [at, device] of ordered.entries()) {
    const state = !device
      ? "any (Pseudo-device that captures on all interfaces) [Up, Running]"
      : `${device.name} [${device.up ? "Up, " : ""}${device.carrier ? "Running, " : ""}${device.name === "lo" ? "Loopback" : device.carrier ? "Connected" : "Disconnected"}]`;
    call.out(`${at + 1}.${state}\n`);
  }
  return 0;
}

function devicesOf(call: Call, name: string | undefined): readonly Device[] {
  const { devices } = call.place.netns;
  if (name === "any") return [...devices.values()];
  // Without -i the first device that is up, but lo.
  const found =
    name === undefined ? [...devices.values()].find((device) => device.up && device.name !== "lo") : devices.get(name);
  if (!found) throw new Failed(`tcpdump: ${name ?? ""}: No such device exists\n(No such device exists)`);
  if (!found.up) throw new Failed(`tcpdump: ${found.name}: That device is not up`);
  return [found];
}

/** One run of tcpdump on devices of a namespace. */
class Capture {
  readonly #call: Call;
  readonly #flags: Flags;
  readonly #filter: Filter;
  readonly #devices: readonly Device[];
  readonly #any: boolean;
  readonly #limit: number;
  readonly #lines: Lines;
  readonly #kept: CapturedFrame[] = [];
  #printed = 0;
  #received = 0;
  #captured = 0;
  readonly #waiting: Captured[] = [];

  constructor(call: Call, flags: Flags, filter: Filter, devices: readonly Device[]) {
    this.#call = call;
    this.#flags = flags;
    this.#filter = filter;
    this.#devices = devices;
    this.#any = flags.given.get("i") === "any";
    this.#limit = Number(flags.given.get("c") ?? Number.POSITIVE_INFINITY);
    this.#lines = new Lines(flags, this.#any);
  }

  async run(): Promise<number> {
    const { process, terminal, cluster } = this.#call;
    this.#greet();
    let wakeUp: () => void = () => {};
    const wanted = this.#flags.given.get("Q");
    const taps = this.#devices.map((device) =>
      device.tap((frame, direction, at) => {
        if (wanted !== undefined && wanted !== "inout" && wanted !== direction) return;
        if (this.#see(frame, device, direction, at)) wakeUp();
      }),
    );
    const begin = cluster.sim.clock.now;
    const patience = terminal?.patience;
    let impatient = false;
    while (this.#printed < this.#limit && !process.stopped) {
      const left = patience === undefined ? undefined : Math.max(0, begin + patience - cluster.sim.clock.now);
      const end = await process.pause((wake) => {
        wakeUp = wake;
        return undefined;
      }, left);
      this.#print();
      if (end === "timeout" && this.#waiting.length === 0) {
        impatient = true;
        break;
      }
    }
    for (const tap of taps) tap.stop();
    this.#print();
    this.#save();
    this.#summary(impatient);
    return impatient ? 130 : 0;
  }

  #greet(): void {
    const { err } = this.#call;
    const name = this.#any ? "any" : (this.#devices[0]?.name ?? "");
    const type = this.#any ? "LINUX_SLL2 (Linux cooked v2)" : "EN10MB (Ethernet)";
    const listening = `listening on ${name}, link-type ${type}, snapshot length ${this.#flags.given.get("s") ?? snapLength} bytes\n`;
    if (this.#any) err("tcpdump: data link type LINUX_SLL2\n");
    if (this.#flags.has("v") || this.#flags.has("w")) err(`tcpdump: ${listening}`);
    else err(`tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n${listening}`);
  }

  /** True: something is to be printed. */
  #see(frame: Frame, device: Device, direction: "in" | "out", at: Time): boolean {
    if (this.#captured >= this.#limit) return false;
    const bytes = frameBytes(frame, encodeMessage);
    if (!this.#filter(bytes)) return false;
    this.#received++;
    this.#captured++;
    const where = this.#any ? { device: device.name, direction, index: device.index } : {};
    this.#waiting.push({ at, bytes, ...where });
    if (this.#flags.has("w")) this.#kept.push({ at, frame });
    return true;
  }

  #print(): void {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      this.#printed++;
      if (!this.#flags.has("w") || this.#flags.has("print")) this.#call.out(this.#lines.text(next));
    }
  }

  #save(): void {
    const name = this.#flags.given.get("w");
    if (name === undefined) return;
    const text = octetsToText(
      pcapFile(this.#kept, { snapLength: Number(this.#flags.given.get("s") ?? snapLength), encode: encodeMessage }),
    );
    if (name === "-") this.#call.out(text);
    else this.#call.place.files.write(resolvePath(this.#call.folder, name), text);
  }

  #summary(impatient: boolean): void {
    const { err, process } = this.#call;
    if (impatient) {
      err(`^C (a minute has passed; to go on watching, start it in a second terminal: terminal("2").start)\n`);
    } else if (process.stopped) err("\n");
    const packets = (count: number): string => `${count} packet${count === 1 ? "" : "s"}`;
    err(
      `${packets(this.#captured)} captured\n${packets(this.#received)} received by filter\n0 packets dropped by kernel\n`,
    );
  }
}

function replay(call: Call, flags: Flags, filter: Filter, name: string): number {
  const text = call.place.files.read(resolvePath(call.folder, name));
  if (text === undefined) throw new Failed(`tcpdump: ${name}: No such file or directory`);
  const found = readCapture(textToOctets(text));
  if (!found) throw new Failed("tcpdump: unknown file format");
  call.err(`reading from file ${name}, link-type EN10MB (Ethernet), snapshot length ${snapLength}\n`);
  const lines = new Lines(flags, false);
  let left = Number(flags.given.get("c") ?? Number.POSITIVE_INFINITY);
  for (const each of found) {
    if (left <= 0) break;
    if (!filter(each.bytes)) continue;
    left--;
    call.out(lines.text(each));
  }
  return 0;
}

/** The lines of packets, with their times. */
export class Lines {
  readonly #flags: Flags;
  readonly #any: boolean;
  readonly #printer: Printer;
  #number = 0;
  #previous: Time | undefined;

  constructor(flags: Flags, any: boolean) {
    this.#flags = flags;
    this.#any = any;
    const numeric = flags.has("n");
    this.#printer = new Printer({
      ethernet: flags.has("e"),
      verbose: flags.count("v"),
      quiet: flags.has("q"),
      absolute: flags.has("S"),
      port: (port, protocol) => (numeric ? String(port) : serviceName(port, protocol)),
    });
  }

  text(packet: Captured): string {
    const number = this.#flags.has("#") ? `${String(++this.#number).padStart(5)}  ` : "";
    const body = this.#any ? this.#cooked(packet) : this.#printer.frame(packet.bytes);
    const dump = hexDump(packet.bytes, this.#flags);
    return `${number}${this.#time(packet.at)}${body}\n${dump}`;
  }

  /** `-i any`: the device and direction instead of Ethernet addresses. */
  #cooked({ bytes, device = "", direction, index = 0 }: Captured): string {
    const way =
      direction === "out" ? "Out" : macAt(bytes, 0) === "ff:ff:ff:ff:ff:ff" ? "B" : (bytes[0] ?? 0) & 1 ? "M" : "In";
    const type = u16(bytes, 12);
    const names: Readonly<Record<number, string>> = { 2048: "IPv4", 34525: "IPv6", 2054: "ARP" };
    const ethernet = this.#flags.has("e")
      ? `ifindex ${index} ${macAt(bytes, 6)} ethertype ${names[type] ?? "Unknown"} (0x${type.toString(16).padStart(4, "0")}), length ${bytes.length + 6}: `
      : "";
    return `${device.padEnd(5)} ${way.padEnd(3)} ${ethernet}${this.#printer.network(bytes, 14, type)}`;
  }

  #time(at: Time): string {
    const previous = this.#previous ?? at;
    this.#previous = at;
    switch (this.#flags.count("t")) {
      case 0:
        return `${rfc3339Micro(at).slice(11, 26)} `;
      case 1:
        return "";
      case 2:
        return `${(at / second).toFixed(6)} `;
      case 3: {
        const since = at - previous;
        return ` ${rfc3339Micro(since).slice(11, 26)} `;
      }
      default:
        return `${rfc3339Micro(at).slice(0, 10)} ${rfc3339Micro(at).slice(11, 26)} `;
    }
  }
}
