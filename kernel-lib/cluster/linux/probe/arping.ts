/** Owns arping (iputils): asking by ARP who has an address, and how often one answers. */
import { broadcastMac, formatIp, type Ip, type Mac, tryParseIp, zeroMac } from "../../../net/address";
import type { Device } from "../../../net/device";
import { millisecond, second, type Time } from "../../../sim/clock";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { type Flags, readFlags } from "../flags";
import { findHost } from "../names";

const usage = `
Usage:
  arping [options] <destination>

Options:
  -f            quit on first reply
  -q            be quiet
  -b            keep on broadcasting, do not unicast
  -D            duplicate address detection mode
  -U            unsolicited ARP mode, update your neighbours
  -A            ARP answer mode, update your neighbours
  -V            print version and exit
  -c <count>    how many packets to send
  -w <timeout>  how long to wait for a reply
  -i <interval> set interval between packets (default: 1 second)
  -I <device>   which ethernet device to use
  -s <source>   source ip address
  <destination> dns name or ip address

For more details see arping(8).`;

/** Nobody can press Ctrl-C in a notebook's cell. */
const untold = 100;

export const arping: Tool = async (call) => {
  const flags = readFlags(call.args, { tool: "arping", letters: "fqbDUAVc:w:i:I:s:h", usage, exitCode: 2 });
  const [host] = flags.words;
  if (host === undefined) throw new Failed(usage, 2);
  const { netns } = call.place;
  const name = flags.given.get("I");
  const found = await findHost(call, host, "IPv4");
  if (found === "stopped") return 130;
  if ("problem" in found) throw new Failed(`arping: ${host}: ${found.problem}`, 2);
  const device = name === undefined ? deviceTowards(call, found.ip) : netns.devices.get(name);
  if (!device) throw new Failed(`arping: Device ${name ?? ""} not available.`, 2);
  if (!device.up) throw new Failed(`arping: Interface "${device.name}" is down`, 2);
  if (device.link.type === "loopback") throw new Failed(`arping: Interface "${device.name}" is not ARPable`, 2);
  return new Arping(call, flags, found.ip, device).run();
};

/** Without `-I` the device by which the address would be reached. */
function deviceTowards(call: Call, ip: Ip): Device | undefined {
  const route = call.place.netns.routes.lookup(ip);
  return route && call.place.netns.devices.get(route.device);
}

class Arping {
  readonly #call: Call;
  readonly #flags: Flags;
  readonly #ip: Ip;
  readonly #device: Device;
  readonly #source: Ip;
  #to: Mac = broadcastMac;
  #sent = 0;
  #broadcasts = 0;
  #received = 0;
  #at: Time = 0;

  constructor(call: Call, flags: Flags, ip: Ip, device: Device) {
    this.#call = call;
    this.#flags = flags;
    this.#ip = ip;
    this.#device = device;
    const given = flags.given.get("s");
    const own = flags.has("U") || flags.has("A") ? ip : call.place.netns.sourceOn(device, ip);
    this.#source = given === undefined ? (flags.has("D") ? 0 : (own ?? 0)) : (tryParseIp(given) ?? 0);
  }

  async run(): Promise<number> {
    const { process, cluster } = this.#call;
    const { clock } = cluster.sim;
    const count = Number(this.#flags.given.get("c") ?? untold);
    const interval = Math.round(Number(this.#flags.given.get("i") ?? 1) * second);
    const limit = this.#flags.given.get("w");
    const end = limit === undefined ? Number.POSITIVE_INFINITY : clock.now + Number(limit) * second;
    const quits = this.#flags.has("f") || this.#flags.has("D");
    if (!this.#flags.has("q")) {
      this.#call.out(`ARPING ${formatIp(this.#ip)} from ${formatIp(this.#source)} ${this.#device.name}\n`);
    }
    let wakeUp: () => void = () => {};
    const lines: string[] = [];
    const tap = this.#device.tap((frame, direction) => {
      if (direction !== "in" || frame.type !== "arp" || frame.arp.operation !== "reply") return;
      if (frame.arp.senderIp !== this.#ip || frame.target !== this.#device.mac) return;
      const took = ((clock.now - this.#at) / millisecond).toFixed(3);
      const mac = frame.arp.senderMac.toUpperCase();
      lines.push(`Unicast reply from ${formatIp(this.#ip)} [${mac}]  ${took}ms\n`);
      this.#received++;
      // Once somebody has answered only that one is asked.
      if (!this.#flags.has("b")) this.#to = frame.arp.senderMac;
      wakeUp();
    });
    while (this.#sent < count && !process.stopped && clock.now < end && !(quits && this.#received > 0)) {
      this.#ask();
      const next = Math.min(end, this.#at + interval);
      while (clock.now < next && !process.stopped) {
        await process.pause(
          (wake) => {
            wakeUp = wake;
            return undefined;
          },
          next - clock.now,
          "foreground",
        );
        if (!this.#flags.has("q")) this.#call.out(lines.splice(0).join(""));
        if (this.#received > 0 && (quits || this.#sent >= count)) break;
      }
    }
    tap.stop();
    return this.#summary();
  }

  #ask(): void {
    const answer = this.#flags.has("A");
    this.#at = this.#call.cluster.sim.clock.now;
    this.#sent++;
    if (this.#to === broadcastMac) this.#broadcasts++;
    this.#device.transmit({
      type: "arp",
      source: this.#device.mac,
      target: this.#to,
      arp: {
        operation: answer ? "reply" : "request",
        senderIp: this.#source,
        senderMac: this.#device.mac,
        targetIp: this.#ip,
        targetMac: answer ? this.#device.mac : this.#to === broadcastMac ? zeroMac : this.#to,
      },
    });
  }

  #summary(): number {
    if (!this.#flags.has("q")) {
      this.#call.out(
        `Sent ${this.#sent} probes (${this.#broadcasts} broadcast(s))\nReceived ${this.#received} response(s)\n`,
      );
    }
    if (this.#flags.has("D")) return this.#received > 0 ? 1 : 0;
    if (this.#flags.has("U") || this.#flags.has("A")) return 0;
    return this.#received > 0 ? 0 : 1;
  }
}
