/** Owns writing the record of one pod: a state begins when the one before it ends. */
import type { Key } from "../../api/meta";
import type { Time } from "../../sim/clock";
import type { Actor, LifeMoment, LifeSpan, MomentKind, PodLife } from "./lifeline";

interface OpenSpan {
  readonly state: string;
  readonly from: Time;
}

/** One pod's record while it is written. */
export class PodRecord {
  readonly pod: Key;
  readonly uid: string;
  node: string | undefined;
  ips: readonly string[] = [];
  deleted: Time | undefined;
  gone: Time | undefined;
  readonly #spans: LifeSpan[] = [];
  readonly #moments: LifeMoment[] = [];
  readonly #open = new Map<Actor, OpenSpan>();

  constructor(pod: Key, uid: string) {
    this.pod = pod;
    this.uid = uid;
  }

  /** From now on an actor is in this state; undefined: in none worth telling. */
  set(actor: Actor, state: string | undefined, at: Time): void {
    const open = this.#open.get(actor);
    if (open?.state === state) return;
    if (open) this.#spans.push({ actor, ...open, to: at });
    if (state === undefined) this.#open.delete(actor);
    else this.#open.set(actor, { state, from: at });
  }

  /** Whether an actor is in some state. */
  isIn(actor: Actor): string | undefined {
    return this.#open.get(actor)?.state;
  }

  /** Actors of this kind that are in some state: `endpoint/`. */
  open(prefix: string): readonly Actor[] {
    return [...this.#open.keys()].filter((actor) => actor.startsWith(prefix));
  }

  note(actor: Actor, kind: MomentKind, what: string, at: Time): void {
    this.#moments.push({ at, actor, kind, what });
  }

  /** As plain data. */
  life(): PodLife {
    const open = [...this.#open].map(([actor, span]): LifeSpan => ({ actor, ...span }));
    return {
      ...{ pod: this.pod, uid: this.uid },
      ...(this.node !== undefined && { node: this.node }),
      ...(this.deleted !== undefined && { deleted: this.deleted }),
      ...(this.gone !== undefined && { gone: this.gone }),
      spans: [...this.#spans, ...open].sort((one, other) => one.from - other.from),
      moments: [...this.#moments],
    };
  }
}
