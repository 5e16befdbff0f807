/**
 * Owns who of the speakers is alive, as they find it out among themselves (hashicorp/memberlist, its LAN settings): each
 * asks another one every second, and what one suspects all hear of.
 */
import type { Ip, SocketAddress } from "../../net/address";
import type { UdpSocket } from "../../net/socket";
import { millisecond, second, type Timer } from "../../sim/clock";
import type { Program } from "../app";

/** ProbeInterval, ProbeTimeout, IndirectChecks, SuspicionMult; and how often those given up are tried again. */
const probePeriod = second;
const probeTimeout = 500 * millisecond;
const helpers = 3;
const suspicionMultiple = 4;
const rejoinPeriod = 60 * second;

const memberlistPort = 7946;

interface Member {
  readonly name: string;
  ip: Ip;
  state: "alive" | "suspect" | "dead";
  timer: Timer | undefined;
}

type Word =
  | { readonly say: "ping" | "ack"; readonly from: string; readonly number: number }
  | { readonly say: "please-ping"; readonly from: string; readonly number: number; readonly about: string }
  | { readonly say: "suspect" | "dead" | "alive"; readonly from: string; readonly about: string };

export class Memberlist {
  readonly #program: Program;
  readonly #self: string;
  readonly #changed: () => void;
  readonly #members = new Map<string, Member>();
  readonly #socket: UdpSocket;
  readonly #acks = new Map<number, () => void>();
  #numbers = 0;
  #turn: string[] = [];
  /** Who was asked last, and has not answered yet. */
  #asked: Member | undefined;

