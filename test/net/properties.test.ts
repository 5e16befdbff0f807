/** What holds for any traffic: one fate a packet, replies that invert NAT, and the same seed giving the same journal. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCidr, parseIp, zeroMac } from "../../kernel-lib/net/address";
import { walkFlow } from "../../kernel-lib/net/flow";
import type { Netns } from "../../kernel-lib/net/netns";
import type { PacketData, PacketEvent } from "../../kernel-lib/net/passage";
import { addService, type Lab, overlay, pod, serve } from "./topology";

const pods = ["pod-1-2", "pod-1-3", "pod-2-2", "pod-2-3"] as const;
const endpoints = ["10.244.1.2", "10.244.2.2", "10.244.2.3"];

interface Call {
  readonly from: (typeof pods)[number];
  readonly to: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  readonly after: number;
  /** Octets of a datagram. */
  readonly size: number;
}

const call: fc.Arbitrary<Call> = fc.record({
  from: fc.constantFrom(...pods),
  to: fc.constantFrom(
    "10.96.0.10",
    "10.96.0.99",
    "10.244.1.2",
    "10.244.1.3",
    "10.244.2.2",
    "10.244.2.99",
    "192.168.1.12",
    "127.0.0.1",
  ),
  port: fc.constantFrom(80, 81),
  protocol: fc.constantFrom("tcp", "udp"),
  after: fc.nat(300),
  size: fc.constantFrom(1, 1400, 1500, 5000),
});
const plan = fc.record({
  calls: fc.array(call, { minLength: 1, maxLength: 12 }),
  served: fc.subarray([...pods]),
  reachable: fc.subarray(endpoints),
  cut: fc.option(fc.record({ pod: fc.constantFrom(...pods), after: fc.nat(500) }), { nil: undefined }),
  loss: fc.constantFrom(0, 0, 0.3),
  seed: fc.nat(1000),
});

/** Runs a plan to its end and gives every line of the journal. */
function run({
  calls,
  served,
  reachable,
  cut,
  loss,
  seed,
}: typeof plan extends fc.Arbitrary<infer Plan> ? Plan : never) {
  const lab: Lab = overlay(2, seed);
  lab.lan.loss = loss;
  for (const name of served) serve(pod(lab, name), 80);
  addService(lab, "10.96.0.10", 80, reachable);
  return lab.sim.journal.during(() => {
    for (const { from, to, port, protocol, after, size } of calls) {
      lab.sim.clock.after(after, () => {
        if (protocol === "udp")
          pod(lab, from)
            .sockets.openUdp({}, {})
            .send({ type: "data", size }, { ip: parseIp(to), port });
        else {
          const target = { ip: parseIp(to), port, timeout: 3_000_000 };
          pod(lab, from).sockets.connectTcp(target, { connected: (socket) => socket.write("hello") });
        }
      });
    }
    if (cut) lab.sim.clock.after(cut.after, () => lab.network.deleteNetns(pod(lab, cut.pod)));
    lab.sim.clock.settle();
  });
}

