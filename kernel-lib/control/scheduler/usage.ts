/** Owns how full each node is: sums kept as pods come and go. */
import type { Kinds } from "../../api/kinds";
import { quantityValue } from "../../api/quantity";
import { hasEnded } from "../pods";

type Pod = Kinds["Pod"];

/** Cores, bytes, pods. */
export interface Usage {
  readonly cpu: number;
  readonly memory: number;
  readonly pods: number;
}

export const nothing: Usage = { cpu: 0, memory: 0, pods: 0 };
/** What the scheduler assumes of a container that asks for nothing, when it scores (util/pod_resources.go). */
const assumed = { cpu: 0.1, memory: 200 * 2 ** 20 };

/** What a pod asks for; with `guess`, containers that ask for nothing count as upstream's scoring counts them. */
export function askedBy(pod: Pod, guess: boolean): Usage {
  let [cpu, memory] = [0, 0];
  for (const container of pod.spec.containers) {
    cpu += requested(container, "cpu", guess);
    memory += requested(container, "memory", guess);
  }
  for (const container of pod.spec.initContainers ?? []) {
    cpu = Math.max(cpu, requested(container, "cpu", guess));
    memory = Math.max(memory, requested(container, "memory", guess));
  }
  return { cpu, memory, pods: 1 };
}

function requested(
  { resources }: { readonly resources?: { readonly requests?: Readonly<Record<string, string>> } },
  resource: "cpu" | "memory",
  guess: boolean,
): number {
  const request = resources?.requests?.[resource];
  return request === undefined ? (guess ? assumed[resource] : 0) : quantityValue(request);
}

/** What a node has to give; a node that says nothing of a resource gives without end. */
export function allocatable(node: Kinds["Node"]): Usage {
  const room = node.status.allocatable ?? node.status.capacity;
  const of = (name: string): number =>
    room?.[name] === undefined ? Number.POSITIVE_INFINITY : quantityValue(room[name]);
  return { cpu: of("cpu"), memory: of("memory"), pods: of("pods") };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What the pods of a node ask for, without and with guesses. */
export interface Sums {
  readonly asked: Writable<Usage>;
  readonly guessed: Writable<Usage>;
}

/** Follows every write of a pod. */
export class NodeUsage {
  readonly #nodes = new Map<string, Sums>();

  /** @returns whether any sum may have changed */
  see(now: Pod | undefined, before: Pod | undefined): boolean {
    if (now && before && now.spec === before.spec && hasEnded(now) === hasEnded(before)) return false;
    if (before) this.#add(before, -1);
    if (now) this.#add(now, 1);
    return true;
  }

  /** The same object for as long as there is the scheduler. */
  of(node: string): Sums {
    const known = this.#nodes.get(node);
    if (known) return known;
    const sums = { asked: { ...nothing }, guessed: { ...nothing } };
    this.#nodes.set(node, sums);
    return sums;
  }

  #add(pod: Pod, sign: number): void {
    const node = pod.spec.nodeName;
    if (!node || hasEnded(pod)) return;
    const sums = this.of(node);
    add(sums.asked, askedBy(pod, false), sign);
    add(sums.guessed, askedBy(pod, true), sign);
  }
}

function add(sum: Writable<Usage>, more: Usage, sign: number): void {
  sum.cpu += sign * more.cpu;
  sum.memory += sign * more.memory;
  sum.pods += sign * more.pods;
}
