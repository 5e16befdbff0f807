/** Owns MetalLB's speaker, one on each node: it makes the world outside send a Service's addresses to this node. */
import { type Controller, runController } from "../../api/controller";
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import { type Ip, parseIp, tryParseIp } from "../../net/address";
import type { Device } from "../../net/device";
import { standIn } from "../../net/standin";
import { millisecond, second, type Timer } from "../../sim/clock";
import type { App, Program } from "../app";
import { BgpAnnouncer, BgpError } from "./bgp";
import { ingressOf, metallbVersion } from "./controller";
import { arpLeader, bgpRefusal } from "./election";
import { flagOf, isOurs, jsonLog, type Log, type MetallbHost, tell } from "./host";
import { Memberlist } from "./memberlist";
import { serveMetrics } from "./metrics";
import { hasAll, type Pool, poolsOf } from "./pools";

type Service = Kinds["Service"];
type Protocol = "layer2" | "bgp";

const component = "metallb-speaker";
/** The key of "the configuration or a node has changed"; and of "speakers have come or gone". */
const configKey: Key = "config";
const speakersKey: Key = "speakers";
/** A new owner tells it to all, again and again for so long (internal/layer2 announcer.go). */
const spam = { period: 1100 * millisecond, length: 5 * second };

/** `/speaker --port=7472 --log-level=info` on the node METALLB_NODE_NAME, in its network. */
export function metallbSpeaker(host: MetallbHost): App {
  return (program) => {
    const log = jsonLog(program);
    const node = program.env.get("METALLB_NODE_NAME");
    program.onSignal("SIGTERM", () => program.exit(0));
    const msg = `MetalLB speaker starting version ${metallbVersion}`;
    const build = { branch: "dev", commit: "dev", goversion: "gc / go1.24.4 / amd64" };
    log("info", "main.go:103", { ...build, msg, version: metallbVersion });
    if (!node) {
      const error = "must specify --node-name or METALLB_NODE_NAME";
      log("error", "main.go:115", { error, msg: "missing configuration", op: "startup" });
      const ended = program.clock.after(0, () => program.exit(1));
      program.own({ close: () => ended.cancel() });
      return;
    }
    const speaker = new Speaker(host, program, node, log);
    const running = runController(host.sim, host.store, speaker, { hear: 5 * millisecond, work: millisecond });
    speaker.members = new Memberlist(program, node, () => running.enqueue(configKey));
    running.enqueue(speakersKey);
    program.own({
      close() {
        running.stop();
        speaker.close();
      },
    });
    serveMetrics(program);
  };
}

