/** Owns the option `propagation`: the words in which the delays of a cluster's hops are given, and what is wrong with others. */
import {
  defaultPropagation,
  type HealthCheckFigures,
  type NodeDelays,
  type Propagation,
  type ProxyDelays,
  type Span,
} from "../api/propagation";
import { second, type Time } from "../sim/clock";
import { parseDuration } from "./driver";

/** `"10ms"`, `"2s"`, or a span from which each delay is drawn: `"5ms-15ms"`. */
export type Delay = string;

/** The kubelet and kube-proxy of a node. */
export interface NodePropagation {
  /** From a write of a pod until its kubelet hears of it. Default `1ms-3ms`. */
  readonly kubelet?: Delay;
  readonly proxy?: {
    /** From a write of a Service or an EndpointSlice until kube-proxy hears of it. Default `1ms-3ms`. */
    readonly watch?: Delay;
    /** From the start of a sync until the rules are in the kernel. Default `15ms-20ms`. */
    readonly sync?: Delay;
  };
}

/** How long news takes on each hop; what is left out is as by default. */
export interface PropagationOptions extends NodePropagation {
  /** From a write until controllers of pods and the scheduler hear of it. Default `2ms-8ms`. */
  readonly controllers?: Delay;
  /** From a write of a pod or a Service until the controllers of EndpointSlices and Endpoints hear of it. Default `4ms-8ms`. */
  readonly slices?: Delay;
  /**
   * The least time between two syncs of a kube-proxy, as it stands in its configuration from the start. Default: kube-proxy's
   * own (`1s`).
   */
  readonly minSyncPeriod?: Delay;
  /** How load balancers check their nodes. Default: as Google does (`cloud`) or Amazon (`cloud-proxy`). */
  readonly balancer?: {
    readonly interval?: Delay;
    readonly timeout?: Delay;
    readonly healthy?: number;
    readonly unhealthy?: number;
  };
  /** Nodes that are otherwise: `{ "node-2": { proxy: { watch: "8s" } } }`. */
  readonly nodes?: Readonly<Record<string, NodePropagation>>;
}

/** @throws Error that says which word is wrong, and what it may be. @param names of the nodes that there are */
export function checkPropagation(given: PropagationOptions, names: readonly string[]): Propagation {
  const path = "propagation";
  const top = ["kubelet", "controllers", "slices", "proxy", "minSyncPeriod", "balancer", "nodes"];
  const { controllers, slices, minSyncPeriod, balancer, nodes } = known(given, path, top);
  const all = nodeDelays(given, path, defaultPropagation);
  const special = known(nodes ?? {}, `${path}.nodes`, names, "node");
  return {
    ...all,
    controllers: span(controllers, `${path}.controllers`, defaultPropagation.controllers),
    slices: span(slices, `${path}.slices`, defaultPropagation.slices),
    minSyncPeriod: minSyncPeriod === undefined ? 0 : syncPeriod(minSyncPeriod, `${path}.minSyncPeriod`),
    balancer: checks(balancer ?? {}, `${path}.balancer`),
    nodes: new Map(
      Object.entries(special).map(([name, words]) => {
        const where = `${path}.nodes[${JSON.stringify(name)}]`;
        return [name, nodeDelays(known(words as object, where, ["kubelet", "proxy"]), where, all)];
      }),
    ),
  };
}

/** The delays of one node. */
export function delaysOf(propagation: Propagation, node: string): NodeDelays {
  return propagation.nodes.get(node) ?? propagation;
}

function nodeDelays({ kubelet, proxy }: NodePropagation, path: string, otherwise: NodeDelays): NodeDelays {
  return {
    kubelet: span(kubelet, `${path}.kubelet`, otherwise.kubelet),
    proxy: proxyDelays(proxy ?? {}, `${path}.proxy`, otherwise.proxy),
  };
}

function proxyDelays(given: NonNullable<NodePropagation["proxy"]>, path: string, otherwise: ProxyDelays): ProxyDelays {
  const { watch, sync } = known(given, path, ["watch", "sync"]);
  return {
    watch: span(watch, `${path}.watch`, otherwise.watch),
    sync: span(sync, `${path}.sync`, otherwise.sync),
  };
}

function checks(given: NonNullable<PropagationOptions["balancer"]>, path: string): Partial<HealthCheckFigures> {
  const words = ["interval", "timeout", "healthy", "unhealthy"];
  const { interval, timeout, healthy, unhealthy } = known(given, path, words);
  return {
    ...(interval !== undefined && { interval: positive(interval, `${path}.interval`) }),
    ...(timeout !== undefined && { timeout: positive(timeout, `${path}.timeout`) }),
    ...(healthy !== undefined && { healthy: count(healthy, `${path}.healthy`) }),
    ...(unhealthy !== undefined && { unhealthy: count(unhealthy, `${path}.unhealthy`) }),
  };
}

/** An object that has no other fields than these. */
function known<T extends object>(given: T, path: string, names: readonly string[], what = "word"): T {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new Error(`${path} must be an object, not ${JSON.stringify(given)}`);
  }
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown === undefined) return given;
  throw new Error(`${path} has no ${what} ${JSON.stringify(unknown)}: there are ${names.join(", ")}`);
}

function span(given: Delay | undefined, path: string, otherwise: Span): Span {
  if (given === undefined) return otherwise;
  const parts = typeof given === "string" ? given.split("-") : [];
  const [least, most] = parts.map((part) => time(part, path, given));
  if (least === undefined || parts.length > 2) throw wrong(path, given);
  if (most !== undefined && most < least) {
    throw new Error(`${path} must go from the shorter to the longer, not ${JSON.stringify(given)}`);
  }
  return { least, most: most ?? least };
}

function time(text: Delay, path: string, given: Delay = text): Time {
  if (typeof text !== "string") throw wrong(path, given);
  try {
    return parseDuration(text);
  } catch {
    throw wrong(path, given);
  }
}

function positive(text: Delay, path: string): Time {
  const found = time(text, path);
  if (found === 0) throw new Error(`${path} must be more than 0s`);
  return found;
}

/** kube-proxy does not start with a longer one than its syncPeriod. */
function syncPeriod(text: Delay, path: string): Time {
  const found = positive(text, path);
  if (found > 30 * second) throw new Error(`${path} must not be longer than 30s, kube-proxy's syncPeriod`);
  return found;
}

function count(given: number, path: string): number {
  if (!Number.isInteger(given) || given < 1) {
    throw new Error(`${path} must be a whole number from 1, not ${JSON.stringify(given)}`);
  }
  return given;
}

function wrong(path: string, given: unknown): Error {
  return new Error(
    `${path} must be a time such as 10ms or 2s, or a span such as 5ms-15ms, not ${JSON.stringify(given)}`,
  );
}
