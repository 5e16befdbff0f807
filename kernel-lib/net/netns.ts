/** Owns a network namespace: what a kernel holds for it, and the way of a packet through it. */
import type { Random } from "../sim/random";
import { type Cidr, formatIp, type Ip, isLoopback, isMulticast, type Mac, randomMac } from "./address";
import { Bridge } from "./bridge";
import { Conntrack } from "./conntrack";
import { Device, type Link, loopback, loopbackDelay, Port, type Segment } from "./device";
import { answerEcho, errorFor, errorsAllowed } from "./icmp";
import { Iptables } from "./iptables";
import { addAddress, attachPort, deleteAddress, deleteDevice, sourceOn } from "./links";
import { Neighbors } from "./neighbor";
import { type Hook, Netfilter } from "./netfilter";
import type { Network } from "./network";
import { type Frame, type IcmpError, isVxlan, type Packet } from "./packet";
import { describePacket } from "./packetdata";
import type { EndedMore, Fate, PacketEventKind, Passage } from "./passage";
import { describeRoute, type RouteResult, Routes } from "./route";
import { Sockets } from "./sockets";
import { resetFor } from "./tcp";
import { Transit } from "./transit";
import { Vxlan, type VxlanOptions } from "./vxlan";

/** Kernel settings that a node's software turns on; the defaults are a fresh namespace's. */
export interface Sysctl {
  /** net.ipv4.ip_forward */
  ipForward: boolean;
  /** net.bridge.bridge-nf-call-iptables */
  bridgeNfCallIptables: boolean;
  /** net.ipv4.conf.all.route_localnet */
  routeLocalnet: boolean;
}

/**
 * ```
 * receive ─► prerouting ─► for me? ─┬─ yes ─► input ─► socket
 *                                   └─ no ──► forward ─┐
 * socket ─────────────────────────────────► output ────┴─► route ─► postrouting ─► neighbor ─► device
 * ```
 * Everything that decides on the way (conntrack, iptables, …) is a function on one of the five hooks.
 *
 * Not simulated: IP and TCP options, checksums and fragments; windows and congestion; delayed acknowledgements and
 * out-of-order queues (what is lost is sent again from there on); reverse-path filtering; broadcast and multicast
 * reception by sockets; traffic control; SCTP beyond its ports.
 */
export class Netns {
  readonly devices = new Map<string, Device>();
  readonly routes = new Routes();
  readonly neighbors: Neighbors;
  readonly netfilter = new Netfilter();
  readonly conntrack: Conntrack;
  readonly iptables: Iptables;
  readonly sockets: Sockets;
  readonly random: Random;
  readonly sysctl: Sysctl = { ipForward: false, bridgeNfCallIptables: false, routeLocalnet: false };
  #indexes = 0;

  constructor(
    readonly network: Network,
    readonly name: string,
  ) {
    this.random = network.sim.random.fork(`netns/${name}`);
    this.neighbors = new Neighbors(this);
    this.conntrack = new Conntrack(network.sim.clock);
    this.iptables = new Iptables(this);
    this.sockets = new Sockets(this);
    this.addDevice("lo", loopback, { mac: "00:00:00:00:00:00", mtu: 65536 });
    this.addAddress("lo", { ip: 0x7f000001, length: 8 });
    this.addAddress("lo", { ip: 1n, length: 128 });
  }

  // ── The way of a packet ──────────────────────────────────────────────────────────────────────────────────────────

