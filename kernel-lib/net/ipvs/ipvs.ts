/** Owns IPVS of a namespace: its virtual servers and their real ones (net/netfilter/ipvs/ip_vs_ctl.c). */
import type { Time } from "../../sim/clock";
import { type Family, family, type Ip } from "../address";
import type { Netns } from "../netns";
import { asking, IpvsConnections } from "./connections";
import { Director } from "./director";
import { newScheduler } from "./scheduler";
import {
  type IpvsProtocol,
  newServer,
  type RealServer,
  Statistics,
  type VirtualAddress,
  type VirtualOptions,
  type VirtualServer,
} from "./server";

/** What the kernel refuses, in the words that `ipvsadm` prints (libipvs.c, ipvs_strerror). */
export class IpvsError extends Error {}

/**
 * What packets go through is the director's: director.ts.
 *
 * Not simulated: direct routing and tunnels; firewall marks, thresholds, one-packet scheduling, persistence engines and
 * netmasks; helpers (FTP); the chunks of SCTP; synchronisation between directors.
 */
export class Ipvs {
  readonly connections: IpvsConnections;
  readonly #netns: Netns;
  readonly #services = new Map<Ip, Map<number, VirtualServer>>();
  #director: Director | undefined;

  constructor(netns: Netns) {
    this.#netns = netns;
    this.connections = new IpvsConnections(netns.network.sim.clock, (connection) => {
      // Its entry of connection tracking would outlive it by days (ip_vs_conn_drop_conntrack).
      const tracked = netns.sysctl.vsConntrack ? netns.conntrack.find(asking(connection)) : undefined;
      if (tracked) netns.conntrack.forget(tracked);
    });
  }

  // ── Virtual and real servers ─────────────────────────────────────────────────────────────────────────────────────

  /** `ipvsadm -A`. */
  add(options: VirtualOptions): VirtualServer {
    if (this.get(options)) throw new IpvsError("Service already exists");
    const { protocol, ip, port, scheduler, persistence, flags = [] } = options;
    const servers: RealServer[] = [];
    const stats = new Statistics(this.#now);
    const schedule = newScheduler(scheduler, { servers, flags });
    const made = { protocol, ip, port, scheduler, persistence, flags, schedule, servers, stats };
    const ofIp = this.#services.get(ip) ?? new Map<number, VirtualServer>();
    this.#services.set(ip, ofIp);
    ofIp.set(portKey(protocol, port), made);
    if (!this.#director) {
      this.#director = new Director(this.#netns, this);
      this.#director.hook();
    }
    return made;
  }

  /** `ipvsadm -E`: its connections stay. */
  edit(options: VirtualOptions): VirtualServer {
    const found = this.#known(options);
    const { scheduler, persistence, flags = [] } = options;
    const anew = found.scheduler !== scheduler || found.flags.join() !== flags.join();
    found.persistence = persistence;
    found.flags = flags;
    found.scheduler = scheduler;
    if (anew) found.schedule = newScheduler(scheduler, found);
    return found;
  }

  /** `ipvsadm -D`. Connections find their real server gone. */
  delete(address: VirtualAddress): void {
    const found = this.#known(address);
    for (const server of found.servers) server.available = false;
    const ofIp = this.#services.get(found.ip);
    ofIp?.delete(portKey(found.protocol, found.port));
    if (ofIp?.size === 0) this.#services.delete(found.ip);
  }

  /** `ipvsadm -C`. */
  clear(): void {
    for (const each of this.list()) this.delete(each);
  }

  get({ protocol, ip, port }: VirtualAddress): VirtualServer | undefined {
    return this.#services.get(ip)?.get(portKey(protocol, port));
  }

  get empty(): boolean {
    return this.#services.size === 0;
  }

  /** How many virtual servers of a family there are. */
  count(of: Family): number {
    let count = 0;
    for (const [ip, ofIp] of this.#services) if (family(ip) === of) count += ofIp.size;
    return count;
  }

  list(): readonly VirtualServer[] {
    return [...this.#services.values()].flatMap((ofIp) => [...ofIp.values()]);
  }

  /** `ipvsadm -a`: one that is still remembered by connections comes back with them (ip_vs_trash_get_dest). */
  addServer(address: VirtualAddress, ip: Ip, port: number, weight = 1): RealServer {
    const service = this.#known(address);
    if (find(service, ip, port)) throw new IpvsError("Destination already exists");
    const made = this.#remembered(service, ip, port) ?? newServer(ip, port, weight, this.#now);
    made.available = true;
    setWeight(made, weight);
    service.servers.unshift(made);
    service.schedule.changed();
    return made;
  }

  /** `ipvsadm -e`. */
  editServer(address: VirtualAddress, ip: Ip, port: number, weight: number): void {
    const service = this.#known(address);
    setWeight(this.#knownServer(service, ip, port), weight);
    service.schedule.changed();
  }

  /** `ipvsadm -d`. */
  deleteServer(address: VirtualAddress, ip: Ip, port: number): void {
    const service = this.#known(address);
    const server = this.#knownServer(service, ip, port);
    server.available = false;
    const at = service.servers.indexOf(server);
    service.servers.splice(at, 1);
    service.schedule.changed({ server, at });
  }

  #known(address: VirtualAddress): VirtualServer {
    const found = this.get(address);
    if (!found) throw new IpvsError("No such service");
    return found;
  }

  #knownServer(service: VirtualServer, ip: Ip, port: number): RealServer {
    const found = find(service, ip, port);
    if (!found) throw new IpvsError("No such destination");
    return found;
  }

  #remembered(service: VirtualServer, ip: Ip, port: number): RealServer | undefined {
    return this.connections.list().find((each) => {
      const mine = each.virtualIp === service.ip && each.virtualPort === service.port;
      return mine && each.protocol === service.protocol && each.server.ip === ip && each.server.port === port;
    })?.server;
  }

  get #now(): Time {
    return this.#netns.network.sim.clock.now;
  }
}

const protocolNumbers: { readonly [Name in IpvsProtocol]: number } = { tcp: 0, udp: 1, sctp: 2 };

function portKey(protocol: IpvsProtocol, port: number): number {
  return protocolNumbers[protocol] * 65_536 + port;
}

function find(service: VirtualServer, ip: Ip, port: number): RealServer | undefined {
  return service.servers.find((server) => server.ip === ip && server.port === port);
}

function setWeight(server: RealServer, weight: number): void {
  server.weight = weight;
  if (weight > 0) server.lastWeight = weight;
}