  /** @param changed called when somebody has come or gone */
  constructor(program: Program, self: string, changed: () => void) {
    this.#program = program;
    this.#self = self;
    this.#changed = changed;
    this.#socket = program.netns.sockets.openUdp(
      { port: memberlistPort, owner: "speaker" },
      { received: (_, { payload, source }) => this.#heard(payload, source) },
    );
    program.own(this.#socket);
    this.#every(probePeriod, () => this.#probeNext());
    this.#every(rejoinPeriod, () => this.rejoin());
  }

  /** All who are not given up, this one among them. */
  get alive(): readonly string[] {
    const others = [...this.#members.values()].filter(({ state }) => state !== "dead").map(({ name }) => name);
    return [this.#self, ...others].sort();
  }

  /** Those who should be there: whoever is new is asked, whoever is not named any more has left. */
  join(speakers: ReadonlyMap<string, Ip>): void {
    let changed = false;
    for (const name of [...this.#members.keys()]) {
      if (speakers.has(name)) continue;
      changed = this.#members.get(name)?.state !== "dead" || changed;
      this.#members.get(name)?.timer?.cancel();
      this.#members.delete(name);
    }
    for (const [name, ip] of speakers) {
      const known = this.#members.get(name);
      if (name === this.#self || known?.ip === ip) continue;
      known?.timer?.cancel();
      this.#members.set(name, { name, ip, state: "dead", timer: undefined });
      this.#ask(name);
    }
    if (changed) this.#changed();
  }

  /** Whoever was given up is asked again. */
  rejoin(): void {
    for (const { name, state } of this.#members.values()) if (state === "dead") this.#ask(name);
  }

  #every(period: number, run: () => void): void {
    const again = (): void => {
      if (this.#program.ended) return;
      run();
      timer = this.#program.clock.after(period, again, "background");
    };
    let timer = this.#program.clock.after(this.#program.random.integer(0, period), again, "background");
    this.#program.own({ close: () => timer.cancel() });
  }

  /** One after another, in an order that is shuffled anew each round; who has not answered until the next turn is suspected. */
  #probeNext(): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked?.state === "alive") this.#suspect(asked, true);
    if (this.#turn.length === 0) this.#turn = this.#shuffled();
    const name = this.#turn.shift();
    const member = name === undefined ? undefined : this.#members.get(name);
    if (!member || member.state === "dead") return;
    this.#asked = member;
    const late = this.#later(probeTimeout, () => this.#askAround(member, answered));
    const answered = (): void => {
      late.cancel();
      if (this.#asked === member) this.#asked = undefined;
    };
    this.#ask(member.name, answered);
  }

  #askAround({ name }: Member, answered: () => void): void {
    const others = this.#shuffled().filter((other) => other !== name && this.#members.get(other)?.state === "alive");
    const number = ++this.#numbers;
    this.#acks.set(number, answered);
    for (const other of others.slice(0, helpers)) {
      this.#say(other, { say: "please-ping", from: this.#self, number, about: name });
    }
  }

  /** After so long without a word for it, it is taken for dead (SuspicionMult * log10(N) * ProbeInterval, at least once). */
  #suspect(member: Member, tell: boolean): void {
    member.state = "suspect";
    if (tell) this.#broadcast("suspect", member.name);
    const size = Math.max(1, Math.log10(Math.max(1, this.#members.size + 1)));
    member.timer?.cancel();
    member.timer = this.#later(suspicionMultiple * size * probePeriod, () => this.#bury(member, true));
  }

  #bury(member: Member, tell: boolean): void {
    if (member.state === "dead") return;
    member.timer?.cancel();
    member.state = "dead";
    if (tell) this.#broadcast("dead", member.name);
    this.#changed();
  }

  #greet(member: Member | undefined): void {
    if (!member || member.state === "alive") return;
    const wasDead = member.state === "dead";
    member.timer?.cancel();
    member.state = "alive";
    if (wasDead) this.#changed();
  }

  #ask(name: string, answered?: () => void): void {
    const number = ++this.#numbers;
    if (answered) this.#acks.set(number, answered);
    this.#say(name, { say: "ping", from: this.#self, number });
  }

  #heard(payload: unknown, source: SocketAddress): void {
    const word = readWord(payload);
    if (!word) return;
    const member = this.#members.get(word.from);
    if (member?.ip === source.ip) this.#greet(member);
    switch (word.say) {
      case "ping":
        this.#socket.send(JSON.stringify({ ...word, say: "ack", from: this.#self }), source);
        return;
      case "ack":
        this.#acks.get(word.number)?.();
        this.#acks.delete(word.number);
        return;
      case "please-ping":
        this.#ask(word.about, () => this.#say(word.from, { say: "ack", from: this.#self, number: word.number }));
        return;
      case "suspect":
      case "dead":
        this.#rumour(word.say, word.about);
        return;
      case "alive":
        this.#greet(this.#members.get(word.about));
    }
  }

  #rumour(say: "suspect" | "dead", about: string): void {
    // Who hears that it is thought dead says that it is not.
    if (about === this.#self) {
      this.#broadcast("alive", about);
      return;
    }
    const member = this.#members.get(about);
    if (!member || member.state === "dead") return;
    if (say === "dead") this.#bury(member, false);
    else if (member.state === "alive") this.#suspect(member, false);
  }

  #broadcast(say: "suspect" | "dead" | "alive", about: string): void {
    for (const { name } of this.#members.values()) this.#say(name, { say, from: this.#self, about });
  }

  #say(name: string, word: Word): void {
    const member = this.#members.get(name);
    if (member) this.#socket.send(JSON.stringify(word), { ip: member.ip, port: memberlistPort });
  }

  #shuffled(): string[] {
    const names = [...this.#members.keys()].sort();
    for (let at = names.length - 1; at > 0; at--) {
      const other = this.#program.random.integer(0, at);
      [names[at], names[other]] = [names[other] as string, names[at] as string];
    }
    return names;
  }

  #later(delay: number, run: () => void): Timer {
    return this.#program.clock.after(delay, () => !this.#program.ended && run(), "background");
  }
}

function readWord(payload: unknown): Word | undefined {
  if (typeof payload !== "string" || !payload.startsWith("{")) return undefined;
  const found: unknown = JSON.parse(payload);
  return typeof found === "object" && found !== null && "say" in found && "from" in found ? (found as Word) : undefined;
}
