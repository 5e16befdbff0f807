/** Owns each node's part of the pod network: a range of its own (pkg/controller/nodeipam, range allocator). */
import type { Controller } from "../api/controller";
import type { Key } from "../api/meta";
import { formatIp, parseCidr } from "../api/validation/ip";
import type { Context } from "./context";
import { nodeIpamController as by } from "./names";

export interface NodeIpamOptions {
  /** `10.244.0.0/16` */
  readonly podCidr: string;
  /** 24 */
  readonly nodeMask: number;
}

/** Gives the lowest free range to every node that has none. */
export function nodeIpamControllerOf({ store }: Context, options: NodeIpamOptions): Controller {
  const whole = parseCidr(options.podCidr);
  if (!whole) throw new RangeError(`invalid CIDR address: ${options.podCidr}`);
  const length = whole.family === "IPv4" ? 32 : 128;
  const size = 1n << BigInt(length - options.nodeMask);
  const count = Number(whole.size / size);
  const used = new Set<string>();

  function next(): string | undefined {
    for (let at = 0; at < count; at++) {
      const first = formatIp(whole?.family ?? "IPv4", (whole?.first ?? 0n) + BigInt(at) * size);
      const range = `${first}/${options.nodeMask}`;
      if (!used.has(range)) return range;
    }
    return undefined;
  }

  function reconcile(key: Key): undefined {
    const node = store.get("Node", key);
    if (!node || node.spec.podCIDR) return undefined;
    const range = next();
    if (range === undefined) return undefined;
    store.update("Node", key, (now) => ({ ...now, spec: { ...now.spec, podCIDR: range, podCIDRs: [range] } }), by);
    return undefined;
  }

  return {
    name: by,
    watches: {
      Node: (key, now, before) => {
        if (before?.spec.podCIDR) used.delete(before.spec.podCIDR);
        if (now?.spec.podCIDR) used.add(now.spec.podCIDR);
        return [key];
      },
    },
    reconcile,
  };
}
