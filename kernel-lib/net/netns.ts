/** Owns a network namespace: what a kernel holds for it, and the way of a packet through it. */
import type { Random } from "../sim/random";
import { type Cidr, formatIp, type Ip, isLoopback, isMulticast, type Mac, randomMac } from "./address";
import { Bridge } from "./bridge";
import { Conntrack } from "./conntrack";
import { Device, type Link, loopback } from "./device";
import { Fragments } from "./fragments";
import { endInner, frameLost, noteReceived, noteRoute, noteSent } from "./framenotes";
import { Ipsets } from "./ipset";
import { Iptables } from "./iptables";
import { Ipvs } from "./ipvs/ipvs";
import { leave } from "./leave";
import {
  addAddress,
  attachPort,
  deleteAddress,
  deleteDevice,
  detachPort,
  giveLinkLocal,
  linkChanged,
  sourceOn,
} from "./links";
import { deliver, reject, sendError } from "./local";
import { takePath } from "./multipath";
import { Neighbors } from "./neighbor";
import { type Hook, Netfilter } from "./netfilter";
import type { Network } from "./network";
import { Nftables } from "./nft/nftables";
import { changed, type Frame, type IcmpError, type Packet } from "./packet";
import { describePacket } from "./packetdata";
import type { EndedMore, Fate, Passage } from "./passage";
import { PathMtus } from "./pathmtu";
import { reassemble } from "./reassembly";
import { type RouteResult, Routes, refusalOf } from "./route";
import type { Failure } from "./socket";
import { Sockets } from "./sockets";
import { freshSysctl, type Sysctl } from "./sysctl";
import { Transit } from "./transit";
import { addVxlan, type VxlanOptions } from "./vxlan";
import { Port, type Segment } from "./wire";

/**
 * ```
 * receive ─► prerouting ─► for me? ─┬─ yes ─► input ─► socket
 *                                   └─ no ──► forward ─┐
 * socket ─────────────────────────────────► output ────┴─► route ─► postrouting ─► neighbor ─► device
 * ```
 * Everything that decides on the way (conntrack, iptables, …) is a function on one of the five hooks.
 *
 * Not simulated: IP and TCP options but MSS, checksums; windows and congestion; delayed acknowledgements and
 * out-of-order queues (what is lost is sent again from there on); reverse-path filtering; broadcast and multicast
 * reception by sockets; traffic control; SCTP beyond its ports; STP; duplicate address detection and router
 * advertisements of IPv6, and rules for its neighbour discovery; iptables on a bridge for pieces of packets.
 */
export class Netns {
  readonly devices = new Map<string, Device>();
  readonly routes = new Routes({ all: () => this.fill(), ipv6: () => this.wakeIpv6() });
  readonly neighbors: Neighbors;
  readonly netfilter = new Netfilter();
  readonly conntrack: Conntrack;
  readonly #iptables: Iptables;
  readonly #ip6tables: Iptables;
  #ipvs: Ipvs | undefined;
  #ipsets: Ipsets | undefined;
  #nft: Nftables | undefined;
  readonly sockets: Sockets;
  readonly random: Random;
  readonly pathMtus: PathMtus;
  readonly sysctl: Sysctl = freshSysctl();
  readonly #fragments = new Fragments();
  #indexes = 0;
  #ipv6 = false;
  readonly #deferred: (() => void)[] = [];

  constructor(
    readonly network: Network,
    readonly name: string,
  ) {
    this.random = network.sim.random.fork(`netns/${name}`);
    this.neighbors = new Neighbors(this);
    this.conntrack = new Conntrack(network.sim.clock);
    this.#iptables = new Iptables(this);
    this.#ip6tables = new Iptables(this, "IPv6");
    this.sockets = new Sockets(this);
    this.pathMtus = new PathMtus(network.sim.clock);
    this.addDevice("lo", loopback, { mac: "00:00:00:00:00:00", mtu: 65536 });
    this.addAddress("lo", { ip: 0x7f000001, length: 8 });
    this.addAddress("lo", { ip: 1n, length: 128 });
  }

