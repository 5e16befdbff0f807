/** Owns ping, as iputils and BusyBox print it. */
import { formatIp, type Ip, tryParseIp } from "../../../net/address";
import type { EchoResult, EchoSocket } from "../../../net/socket";
import { millisecond, second, type Time } from "../../../sim/clock";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { isBusybox } from "../ip/words";
import { findHost, nameOf } from "../names";
import { type Asked, readPing } from "./pingarguments";
import { busyboxWords, iputilsWords, type Summary, type Words } from "./pingwords";

/** Without `-c` a terminal's ping goes on for ever; so many go to a place that nobody can interrupt. */
const untold = 1_000;
/** How long the last answer is waited for when none has come yet. */
const linger = 10 * second;

export const ping: Tool = async (call) => {
  const busybox = isBusybox(call);
  const asked = readPing(call, busybox);
  const found = await findHost(call, asked.host, asked.family);
  if (found === "stopped") return 130;
  if ("problem" in found) {
    if (busybox) throw new Failed(`ping: bad address '${asked.host}'`, 1);
    throw new Failed(`ping: ${asked.host}: ${found.problem}`, 2);
  }
  const words = busybox ? busyboxWords : iputilsWords;
  const device = asked.device ?? found.device;
  return new Ping(call, { ...asked, ...(device === undefined ? {} : { device }) }, found.ip, words).run();
};

/** One run: requests go out by the interval, answers are told as they come. */
class Ping {
  readonly #call: Call;
  readonly #asked: Asked;
  readonly #ip: Ip;
  readonly #words: Words;
  readonly #answers: EchoResult[] = [];
  readonly #times: number[] = [];
  readonly #answered = new Set<number>();
  #sent = 0;
  #errors = 0;
  #pipe = 0;
  #begin: Time = 0;
  #last: Time = 0;
  #wakeUp: () => void = () => {};
  #name: string | undefined;

  constructor(call: Call, asked: Asked, ip: Ip, words: Words) {
    this.#call = call;
    this.#asked = asked;
    this.#ip = ip;
    this.#words = words;
  }

