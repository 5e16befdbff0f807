/** Owns tracepath: the way and its MTU, found with datagrams that must not be cut up (iputils). */
import { formatIp } from "../../../net/address";
import { millisecond, second } from "../../../sim/clock";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { readFlags } from "../flags";
import { findHost, nameOf } from "../names";
import { type Answer, type Probe, Prober } from "./prober";

/** Each hop is asked so often before it is given up, and so long waited for. */
const tries = 3;
const wait = second;
const firstPort = 44_444;
const hostColumn = 52;

const usage = `
Usage
  tracepath [options] <destination>

Options:
  -4             use IPv4
  -6             use IPv6
  -b             print both name and ip
  -l <length>    use packet <length>
  -m <hops>      use maximum <hops>
  -n             no dns name resolution
  -p <port>      use destination <port>
  -V             print version and exit
  <destination>  dns name or ip address

For more details see tracepath(8).`;

export const tracepath: Tool = async (call) => {
  const flags = readFlags(call.args, { tool: "tracepath", letters: "46bhl:m:np:V", usage, exitCode: 1 });
  const [host] = flags.words;
  if (host === undefined) throw new Failed(usage, 1);
  const family = flags.has("6") ? "IPv6" : flags.has("4") ? "IPv4" : undefined;
  const found = await findHost(call, host, family);
  if (found === "stopped") return 130;
  if ("problem" in found) throw new Failed(`tracepath: ${host}: ${found.problem}`, 1);
  const hops = Number(flags.given.get("m") ?? 30);
  const walk = new Walk(call, new Prober(call, found.ip, { icmp: false, pathMtu: "do" }), flags.has("n"));
  walk.mtu = Number(flags.given.get("l") ?? (typeof found.ip === "number" ? 65_535 : 128_000));
  return walk.run(hops, Number(flags.given.get("p") ?? firstPort));
};

class Walk {
  mtu = 65_535;
  readonly #call: Call;
  readonly #prober: Prober;
  readonly #numeric: boolean;
  #back = 0;

  constructor(call: Call, prober: Prober, numeric: boolean) {
    this.#call = call;
    this.#prober = prober;
    this.#numeric = numeric;
  }

  async run(hops: number, port: number): Promise<number> {
    const { call } = this;
    let at = port;
    let repeated = false;
    for (let ttl = 1; ttl <= hops; ttl++) {
      let answer: Answer | undefined;
      for (let attempt = 0; attempt < tries; attempt++) {
        const mtu = this.mtu;
        const probe = await this.#probe(ttl, at++);
        if (probe === "stopped") return 130;
        if (typeof probe === "string") {
          call.out(`${String(ttl).padStart(2)}?: send failed\n`);
          return this.#resume(hops, true);
        }
        answer = probe.answer;
        if (answer?.type === "fragmentation-needed" || answer?.type === "packet-too-big") {
          this.mtu = answer.mtu ?? 576;
          call.out(await this.#narrower(ttl, answer, probe));
          if (this.mtu < mtu) attempt = -1;
          answer = undefined;
          continue;
        }
        if (answer) {
          call.out(await this.#line(ttl, answer, probe));
          break;
        }
      }
      if (!answer) call.out(`${String(ttl).padStart(2)}:  no reply\n`);
      else if (answer.final) return this.#resume(ttl, false);
      // The first hop is asked once more when the MTU is known: so tracepath prints it twice.
      if (ttl === 1 && answer && !repeated) {
        repeated = true;
        ttl--;
      }
    }
    call.out(`     Too many hops: pmtu ${this.mtu}\n`);
    return this.#resume(hops, true);
  }

  get call(): Call {
    return this.#call;
  }

  async #probe(ttl: number, port: number): Promise<Probe | "stopped" | "failed"> {
    const probes: Probe[] = [];
    const { clock } = this.#call.cluster.sim;
    const problem = this.#prober.send(probes, { ttl, port, size: this.mtu - this.#prober.headerSize });
    const [probe] = probes;
    if (problem !== undefined || !probe) return "failed";
    while (!probe.answer && clock.now < probe.at + wait) {
      if ((await this.#prober.wait(probe.at + wait - clock.now)) === "stopped") return "stopped";
    }
    return probe;
  }

  /** Somebody says that it is too long: this machine itself, or a router on the way. */
  async #narrower(ttl: number, answer: Answer, probe: Probe): Promise<string> {
    const own = this.#call.place.netns.routes.isLocal(answer.from);
    const head = `${String(ttl).padStart(2)}?: `;
    if (own) return `${head}${"[LOCALHOST]".padEnd(33)}pmtu ${this.mtu}\n`;
    return `${String(ttl).padStart(2)}:  ${(await this.#name(answer)).padEnd(hostColumn)}${time(answer, probe)} pmtu ${this.mtu}\n`;
  }

  async #line(ttl: number, answer: Answer, probe: Probe): Promise<string> {
    const hops = backHops(answer.ttl);
    if (hops !== undefined) this.#back = hops;
    const asymmetric = hops !== undefined && hops !== ttl && !answer.final ? `asymm ${String(hops).padStart(2)} ` : "";
    const end = answer.final ? "reached" : asymmetric;
    return `${String(ttl).padStart(2)}:  ${(await this.#name(answer)).padEnd(hostColumn)}${time(answer, probe)}${end}\n`;
  }

  async #name({ from }: Answer): Promise<string> {
    if (this.#numeric) return formatIp(from);
    return (await nameOf(this.#call, from)) ?? "???";
  }

  #resume(hops: number, failed: boolean): number {
    this.#prober.close();
    const reached = failed ? "" : `hops ${hops} ${this.#back > 0 ? `back ${this.#back} ` : ""}`;
    this.#call.out(`     Resume: pmtu ${this.mtu} ${reached}\n`);
    return 0;
  }
}

function time({ at }: Answer, probe: Probe): string {
  const micros = at - probe.at;
  const thousandths = String(Math.round(micros % millisecond)).padStart(3, "0");
  return `${String(Math.floor(micros / millisecond)).padStart(3)}.${thousandths}ms `;
}

/** How many hops the answer came: what it lost of the 64, 128 or 255 that it was sent with. */
function backHops(ttl: number | undefined): number | undefined {
  if (ttl === undefined) return undefined;
  return (ttl <= 64 ? 65 : ttl <= 128 ? 129 : 256) - ttl;
}
