/** Owns what a seed decides: the cluster, who asks whom and how, the pods' recipe, what changes, and which part is left out. */
import type { ClusterOptions } from "../../kernel-lib/cluster/options";
import type { DesignName } from "../../kernel-lib/node/cni/design";
import type { ModeName } from "../../kernel-lib/node/proxy/mode";
import { Random } from "../../kernel-lib/sim/random";

/**
 * The parts of the recipe for a rollout that loses nothing. `probe`: a readiness probe; `prestop`: a hook that takes as long
 * as news of the end; `grace`: enough for the hook and what is under way; `surge`: maxUnavailable 0; `margin`: a hook that
 * outlasts a load balancer's checks too; `keepalive`: pinned clients are sent away (`Connection: close`), or try once more.
 */
export const parts = ["probe", "prestop", "grace", "surge", "margin", "keepalive"] as const;
export type Part = (typeof parts)[number];

const modes = ["iptables", "ipvs", "nftables"] as const;
const designs: readonly DesignName[] = ["vxlan", "host-gw", "bridge", "routes", "vpc"];

export type Change = "restart" | "image" | "drain" | "scale";
/** From a pod, a node, through a node's port from outside, through a packet forwarder with either policy. */
export type Way = "pod" | "node" | "nodeport" | "balancer" | "local";
export type Manners = "exit" | "close" | "drain";

/** All that one run is. Times are whole seconds unless their name says otherwise. */
export interface Situation {
  readonly seed: number;
  /** The part that matters here most: nothing is lost with it, and something may be without. */
  readonly about: Part;
  readonly without: Part | undefined;
  readonly mode: ModeName;
  readonly cni: DesignName;
  readonly propagation: NonNullable<ClusterOptions["propagation"]>;
  readonly way: Way;
  /** Where the client is or comes in, and which node is drained. */
  readonly clientNode: string;
  readonly drained: string;
  /** 0: a connection for each request. */
  readonly connections: number;
  readonly retries: number;
  readonly server: "nginx" | Manners;
  readonly startSeconds: number;
  readonly answerMilliseconds: number;
  readonly drainSeconds: number;
  readonly preStop: { readonly kind: "sleep" | "exec"; readonly seconds: number } | undefined;
  readonly grace: number;
  readonly probe: Probe | undefined;
  readonly surge: number | string;
  readonly unavailable: number | string;
  readonly change: Change;
  /** Where scaling down ends. */
  readonly scaleTo: number;
  readonly pdb: number | undefined;
  /** When it changes, after the first request, in milliseconds. */
  readonly changeAfter: number;
}

interface Probe {
  readonly kind: "httpGet" | "tcpSocket" | "exec";
  readonly initialDelaySeconds: number;
  readonly periodSeconds: number;
  readonly failureThreshold: number;
}

export const replicas = 10;
/** What starting a pod takes beside its own slowness: scheduling, a pull, a sandbox, its first probe. */
const podStart = 5;
/** The rollout is over after so long, so that requests see its end. */
const rolloutLimit = 42;

class Dice {
  readonly #random: Random;

  constructor(seed: number, name: string) {
    this.#random = new Random(seed).fork(name);
  }

  number(low: number, high: number): number {
    return this.#random.integer(low, high);
  }

  one<T>(of: readonly T[]): T {
    return of[this.number(0, of.length - 1)] as T;
  }

  /** With this probability, in percent. */
  chance(percent: number): boolean {
    return this.number(1, 100) <= percent;
  }
}

/** Which part a seed is about; each mode meets each part. */
export function aboutOf(seed: number): Part {
  return parts[Math.floor((seed - 1) / modes.length) % parts.length] as Part;
}

function modeOf(seed: number): ModeName {
  return modes[(seed - 1) % modes.length] as ModeName;
}

/**
 * Not IPVS over bridges in a row: there a pod's requests to pods of other nodes fail at all times, with or without a
 * rollout, because the second bridge tracks what IPVS has translated on the first. Nor the userspace proxy in a VPC.
 */
function designsFor(mode: ModeName): readonly DesignName[] {
  const unfit = mode === "ipvs" ? "bridge" : mode === "userspace" ? "vpc" : undefined;
  return designs.filter((design) => design !== unfit);
}

