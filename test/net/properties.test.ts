/** What holds for any traffic: one fate a packet, replies that invert NAT, and the same seed giving the same journal. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseIp } from "../../kernel-lib/net/address";
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
});
const plan = fc.record({
  calls: fc.array(call, { minLength: 1, maxLength: 12 }),
  served: fc.subarray([...pods]),
  reachable: fc.subarray(endpoints),
  cut: fc.option(fc.record({ pod: fc.constantFrom(...pods), after: fc.nat(500) }), { nil: undefined }),
  seed: fc.nat(1000),
});

/** Runs a plan to its end and gives every line of the journal. */
function run({ calls, served, reachable, cut, seed }: typeof plan extends fc.Arbitrary<infer Plan> ? Plan : never) {
  const lab: Lab = overlay(2, seed);
  for (const name of served) serve(pod(lab, name), 80);
  addService(lab, "10.96.0.10", 80, reachable);
  return lab.sim.journal.during(() => {
    for (const { from, to, port, protocol, after } of calls) {
      lab.sim.clock.after(after, () => {
        if (protocol === "udp")
          pod(lab, from)
            .sockets.openUdp({}, {})
            .send("?", { ip: parseIp(to), port });
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