  /** A packet of a local socket, or of the kernel itself. */
  send(packet: Packet): void {
    const passage = this.passage(packet, undefined);
    if (passage.watched) passage.note("send", "socket", () => describePacket(packet));
    let route = this.#routeFor(passage);
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
    this.#leave(passage, route);
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
      if (device.master || frame.target === device.mac) this.frameLost(frame, device, "the device is down");
      return;
    }
    const { master } = device;
    if (master?.link.type === "bridge") {
      master.link.receive(frame, device, master);
      return;
    }
    this.receiveFrame(frame, device, undefined);
  }

  /** A frame for the namespace itself. `passage`: it has been through prerouting already, on a bridge. */
  receiveFrame(frame: Frame, device: Device, passage: Passage | undefined): void {
    if (frame.type === "arp") {
      this.neighbors.receive(frame.arp, device);
      return;
    }
    if (frame.target !== device.mac) return;
    if (passage) {
      this.enter(passage, device);
      return;
    }
    const fresh = this.passage(frame.packet, device.name);
    if (fresh.watched) this.noteReceived(fresh, frame, device);
    if (this.hook("prerouting", fresh)) this.enter(fresh, device);
  }

  /** After prerouting: for me, or further on? */
  enter(passage: Passage, device: Device): void {
    const { packet } = passage;
    if (isLoopback(packet.target) && device.name !== "lo" && !this.sysctl.routeLocalnet) {
      this.end(passage, "drop", "route", "martian destination: 127.0.0.0/8 from outside (route_localnet is off)");
      return;
    }
    if (this.routes.isLocal(packet.target) || this.routes.isBroadcast(packet.target) || isMulticast(packet.target)) {
      if (this.hook("input", passage)) this.#deliver(passage);
      return;
    }
    if (!this.sysctl.ipForward) {
      this.end(passage, "drop", "route", "not for this host, and forwarding is off");
      return;
    }
    if (packet.ttl <= 1) {
      this.unreachable(passage, "time-exceeded", "route");
      return;
    }
    const route = this.#routeFor(passage);
    if (!route) return;
    passage.packet = { ...packet, ttl: packet.ttl - 1 };
    passage.output = route.device;
    if (this.hook("forward", passage)) this.#leave(passage, route);
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
        this.#reject(passage, hook);
        return false;
      case "stolen":
        return false;
    }
  }

  /** The packet cannot go on, and its sender is told by ICMP. */
  unreachable(passage: Passage, error: IcmpError, about: string): void {
    this.end(passage, "drop", about, error === "time-exceeded" ? "its time to live is over" : error.replace("-", " "));
    this.#sendError(passage.packet, error);
  }

  /** The last word on a packet. */
  end(passage: Passage, fate: Fate, about: string, why: string | (() => string), more?: EndedMore): void {
    const { conveyor } = this.network;
    if (!conveyor.watched && !conveyor.ended) return;
    const words = typeof why === "string" ? why : why();
    passage.note(fate, about, () => words);
    conveyor.ended?.({ fate, netns: this.name, packet: passage.packet, why: words, ...more });
  }

  passage(packet: Packet, input: string | undefined): Transit {
    return new Transit(this, packet, input);
  }

  #routeFor(passage: Passage): RouteResult | undefined {
    const { target } = passage.packet;
    const found = this.routes.lookup(target);
    if (!found) {
      this.unreachable(passage, "net-unreachable", "route");
      return undefined;
    }
    if (found.route.type === "blackhole") {
      this.end(passage, "drop", "route", `blackhole route for ${formatIp(target)}`);
      return undefined;
    }
    if (passage.watched) passage.note("route", found.device, () => describeRoute(found));
    return found;
  }

  /** Postrouting, and out by the device that the route names. */
  #leave(passage: Passage, route: RouteResult): void {
    passage.output = route.device;
    if (!this.hook("postrouting", passage)) return;
    const device = this.devices.get(route.device);
    if (!device?.up) {
      this.unreachable(passage, "net-unreachable", route.device);
      return;
    }
    if (device.link.type === "loopback") {
      this.network.conveyor.after(loopbackDelay, () => this.#loop(passage, device));
      return;
    }
    this.neighbors.resolve(device, route.nextHop, (mac) => {
      if (mac === undefined) return this.unreachable(passage, "host-unreachable", device.name);
      passage.note("transmit", device.name, () => `out by ${device.name} to ${formatIp(route.nextHop)}, ${mac}`, {
        device: device.name,
        sourceMac: device.mac,
        targetMac: mac,
      });
      device.transmit({ type: "ip", source: device.mac, target: mac, packet: passage.packet });
    });
  }

  /** Over `lo` a packet comes in again, and keeps its connection. */
  #loop(passage: Passage, device: Device): void {
    const next = this.passage(passage.packet, device.name);
    if (passage.connection) next.connection = passage.connection;
    if (passage.direction) next.direction = passage.direction;
    if (passage.state) next.state = passage.state;
    next.mark = passage.mark;
    next.note("receive", device.name, () => `came in by ${device.name}`, { device: device.name });
    if (this.hook("prerouting", next)) this.enter(next, device);
  }

  #deliver(passage: Passage): void {
    const { packet } = passage;
    const { body } = packet;
    if (body.protocol === "icmp") {
      if (body.type !== "echo") {
        this.sockets.receive(passage);
        return;
      }
      this.end(passage, "consume", "icmp", "echo request: the kernel answers");
      if (!passage.dry) this.send(answerEcho(this.network, packet));
      return;
    }
    if (body.protocol === "udp" && isVxlan(body.payload)) {
      for (const device of this.devices.values()) {
        const { link } = device;
        if (link.type !== "vxlan" || link.port !== body.targetPort || link.vni !== body.payload.vni) continue;
        this.end(passage, "consume", device.name, () => `VXLAN ${link.vni}: for ${device.name}`);
        link.receive(body.payload, packet.source, device);
        return;
      }
    }
    this.sockets.receive(passage);
  }

  #reject(passage: Passage, hook: Hook): void {
    const how = passage.rejectWith ?? "port-unreachable";
    this.end(passage, "reject", hook, passage.why ?? `rejected in ${hook} with ${how}`);
    if (how !== "tcp-reset") {
      this.#sendError(passage.packet, how);
      return;
    }
    const reset = resetFor(this.network, passage.packet);
    if (reset && !passage.dry) this.send(reset);
  }

  #sendError(cause: Packet, error: IcmpError): void {
    if (this.network.conveyor.dry || !errorsAllowed(cause)) return;
    const source = this.routes.isLocal(cause.target) ? cause.target : this.sourceFor(cause.source);
    if (source !== undefined) this.send(errorFor(this.network, source, cause, error));
  }

  /** Nobody here wants the packet, and its sender is told so. */
  refuse(passage: Passage, why: string): void {
    this.end(passage, "reject", "socket", `${why}: answered with ICMP port unreachable`, { refused: true });
    this.#sendError(passage.packet, "port-unreachable");
  }

  // ── Devices and addresses ────────────────────────────────────────────────────────────────────────────────────────

  /** A device over any link. The MAC address is random unless given, from this namespace's own stream. */
  addDevice(name: string, link: Link, options: { readonly mac?: Mac; readonly mtu?: number } = {}): Device {
    if (this.devices.has(name)) throw new RangeError("RTNETLINK answers: File exists");
    const mac = options.mac ?? randomMac((low, high) => this.random.integer(low, high));
    const device = new Device(this, name, ++this.#indexes, mac, options.mtu ?? 1500, link);
    this.devices.set(name, device);
    return device;
  }

  /** A physical device, plugged into a segment. */
  addPhysical(name: string, segment: Segment, options: { readonly mac?: Mac; readonly mtu?: number } = {}): Device {
    const device = this.addDevice(name, new Port(segment), options);
    segment.plug(device);
    return device;
  }

  addBridge(name: string, options: { readonly mac?: Mac; readonly mtu?: number } = {}): Device {
    return this.addDevice(name, new Bridge(), options);
  }

  /** A VXLAN device; its MTU leaves room for the 50 octets around each frame. */
  addVxlan(name: string, options: VxlanOptions & { readonly mac?: Mac; readonly mtu?: number }): Device {
    const below = this.devices.get(options.underlay);
    return this.addDevice(name, new Vxlan(options), {
      ...(options.mac === undefined ? {} : { mac: options.mac }),
      mtu: options.mtu ?? (below?.mtu ?? 1500) - 50,
    });
  }

  /** `ip link set NAME master BRIDGE`. */
  attach(name: string, bridge: string, options: { readonly hairpin?: boolean } = {}): void {
    attachPort(this.device(name), this.device(bridge), options.hairpin ?? false);
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
    if (!found || found.route.type === "blackhole") return undefined;
    return { ...found, source: this.#sourceOf(found, ip) };
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

  // ── Words for the journal ────────────────────────────────────────────────────────────────────────────────────────

  /** A frame that goes no further. ARP is asked again; a packet has met its fate. */
  frameLost(frame: Frame, device: Device, why: string): void {
    if (frame.type === "ip") this.end(this.passage(frame.packet, device.name), "drop", device.name, why);
  }

  noteReceived(passage: Passage, frame: Frame, device: Device): void {
    const port = device.master ? `, a port of ${device.master.name}` : "";
    passage.note("receive", device.name, () => `came in by ${device.name}${port}: ${describePacket(passage.packet)}`, {
      device: device.name,
      sourceMac: frame.source,
      targetMac: frame.target,
    });
  }

  /** What a bridge or VXLAN device did with a frame. */
  noteFrame(frame: Frame, kind: PacketEventKind, about: Device, what: () => string, device: Device = about): void {
    if (frame.type !== "ip") return;
    this.network.tell(this.name, kind, about.name, frame.packet, what, {
      device: device.name,
      sourceMac: frame.source,
      targetMac: frame.target,
    });
  }
}
