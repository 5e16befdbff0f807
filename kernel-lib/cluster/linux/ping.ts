/** Owns ping, as iputils and BusyBox print it. */
import { formatIp, parseIp } from "../../net/address";
import type { EchoResult } from "../../net/socket";
import { millisecond, second, type Time } from "../../sim/clock";
import { type Call, Failed, type Tool } from "../shell/tool";
import { lookUp } from "./http";

/** Without `-c` a terminal's ping goes on for ever; so many go to a place that nobody can interrupt. */
const untold = 1_000;

interface Asked {
  readonly host: string;
  readonly count: number;
  /** How long the last answer is waited for. */
  readonly wait: Time;
  readonly interval: Time;
  /** Octets of data in each request. */
  readonly size: number;
}

function readArguments(given: readonly string[]): Asked {
  const args = [...given];
  let host: string | undefined;
  const asked = { count: untold, wait: 10 * second, interval: second, size: 56 };
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    const [, letter, value] = /^-([a-zA-Z])(.*)$/.exec(arg) ?? [];
    if (letter === undefined) host = arg;
    else if ("cWwis".includes(letter)) {
      const text = value || args.shift();
      const number = Number(text);
      if (text === undefined || !Number.isFinite(number)) throw new Failed(`ping: invalid argument: '${text ?? ""}'`);
      if (letter === "c") asked.count = number;
      else if (letter === "W" || letter === "w") asked.wait = number * second;
      else if (letter === "i") asked.interval = number * second;
      else asked.size = number;
    }
  }
  if (host === undefined) throw new Failed("ping: usage error: Destination address required", 2);
  return { ...asked, host };
}

export const ping: Tool = async (call) => {
  const asked = readArguments(call.args);
  const found = await lookUp(call, asked.host);
  if (found === "stopped") return 130;
  if (found === "timeout" || "problem" in found) {
    const problem = found === "timeout" ? "Temporary failure in name resolution" : found.problem;
    throw new Failed(`ping: ${asked.host}: ${problem}`, 2);
  }
  const { clock } = call.cluster.sim;
  const begin = clock.now;
  call.out(`PING ${asked.host} (${found.ip}) ${asked.size}(${asked.size + 28}) bytes of data.\n`);
  const sent = await sendAll(call, found.ip, asked);
  if (!sent) return 2;
  const { requests, times, errors } = sent;
  const lost = requests === 0 ? 0 : Math.round((100 * (requests - times.length)) / requests);
  const took = Math.round((clock.now - begin) / millisecond);
  const failures = errors > 0 ? `+${errors} errors, ` : "";
  call.out(`\n--- ${asked.host} ping statistics ---\n`);
  call.out(
    `${requests} packets transmitted, ${times.length} received, ${failures}${lost}% packet loss, time ${took}ms\n`,
  );
  if (times.length > 0) {
    const figures = statistics(times).map((value) => value.toFixed(3));
    call.out(`rtt min/avg/max/mdev = ${figures.join("/")} ms\n`);
  }
  return times.length > 0 ? 0 : 1;
};

interface Sent {
  readonly requests: number;
  /** Milliseconds, of those that were answered. */
  readonly times: readonly number[];
  readonly errors: number;
}

/** Sends one request after another, and tells each answer; undefined if there is no route. */
async function sendAll(call: Call, ip: string, { count, wait, interval, size }: Asked): Promise<Sent | undefined> {
  const { clock } = call.cluster.sim;
  const times: number[] = [];
  const answers: EchoResult[] = [];
  let errors = 0;
  let requests = 0;
  let wakeUp: () => void = () => {};
  const socket = call.place.netns.sockets.openEcho(parseIp(ip), (result) => {
    answers.push(result);
    wakeUp();
  });
  while (requests < count && !call.process.stopped) {
    const at = clock.now;
    if (!socket.send(++requests, { size })) {
      call.err("ping: connect: Network is unreachable\n");
      socket.close();
      return undefined;
    }
    const last = requests === count;
    const arm = (wake: () => void): undefined => {
      wakeUp = wake;
      return undefined;
    };
    await call.process.pause(arm, last ? wait : interval, "foreground");
    for (let got = answers.shift(); got; got = answers.shift()) {
      const from = formatIp(got.from);
      if (got.result === "error") {
        errors++;
        call.out(`From ${from} icmp_seq=${got.sequence} ${got.error}\n`);
        continue;
      }
      const time = got.time / millisecond;
      times.push(time);
      call.out(`${size + 8} bytes from ${from}: icmp_seq=${got.sequence} ttl=${got.ttl} time=${shown(time)} ms\n`);
    }
    const rest = interval - (clock.now - at);
    if (!last && rest > 0 && !(await call.process.sleep(rest, "foreground"))) break;
  }
  socket.close();
  return { requests, times, errors };
}

function shown(milliseconds: number): string {
  return milliseconds < 1
    ? milliseconds.toFixed(3)
    : milliseconds < 10
      ? milliseconds.toFixed(2)
      : milliseconds.toFixed(1);
}

function statistics(times: readonly number[]): readonly number[] {
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const deviation = Math.sqrt(times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / times.length);
  return [Math.min(...times), mean, Math.max(...times), deviation];
}
