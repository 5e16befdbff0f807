/** Owns probes of a way: datagrams or echo requests with a given time to live, and what comes back for each. */
import type { Ip } from "../../../net/address";
import type { IcmpError } from "../../../net/packet";
import type { EchoSocket, UdpSocket } from "../../../net/socket";
import type { Time } from "../../../sim/clock";
import type { PauseEnd } from "../../driver";
import type { Call } from "../../shell/tool";

/** What came back. */
export interface Answer {
  readonly from: Ip;
  readonly at: Time;
  /** None: the target answered itself. */
  readonly type: IcmpError | undefined;
  readonly mtu?: number;
  /** The time to live that the answer had left. */
  readonly ttl?: number;
  /** There is nothing beyond: the target, or one that says so. */
  readonly final: boolean;
}

export interface Probe {
  readonly at: Time;
  answer: Answer | undefined;
}

export interface ProbeOptions {
  readonly ttl: number;
  readonly port: number;
  /** Octets of data. */
  readonly size: number;
}

export interface ProberOptions {
  readonly icmp: boolean;
  readonly pathMtu: "want" | "do" | "dont";
}

/** Sends probes to one target. */
export class Prober {
  readonly #call: Call;
  readonly #ip: Ip;
  readonly #options: ProberOptions;
  readonly #sockets: UdpSocket[] = [];
  readonly #echoes = new Map<number, Probe>();
  #echo: EchoSocket | undefined;
  #sequence = 0;
  #wakeUp: () => void = () => {};

  constructor(call: Call, ip: Ip, options: ProberOptions) {
    this.#call = call;
    this.#ip = ip;
    this.#options = options;
  }

  /** Octets of the headers before a probe's data. */
  get headerSize(): number {
    return (typeof this.#ip === "number" ? 20 : 40) + 8;
  }

  /** Sends one and adds it to the list; why not, if the kernel refuses. */
  send(probes: Probe[], options: ProbeOptions): string | undefined {
    const { netns } = this.#call.place;
    const route = netns.routes.lookup(this.#ip);
    if (!route) return "Network is unreachable";
    if (route.route.type === "blackhole") return "Invalid argument";
    if (route.route.type === "unreachable") return "No route to host";
    if (route.route.type === "prohibit") return "Permission denied";
    const probe: Probe = { at: this.#now, answer: undefined };
    probes.push(probe);
    if (this.#options.icmp) this.#sendEcho(probe, options);
    else this.#sendDatagram(probe, options);
    return undefined;
  }

  /** Until something has come, or the time is over. */
  wait(limit: Time): Promise<PauseEnd> {
    return this.#call.process.pause(
      (wake) => {
        this.#wakeUp = wake;
        return undefined;
      },
      limit,
      "foreground",
    );
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    this.#echo?.close();
  }

  get #now(): Time {
    return this.#call.cluster.sim.clock.now;
  }

  #answered(probe: Probe, answer: Omit<Answer, "at" | "final">): void {
    if (probe.answer) return;
    probe.answer = { ...answer, at: this.#now, final: answer.type !== "time-exceeded" };
    this.#wakeUp();
  }

  #sendEcho(probe: Probe, { ttl, size }: ProbeOptions): void {
    this.#echo ??= this.#call.place.netns.sockets.openEcho(this.#ip, (result) => {
      const about = this.#echoes.get(result.sequence);
      if (!about) return;
      if (result.result === "reply") this.#answered(about, { from: result.from, type: undefined, ttl: result.ttl });
      else if (result.type === "message-too-long") {
        this.#answered(about, { from: result.from, type: "fragmentation-needed", ...mtuOf(result.mtu) });
      } else this.#answered(about, { from: result.from, type: result.type, ...mtuOf(result.mtu) });
    });
    this.#echoes.set(++this.#sequence, probe);
    this.#echo.send(this.#sequence, { ttl, size, pathMtu: this.#options.pathMtu });
  }

  #sendDatagram(probe: Probe, { ttl, port, size }: ProbeOptions): void {
    const socket = this.#call.place.netns.sockets.openUdp(
      { peer: { ip: this.#ip, port }, owner: this.#call.name, ttl, pathMtu: this.#options.pathMtu },
      {
        received: (_socket, datagram) => this.#answered(probe, { from: datagram.source.ip, type: undefined }),
        error: (_socket, { from, type, mtu, ttl: left }) => {
          // Nobody listens on such a port: by this the target says that it is there.
          const there = type === "port-unreachable" && from === this.#ip;
          this.#answered(probe, {
            from,
            type: there ? undefined : type,
            ...mtuOf(mtu),
            ...(left === undefined ? {} : { ttl: left }),
          });
        },
      },
    );
    this.#sockets.push(socket);
    socket.send(probeText.slice(0, size).padEnd(size, "@"));
  }
}

const probeText = "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_";

function mtuOf(mtu: number | undefined): { readonly mtu?: number } {
  return mtu === undefined ? {} : { mtu };
}