  /** The tables of `iptables`, with all that was put off written into them. */
  get iptables(): Iptables {
    this.netfilter.fill();
    return this.#iptables;
  }

  /** The tables of `ip6tables`. */
  get ip6tables(): Iptables {
    this.netfilter.fill();
    return this.#ip6tables;
  }

  /** IPVS, which most namespaces never use. */
  get ipvs(): Ipvs {
    this.netfilter.fill();
    this.#ipvs ??= new Ipvs(this);
    return this.#ipvs;
  }

  /** The tables of `nft`. */
  get nft(): Nftables {
    this.netfilter.fill();
    this.#nft ??= new Nftables(this);
    return this.#nft;
  }

  /** The sets of `ipset`. */
  get ipsets(): Ipsets {
    this.netfilter.fill();
    this.#ipsets ??= new Ipsets(this.network.sim.random.fork(`ipset/${this.name}`));
    return this.#ipsets;
  }

  // ── The way of a packet ──────────────────────────────────────────────────────────────────────────────────────────

  /** A packet of a local socket, or of the kernel itself; `device`: it must leave by this one. */
  send(packet: Packet, device?: string): void {
    const passage = this.passage(packet, undefined);
    if (passage.watched) noteSent(passage);
    let route =
      (device === undefined ? undefined : this.routes.lookupBy(device, packet.target)) ?? this.#routeFor(passage);
    if (!route) return;
    passage.output = route.device;
    if (!this.hook("output", passage)) return;
    if (passage.packet.target !== packet.target) {
      route = this.#routeFor(passage);
      if (!route) return;
    }
    if (isLoopback(passage.packet.source) && route.device !== "lo" && !this.sysctl.routeLocalnet) {
      this.end(passage, "drop", "route", "a packet from 127.0.0.0/8 may not leave (route_localnet is off)");
      return;
    }
    leave(this, passage, route);
  }

  /** A packet that is said to have come in by a device, without the frame around it. */
  arrive(packet: Packet, device: Device): void {
    const passage = this.passage(packet, device.name);
    passage.note("receive", device.name, () => `came in by ${device.name}: ${describePacket(packet)}`);
    if (this.hook("prerouting", passage)) this.enter(passage, device);
  }

  /** A frame that came in by a device: to its bridge, if it is a port of one. */
  receive(frame: Frame, device: Device): void {
    if (!device.up) {
      // Of a frame that a bridge floods, the copies for others do not count.
      if (device.master || frame.target === device.mac) frameLost(frame, device, "the device is down");
      return;
    }
    device.counted(frame);
    const { master } = device;
    if (master?.link.type === "bridge") {
      master.link.receive(frame, device, master);
      return;
    }
    this.receiveFrame(frame, device, undefined);
  }

