/**
 * Owns a cloud's proxy (as Amazon's classic load balancer): it takes the client's connection itself, and opens one of its
 * own to a healthy node's port. It has a name instead of an address.
 */
import { sha256 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { amazonChecks, type HealthCheckFigures } from "../../api/propagation";
import { type CloudBalancer, CloudError, type Ingress } from "../../control/loadbalancer/service";
import type { Ip, SocketAddress } from "../../net/address";
import type { PassesOn, TcpListener } from "../../net/socket";
import { second } from "../../sim/clock";
import { type ElasticSettings, elasticSettings } from "./elastic";
import type { Ground } from "./forwarder";
import { type HealthCheck, HealthChecks } from "./health";
import { type Joined, nameOf, splice } from "./splice";

const region = "us-east-1";
/** How many nodes are tried before the client's connection is closed. */
const tries = 3;

interface Proxied {
  readonly ip: Ip;
  readonly host: string;
  readonly checks: HealthChecks;
  readonly joined: Map<string, Joined>;
  settings: ElasticSettings;
  /** The nodes that are registered. */
  nodes: ReadonlyMap<string, Ip>;
  listeners: readonly TcpListener[];
  turn: number;
}

/** Where names become addresses: a cloud's DNS. */
export interface Names {
  set(host: string, ip: Ip | undefined): void;
}

export class ElasticProxy implements CloudBalancer {
  readonly creation = 30 * second;
  readonly #ground: Ground;
  readonly #names: Names;
  readonly #all = new Map<Key, Proxied>();

  constructor(ground: Ground, names: Names) {
    this.#ground = ground;
    this.#names = names;
  }

  ensure(key: Key, service: Kinds["Service"], names: readonly string[]): readonly Ingress[] {
    const { spec, metadata } = service;
    const settings = elasticSettings(service);
    for (const { port, protocol, nodePort } of spec.ports ?? []) {
      if (protocol !== "TCP") throw new CloudError(`Protocol ${protocol} not supported by load balancer`);
      if (!nodePort) throw new CloudError(`port ${port} has no node port: a proxy sends to node ports only`);
    }
    const proxied = this.#all.get(key) ?? this.#make(key, metadata.uid, settings);
    proxied.settings = settings;
    this.#all.set(key, proxied);
    for (const listener of proxied.listeners) listener.close();
    proxied.listeners = (spec.ports ?? []).map(({ port, nodePort = 0 }) => this.#listen(proxied, port, nodePort));
    const gone = [...proxied.nodes].filter(([name]) => !names.includes(name));
    proxied.nodes = new Map(names.map((name) => [name, this.#ground.addressOf(name)]));
    proxied.checks.set(checkOf(service, this.#ground.checks), proxied.nodes);
    if (gone.length > 0) this.#deregister(proxied);
    return [{ hostname: proxied.host }];
  }

  remove(key: Key): void {
    const proxied = this.#all.get(key);
    if (!proxied) return;
    for (const listener of proxied.listeners) listener.close();
    proxied.checks.stop();
    this.#names.set(proxied.host, undefined);
    this.#ground.attract(proxied.ip, false);
    this.#ground.netns.deleteAddress("eth0", { ip: proxied.ip, length: 32 });
    this.#ground.addresses.release(key);
    this.#all.delete(key);
  }

  /** Connections to nodes that were taken out end at once, or when the time to drain is over. */
  #deregister(proxied: Proxied): void {
    const close = (): void => {
      const registered = new Set(proxied.nodes.values());
      for (const { server, abort } of [...proxied.joined.values()]) if (!registered.has(server.ip)) abort();
    };
    const { draining } = proxied.settings;
    if (draining === undefined) close();
    else this.#ground.netns.network.sim.clock.after(draining, close, "background");
  }

  /** Without draining a node that fails its checks loses its connections at once. */
  #checked({ checks, joined, settings }: Proxied): void {
    if (settings.draining !== undefined) return;
    const healthy = new Set(checks.healthy.map(({ ip }) => ip));
    for (const { server, abort } of [...joined.values()]) if (!healthy.has(server.ip)) abort();
  }

  #make(key: Key, uid: string, settings: ElasticSettings): Proxied {
    const { netns, addresses, attract } = this.#ground;
    const ip = addresses.give(key, undefined);
    netns.addAddress("eth0", { ip, length: 32 });
    attract(ip, true);
    // Its name begins with the Service's uid (cloudprovider.DefaultLoadBalancerName).
    const name = `a${uid.replaceAll("-", "")}`.slice(0, 32);
    const number = Number.parseInt(bytesToHex(sha256(uid)).slice(0, 8), 16);
    const host = `${name}-${number}.${region}.elb.amazonaws.com`;
    this.#names.set(host, ip);
    const checks = new HealthChecks(netns, { balancer: "proxy", service: key }, () => this.#checked(made));
    const made: Proxied = {
      ip,
      host,
      checks,
      joined: new Map(),
      settings,
      nodes: new Map(),
      listeners: [],
      turn: 0,
    };
    return made;
  }

  #listen(proxied: Proxied, port: number, nodePort: number): TcpListener {
    const { netns } = this.#ground;
    const { joined } = proxied;
    const backends = (): readonly SocketAddress[] => proxied.checks.healthy.map(({ ip }) => ({ ip, port: nodePort }));
    const next = (tried: number): SocketAddress | undefined => {
      const all = backends();
      return tried < tries && all.length > 0 ? all[proxied.turn++ % all.length] : undefined;
    };
    const passesOn: PassesOn = {
      asked: (_, choose) => {
        const all = backends();
        const chosen = all.length > 0 ? choose(all.map(() => 1)) : 0;
        return all.slice(chosen, chosen + 1);
      },
      taken: (_, tried) => next(tried),
      towards: ({ ip, port: from }) => joined.get(nameOf({ remote: { ip, port: from } }))?.server,
    };
    const { preface, idle } = proxied.settings;
    return netns.sockets.listenTcp({ ip: proxied.ip, port, owner: "load-balancer", passesOn }, () =>
      splice({ netns, next, preface, idle, joined }),
    );
  }
}

/** Under Local the port that says whether a node has endpoints, else that the first node port takes connections. */
function checkOf({ spec }: Kinds["Service"], checks: Partial<HealthCheckFigures>): HealthCheck {
  const { healthCheckNodePort, ports = [] } = spec;
  const figures = { ...amazonChecks, ...checks };
  if (healthCheckNodePort) return { ...figures, port: healthCheckNodePort, path: "/healthz" };
  return { ...figures, port: ports[0]?.nodePort ?? 0 };
}
