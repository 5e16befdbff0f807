/** Measures the small Linux: connections and packets per second with every hop simulated, nobody reading the journal. */
import { formatIp, parseCidr, parseIp } from "../../kernel-lib/net/address";
import { explainFlow, walkFlow } from "../../kernel-lib/net/flow";
import { Network } from "../../kernel-lib/net/network";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { createSim } from "../../kernel-lib/sim/sim";
import { addService, ask, type Lab, overlay, pod, serve } from "../net/topology";
import type { Measurement } from "./main";

const connections = 6_000;
/** How many are under way at a time. */
const together = 32;
const service = "10.96.0.10";

export async function benchNet(): Promise<readonly Measurement[]> {
  return [
    {
      name: "TCP connections, pod to pod on another node (VXLAN)",
      value: connectionRate("10.244.2.2", false),
      unit: "1/s",
      aim: "≥ 20,000",
    },
    { name: "the same with one reader on the journal", value: connectionRate("10.244.2.2", true), unit: "1/s" },
    {
      name: "TCP connections, pod to Service on another node (VXLAN, NAT)",
      value: connectionRate(service, false),
      unit: "1/s",
      aim: "≥ 10,000",
    },
    { name: "the same with one reader on the journal", value: connectionRate(service, true), unit: "1/s" },
    { name: "packets forwarded between pods of two nodes (VXLAN)", value: packetRate("10.244.2.2"), unit: "1/s" },
    { name: "packets forwarded between pods of one node (bridge)", value: packetRate("10.244.1.3"), unit: "1/s" },
    { name: "packets through 10 routers", value: hopRate(10), unit: "1/s" },
    ...bigOverlay(1_000, 10),
    { name: "flow-level walks of a Service (no clock, no links)", value: walkRate(), unit: "1/s" },
  ];
}

function plainLab(): Lab {
  const made = overlay(2);
  serve(pod(made, "pod-2-2"), 80);
  serve(pod(made, "pod-2-3"), 80);
  return made;
}

function lab(): Lab {
  const made = plainLab();
  addService(made, service, 80, ["10.244.2.2", "10.244.2.3"]);
  return made;
}

function rate(count: number, run: () => void): number {
  const began = performance.now();
  run();
  return Math.round((count / (performance.now() - began)) * 1000);
}

/** The best of three, the first of which warms up. */
function best(measure: () => number): number {
  return Math.max(...[1, 2, 3].map(measure));
}

/** Each is a handshake, a request, an answer and both FINs: ten packets. */
function connectionRate(target: string, read: boolean): number {
  return best(() => {
    const made = target === service ? lab() : plainLab();
    const client = pod(made, "pod-1-2");
    const { clock, journal } = made.sim;
    let lines = 0;
    let closed = 0;
    const reader = read ? journal.follow(({ detail }) => (lines += (detail as PacketEvent).packet ? 1 : 0)) : undefined;
    const value = rate(connections, () => {
      for (let begun = 0; begun < connections; begun++) {
        client.sockets.connectTcp(
          { ip: parseIp(target), port: 80 },
          { connected: (socket) => socket.write("GET / HTTP/1.1"), closed: () => closed++ },
        );
        if (begun % together === together - 1) clock.settle();
      }
      clock.settle();
    });
    reader?.stop();
    if (closed !== connections) throw new Error(`${closed} of ${connections} connections ended well`);
    if (read && lines === 0) throw new Error("the reader read nothing");
    return value;
  });
}

function packetRate(target: string): number {
  return best(() => {
    const made = lab();
    let heard = 0;
    for (const name of ["pod-1-3", "pod-2-2"])
      pod(made, name).sockets.openUdp({ port: 9 }, { received: () => heard++ });
    const socket = pod(made, "pod-1-2").sockets.openUdp({}, {});
    const to = { ip: parseIp(target), port: 9 };
    const count = 40_000;
    const value = rate(count, () => {
      for (let sent = 0; sent < count; sent++) {
        socket.send("x", to);
        if (sent % together === together - 1) made.sim.clock.settle();
      }
      made.sim.clock.settle();
    });
    if (heard !== count) throw new Error(`${heard} of ${count} packets arrived`);
    return value;
  });
}

/** A chain of routers on veth pairs: one packet is forwarded `hops` times. */
function hopRate(hops: number): number {
  return best(() => {
    const sim = createSim(1);
    const network = new Network(sim);
    const places = Array.from({ length: hops + 2 }, (_, index) => network.netns(`r${index}`));
    for (const [index, place] of places.entries()) {
      const next = places[index + 1];
      place.sysctl.ipForward = true;
      if (!next) continue;
      network.vethPair({ netns: place, name: "right" }, { netns: next, name: "left" });
      place.addAddress("right", parseCidr(`10.0.${index}.1/30`));
      next.addAddress("left", parseCidr(`10.0.${index}.2/30`));
      place.routes.add({ to: parseCidr("10.9.9.9"), via: parseIp(`10.0.${index}.2`) });
    }
    const last = places.at(-1);
    last?.addAddress("lo", parseCidr("10.9.9.9/32"));
    let heard = 0;
    last?.sockets.openUdp({ port: 9 }, { received: () => heard++ });
    const socket = places[0]?.sockets.openUdp({}, {});
    const count = 10_000;
    const value = rate(count, () => {
      for (let sent = 0; sent < count; sent++) {
        socket?.send("x", { ip: parseIp("10.9.9.9"), port: 9 });
        if (sent % together === together - 1) sim.clock.settle();
      }
      sim.clock.settle();
    });
    if (heard !== count) throw new Error(`${heard} of ${count} packets arrived`);
    return value;
  });
}

/** Every node with its bridge, its flannel.1 and its pods; what it must know of its peers is put off until it is asked. */
function bigOverlay(nodes: number, podsEach: number): readonly Measurement[] {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const began = performance.now();
  const made = overlay(nodes, 1, { podsEach, deferred: true });
  const seconds = (performance.now() - began) / 1000;
  globalThis.gc?.();
  const megabytes = (process.memoryUsage().heapUsed - before) / 1e6;
  const last = pod(made, `pod-${nodes}-2`);
  serve(last, 80);
  const answer = ask(made, pod(made, "pod-1-2"), formatIp(last.device("eth0").writtenAddresses[0]?.ip ?? 0), 80);
  if (!answer.includes("saw 10.0.0.2")) throw new Error(`the first pod heard ${answer}`);
  const words = `${nodes.toLocaleString("en-US")} nodes × ${podsEach} pods on the overlay: network only`;
  return [
    { name: `${words}, time`, value: seconds, unit: "s", aim: "≤ 2" },
    { name: `${words}, memory${globalThis.gc ? "" : " (not collected)"}`, value: megabytes, unit: "MB", aim: "≤ 500" },
  ];
}

function walkRate(): number {
  const made = lab();
  const client = pod(made, "pod-1-2");
  const flow = { protocol: "tcp", target: parseIp(service), targetPort: 80 } as const;
  if (explainFlow(client, flow).length !== 2) throw new Error("two endpoints, two possibilities");
  return best(() =>
    rate(20_000, () => {
      for (let walked = 0; walked < 20_000; walked++)
        walkFlow(client, flow, { choose: () => walked % 2, entries: false });
    }),
  );
}
