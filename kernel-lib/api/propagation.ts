/**
 * Owns how long news takes on its way through a cluster: the hops from a write in the API server to whoever must act on it,
 * as data, and the delay of each single piece of news.
 *
 * ```
 * write ─► kubelet                                                      the pod's processes are told
 *      └─► endpointslice-controller ─► slice ─► each node's kube-proxy ─► rules in its kernel
 *                                                              └─► health check port ─► load balancer
 * ```
 */
import { millisecond, second, type Time } from "../sim/clock";
import type { Random } from "../sim/random";
import type { Sim } from "../sim/sim";

/** From `least` to `most`, each time as likely as any other. */
export interface Span {
  readonly least: Time;
  readonly most: Time;
}

/** How a kube-proxy hears and works. */
export interface ProxyDelays {
  /** From a write of a Service or a slice until it hears of it. */
  readonly watch: Span;
  /** From the start of a sync until the rules are in the kernel. */
  readonly sync: Span;
}

/** The kubelet and kube-proxy of one node. */
export interface NodeDelays {
  /** From a write of a pod until its kubelet hears of it. */
  readonly kubelet: Span;
  readonly proxy: ProxyDelays;
}

/** How a load balancer asks its nodes: so many failures in a row and a node is left out, so many answers and it is back. */
export interface HealthCheckFigures {
  readonly interval: Time;
  readonly timeout: Time;
  readonly healthy: number;
  readonly unhealthy: number;
}

export interface Propagation extends NodeDelays {
  /** From a write until the controllers of pods (Deployments and the like) and the scheduler hear of it. */
  readonly controllers: Span;
  /** From a write of a pod or a Service until those controllers hear of it that write slices and Endpoints. */
  readonly slices: Span;
  /** The least time between two syncs of a kube-proxy, as its configuration says it; 0: its own default. */
  readonly minSyncPeriod: Time;
  /** What is otherwise than the load balancer's own figures. */
  readonly balancer: Partial<HealthCheckFigures>;
  /** Nodes that are otherwise, by name. */
  readonly nodes: ReadonlyMap<string, NodeDelays>;
}

/**
 * Kubernetes promises nothing here: the SLIs "watch latency" and "network programming latency" have no limits yet
 * (kubernetes/community sig-scalability/slos), only reads within 1 s and a start of a stateless pod within 5 s have. So these
 * are the orders of magnitude of a small idle cluster on one switch: some milliseconds for each watch (etcd's own fsync and
 * heartbeat are about 10 ms), tens of milliseconds for a partial iptables-restore (KEP-3453). What dominates is published:
 * kube-proxy's minSyncPeriod of 1 s (KubeProxyConfiguration) and load balancers' checks.
 */
export const defaultPropagation: Propagation = {
  kubelet: { least: millisecond, most: 3 * millisecond },
  controllers: { least: 2 * millisecond, most: 8 * millisecond },
  // A Service's first slice is heard of before the rules for the Service are done: 8 + 5 + 3 < 1 + 1 + 15.
  slices: { least: 4 * millisecond, most: 8 * millisecond },
  proxy: {
    watch: { least: millisecond, most: 3 * millisecond },
    sync: { least: 15 * millisecond, most: 20 * millisecond },
  },
  minSyncPeriod: 0,
  balancer: {},
  nodes: new Map(),
};

/** Google's: 3 × 8 s until a node is left out, one answer until it is back (legacy-cloud-providers/gce, gce_loadbalancer_external.go). */
export const googleChecks: HealthCheckFigures = {
  interval: 8 * second,
  timeout: second,
  healthy: 1,
  unhealthy: 3,
};

/** Amazon's: 6 × 10 s, and 2 answers until it is back (cloud-provider-aws, aws_loadbalancer.go). */
export const amazonChecks: HealthCheckFigures = {
  interval: 10 * second,
  timeout: 5 * second,
  healthy: 2,
  unhealthy: 6,
};

/** The delays of what one stream brings: drawn from the seed, and never so that news overtakes older news. */
export class Lag {
  readonly #sim: Sim;
  readonly #name: string;
  readonly #span: Time | Span;
  #random: Random | undefined;
  #last: Time = 0;

  /** @param name whose stream: `watch/kube-proxy/node-2`; its dice are its own */
  constructor(sim: Sim, name: string, span: Time | Span) {
    this.#sim = sim;
    this.#name = name;
    this.#span = span;
  }

  /** How long from now until what is written now is heard of. */
  next(): Time {
    const { now } = this.#sim.clock;
    this.#last = Math.max(this.#last, now + this.#draw());
    return this.#last - now;
  }

  #draw(): Time {
    const span = this.#span;
    if (typeof span === "number") return span;
    if (span.least === span.most) return span.least;
    this.#random ??= this.#sim.random.fork(this.#name);
    return this.#random.integer(span.least, span.most);
  }
}
