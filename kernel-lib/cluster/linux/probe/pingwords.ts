/** Owns what ping prints: iputils' words, and BusyBox'. */
import { formatIp } from "../../../net/address";
import { describeError } from "../../../net/icmp";
import type { EchoResult } from "../../../net/socket";
import { millisecond } from "../../../sim/clock";
import type { Asked } from "./pingarguments";

export interface Summary {
  readonly sent: number;
  /** Milliseconds, of those that were answered. */
  readonly times: readonly number[];
  readonly errors: number;
  /** How many were under way at once, at most. */
  readonly pipe: number;
  readonly took: number;
}

type Reply = Extract<EchoResult, { readonly result: "reply" }>;
type Problem = Extract<EchoResult, { readonly result: "error" }>;

/** One ping's way to say things. */
export interface Words {
  /** `source`: told where one was asked for. */
  head(asked: Asked, ip: string, source: string | undefined): string;
  reply(asked: Asked, from: string, reply: Reply): string;
  error(problem: Problem): { readonly out?: string; readonly err?: string };
  refused(why: string): string;
  summary(asked: Asked, summary: Summary): string;
}

export const iputilsWords: Words = {
  head({ host, size, device }, ip, source) {
    const from = source === undefined ? "" : ` from ${source} ${device ?? ""}:`;
    const name = host.split("%")[0] ?? host;
    if (ip.includes(":")) return `PING ${name}(${ip})${from} ${size} data bytes\n`;
    return `PING ${name} (${ip})${from} ${size}(${size + 28}) bytes of data.\n`;
  },
  reply({ size }, from, { sequence, ttl, time }) {
    const shown = shortened(time / millisecond);
    return `${size + 8} bytes from ${from}: icmp_seq=${sequence} ttl=${ttl} time=${shown} ms\n`;
  },
  error(problem) {
    if (problem.type === "message-too-long") {
      return { err: `ping: local error: message too long, mtu=${problem.mtu ?? 0}\n` };
    }
    return { out: `From ${formatIp(problem.from)} icmp_seq=${problem.sequence} ${errorText(problem)}\n` };
  },
  refused: (why) => `ping: connect: ${why}`,
  summary({ host }, { sent, times, errors, pipe, took }) {
    const lost = sent === 0 ? 0 : (100 * (sent - times.length)) / sent;
    const failures = errors > 0 ? `+${errors} errors, ` : "";
    const counts = `${sent} packets transmitted, ${times.length} received, ${failures}${general(lost)}% packet loss, time ${took}ms`;
    const rtt =
      times.length > 0
        ? `rtt min/avg/max/mdev = ${statistics(times)
            .map((each) => each.toFixed(3))
            .join("/")} ms`
        : "";
    const under = pipe > 1 ? `${rtt === "" ? "" : ", "}pipe ${pipe}` : "";
    return `\n--- ${host} ping statistics ---\n${counts}\n${rtt}${under}\n`;
  },
};

export const busyboxWords: Words = {
  head: ({ host, size }, ip, source) =>
    `PING ${host} (${ip})${source === undefined ? "" : ` from ${source}`}: ${size} data bytes\n`,
  reply: ({ size }, from, { sequence, ttl, time }) =>
    `${size + 8} bytes from ${from}: seq=${sequence - 1} ttl=${ttl} time=${(time / millisecond).toFixed(3)} ms\n`,
  // Without -v it says nothing of errors, but of what its own kernel refuses.
  error: (problem) => (problem.type === "message-too-long" ? { err: "ping: sendto: Message too long\n" } : {}),
  refused: (why) => `ping: sendto: ${why}`,
  summary({ host }, { sent, times }) {
    const lost = sent === 0 ? 0 : Math.floor((100 * (sent - times.length)) / sent);
    const [low, mean, high] = times.length > 0 ? statistics(times) : [0, 0, 0];
    const figures = [low, mean, high].map((each) => (each ?? 0).toFixed(3)).join("/");
    const rtt = times.length > 0 ? `round-trip min/avg/max = ${figures} ms\n` : "";
    return `\n--- ${host} ping statistics ---\n${sent} packets transmitted, ${times.length} packets received, ${lost}% packet loss\n${rtt}`;
  },
};

function errorText(problem: Problem): string {
  if (problem.type === "fragmentation-needed") return `Frag needed and DF set (mtu = ${problem.mtu ?? 0})`;
  if (problem.type === "packet-too-big") return `Packet too big: mtu=${problem.mtu ?? 0}`;
  if (problem.type === "message-too-long") return "message too long";
  const six = typeof problem.from === "bigint";
  if (!six) return describeError(problem.type);
  const words = {
    "net-unreachable": "Destination unreachable: No route",
    "host-unreachable": "Destination unreachable: Address unreachable",
    "port-unreachable": "Destination unreachable: Port unreachable",
    "admin-prohibited": "Destination unreachable: Administratively prohibited",
    "time-exceeded": "Time exceeded: Hop limit",
  } as const;
  return words[problem.type];
}

/** iputils shows three digits that count. */
function shortened(milliseconds: number): string {
  if (milliseconds >= 100) return milliseconds.toFixed(0);
  if (milliseconds >= 10) return milliseconds.toFixed(1);
  return milliseconds >= 1 ? milliseconds.toFixed(2) : milliseconds.toFixed(3);
}

/** C's `%g`. */
function general(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function statistics(times: readonly number[]): readonly number[] {
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const deviation = Math.sqrt(times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length);
  return [Math.min(...times), mean, Math.max(...times), deviation];
}