class Speaker implements Controller {
  readonly name: string;
  readonly watches: Controller["watches"] = {
    Service: (key, now, before) =>
      now?.spec.type === "LoadBalancer" || before?.spec.type === "LoadBalancer" ? [key] : [],
    EndpointSlice: (_, now, before) => {
      const { namespace, labels } = (now ?? before)?.metadata ?? {};
      const name = labels?.["kubernetes.io/service-name"];
      return name === undefined ? [] : [`${namespace}/${name}`];
    },
    Node: (_, now, before) => (isSame(now, before) ? [] : [configKey, speakersKey]),
    Pod: (_, now, before) => (isSpeaker(now ?? before) && whereOf(now) !== whereOf(before) ? [speakersKey] : []),
    IPAddressPool: () => [configKey],
    L2Advertisement: () => [configKey],
    BGPAdvertisement: () => [configKey],
    BGPPeer: () => [configKey],
  };
  members: Memberlist | undefined;
  readonly #host: MetallbHost;
  readonly #program: Program;
  readonly #node: string;
  readonly #log: Log;
  readonly #class: string | undefined;
  /** What is announced, by Service: how to stop it. */
  readonly #announced: Readonly<Record<Protocol, Map<Key, { readonly ips: readonly string[]; stop(): void }>>> = {
    layer2: new Map(),
    bgp: new Map(),
  };
  readonly #bgp: BgpAnnouncer;

  constructor(host: MetallbHost, program: Program, node: string, log: Log) {
    this.name = `${component}/${node}`;
    this.#host = host;
    this.#program = program;
    this.#node = node;
    this.#log = log;
    this.#class = flagOf(program, "lb-class");
    this.#bgp = new BgpAnnouncer(host.store, program, node, log);
  }

  close(): void {
    for (const all of Object.values(this.#announced)) for (const { stop } of all.values()) stop();
    this.#bgp.close();
  }

  reconcile(key: Key) {
    if (this.#host.cutOff(this.#program)) return { after: 5 * second, kind: "background" } as const;
    if (key === speakersKey) this.#join();
    else if (key === configKey) {
      this.#bgp.syncPeers();
      for (const service of this.#host.store.list("Service")) this.#sync(keyOf(service));
    } else this.#sync(key);
    return undefined;
  }

  #join(): void {
    const speakers = this.#host.store.list("Pod", { namespace: "metallb-system" }).filter(isSpeaker);
    const known = speakers.flatMap(({ spec, status }): readonly [string, Ip][] => {
      const ip = tryParseIp(status.podIP ?? "");
      return spec.nodeName === undefined || ip === undefined ? [] : [[spec.nodeName, ip]];
    });
    this.members?.join(new Map(known));
    this.members?.rejoin();
  }

  #sync(key: Key): void {
    const { store } = this.#host;
    const service = store.get("Service", key);
    if (service?.spec.type !== "LoadBalancer" || !isOurs(service, this.#class)) {
      this.#withdraw(key, service ? "notLoadBalancer" : "serviceDeleted");
      return;
    }
    const ips = ingressOf(service);
    const pool = ips.length === 0 ? undefined : poolsOf(store).find((each) => hasAll(each, ips));
    if (!pool) {
      this.#withdraw(key, ips.length === 0 ? "noIPAllocated" : "ipNotAllowed");
      return;
    }
    const leader = arpLeader(store, key, service, pool, ips, this.members?.alive ?? []);
    this.#decide("layer2", key, service, pool, leader === this.#node ? undefined : "notOwner", () => this.#answer(ips));
    const refusal = bgpRefusal(store, key, service, pool, this.#node);
    this.#decide("bgp", key, service, pool, refusal, () => this.#bgp.announce(key, ips, pool));
  }

  #decide(
    protocol: Protocol,
    key: Key,
    service: Service,
    pool: Pool,
    refusal: string | undefined,
    announce: () => () => void,
  ): void {
    const ips = ingressOf(service);
    const known = this.#announced[protocol].get(key);
    if (refusal !== undefined || (known && known.ips.join() !== ips.join())) {
      this.#withdraw(key, refusal ?? "loadBalancerIPChanged", protocol);
    }
    if (refusal !== undefined) return;
    const before = this.#announced[protocol].get(key);
    // Which prefixes BGP announces may be other than before.
    if (before && protocol !== "bgp") return;
    const stop = this.#tried(announce, ips, pool, protocol);
    if (before || !stop) return;
    this.#announced[protocol].set(key, { ips, stop });
    const msg = "service has IP, announcing";
    this.#log("info", "main.go:434", { event: "serviceAnnounced", ips, msg, pool: pool.name, protocol });
    const message = `announcing from node ${JSON.stringify(this.#node)} with protocol ${JSON.stringify(protocol)}`;
    tell(this.#host, service, { type: "Normal", reason: "nodeAssigned", message, component });
  }

  #tried(announce: () => () => void, ips: readonly string[], pool: Pool, protocol: Protocol): (() => void) | undefined {
    try {
      return announce();
    } catch (error) {
      if (!(error instanceof BgpError)) throw error;
      const failed = { op: "setBalancer", error: error.message, msg: "failed to announce service" };
      this.#log("error", "main.go:425", { ips, pool: pool.name, protocol, ...failed });
      return undefined;
    }
  }

  #withdraw(key: Key, reason: string, only?: Protocol): void {
    for (const protocol of only ? [only] : (["bgp", "layer2"] as const)) {
      const known = this.#announced[protocol].get(key);
      if (!known) continue;
      known.stop();
      this.#announced[protocol].delete(key);
      const msg = "withdrawing service announcement";
      this.#log("info", "main.go:479", {
        event: "serviceWithdrawn",
        ip: known.ips,
        ips: known.ips,
        msg,
        protocol,
        reason,
      });
    }
  }

  /** Answers ARP (and neighbour discovery) for these addresses, and tells everybody at once that it does. */
  #answer(ips: readonly string[]): () => void {
    const { netns, clock } = this.#program;
    const devices = [...netns.devices.values()].filter(announcesOn);
    const pairs = ips.flatMap((ip) => devices.map((device): readonly [Device, Ip] => [device, parseIp(ip)]));
    const answers = pairs.map(([device, ip]) => standIn(device, ip));
    let timer: Timer | undefined;
    const until = clock.now + spam.length;
    const announce = (): void => {
      for (const [device, ip] of pairs) netns.neighbors.announce(device, ip);
      if (clock.now + spam.period <= until) timer = clock.after(spam.period, announce, "background");
    };
    announce();
    return () => {
      timer?.cancel();
      for (const answer of answers) answer.stop();
    };
  }
}

/** The devices that metallb-native.yaml excludes (ConfigMap metallb-excludel2): those of pods and of tunnels. */
const excluded = /^(docker|cbr|dummy|virbr|lxcbr|veth|cali|tunl|flannel|kube-ipvs|cni|nodelocaldns|lxc)|^lo$/;

/** Whether it answers on a device: not on a bridge's ports, as the bridge does (internal/layer2 announcer.go). */
function announcesOn({ name, up, master }: Device): boolean {
  return up && !master && !excluded.test(name);
}

/** Where the others reach a speaker. */
function whereOf(pod: Kinds["Pod"] | undefined): string | undefined {
  return pod?.status.podIP && `${pod.spec.nodeName} ${pod.status.podIP}`;
}

function isSpeaker(pod: Kinds["Pod"] | undefined): boolean {
  const labels = pod?.metadata.labels ?? {};
  return pod?.metadata.namespace === "metallb-system" && labels.app === "metallb" && labels.component === "speaker";
}

/** Whether a change of a Node means nothing for who announces what: heartbeats do not. */
function isSame(now: Kinds["Node"] | undefined, before: Kinds["Node"] | undefined): boolean {
  if (!now || !before) return false;
  const conditions = ({ status }: Kinds["Node"]): string =>
    (status.conditions ?? []).map(({ type, status: is }) => `${type}=${is}`).join();
  return now.metadata.labels === before.metadata.labels && conditions(now) === conditions(before);
}
