/** Owns the one kind of `Passage` there is: a packet in a namespace, bound to what carries it. */
import type { Connection, Direction, PacketState } from "./conntrack";
import type { IpvsConnection } from "./ipvs/connection";
import type { Hook } from "./netfilter";
import type { Netns } from "./netns";
import type { Packet } from "./packet";
import type { Conclude, PacketEventKind, PacketEventMore, Passage, Walked } from "./passage";

export class Transit implements Passage {
  packet: Packet;
  mark = 0;
  input?: string;
  output?: string;
  connection?: Connection;
  bridgePort?: string;
  ipvs?: IpvsConnection;
  direction?: Direction;
  state?: PacketState;
  rejectWith?: "port-unreachable" | "host-unreachable" | "admin-prohibited" | "tcp-reset";
  /** The hook that it is in, at present. */
  hook: Hook | undefined;
  why?: string;
  readonly #netns: Netns;

  constructor(netns: Netns, packet: Packet, input: string | undefined) {
    this.#netns = netns;
    this.packet = packet;
    if (input !== undefined) this.input = input;
  }

  get netns(): string {
    return this.#netns.name;
  }

  get dry(): boolean {
    return this.#netns.network.conveyor.asks;
  }

  get walked(): Walked | undefined {
    return this.#netns.network.conveyor.walked;
  }

  began(conclude: Conclude): void {
    this.#netns.network.conveyor.began?.(conclude, this.packet);
  }

  get watched(): boolean {
    return this.#netns.network.conveyor.watched;
  }

  choose(weights: readonly number[]): number {
    return this.#netns.network.conveyor.choose(this.#netns, weights);
  }

  draw(low: number, high: number): number {
    return this.dry ? low : this.#netns.random.integer(low, high);
  }

  note(kind: PacketEventKind, about: string, what: () => string, more?: PacketEventMore): void {
    const { network, name } = this.#netns;
    if (network.conveyor.watched) network.tell(name, kind, about, this.packet, what, more, this.hook);
  }
}