export interface Choice {
  readonly without?: Part | undefined;
  readonly about?: Part | undefined;
  readonly mode?: ModeName | undefined;
}

/** The situation of a seed, with one part of the recipe left out if one is named. */
export function situationOf(seed: number, { without, about = without ?? aboutOf(seed), mode }: Choice = {}): Situation {
  const dice = new Dice(seed, `situation/${about}`);
  const news = newsOf(dice, about);
  const server = serverOf(dice, about);
  const asking = askingOf(dice, about, server.server);
  const probe = probeOf(dice, server.server);
  const answer = server.answerMilliseconds / 1000;
  const change = changeOf(dice, about);
  const balancer = asking.way === "local" ? news.balancer : 0;
  const hook = Math.ceil(news.seconds + balancer) + dice.number(0, 2);
  const kind = dice.one(["sleep", "sleep", "exec"] as const);
  const preStop = { kind, seconds: hook };
  const grace = Math.ceil(hook + server.drainSeconds + answer) + dice.number(2, 10);
  const round = podStart + server.startSeconds + probe.initialDelaySeconds + probe.periodSeconds;
  const least = Math.ceil(replicas / Math.max(1, Math.floor(rolloutLimit / round)));
  const surge = dice.number(least, replicas);
  const full: Situation = {
    ...{ seed, about, without, mode: mode ?? modeOf(seed), cni: dice.one(designsFor(mode ?? modeOf(seed))) },
    propagation: news.propagation,
    ...asking,
    ...server,
    ...{ preStop, grace, probe, change },
    surge: dice.chance(50) ? surge : `${surge * 10}%`,
    unavailable: 0,
    scaleTo: dice.number(3, 7),
    pdb: change === "drain" && dice.chance(50) ? dice.number(2, 4) : undefined,
    changeAfter: dice.number(4_000, 8_000),
  };
  return without === undefined ? full : { ...full, ...leftOut(without, full, dice, Math.ceil(news.seconds)) };
}

/** How the situation is without that part. */
function leftOut(part: Part, full: Situation, dice: Dice, hook: number): Partial<Situation> {
  switch (part) {
    case "probe":
      return { probe: undefined };
    case "prestop":
      return { preStop: undefined };
    case "grace":
      // A sleep that is longer than the grace the API server would not take.
      return { grace: dice.number(1, 2), preStop: full.preStop && { ...full.preStop, kind: "exec" } };
    case "surge":
      return { surge: 0, unavailable: "100%" };
    case "margin":
      return { preStop: full.preStop && { ...full.preStop, seconds: hook } };
    case "keepalive":
      return { retries: 0, server: "exit", drainSeconds: 0 };
  }
}

interface News {
  readonly propagation: Situation["propagation"];
  /** Within so many seconds of a pod's end every proxy has learnt of it. */
  readonly seconds: number;
  /** Within so many more a packet forwarder has. */
  readonly balancer: number;
}

function newsOf(dice: Dice, about: Part): News {
  const span = (most: number): { readonly text: string; readonly most: number } => {
    const high = dice.number(3, most);
    return { text: `1ms-${high}ms`, most: high };
  };
  const [kubelet, controllers, slices, watch, sync] = [span(200), span(50), span(400), span(500), span(300)];
  const slow = dice.chance(30) ? span(2_000) : undefined;
  const period = dice.chance(30) ? dice.number(1, 3) : 1;
  const [interval, unhealthy] = about === "margin" ? [dice.number(3, 5), 3] : [dice.number(1, 2), dice.number(2, 3)];
  const slowNode = `node-${dice.number(1, 3)}`;
  return {
    propagation: {
      kubelet: kubelet.text,
      controllers: controllers.text,
      slices: slices.text,
      proxy: { watch: watch.text, sync: sync.text },
      minSyncPeriod: `${period}s`,
      balancer: { interval: `${interval}s`, timeout: "1s", unhealthy, healthy: 1 },
      ...(slow && { nodes: { [slowNode]: { proxy: { watch: slow.text } } } }),
    },
    // The slice is written, heard of, waits its turn behind the sync before it, and is written to the kernel.
    seconds: (slices.most + Math.max(watch.most, slow?.most ?? 0) + 2 * sync.most) / 1000 + period + 0.5,
    balancer: interval * (unhealthy + 1) + 1,
  };
}

