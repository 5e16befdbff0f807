/** Owns the dummy device: it is up, has addresses, and swallows whatever is sent by it (drivers/net/dummy.c). */
import type { Device } from "./device";
import { frameLost } from "./framenotes";
import type { Frame } from "./packet";

/** `type dummy`: kube-proxy's kube-ipvs0 holds the addresses of Services, so that packets to them are for this host. */
export interface Dummy {
  readonly type: "dummy";
  /** As `ip link` tells it (`qlen`); nothing ever waits. */
  readonly queue: number;
  transmit(frame: Frame, from: Device): void;
  carrier(device: Device): boolean;
}

/** What is behind a dummy device: nothing. */
export function newDummy(queue = 1000): Dummy {
  return {
    type: "dummy",
    queue,
    transmit: (frame, from) => frameLost(frame, from, `${from.name} is a dummy device: it swallows what it is given`),
    carrier: (device) => device.up,
  };
}
