/** Owns the options of ping, of iputils and of BusyBox. */
import { type Ip, tryParseIp } from "../../../net/address";
import { second, type Time } from "../../../sim/clock";
import { type Call, Failed } from "../../shell/tool";
import { readFlags } from "../flags";

export interface Asked {
  readonly host: string;
  readonly family: "IPv4" | "IPv6" | undefined;
  readonly count: number | undefined;
  readonly interval: Time;
  /** How long the last answer is waited for (`-W`). */
  readonly wait: Time | undefined;
  /** When all ends (`-w`). */
  readonly deadline: Time | undefined;
  /** Octets of data in each request. */
  readonly size: number;
  readonly ttl: number | undefined;
  /** What becomes of requests that are longer than the way allows (`-M`). */
  readonly pathMtu: "want" | "do" | "dont";
  readonly device: string | undefined;
  readonly source: Ip | undefined;
  readonly numeric: boolean;
  readonly quiet: boolean;
  /** `-O`: say what has not been answered when the next goes out. */
  readonly tellMissing: boolean;
}

const usage = `
Usage
  ping [options] <destination>

Options:
  <destination>      dns name or ip address
  -c <count>         stop after <count> replies
  -D                 print timestamps
  -h                 print help and exit
  -I <interface>     either interface name or address
  -i <interval>      seconds between sending each packet
  -M <pmtud opt>     define mtu discovery, can be one of <do|dont|want>
  -n                 no dns name resolution
  -O                 report outstanding replies
  -q                 quiet output
  -s <size>          use <size> as number of data bytes to be sent
  -t <ttl>           define time to live
  -V                 print version and exit
  -w <deadline>      reply wait <deadline> in seconds
  -W <timeout>       time to wait for response

IPv4 options:
  -4                 use IPv4

IPv6 options:
  -6                 use IPv6

For more details see ping(8).`;

const busyboxUsage = `BusyBox v1.37.0 () multi-call binary.

Usage: ping [OPTIONS] HOST

Send ICMP ECHO_REQUESTs to HOST

	-4,-6		Force IP or IPv6 name resolution
	-c CNT		Send only CNT pings
	-s SIZE		Send SIZE data bytes in packets (default 56)
	-i SECS		Interval
	-A		Ping as soon as reply is received
	-t TTL		Set TTL
	-I IFACE/IP	Source interface or IP address
	-W SEC		Seconds to wait for the first response (default 10)
			(after all -c CNT packets are sent)
	-w SEC		Seconds until ping exits (default:infinite)
			(can exit earlier with -c CNT)
	-q		Quiet, only display output at start/finish
	-p HEXBYTE	Payload pattern`;

/** @throws Failed in the tool's words */
export function readPing(call: Call, busybox: boolean): Asked {
  const flags = readFlags(call.args, {
    tool: "ping",
    letters: busybox ? "46c:s:i:At:I:W:w:qnp:v" : "46aAbBc:CdDe:fF:hI:i:Ll:m:M:nN:Op:qQ:rRs:S:t:T:UvVw:W:",
    usage: busybox ? busyboxUsage : usage,
    exitCode: busybox ? 1 : 2,
  });
  const [host] = flags.words;
  if (host === undefined) {
    throw busybox ? new Failed(busyboxUsage, 1) : new Failed("ping: usage error: Destination address required", 1);
  }
  const number = (letter: string, low: number, high: number): number | undefined => {
    const text = flags.given.get(letter);
    if (text === undefined) return undefined;
    if (!/^-?\d+(\.\d+)?$/.test(text))
      throw new Failed(busybox ? `ping: invalid number '${text}'` : `ping: invalid argument: '${text}'`, 1);
    const value = Number(text);
    if (value < low || value > high) {
      const bounds = high === Number.MAX_SAFE_INTEGER ? "9223372036854775807" : String(high);
      throw new Failed(`ping: invalid argument: '${text}': out of range: ${low} <= value <= ${bounds}`, 1);
    }
    return value;
  };
  const seconds = (letter: string, low: number): Time | undefined => {
    const value = number(letter, low, 2_147_483);
    return value === undefined ? undefined : Math.round(value * second);
  };
  const through = flags.given.get("I");
  const source = through === undefined ? undefined : tryParseIp(through);
  if (through !== undefined && source === undefined && !call.place.netns.devices.has(through)) {
    throw busybox
      ? new Failed(`ping: can't bind to interface ${through}: No such device`, 1)
      : new Failed(`ping: SO_BINDTODEVICE ${through}: No such device`, 2);
  }
  if (source !== undefined && !call.place.netns.routes.isLocal(source)) {
    throw new Failed("ping: bind: Cannot assign requested address", busybox ? 1 : 2);
  }
  const discovery = flags.given.get("M") ?? "want";
  if (discovery !== "want" && discovery !== "do" && discovery !== "dont") {
    throw new Failed(`ping: invalid -M argument: ${discovery}`, 2);
  }
  return {
    host,
    family: flags.has("6") ? "IPv6" : flags.has("4") ? "IPv4" : undefined,
    count: number("c", 1, Number.MAX_SAFE_INTEGER),
    interval: seconds("i", 0) ?? second,
    wait: seconds("W", 0),
    deadline: seconds("w", 0),
    size: number("s", 0, 127_992) ?? 56,
    ttl: number("t", 0, 255),
    pathMtu: discovery,
    device: through !== undefined && source === undefined ? through : undefined,
    source,
    numeric: flags.has("n"),
    quiet: flags.has("q"),
    tellMissing: flags.has("O"),
  };
}
