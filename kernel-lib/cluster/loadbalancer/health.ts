/** Owns a load balancer's health checks: which of its nodes answer, asked again and again over the network. */
import type { Key } from "../../api/meta";
import type { HealthCheckFigures } from "../../api/propagation";
import { HttpReader } from "../../apps/http";
import type { Ip } from "../../net/address";
import type { Netns } from "../../net/netns";
import { tellLife } from "../../node/lifeevents";
import type { Time, Timer } from "../../sim/clock";

/** What is asked of each node, and how often. */
export interface HealthCheck extends HealthCheckFigures {
  readonly port: number;
  /** `/healthz`; without one, that a connection is taken is enough. */
  readonly path?: string;
}

/** Whose checks they are, as the journal names it. */
export interface Balancing {
  /** The balancer's name for what makes it: `forwarder`, `proxy`. */
  readonly balancer: string;
  readonly service: Key;
}

interface Checked {
  readonly ip: Ip;
  isHealthy: boolean;
  /** The length of the present run of answers that say otherwise. */
  against: number;
  timer: Timer | undefined;
}

/** The nodes of one load balancer. */
export class HealthChecks {
  readonly #netns: Netns;
  readonly #of: Balancing;
  readonly #changed: () => void;
  #check: HealthCheck | undefined;
  #nodes = new Map<string, Checked>();

  constructor(netns: Netns, of: Balancing, changed: () => void) {
    this.#netns = netns;
    this.#of = of;
    this.#changed = changed;
  }

  /** The nodes that answer, by name. */
  get healthy(): readonly { readonly name: string; readonly ip: Ip }[] {
    const found = [...this.#nodes].filter(([, { isHealthy }]) => isHealthy);
    return found.map(([name, { ip }]) => ({ name, ip }));
  }

  /** Asks these nodes from now on; who is new, or is asked something else, must answer first. */
  set(check: HealthCheck, nodes: ReadonlyMap<string, Ip>): void {
    const same = this.#check?.port === check.port;
    this.#check = check;
    const before = this.#nodes;
    this.#nodes = new Map();
    for (const [name, ip] of nodes) {
      const known = before.get(name);
      if (same && known) {
        this.#nodes.set(name, known);
        before.delete(name);
      } else this.#begin(name, { ip, isHealthy: known?.isHealthy ?? false, against: 0, timer: undefined });
    }
    for (const { timer } of before.values()) timer?.cancel();
  }

  stop(): void {
    for (const { timer } of this.#nodes.values()) timer?.cancel();
    this.#check = undefined;
    this.#nodes = new Map();
  }

  /** It is asked at once, and from then on at its own beat: the checks of nodes are not made all at the same moment. */
  #begin(name: string, node: Checked): void {
    const { balancer, service } = this.#of;
    const { random } = this.#netns.network.sim;
    this.#nodes.set(name, node);
    const interval = this.#check?.interval ?? 1;
    this.#beat(name, node, random.fork(`health/${balancer}/${service}/${name}`).integer(1, interval));
  }

  #beat(name: string, node: Checked, next: Time): void {
    const check = this.#check;
    if (!check) return;
    const { clock } = this.#netns.network.sim;
    node.timer = clock.after(next, () => this.#beat(name, node, check.interval), "background");
    this.#ask(check, name, node);
  }

  #ask(check: HealthCheck, name: string, node: Checked): void {
    let over = false;
    const done = (well: boolean): void => {
      if (over) return;
      over = true;
      timer.cancel();
      this.#answered(check, name, node, well);
    };
    const reader = HttpReader.responses();
    const request = `GET ${check.path} HTTP/1.1\r\nHost: loadbalancer\r\nConnection: close\r\n\r\n`;
    const socket = this.#netns.sockets.connectTcp(
      { ip: node.ip, port: check.port, owner: "health-check", timeout: check.timeout },
      {
        connected: (made) => {
          if (check.path !== undefined) made.write(request);
          else {
            made.end();
            done(true);
          }
        },
        data: (made, text) => {
          reader.feed(text);
          const response = reader.next();
          if (response === undefined) return;
          made.end();
          done(response !== "bad" && response.status === 200);
        },
        closed: () => done(false),
        failed: () => done(false),
      },
    );
    const late = (): void => {
      done(false);
      socket.abort();
    };
    const timer = this.#netns.network.sim.clock.after(check.timeout, late, "background");
  }

  #answered(check: HealthCheck, name: string, node: Checked, well: boolean): void {
    if (this.#nodes.get(name) !== node) return;
    if (well === node.isHealthy) {
      node.against = 0;
      return;
    }
    node.against++;
    if (node.against < (well ? check.healthy : check.unhealthy)) return;
    node.isHealthy = well;
    node.against = 0;
    const { sim } = this.#netns.network;
    tellLife(sim, this.#netns.name, () => ({ of: "balancer", ...this.#of, node: name, healthy: well }));
    this.#changed();
  }
}
