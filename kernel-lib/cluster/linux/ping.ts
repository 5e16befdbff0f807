/** Owns ping, as iputils and BusyBox print it. */
import { formatIp, parseIp } from "../../net/address";
import type { EchoResult } from "../../net/socket";
import { millisecond, second } from "../../sim/clock";
import { Failed, type Tool } from "../shell/tool";
import { lookUp } from "./http";

/** Without `-c` a terminal's ping goes on for ever; so many go to a place that nobody can interrupt. */
const untold = 1_000;

export const ping: Tool = async (call) => {
  const args = [...call.args];
  let count = untold;
  let wait = 10 * second;
  let interval = second;
  let size = 56;
  let host: string | undefined;
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    const [, letter, value] = /^-([a-zA-Z])(.*)$/.exec(arg) ?? [];
    if (letter === undefined) host = arg;
    else if ("cWwis".includes(letter)) {
      const number = Number(value || args.shift());
      if (!Number.isFinite(number)) throw new Failed(`ping: invalid argument: '${value}'`, 1);
      if (letter === "c") count = number;
      else if (letter === "W" || letter === "w") wait = number * second;
      else if (letter === "i") interval = number * second;
      else size = number;
    }
  }
  if (host === undefined) throw new Failed("ping: usage error: Destination address required", 2);
  const found = await lookUp(call, host);
  if (found === "stopped") return 130;
  if (found === "timeout" || "problem" in found)
    throw new Failed(
      `ping: ${host}: ${found === "timeout" ? "Temporary failure in name resolution" : found.problem}`,
      2,
    );
  const { clock } = call.cluster.sim;
  const begin = clock.now;
  const times: number[] = [];
  let errors = 0;
  let sent = 0;
  call.out(`PING ${host} (${found.ip}) ${size}(${size + 28}) bytes of data.\n`);
  let answer: EchoResult | undefined;
  let wakeUp: () => void = () => {};
  const socket = call.place.netns.sockets.openEcho(parseIp(found.ip), (result) => {
    answer = result;
    wakeUp();
  });
  for (let sequence = 1; sequence <= count && !call.process.stopped; sequence++) {
    const at = clock.now;
    answer = undefined;
    sent++;
    if (!socket.send(sequence, { size })) {
      call.err("ping: connect: Network is unreachable\n");
      socket.close();
      return 2;
    }
    const last = sequence === count;
    await call.process.pause(
      (wake) => {
        wakeUp = wake;
        return undefined;
      },
      last ? wait : interval,
      "foreground",
    );
    const got = answer as EchoResult | undefined;
    if (got?.result === "reply") {
      times.push(got.time / millisecond);
      call.out(
        `${size + 8} bytes from ${formatIp(got.from)}: icmp_seq=${got.sequence} ttl=${got.ttl} time=${shown(got.time / millisecond)} ms\n`,
      );
    } else if (got) {
      errors++;
      call.out(`From ${formatIp(got.from)} icmp_seq=${got.sequence} ${got.error}\n`);
    }
    const rest = interval - (clock.now - at);
    if (!last && rest > 0 && !(await call.process.sleep(rest, "foreground"))) break;
  }
  socket.close();
  const lost = sent === 0 ? 0 : Math.round((100 * (sent - times.length)) / sent);
  const took = Math.round((clock.now - begin) / millisecond);
  call.out(`\n--- ${host} ping statistics ---\n`);
  call.out(
    `${sent} packets transmitted, ${times.length} received, ${errors > 0 ? `+${errors} errors, ` : ""}${lost}% packet loss, time ${took}ms\n`,
  );
  if (times.length > 0)
    call.out(
      `rtt min/avg/max/mdev = ${statistics(times)
        .map((value) => value.toFixed(3))
        .join("/")} ms\n`,
    );
  return times.length > 0 ? 0 : 1;
};

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