  async run(): Promise<number> {
    const { call, source } = { call: this.#call, source: this.#source() };
    const refused = this.#refusal();
    if (refused !== undefined) {
      if (this.#words === busyboxWords) call.out(this.#words.head(this.#asked, formatIp(this.#ip), undefined));
      throw new Failed(this.#words.refused(refused), this.#words === busyboxWords ? 1 : 2);
    }
    const shown = this.#asked.device === undefined && this.#asked.source === undefined ? undefined : source;
    call.out(this.#words.head(this.#asked, formatIp(this.#ip), shown === undefined ? undefined : formatIp(shown)));
    // A name that was given is looked up backwards for the answers (getnameinfo), as long as -n does not forbid it.
    const named = tryParseIp(this.#asked.host.split("%")[0] ?? "") === undefined && !this.#asked.numeric;
    if (named && this.#words === iputilsWords) this.#name = await nameOf(call, this.#ip);
    const { clock } = call.cluster.sim;
    this.#begin = clock.now;
    this.#last = clock.now;
    const bound = {
      ...(this.#asked.source === undefined ? {} : { sourceIp: this.#asked.source }),
      ...(this.#asked.device === undefined ? {} : { device: this.#asked.device }),
    };
    const socket = call.place.netns.sockets.openEcho(
      this.#ip,
      (result) => {
        this.#answers.push(result);
        this.#wakeUp();
      },
      bound,
    );
    const problem = await this.#sendAll(socket);
    socket.close();
    if (problem !== undefined) throw new Failed(problem, this.#words === busyboxWords ? 1 : 2);
    call.out(this.#words.summary(this.#asked, this.#summary()));
    const enough = this.#asked.deadline !== undefined && this.#asked.count !== undefined ? this.#asked.count : 1;
    return this.#times.length >= enough ? 0 : 1;
  }

  #source(): Ip | undefined {
    const { netns } = this.#call.place;
    const { source, device } = this.#asked;
    if (source !== undefined) return source;
    const found = device === undefined ? undefined : netns.devices.get(device);
    return found ? netns.sourceOn(found, this.#ip) : netns.sourceFor(this.#ip);
  }

  /** Why the kernel would not even try (connect(2) on the socket). */
  #refusal(): string | undefined {
    const { netns } = this.#call.place;
    const { device } = this.#asked;
    const route = device === undefined ? netns.routes.lookup(this.#ip) : netns.routes.lookupBy(device, this.#ip);
    switch (route?.route.type) {
      case "blackhole":
        return "Invalid argument";
      case "unreachable":
        return "No route to host";
      case "prohibit":
        return "Permission denied";
    }
    if (route || device !== undefined) return undefined;
    return "Network is unreachable";
  }

  async #sendAll(socket: EchoSocket): Promise<string | undefined> {
    const { process, cluster } = this.#call;
    const { clock } = cluster.sim;
    const { interval, deadline } = this.#asked;
    const count = this.#asked.count ?? untold;
    const limit = deadline === undefined ? undefined : this.#begin + deadline;
    let next = clock.now;
    while (!process.stopped) {
      const { now } = clock;
      if (limit !== undefined && now >= limit) break;
      if (this.#sent < count && now >= next) {
        if (this.#asked.tellMissing && this.#sent > 0 && !this.#answered.has(this.#sent)) {
          this.#call.out(`no answer yet for icmp_seq=${this.#sent}\n`);
        }
        const { size, ttl, pathMtu } = this.#asked;
        this.#last = now;
        if (!socket.send(++this.#sent, { size, ...(ttl === undefined ? {} : { ttl }), pathMtu })) {
          return this.#words.refused("Network is unreachable");
        }
        next = now + interval;
      }
      if (this.#tell() && this.#sent >= count && this.#answered.size >= count) break;
      const until = this.#sent < count ? next : this.#last + this.#patience();
      if (this.#sent >= count && clock.now >= until) break;
      const end = limit === undefined ? until : Math.min(until, limit);
      await process.pause(
        (wake) => {
          this.#wakeUp = wake;
          if (this.#answers.length > 0) wake();
          return undefined;
        },
        Math.max(0, end - clock.now),
        "foreground",
      );
      this.#tell();
      if (this.#sent >= count && this.#answered.size >= count) break;
    }
    return undefined;
  }

  /** How long the last one is waited for: twice the slowest answer, or long if there was none. */
  #patience(): Time {
    const slowest = Math.max(0, ...this.#times) * millisecond;
    if (this.#times.length === 0) return this.#asked.wait ?? linger;
    return Math.max(2 * slowest, this.#asked.interval, this.#words === busyboxWords ? (this.#asked.wait ?? linger) : 0);
  }

  #tell(): boolean {
    for (let got = this.#answers.shift(); got; got = this.#answers.shift()) {
      this.#last = this.#call.cluster.sim.clock.now;
      this.#pipe = Math.max(this.#pipe, this.#sent - got.sequence + 1);
      this.#answered.add(got.sequence);
      if (got.result === "error") {
        this.#errors++;
        if (!this.#asked.quiet) this.#report(this.#words.error(got));
        continue;
      }
      const time = got.time / millisecond;
      this.#times.push(time);
      const from = this.#name === undefined ? formatIp(got.from) : `${this.#name} (${formatIp(got.from)})`;
      if (!this.#asked.quiet) this.#call.out(this.#words.reply(this.#asked, from, got));
    }
    return true;
  }

  #report({ out, err }: { readonly out?: string; readonly err?: string }): void {
    if (out !== undefined) this.#call.out(out);
    if (err !== undefined) this.#call.err(err);
  }

  #summary(): Summary {
    const took = Math.round((this.#last - this.#begin) / millisecond);
    return { sent: this.#sent, times: this.#times, errors: this.#errors, pipe: this.#pipe, took };
  }
}