  /** A frame for the namespace itself. `passage`: it has been through prerouting already, on a bridge. */
  receiveFrame(frame: Frame, device: Device, passage: Passage | undefined): void {
    if (frame.type !== "ip") {
      this.neighbors.receive(frame, device);
      return;
    }
    if (frame.target !== device.mac) return;
    if (passage) {
      this.enter(passage, device);
      return;
    }
    const fresh = this.passage(frame.packet, device.name);
    if (fresh.watched) noteReceived(fresh, frame, device);
    if (frame.packet.fragment) reassemble(this, this.#fragments, fresh, device);
    else if (this.hook("prerouting", fresh)) this.enter(fresh, device);
  }

  /** After prerouting: for me, or further on? */
  enter(passage: Passage, device: Device): void {
    const { packet } = passage;
    if (isLoopback(packet.target) && device.name !== "lo" && !this.sysctl.routeLocalnet) {
      this.end(passage, "drop", "route", "martian destination: 127.0.0.0/8 from outside (route_localnet is off)");
      return;
    }
    if (this.routes.endHere(packet.target) || isMulticast(packet.target)) {
      if (this.hook("input", passage)) deliver(this, passage);
      return;
    }
    if (!(typeof packet.target === "number" ? this.sysctl.ipForward : this.sysctl.ipv6Forward)) {
      this.end(passage, "drop", "route", "not for this host, and forwarding is off");
      return;
    }
    if (packet.ttl <= 1) {
      this.unreachable(passage, "time-exceeded", "route");
      return;
    }
    const route = this.#routeFor(passage);
    if (!route) return;
    passage.packet = changed(packet, packet.source, packet.target, packet.ttl - 1, packet.body);
    passage.output = route.device;
    if (this.hook("forward", passage)) leave(this, passage, route);
  }

  /** Runs the functions of a hook; true if the packet may go on. */
  hook(hook: Hook, passage: Passage): boolean {
    (passage as Transit).hook = hook;
    const verdict = this.netfilter.run(hook, passage);
    switch (verdict) {
      case "accept":
        return true;
      case "drop":
        this.end(passage, "drop", hook, passage.why ?? `dropped in ${hook}`);
        return false;
      case "reject":
        reject(this, passage, hook);
        return false;
      case "stolen":
        return false;
    }
  }

  /** The packet cannot go on, and its sender is told by ICMP. */
  unreachable(passage: Passage, error: IcmpError, about: string): void {
    this.end(passage, "drop", about, error === "time-exceeded" ? "its time to live is over" : error.replace("-", " "));
    sendError(this, passage.packet, error);
  }

  /** The last word on a packet. */
  end(passage: Passage, fate: Fate, about: string, why: string | (() => string), more?: EndedMore): void {
    const { conveyor, told } = this.network;
    if (!told) return;
    const words = typeof why === "string" ? why : why();
    passage.note(fate, about, () => words);
    conveyor.ended?.({ fate, netns: this.name, packet: passage.packet, why: words, ...more });
    if (fate === "drop" || fate === "reject") endInner(this, passage, about, words);
  }

  passage(packet: Packet, input: string | undefined): Transit {
    return new Transit(this, packet, input);
  }

  #routeFor(passage: Passage): RouteResult | undefined {
    const { target } = passage.packet;
    const found = takePath(this, passage, this.routes.lookup(target));
    if (!found) {
      this.unreachable(passage, "net-unreachable", "route");
      return undefined;
    }
    const { type } = found.route;
    if (type === "blackhole") this.end(passage, "drop", "route", `blackhole route for ${formatIp(target)}`);
    else if (type === "unreachable") this.unreachable(passage, "host-unreachable", "route");
    else if (type === "prohibit") this.unreachable(passage, "admin-prohibited", "route");
    if (refusalOf(found.route)) return undefined;
    if (passage.watched) noteRoute(passage, found);
    return found;
  }

  /** The largest packet that can be sent to an address, as far as this namespace knows. */
  mtuTo(ip: Ip): number {
    const found = this.routes.lookup(ip);
    const device = this.devices.get(found?.device ?? "")?.mtu ?? 1500;
    return Math.min(found?.route.mtu ?? device, device, this.pathMtus.get(ip)?.mtu ?? device);
  }

  /** Nobody here wants the packet, and its sender is told so. */
  refuse(passage: Passage, why: string): void {
    this.end(passage, "reject", "socket", `${why}: answered with ICMP port unreachable`, { refused: true });
    sendError(this, passage.packet, "port-unreachable");
  }

  // ── Devices and addresses ────────────────────────────────────────────────────────────────────────────────────────

