/** Syncs of the iptables mode one after another leave what one sync of the last view would have written. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseIp } from "../../../kernel-lib/net/address";
import { Network } from "../../../kernel-lib/net/network";
import { createNode, type NodeNet } from "../../../kernel-lib/node/node";
import { iptablesMode } from "../../../kernel-lib/node/proxy/iptables";
import type { Endpoint, ServicePort } from "../../../kernel-lib/node/proxy/view";
import { second } from "../../../kernel-lib/sim/clock";
import { createSim } from "../../../kernel-lib/sim/sim";

function newNode(): NodeNet {
  const sim = createSim(1);
  const network = new Network(sim);
  return createNode(sim, network, network.segment("lan"), { name: "node-1", ip: parseIp("192.168.1.11") });
}

const endpoint = (number: number): Endpoint => {
  const ip = `10.244.1.${number + 2}`;
  const state = { node: "node-1", ready: true, serving: true, terminating: false, zoneHints: [], nodeHints: [] };
  return { address: `${ip}:80`, ip, port: 80, ...state };
};
const endpoints = fc
  .uniqueArray(fc.integer({ min: 0, max: 4 }), { maxLength: 4 })
  .map((numbers) => numbers.sort().map(endpoint));

const port = (number: number): fc.Arbitrary<ServicePort> =>
  fc
    .record({
      more: endpoints,
      local: endpoints,
      open: fc.boolean(),
      affinity: fc.boolean(),
      ranges: fc.boolean(),
      externalLocal: fc.boolean(),
    })
    .map(({ more, local, open, affinity, ranges, externalLocal }): ServicePort => {
      // Where this node has endpoints, the cluster has them.
      const all = [...local, ...more.filter(({ ip }) => local.every((other) => other.ip !== ip))];
      return {
        name: `default/svc-${number}`,
        ...{ service: `default/svc-${number}`, portName: "", protocol: "TCP", port: 80 },
        clusterIps: [`10.96.0.${number + 10}`],
        externalIps: [],
        loadBalancerIps: open ? [`1.2.3.${number}`] : [],
        sourceRanges: ranges ? ["192.168.0.0/16"] : [],
        ...(open && { nodePort: 30_000 + number }),
        ...(affinity && { affinity: 10 * second }),
        ...{ internalLocal: false, externalLocal, externallyAccessible: open },
        ...{ cluster: all, local: externalLocal ? local : undefined, internal: all },
        ...{ external: externalLocal ? local : all, reachable: all, endpoints: all },
        hasAnyEndpoints: all.length > 0,
      };
    });

/** Which Services there are, and which of them are made anew; the others stay the objects that they were. */
const step = fc.record({
  there: fc.uniqueArray(fc.integer({ min: 0, max: 4 })).map((numbers) => numbers.sort()),
  changed: fc.array(
    fc.integer({ min: 0, max: 4 }).chain((number) => fc.tuple(fc.constant(number), port(number))),
    {
      maxLength: 3,
    },
  ),
});

test("any row of views", () => {
  const first = fc.tuple(...[0, 1, 2, 3, 4].map(port));
  fc.assert(
    fc.property(first, fc.array(step, { minLength: 1, maxLength: 6 }), (start, steps) => {
      const ports = [...start];
      const mode = iptablesMode({ clusterCidr: "10.244.0.0/16" });
      const node = newNode();
      let view: readonly ServicePort[] = [];
      for (const { there, changed } of steps) {
        for (const [number, made] of changed) ports[number] = made;
        view = there.map((number) => ports[number] as ServicePort);
        mode.sync(view, node, "IPv4");
      }
      const other = newNode();
      iptablesMode({ clusterCidr: "10.244.0.0/16" }).sync(view, other, "IPv4");
      expect(node.netns.iptables.save()).toBe(other.netns.iptables.save());
    }),
    { numRuns: 150 },
  );
});
