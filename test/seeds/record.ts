/** Owns what is written down of a run: ends of pods, what slices said, what each proxy knew, and how many pods there were. */
import type { Kinds } from "../../kernel-lib/api/kinds";
import type { Cluster } from "../../kernel-lib/cluster/cluster";
import { type LifeEvent, lifeWord } from "../../kernel-lib/node/lifeevents";
import { second, type Time } from "../../kernel-lib/sim/clock";

const service = "default/web";

/** What was seen of a pod's end. */
export interface End {
  readonly pod: string;
  readonly uid: string;
  /** When the API server was told to delete it, and the grace that it wrote. */
  readonly deleted: Time;
  readonly grace: Time;
  /** When its kubelet heard of it. */
  told: Time | undefined;
  hookBegun: Time | undefined;
  /** When the hook was over, whether it went well, or was given up. */
  hookOver: Time | undefined;
  readonly signals: { readonly at: Time; readonly signal: string }[];
  ended: { readonly at: Time; readonly exitCode: number | undefined } | undefined;
  removed: Time | undefined;
}

/** How many pods of the Deployment there were, from a moment on: not being deleted, and those of them that are Ready. */
export interface Count {
  readonly at: Time;
  readonly active: number;
  readonly available: number;
}

interface Readiness {
  readonly at: Time;
  /** Nodes that have a ready endpoint. */
  readonly nodes: ReadonlySet<string>;
}

export class Record {
  readonly ends = new Map<string, End>();
  /** Sentences about endpoints that came back from their end. */
  readonly returned: string[] = [];
  readonly counts: Count[] = [];
  /** The largest sum of what the Deployment's ReplicaSets were asked to have. */
  mostAsked = 0;
  /** By pod: when slices first said that it ends. */
  readonly #terminating = new Map<string, Time>();
  readonly #nodeOf = new Map<string, string>();
  readonly #readiness: Readiness[] = [];
  /** By node: when its rules changed, and of which moment they are. */
  readonly #rules = new Map<string, { readonly at: Time; readonly asOf: Time }[]>();
  readonly #sizes = new Map<string, number>();
  readonly #pods = new Map<string, { readonly active: boolean; readonly available: boolean }>();
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    const { store, sim } = cluster;
    for (const slice of store.list("EndpointSlice")) this.#slice(slice, false);
    for (const pod of store.list("Pod", { namespace: "default" })) this.#pod(pod, false);
    // From when all of them have been counted.
    this.counts.splice(0, this.counts.length - 1);
    for (const set of store.list("ReplicaSet", { namespace: "default" })) this.#set(set, false);
    store.follow("ReplicaSet", ({ object, type }) => this.#set(object, type === "DELETED"));
    store.follow("EndpointSlice", ({ object, type }) => this.#slice(object, type === "DELETED"));
    store.follow("Pod", ({ object, type }) => this.#pod(object, type === "DELETED"));
    sim.journal.followOnly(lifeWord, ({ at, detail }) => this.#life(at, detail as LifeEvent));
  }

  /** When the rules of a node (of all nodes, if none is named) first had a pod's end. */
  learnt(pod: string, node?: string): Time | undefined {
    const ended = this.#terminating.get(pod);
    if (ended === undefined) return undefined;
    const nodes = node === undefined ? [...this.#cluster.nodes.keys()] : [node];
    const first = nodes.map((each) => this.#rules.get(each)?.find(({ asOf }) => asOf >= ended)?.at);
    return first.reduce((latest, at) => (latest === undefined || at === undefined ? undefined : Math.max(latest, at)));
  }

  /** When slices first said that a pod ends. */
  terminating(pod: string): Time | undefined {
    return this.#terminating.get(pod);
  }

  /** Whether only ending endpoints remained at some moment of that span; with `near`: on the node of that pod. */
  onlyEnding(from: Time, to: Time, near?: string): boolean {
    const node = near === undefined ? undefined : this.#nodeOf.get(near);
    const without = ({ nodes }: Readiness): boolean => (node === undefined ? nodes.size === 0 : !nodes.has(node));
    return this.#readiness.some((each, at) => {
      const until = this.#readiness[at + 1]?.at ?? Infinity;
      return each.at <= to && until >= from && without(each);
    });
  }

  #slice({ metadata, endpoints }: Kinds["EndpointSlice"], gone: boolean): void {
    if (metadata.labels?.["kubernetes.io/service-name"] !== "web") return;
    const { now } = this.#cluster;
    const nodes = new Set<string>();
    for (const { conditions, targetRef, nodeName = "" } of gone ? [] : endpoints) {
      const name = targetRef?.name ?? "";
      if (conditions?.ready) nodes.add(nodeName);
      const before = this.#terminating.get(name);
      if (conditions?.terminating && before === undefined) this.#terminating.set(name, now);
      if (!conditions?.terminating && before !== undefined) this.returned.push(`${name} is not terminating any more`);
    }
    this.#readiness.push({ at: now, nodes });
  }

  #pod(pod: Kinds["Pod"], gone: boolean): void {
    const { name, uid, deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata;
    if (pod.metadata.namespace !== "default") return;
    if (pod.spec.nodeName) this.#nodeOf.set(name, pod.spec.nodeName);
    if ((deletionTimestamp !== undefined || gone) && !this.ends.has(name)) {
      const [deleted, grace] = [this.#cluster.now, deletionGracePeriodSeconds * second];
      this.ends.set(name, {
        ...{ pod: name, uid, deleted, grace, signals: [] },
        ...{ told: undefined, hookBegun: undefined, hookOver: undefined, ended: undefined, removed: undefined },
      });
    }
    this.#count(pod, gone);
  }

  #count({ metadata, status }: Kinds["Pod"], gone: boolean): void {
    const { name, labels, deletionTimestamp } = metadata;
    if (labels?.app !== "web") return;
    const active =
      !gone && deletionTimestamp === undefined && status.phase !== "Failed" && status.phase !== "Succeeded";
    const ready = status.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false;
    const before = this.#pods.get(name);
    if (before?.active === active && before.available === (active && ready)) return;
    this.#pods.set(name, { active, available: active && ready });
    const all = [...this.#pods.values()];
    const count = { at: this.#cluster.now, active: 0, available: 0 };
    for (const each of all) {
      if (each.active) count.active++;
      if (each.available) count.available++;
    }
    this.counts.push(count);
  }

  #set({ metadata, spec }: Kinds["ReplicaSet"], gone: boolean): void {
    if (metadata.namespace !== "default") return;
    this.#sizes.set(metadata.name, gone ? 0 : (spec.replicas ?? 1));
    const asked = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    this.mostAsked = Math.max(this.mostAsked, asked);
  }

  #life(at: Time, event: LifeEvent): void {
    if (event.of === "proxy") {
      const asOf = event.asOf[service];
      if (asOf === undefined) return;
      const known = this.#rules.get(event.node) ?? [];
      known.push({ at, asOf });
      this.#rules.set(event.node, known);
      return;
    }
    if (event.of === "balancer") return;
    const end = this.ends.get(event.pod.replace("default/", ""));
    if (!end || end.uid !== event.uid) return;
    switch (event.of) {
      case "pod":
        if (event.state === "told") end.told ??= at;
        else end.removed = at;
        break;
      case "hook":
        if (event.hook !== "preStop") break;
        if (event.state === "begun") end.hookBegun ??= at;
        else end.hookOver ??= at;
        break;
      case "signal":
        end.signals.push({ at, signal: event.signal });
        break;
      case "container":
        if (event.state === "ended") end.ended ??= { at, exitCode: event.exitCode };
    }
  }
}
