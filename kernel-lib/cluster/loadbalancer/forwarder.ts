/**
 * Owns a cloud's packet forwarder (as Google's passthrough load balancer): packets reach a healthy node as they came, and
 * the node answers the client itself.
 */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { googleChecks, type HealthCheckFigures } from "../../api/propagation";
import type { CloudBalancer, Ingress } from "../../control/loadbalancer/service";
import { formatIp, type Ip } from "../../net/address";
import type { Netns } from "../../net/netns";
import { second, type Time } from "../../sim/clock";
import type { PublicAddresses } from "./addresses";
import { type HealthCheck, HealthChecks } from "./health";
import { Persistence } from "./persistence";

/** kube-proxy's own health, where the Service has no port for it. */
const proxyHealthPort = 10256;

/**
 * How long connections to a node that was taken out may go on (ingress-gce, pkg/backends: the backend services of
 * LoadBalancer Services; Google's own default is not to drain).
 */
const drainingTime = 30 * second;

interface Forwarded {
  readonly vip: Ip;
  readonly checks: HealthChecks;
  nodes: ReadonlyMap<string, Ip>;
  /** Nodes that were taken out, and until when they keep their connections. */
  readonly draining: Map<Ip, Time>;
}

/** What a balancer stands on. */
export interface Ground {
  readonly netns: Netns;
  readonly addresses: PublicAddresses;
  /** What of health checks is otherwise than the cloud's own figures. */
  readonly checks: Partial<HealthCheckFigures>;
  /** A node's own address. */
  addressOf(node: string): Ip;
  /** Sends an address that clients ask for to this machine, or does not any more. */
  attract(vip: Ip, on: boolean): void;
}

export class Forwarder implements CloudBalancer {
  readonly creation = 30 * second;
  readonly #ground: Ground;
  readonly #all = new Map<Key, Forwarded>();

  constructor(ground: Ground) {
    this.#ground = ground;
    // The five-tuple decides (session affinity NONE).
    ground.netns.sysctl.ipForward = true;
    ground.netns.sysctl.fibMultipathHashPolicy = 1;
    new Persistence(ground.netns, (vip, node) => {
      const one = [...this.#all.values()].find((each) => each.vip === vip);
      if (!one) return false;
      const until = one.draining.get(node) ?? 0;
      return until > ground.netns.network.sim.clock.now || [...one.nodes.values()].includes(node);
    });
  }

  ensure(key: Key, service: Kinds["Service"], names: readonly string[]): readonly Ingress[] {
    const vip = this.#ground.addresses.give(key, service.spec.loadBalancerIP);
    const nodes = new Map(names.map((name) => [name, this.#ground.addressOf(name)]));
    const known = this.#all.get(key) ?? { vip, nodes, checks: this.#checks(key), draining: new Map() };
    const until = this.#ground.netns.network.sim.clock.now + drainingTime;
    for (const [name, ip] of known.nodes) if (!nodes.has(name)) known.draining.set(ip, until);
    for (const ip of nodes.values()) known.draining.delete(ip);
    known.nodes = nodes;
    if (!this.#all.has(key)) this.#ground.attract(vip, true);
    this.#all.set(key, known);
    const port = service.spec.healthCheckNodePort ?? proxyHealthPort;
    const check: HealthCheck = { ...googleChecks, ...this.#ground.checks, port, path: "/healthz" };
    known.checks.set(check, nodes);
    this.#route(key);
    return [{ ip: formatIp(vip), ipMode: "VIP" }];
  }

  remove(key: Key): void {
    const known = this.#all.get(key);
    if (!known) return;
    known.checks.stop();
    this.#all.delete(key);
    this.#ground.netns.routes.delete({ ip: known.vip, length: 32 });
    this.#ground.attract(known.vip, false);
    this.#ground.addresses.release(key);
  }

  #checks(key: Key): HealthChecks {
    return new HealthChecks(this.#ground.netns, { balancer: "forwarder", service: key }, () => this.#route(key));
  }

  /** To the healthy nodes; where none is, to all: that is better than to none. */
  #route(key: Key): void {
    const known = this.#all.get(key);
    if (!known) return;
    const healthy = known.checks.healthy.map(({ ip }) => ip);
    const ips = healthy.length > 0 ? healthy : [...known.nodes.values()];
    const to = { ip: known.vip, length: 32 };
    if (ips.length === 0) this.#ground.netns.routes.replace({ to, type: "blackhole" });
    else this.#ground.netns.routes.replace({ to, nexthops: ips.map((via) => ({ via })) });
  }
}
