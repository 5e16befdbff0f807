/** Owns where the headers of a frame are, and their octets as numbers. */
import { u8, u16, u32 } from "./octets";
import { protocolNumbers } from "./services";

/** Whether a frame is wanted. */
export type Filter = (frame: Uint8Array) => boolean;

/** A number of a frame; undefined where it has none, which makes every relation false. */
export type Value = (frame: Uint8Array) => number | undefined;

/** Where the parts of an IP packet are. */
export interface Layers {
  readonly family: "ip" | "ip6" | "arp" | undefined;
  /** Of the transport protocol; -1 if there is none. */
  readonly protocol: number;
  /** Where it begins. */
  readonly transport: number;
  /** A later fragment has no ports. */
  readonly first: boolean;
}

const none: Layers = { family: undefined, protocol: -1, transport: 0, first: false };

export function layersOf(frame: Uint8Array): Layers {
  switch (u16(frame, 12)) {
    case 0x0800: {
      const transport = 14 + (u8(frame, 14) & 15) * 4;
      return { family: "ip", protocol: u8(frame, 23), transport, first: (u16(frame, 20) & 0x1fff) === 0 };
    }
    case 0x86dd:
      if (u8(frame, 20) !== 44) return { family: "ip6", protocol: u8(frame, 20), transport: 54, first: true };
      return { family: "ip6", protocol: u8(frame, 54), transport: 62, first: (u16(frame, 56) & 0xfff8) === 0 };
    case 0x0806:
      return { ...none, family: "arp" };
    default:
      return none;
  }
}

/** The octets of a protocol's header as numbers, for `tcp[13]`; undefined where the frame has no such header. */
export function fieldOf(protocol: string, offset: number, size: number): Value {
  const read = size === 1 ? u8 : size === 2 ? u16 : u32;
  const number = protocolNumbers[protocol];
  return (frame) => {
    const layers = layersOf(frame);
    let base: number;
    if (protocol === "ether") base = 0;
    else if (number === undefined) {
      if (layers.family !== protocol) return undefined;
      base = 14;
    } else {
      const family = protocol === "icmp6" ? "ip6" : "ip";
      if (layers.family !== family || layers.protocol !== number || !layers.first) return undefined;
      base = layers.transport;
    }
    return base + offset + size > frame.length ? undefined : read(frame, base + offset);
  };
}