type Server = Pick<Situation, "server" | "startSeconds" | "answerMilliseconds" | "drainSeconds">;

function serverOf(dice: Dice, about: Part): Server {
  const drainSeconds = dice.number(2, 4);
  const close = { server: dice.one(["close", "drain"] as const), drainSeconds };
  const quick = { answerMilliseconds: dice.one([0, 0, 20, 100, 300]) };
  const none = { startSeconds: 0, answerMilliseconds: 0, drainSeconds: 0 };
  switch (about) {
    case "probe":
      return { server: "exit", drainSeconds: 0, startSeconds: dice.number(4, 8), ...quick };
    case "grace":
      return { ...close, startSeconds: 0, answerMilliseconds: dice.number(4_000, 5_000) };
    case "surge":
      return { ...close, startSeconds: dice.number(4, 12), ...quick };
    case "keepalive":
      return { server: "drain", drainSeconds, startSeconds: 0, answerMilliseconds: dice.number(100, 300) };
    default:
      if (dice.chance(50)) return { server: "nginx", ...none };
      return dice.chance(50)
        ? { ...none, server: "exit", ...quick }
        : { startSeconds: dice.number(0, 3), ...close, ...quick };
  }
}

type Asking = Pick<Situation, "way" | "clientNode" | "drained" | "connections" | "retries">;

function askingOf(dice: Dice, about: Part, server: Situation["server"]): Asking {
  const [client, drained] = dice.one([
    [1, 2],
    [2, 3],
    [3, 1],
    [1, 3],
  ] as const);
  const places = { clientNode: `node-${client}`, drained: `node-${drained}` };
  const way = about === "margin" ? "local" : dice.one(["pod", "pod", "node", "nodeport", "balancer", "local"] as const);
  if (about === "keepalive") {
    // Sent away by the server, or patient enough to try once more; with more connections than requests are under way.
    return { ...places, way, connections: dice.number(18, 40), retries: dice.number(0, 1) };
  }
  const pinned =
    (about === "margin" || about === "surge") && (server === "drain" || server === "nginx") && dice.chance(30);
  if (pinned) return { ...places, way, connections: dice.number(5, 20), retries: server === "nginx" ? 1 : 0 };
  return { ...places, way, connections: 0, retries: 0 };
}

function probeOf(dice: Dice, server: Situation["server"]): Probe {
  const kinds = ["httpGet", "httpGet", "tcpSocket", ...(server === "nginx" ? [] : (["exec"] as const))] as const;
  return {
    kind: dice.one(kinds),
    initialDelaySeconds: dice.one([0, 0, 1, 2]),
    periodSeconds: dice.number(1, 3),
    failureThreshold: dice.number(1, 3),
  };
}

function changeOf(dice: Dice, about: Part): Change {
  switch (about) {
    case "probe":
      return dice.one(["restart", "image", "drain"]);
    case "surge":
      return dice.one(["restart", "image"]);
    case "margin":
      return "drain";
    default:
      return dice.one(["restart", "restart", "image", "image", "drain", "scale"]);
  }
}

/** One line about it. */
export function describeSituation(it: Situation): string {
  const hook = it.preStop ? `preStop ${it.preStop.kind} ${it.preStop.seconds} s` : "no preStop";
  const probe = it.probe ? `readiness ${it.probe.kind} every ${it.probe.periodSeconds} s` : "no readiness probe";
  const pool = it.connections > 0 ? `${it.connections} kept connections` : "a connection each";
  const server = `${it.server} (starts ${it.startSeconds} s, answers ${it.answerMilliseconds} ms, drains ${it.drainSeconds} s)`;
  return [
    `${it.mode}, ${it.cni}, ${it.change}${it.pdb === undefined ? "" : ` with maxUnavailable ${it.pdb} of a PDB`}`,
    `from ${it.way} (${it.clientNode}), ${pool}, ${it.retries} retries`,
    `${server}, ${probe}, ${hook}, grace ${it.grace} s`,
    `maxSurge ${it.surge}, maxUnavailable ${it.unavailable}`,
    `propagation ${JSON.stringify(it.propagation)}`,
  ].join("; ");
}