test("every packet has exactly one fate, and no way is longer than its TTL", () => {
  fc.assert(
    fc.property(plan, (made) => {
      const fates = new Map<number, string[]>();
      const sent = new Set<number>();
      for (const { detail } of run(made)) {
        const event = detail as PacketEvent;
        if (event.type !== "packet") continue;
        if (event.kind === "send") sent.add(event.packet.id);
        if (["deliver", "consume", "drop", "reject"].includes(event.kind)) {
          fates.set(event.packet.id, [...(fates.get(event.packet.id) ?? []), `${event.kind} in ${event.netns}`]);
        }
        expect(event.packet.ttl).toBeGreaterThan(0);
      }
      for (const id of sent) expect(fates.get(id), `packet ${id}`).toHaveLength(1);
      expect([...fates.keys()].filter((id) => !sent.has(id))).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

test("what a client hears comes from where it sent to: replies invert NAT", () => {
  const asked = ({ source, sourcePort, target, targetPort, protocol }: PacketData): string =>
    `${protocol} ${source}:${sourcePort} ${target}:${targetPort}`;
  const answered = ({ source, sourcePort, target, targetPort, protocol }: PacketData): string =>
    `${protocol} ${target}:${targetPort} ${source}:${sourcePort}`;
  fc.assert(
    fc.property(plan, (made) => {
      const spoken = new Set<string>();
      for (const { detail } of run(made)) {
        const event = detail as PacketEvent;
        if (event.type !== "packet" || event.packet.icmp || !event.netns.startsWith("pod-")) continue;
        if (event.kind === "send") spoken.add(`${event.netns} ${asked(event.packet)}`);
        const opening = event.packet.flags === "S" || event.packet.protocol === "udp";
        if (event.kind !== "deliver" || opening) continue;
        expect(spoken.has(`${event.netns} ${answered(event.packet)}`), answered(event.packet)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test("the same seed gives the same journal, byte for byte", () => {
  fc.assert(
    fc.property(plan, (made) => {
      expect(JSON.stringify(run(made))).toBe(JSON.stringify(run(made)));
    }),
    { numRuns: 25 },
  );
});

test("a packet that goes round in circles is over when its time to live is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 255 }), fc.integer({ min: 2, max: 4 }), (ttl, length) => {
      const lab = overlay(length);
      for (const [index, node] of lab.nodes.entries()) {
        node.routes.add({ to: parseCidr("10.99.0.0/16"), via: parseIp(`192.168.1.${11 + ((index + 1) % length)}`) });
      }
      const errors: string[] = [];
      const entries = lab.sim.journal.during(() => {
        const socket = pod(lab, "pod-1-2").sockets.openEcho(parseIp("10.99.0.1"), (answer) => {
          if (answer.result === "error") errors.push(answer.error);
        });
        socket.send(1, { ttl });
        lab.sim.clock.settle();
      });
      const events = entries.map(({ detail }) => detail as PacketEvent).filter(({ type }) => type === "packet");
      const hops = events.filter(({ kind, packet }) => kind === "transmit" && packet.id === events[0]?.packet.id);
      expect(hops.length).toBe(ttl);
      expect(errors).toEqual(["Time to live exceeded"]);
    }),
    { numRuns: 40 },
  );
});

/** One thing that a node knows of a peer, how to take it away, what covers for it, and how a walk shows that it was used. */
const knowledge = {
  route: {
    remove: (node: Netns, peer: number) => node.routes.delete(parseCidr(`10.244.${peer}.0/24`)),
    cover: (node: Netns, peer: number) => {
      const gateway = { via: parseIp(`10.244.${peer}.0`), device: "flannel.1", onlink: true };
      // Two halves of twice the size would lead elsewhere too; the same network with a worse metric leads only there.
      node.routes.add({ to: parseCidr(`10.244.${peer}.0/24`), metric: 100, ...gateway });
    },
    used: (peer: number) => `route: 10.244.${peer}.0/24 via 10.244.${peer}.0 dev flannel.1 onlink`,
  },
  "FDB entry": {
    remove: (node: Netns, _peer: number, mac: string) => fdbOf(node).delete(mac),
    cover: (node: Netns, peer: number) => fdbOf(node).append(zeroMac, parseIp(`192.168.1.${10 + peer}`)),
    used: (peer: number, mac: string) => `flannel.1: FDB says ${mac} is at 192.168.1.${10 + peer}`,
  },
} as const;

function fdbOf(node: Netns) {
  const { link } = node.device("flannel.1");
  if (link.type !== "vxlan") throw new Error("flannel.1 is no VXLAN device");
  return link.fdb;
}

test("taking a route or an FDB entry away changes exactly the flows that used it, and breaks those with no other cover", () => {
  const flows = [...overlay(3).pods.keys()].flatMap((from) =>
    [1, 2, 3].flatMap((node) => [2, 3].map((host) => ({ from, to: `10.244.${node}.${host}` }))),
  );
  const choice = fc.record({
    kind: fc.constantFrom("route", "FDB entry"),
    here: fc.integer({ min: 1, max: 3 }),
    step: fc.integer({ min: 1, max: 2 }),
    covered: fc.boolean(),
  });
  fc.assert(
    fc.property(choice, ({ kind, here, step, covered }) => {
      const lab = overlay(3);
      for (const name of lab.pods.keys()) serve(pod(lab, name), 80);
      const there = ((here - 1 + step) % 3) + 1;
      const [node, peer] = [lab.nodes[here - 1], lab.nodes[there - 1]];
      if (!node || !peer) throw new Error("no such node");
      const { mac } = peer.device("flannel.1");
      const { remove, cover, used } = knowledge[kind];
      if (covered) cover(node, there);
      const walks = () =>
        flows.map(({ from, to }) => {
          const flow = { protocol: "tcp", target: parseIp(to), targetPort: 80 } as const;
          const { end, entries } = walkFlow(pod(lab, from), flow, { choose: () => 0 });
          return { end, lines: entries.map(({ where, what }) => `${where}: ${what}`) };
        });
      const before = walks();
      expect(remove(node, there, mac)).toBe(true);
      for (const [index, { end, lines }] of walks().entries()) {
        const was = before[index];
        const usedIt = was?.lines.some((line) => line.startsWith(`${node.name}: ${used(there, mac)}`)) ?? false;
        expect(was?.end).toBe("delivered");
        expect(end).toBe(usedIt && !covered ? "dropped" : "delivered");
        if (!usedIt) expect(lines).toEqual(was?.lines);
      }
      // Each of the two pods here asks both pods there; answers, and their ways, are another flow's.
      const crossing = before.filter(({ lines }) =>
        lines.some((line) => line.startsWith(`${node.name}: ${used(there, mac)}`)),
      );
      expect(crossing).toHaveLength(4);
    }),
    { numRuns: 24 },
  );
});
