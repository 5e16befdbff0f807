/** Measures the small Linux: connections and packets per second with every hop simulated, nobody reading the journal. */
import { parseIp } from "../../kernel-lib/net/address";
import { explainFlow, walkFlow } from "../../kernel-lib/net/flow";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { addService, type Lab, overlay, pod, serve } from "../net/topology";
import type { Measurement } from "./main";

const connections = 6_000;
/** How many are under way at a time. */
const together = 32;
const service = "10.96.0.10";

export async function benchNet(): Promise<readonly Measurement[]> {
  return [
    {
      name: "TCP connections, pod to Service on another node (VXLAN, NAT)",
      value: connectionRate(false),
      unit: "1/s",
      aim: "≥ 10,000",
    },
    { name: "the same with one reader on the journal", value: connectionRate(true), unit: "1/s" },
    { name: "packets forwarded between pods of two nodes (VXLAN)", value: packetRate("10.244.2.2"), unit: "1/s" },
    { name: "packets forwarded between pods of one node (bridge)", value: packetRate("10.244.1.3"), unit: "1/s" },
    { name: "flow-level walks of a Service (no clock, no links)", value: walkRate(), unit: "1/s" },
  ];
}

function lab(): Lab {
  const made = overlay(2);
  serve(pod(made, "pod-2-2"), 80);
  serve(pod(made, "pod-2-3"), 80);
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

function connectionRate(read: boolean): number {
  return best(() => {
    const made = lab();
    const client = pod(made, "pod-1-2");
    const { clock, journal } = made.sim;
    let lines = 0;
    let closed = 0;
    const reader = read ? journal.follow(({ detail }) => (lines += (detail as PacketEvent).packet ? 1 : 0)) : undefined;
    const value = rate(connections, () => {
      for (let begun = 0; begun < connections; begun++) {
        client.sockets.connectTcp(
          { ip: parseIp(service), port: 80 },
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
