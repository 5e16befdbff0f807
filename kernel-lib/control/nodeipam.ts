/** Owns each node's part of the pod network: a range of its own (pkg/controller/nodeipam, range allocator). */
import type { Controller } from "../api/controller";
import type { Key } from "../api/meta";
import { formatIp, parseCidr } from "../api/validation/ip";
import type { Context } from "./context";
import { nodeIpamController as by } from "./names";

export interface NodeIpamOptions {
  /** `10.244.0.0/16`; in a dual-stack cluster also `fd00:10:244::/56`. */
  readonly podCidrs: readonly string[];
  /** How much of each a node gets: by default a /24 and a /64. */
  readonly nodeMasks: { readonly IPv4: number; readonly IPv6: number };
}

/** Gives the lowest free range of each family to every node that has none. */
export function nodeIpamControllerOf({ store }: Context, options: NodeIpamOptions): Controller {
  const ranges = options.podCidrs.map((prefix) => freeRanges(prefix, options.nodeMasks));

  function reconcile(key: Key): undefined {
    const node = store.get("Node", key);
    if (!node || node.spec.podCIDR) return undefined;
    const podCIDRs = ranges.flatMap((free) => free.next() ?? []);
    const [podCIDR] = podCIDRs;
    if (podCIDR === undefined || podCIDRs.length < ranges.length) return undefined;
    store.update("Node", key, (now) => ({ ...now, spec: { ...now.spec, podCIDR, podCIDRs } }), by);
    return undefined;
  }

  return {
    name: by,
    watches: {
      Node: (key, now, before) => {
        if (now?.spec.podCIDRs !== before?.spec.podCIDRs) {
          for (const range of before?.spec.podCIDRs ?? []) for (const free of ranges) free.giveBack(range);
          for (const range of now?.spec.podCIDRs ?? []) for (const free of ranges) free.take(range);
        }
        return [key];
      },
    },
    reconcile,
  };
}

/** The parts of one prefix, and which are taken. */
function freeRanges(prefix: string, masks: NodeIpamOptions["nodeMasks"]) {
  const whole = parseCidr(prefix);
  if (!whole) throw new RangeError(`invalid CIDR address: ${prefix}`);
  const mask = masks[whole.family];
  const size = 1n << BigInt((whole.family === "IPv4" ? 32 : 128) - mask);
  const count = Number(whole.size / size);
  const used = new Set<string>();
  /** All below this one are taken. */
  let lowest = 0;
  return {
    take: (range: string) => void used.add(range),
    giveBack: (range: string) => {
      if (used.delete(range)) lowest = 0;
    },
    next: (): string | undefined => {
      for (; lowest < count; lowest++) {
        const range = `${formatIp(whole.family, whole.first + BigInt(lowest) * size)}/${mask}`;
        if (!used.has(range)) return range;
      }
      return undefined;
    },
  };
}
