/** Asking instead of sending: every choice with its probability, the same way as a live packet, and nothing changed by it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import { explore } from "../../kernel-lib/net/explore";
import { explainFlow, walkFlow } from "../../kernel-lib/net/flow";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { addService, ask, overlay, pod, serve } from "./topology";

const toService = { protocol: "tcp", target: parseIp("10.96.0.10"), targetPort: 80 } as const;

test("explore takes every sequence of choices once, and the probabilities sum to 1", () => {
  const weights = fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 })
    .filter((all) => all.some((one) => one > 0));
  fc.assert(
    fc.property(fc.array(weights, { maxLength: 5 }), (offers) => {
      const found = explore((choose) => offers.map((offer) => choose(offer)).join(" "));
      const expected = offers.reduce((product, offer) => product * offer.filter((weight) => weight > 0).length, 1);
      expect(found.length).toBe(expected);
      expect(new Set(found.map(({ outcome }) => outcome)).size).toBe(expected);
      expect(found.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 9);
    }),
  );
});

test("kube-proxy's chain of unequal probabilities gives each of n endpoints 1/n", () => {
  const lab = overlay(3);
  for (let count = 1; count <= 6; count++) {
    const endpoints = [...lab.pods.keys()]
      .slice(0, count)
      .map((name) => name.replace("pod-", "10.244.").replace(/-/g, "."));
    for (const name of [...lab.pods.keys()].slice(count - 1, count)) serve(pod(lab, name), 80);
    addService(lab, "10.96.0.10", 80, endpoints);
    const found = explainFlow(pod(lab, "pod-1-2"), toService);
    expect(found.map(({ outcome }) => formatIp(outcome.target))).toEqual(endpoints);
    for (const { probability, outcome } of found) {
      expect(probability).toBeCloseTo(1 / count, 8);
      expect(outcome.end).toBe("delivered");
    }
  }
});

test("a walk says where a packet ends, as whom, and by which rules, and leaves no trace", () => {
  const lab = overlay(2);
  const [node] = lab.nodes;
  serve(pod(lab, "pod-2-2"), 80);
  addService(lab, "10.96.0.10", 80, ["10.244.1.2", "10.244.2.2"]);
  const state = (): string =>
    JSON.stringify([
      node?.conntrack.list().length,
      node?.iptables.save({ counters: true }),
      node?.neighbors.list().length,
      lab.sim.clock.now,
      lab.sim.clock.next() ?? "nothing waits",
    ]);
  const before = state();
  const entries = lab.sim.journal.during(() => {
    const [self, other] = explainFlow(pod(lab, "pod-1-2"), toService);
    expect(self?.outcome).toMatchObject({ end: "refused", netns: "pod-1-2", source: parseIp("10.244.1.1") });
    expect(other?.outcome).toMatchObject({
      end: "delivered",
      netns: "pod-2-2",
      owner: "server",
      source: parseIp("10.244.1.2"),
    });
    expect(other?.outcome.rules.map(({ netns, chain, number }) => `${netns} ${chain} ${number}`)).toEqual([
      "node-1 PREROUTING 1",
      "node-1 KUBE-SERVICES 1",
      "node-1 KUBE-SVC-WEB 3",
      "node-1 KUBE-SEP-1 2",
      "node-1 FORWARD 1",
      "node-1 POSTROUTING 1",
      "node-1 KUBE-POSTROUTING 1",
      "node-2 PREROUTING 1",
      "node-2 FORWARD 1",
      "node-2 POSTROUTING 1",
      "node-2 KUBE-POSTROUTING 1",
    ]);
  });
  expect(entries).toEqual([]);
  expect(state()).toBe(before);
});

test("a walk and a live packet with the same choices take the same steps", () => {
  const lab = overlay(3);
  serve(pod(lab, "pod-2-2"), 80);
  serve(pod(lab, "pod-3-2"), 80);
  addService(lab, "10.96.0.10", 80, ["10.244.2.2", "10.244.3.2"]);
  ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80);
  ask(lab, pod(lab, "pod-1-2"), "10.244.3.2", 80);
  for (let round = 0; round < 6; round++) {
    const entries = lab.sim.journal.during(() => ask(lab, pod(lab, "pod-1-2"), "10.96.0.10", 80));
    const events = entries.map(({ detail }) => detail as PacketEvent).filter(({ type }) => type === "packet");
    const id = events[0]?.packet.id;
    const steps = (all: readonly PacketEvent[], packet: number | undefined): readonly string[] =>
      all
        .filter((event) => event.packet.id === packet)
        .map(
          (event) => `${event.netns} ${event.kind} ${event.hook ?? ""} ${event.device ?? ""} ${event.rule?.text ?? ""}`,
        );
    const live = steps(events, id);
    const chosen = events.some(({ packet, kind }) => kind === "nat" && packet.target === "10.244.2.2") ? 0 : 1;
    const walk = walkFlow(pod(lab, "pod-1-2"), toService, { choose: () => chosen });
    const walked = walk.entries.map(({ detail }) => detail as PacketEvent);
    expect(steps(walked, walked[0]?.packet.id)).toEqual(live);
  }
});
