/** Owns VXLAN devices (RFC 7348): frames inside UDP, to the peer that the forwarding database names. */

import { formatIp, type Ip, isGroupMac, type Mac } from "./address";
import type { Device } from "./device";
import { frameLost, noteFrame } from "./framenotes";
import type { Netns } from "./netns";
import { type Frame, frameSize, sourcePort, targetPort, type Udp, type Vxlan as VxlanMessage } from "./packet";

import { VxlanFdb } from "./vxlanfdb";

/** The port that Linux took before IANA gave 4789, and that flannel uses. */
export const vxlanPort = 8472;

export interface VxlanOptions {
  /** VXLAN network identifier, 24 bits. */
  readonly vni: number;
  /** The address that outer packets come from. */
  readonly local: Ip;
  /** The device below, for its MTU and for `ip -d link`. */
  readonly underlay: string;
  readonly port?: number;
  /** Learn where addresses are from what comes in; flannel says `nolearning` and writes the database itself. */
  readonly learning?: boolean;
}

/** A VXLAN device; its MTU leaves room for the 50 octets around each frame. */
export function addVxlan(
  netns: Netns,
  name: string,
  options: VxlanOptions & { readonly mac?: Mac; readonly mtu?: number },
): Device {
  const below = netns.devices.get(options.underlay);
  return netns.addDevice(name, new Vxlan(options, new VxlanFdb(netns.network.sim.clock, () => netns.fill())), {
    ...(options.mac === undefined ? {} : { mac: options.mac }),
    mtu: options.mtu ?? (below?.mtu ?? 1500) - 50,
  });
}

export class Vxlan {
  readonly type = "vxlan";
  readonly vni: number;
  readonly local: Ip;
  readonly underlay: string;
  readonly port: number;
  readonly learning: boolean;
  /** Which peer has an address. */
  readonly fdb: VxlanFdb;

  constructor(options: VxlanOptions, fdb: VxlanFdb) {
    this.fdb = fdb;
    this.vni = options.vni;
    this.local = options.local;
    this.underlay = options.underlay;
    this.port = options.port ?? vxlanPort;
    this.learning = options.learning ?? false;
  }

  /** A tunnel has no wire of its own. */
  carrier(): boolean {
    return true;
  }

  transmit(frame: Frame, device: Device): void {
    const peers = this.fdb.peers(frame.target);
    if (peers.length === 0) {
      const group = isGroupMac(frame.target);
      if (!group) frameLost(frame, device, `${device.name}: no FDB entry for ${frame.target}`);
      return;
    }
    for (const { remote } of peers) this.#send(frame, remote, device);
  }

  #send(frame: Frame, peer: Ip, device: Device): void {
    const { netns } = device;
    const payload: VxlanMessage = { type: "vxlan", size: 8 + frameSize(frame), vni: this.vni, frame };
    const body: Udp = { protocol: "udp", sourcePort: flowPort(frame), targetPort: this.port, payload };
    const outer = netns.network.packet(this.local, peer, body);
    if (netns.network.conveyor.watched) noteEncapsulated(frame, peer, device);
    netns.send(outer);
  }

  /** An outer packet that was for this device. */
  receive(message: VxlanMessage, from: Ip, device: Device): void {
    const { frame } = message;
    const { netns } = device;
    if (this.learning && !netns.network.conveyor.dry) this.fdb.learn(frame.source, from);
    if (netns.network.conveyor.watched) noteDecapsulated(frame, device);
    netns.receive(frame, device);
  }
}

function noteEncapsulated(frame: Frame, peer: Ip, device: Device): void {
  const found = `${device.name}: FDB says ${frame.target} is at ${formatIp(peer)}; into a UDP packet to it`;
  noteFrame(frame, "encapsulate", device, () => found);
}

function noteDecapsulated(frame: Frame, device: Device): void {
  noteFrame(frame, "decapsulate", device, () => `${device.name}: taken out of the UDP packet`);
}

/** The outer source port says which flow is inside, so that routers spread flows (net: udp_flow_src_port). */
function flowPort(frame: Frame): number {
  if (frame.type !== "ip") return 32768;
  const { packet } = frame;
  let hash = low(packet.source) ^ (sourcePort(packet.body) << 16);
  hash = Math.imul(hash ^ low(packet.target), 0x9e3779b1);
  hash = Math.imul(hash ^ targetPort(packet.body) ^ (hash >>> 15), 0x85ebca6b);
  return 32768 + (((hash ^ (hash >>> 13)) >>> 0) % 28232);
}

/** The last 32 bits. */
function low(ip: Ip): number {
  return typeof ip === "number" ? ip : Number(BigInt.asUintN(32, ip));
}
