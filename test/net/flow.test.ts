/** Asking instead of sending: every choice with its probability, the same way as a live packet, and nothing changed by it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import { explore } from "../../kernel-lib/net/explore";
import { explainFlow, runFlow, walkFlow } from "../../kernel-lib/net/flow";
import type { Netns } from "../../kernel-lib/net/netns";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { minute } from "../../kernel-lib/sim/clock";
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

/** A Service of two servers, seen by a client on node 1. */
function served(seed: number) {
  const lab = overlay(2, seed);
  for (const name of ["pod-1-3", "pod-2-2"]) serve(pod(lab, name), 80);
  addService(lab, "10.96.0.10", 80, ["10.244.1.3", "10.244.2.2"]);
  return { lab, client: pod(lab, "pod-1-2"), node: lab.nodes[0] as Netns };
}

test("connections at flow level draw the lots that live ones draw, and count what these count", () => {
  const live = served(7);
  const picks: string[] = [];
  for (let made = 0; made < 30; made++) {
    const answer = ask(live.lab, live.client, "10.96.0.10", 80);
    picks.push(answer.slice(0, 7));
  }
  const flow = served(7);
  const before = flow.lab.sim.clock.now;
  const runs = picks.map(() => runFlow(flow.client, toService));
  expect(runs.map(({ netns }) => netns)).toEqual(picks);
  expect(new Set(picks).size).toBe(2);
  expect(flow.lab.sim.clock.now).toBe(before);
  const tuples = ({ node }: typeof live) => node.conntrack.list().map(({ original, reply }) => [original, reply]);
  // The overlay's datagrams are connections too; of those without a clock each stands alone.
  expect(tuples(flow).filter(([one]) => one?.protocol === "tcp")).toEqual(
    tuples(live).filter(([one]) => one?.protocol === "tcp"),
  );
  const counts = ({ node }: typeof live) =>
    ["KUBE-SERVICES", "KUBE-SVC-WEB", "KUBE-SEP-0", "KUBE-SEP-1"].map((chain) => node.iptables.counters("nat", chain));
  expect(counts(flow)).toEqual(counts(live));
});

test("what is remembered of connections at flow level is what closed ones leave, and goes as theirs does", () => {
  const { lab, client, node } = served(1);
  const tcp = () => node.conntrack.list().filter(({ original }) => original.protocol === "tcp");
  const open = runFlow(client, toService, { open: true });
  expect(tcp().map((each) => each.tcp)).toEqual(["ESTABLISHED"]);
  expect(tcp()[0]?.assured).toBe(true);
  open.close();
  open.close();
  expect(tcp().map((each) => each.tcp)).toEqual(["TIME_WAIT"]);
  for (let made = 0; made < 300; made++) runFlow(client, { ...toService, sourcePort: 40_000 + (made % 10) });
  expect(tcp().length).toBe(11);
  lab.sim.clock.advance(3 * minute);
  expect(node.conntrack.size).toBe(0);
});

test("a full table gives up what is closed, the oldest first, and drops what is new when all is open", () => {
  const { client, node } = served(1);
  node.conntrack.max = 50;
  for (let made = 0; made < 20; made++) runFlow(client, toService, { open: true });
  for (let made = 0; made < 500; made++) expect(runFlow(client, toService).end).toBe("delivered");
  expect(node.conntrack.size).toBeLessThanOrEqual(50);
  expect(node.conntrack.list().filter(({ tcp }) => tcp === "ESTABLISHED").length).toBe(20);
  let dropped = 0;
  for (let made = 0; made < 50; made++) if (runFlow(client, toService, { open: true }).end === "dropped") dropped++;
  expect(dropped).toBeGreaterThan(10);
  expect(node.conntrack.size).toBeLessThanOrEqual(50);
});

test("what Linux would test on the way is counted, and asking and sending count the same", () => {
  const { lab, client } = served(1);
  const asked = explainFlow(client, toService, { entries: false });
  const counts = asked.map(({ outcome }) => outcome.walked.rules);
  expect(asked.every(({ outcome }) => outcome.walked.lookups === 0)).toBe(true);
  expect(counts).toContain(runFlow(client, toService).walked.rules);
  // A rule more in the way of every packet is one more for each passage through that chain.
  for (const node of lab.nodes) node.iptables.append("filter", "FORWARD", {});
  const after = explainFlow(client, toService).map(({ outcome }) => outcome.walked.rules);
  expect(after).toEqual(counts.map((count, at) => count + (at === 0 ? 1 : 2)));
});

test("a refused connection leaves nothing, a dropped one nothing where it was dropped", () => {
  const { lab, client, node } = served(1);
  const tcp = () => node.conntrack.list().filter(({ original }) => original.protocol === "tcp");
  addService(lab, "10.96.0.10", 81, ["10.244.1.3"]);
  expect(runFlow(client, { ...toService, targetPort: 81 })).toMatchObject({ end: "refused" });
  expect(tcp()).toEqual([]);
  node.iptables.append("filter", "FORWARD", { target: { target: "DROP" } });
  expect(runFlow(client, { ...toService, targetPort: 81 })).toMatchObject({ end: "dropped", netns: "node-1" });
  expect(tcp()).toEqual([]);
});