  /** A device over any link. The MAC address is random unless given, from this namespace's own stream. */
  addDevice(name: string, link: Link, options: { readonly mac?: Mac; readonly mtu?: number } = {}): Device {
    if (this.devices.has(name)) throw new RangeError("RTNETLINK answers: File exists");
    const mac = options.mac ?? randomMac((low, high) => this.random.integer(low, high));
    const device = new Device(this, name, ++this.#indexes, mac, options.mtu ?? 1500, link);
    this.devices.set(name, device);
    if (this.#ipv6) giveLinkLocal(this, device);
    return device;
  }

  /**
   * Puts off writing what is only needed once somebody looks: `fill` runs once, before the next packet or reader needs
   * routes, neighbours or a tunnel's forwarding database. A thousand nodes know a thousand peers each, and few are asked.
   */
  defer(fill: () => void): void {
    this.#deferred.push(fill);
    this.routes.forgetLookups();
  }

  /** Runs what was put off. */
  fill(): void {
    while (this.#deferred.length > 0) this.#deferred.shift()?.();
  }

  /** Gives devices their link-local addresses, when IPv6 is first looked at: most namespaces never do. */
  wakeIpv6(): void {
    if (this.#ipv6 || this.sysctl.disableIpv6) return;
    this.#ipv6 = true;
    for (const device of this.devices.values()) giveLinkLocal(this, device);
  }

  giveLinkLocal(device: Device): void {
    if (this.#ipv6) giveLinkLocal(this, device);
  }

  /** Told by a device that it went up or down. */
  linkChanged(device: Device): void {
    linkChanged(this, device);
  }

  /** A physical device, plugged into a segment. */
  addPhysical(name: string, segment: Segment, options: { readonly mac?: Mac; readonly mtu?: number } = {}): Device {
    const port = new Port(segment);
    const device = this.addDevice(name, port, options);
    port.plug(device);
    return device;
  }

  addBridge(name: string, options: { readonly mac?: Mac; readonly mtu?: number } = {}): Device {
    return this.addDevice(name, new Bridge(), options);
  }

  /** A VXLAN device; its MTU leaves room for the 50 octets around each frame. */
  addVxlan(name: string, options: VxlanOptions & { readonly mac?: Mac; readonly mtu?: number }): Device {
    return addVxlan(this, name, options);
  }

  /** `ip link set NAME master BRIDGE`. */
  attach(name: string, bridge: string, options: { readonly hairpin?: boolean } = {}): void {
    attachPort(this.device(name), this.device(bridge), options.hairpin ?? false);
  }

  /** `ip link set NAME nomaster`. */
  detach(name: string): void {
    detachPort(this.device(name));
  }

  /** `ip link delete NAME`: with its addresses, routes and neighbours; the other end of a veth pair goes too. */
  deleteDevice(name: string): void {
    deleteDevice(this, this.device(name));
  }

  /** `ip addr add ADDRESS dev NAME`, with the routes that the kernel adds by itself. */
  addAddress(name: string, address: Cidr): void {
    addAddress(this, this.device(name), address);
  }

  /** `ip addr del ADDRESS dev NAME`. */
  deleteAddress(name: string, address: Cidr): void {
    deleteAddress(this, this.device(name), address);
  }

  /** A device by name; throws as `ip` says it. */
  device(name: string): Device {
    const device = this.devices.get(name);
    if (!device) throw new RangeError(`Cannot find device "${name}"`);
    return device;
  }

  /** The route that a packet from here would take, and the source address it would have (`ip route get`). */
  routeGet(ip: Ip): (RouteResult & { readonly source: Ip | undefined }) | undefined {
    const found = this.routes.lookup(ip);
    if (!found || refusalOf(found.route)) return undefined;
    return { ...found, source: this.#sourceOf(found, ip) };
  }

  /** How a call fails that would send to `ip`, if it does: there is no route, or one that refuses. */
  routeFailure(ip: Ip): Failure | undefined {
    const found = this.routes.lookup(ip);
    return found ? refusalOf(found.route) : { outcome: "unreachable", errno: "ENETUNREACH" };
  }

  /** The source address that packets to `ip` get. */
  sourceFor(ip: Ip): Ip | undefined {
    return this.routeGet(ip)?.source;
  }

  /** The address of a device to speak to a neighbour with: one of the same network, else the first, else any other device's. */
  sourceOn(device: Device, neighbour: Ip): Ip | undefined {
    return sourceOn(this, device, neighbour);
  }

  #sourceOf(found: RouteResult, ip: Ip): Ip | undefined {
    if (found.route.source !== undefined && found.route.type !== "local") return found.route.source;
    if (found.route.type === "local") return ip;
    const device = this.devices.get(found.device);
    return device && this.sourceOn(device, found.nextHop);
  }
}
