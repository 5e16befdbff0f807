/** Measures a real kernel beside the small Linux: the same connections over the same overlay, one Node client each. */
import { parseIp } from "../../kernel-lib/net/address";
import { topologyOf } from "../kernel/clusters";
import { buildKernel } from "../kernel/kernel";
import { probe, Sandbox } from "../kernel/sandbox";
import { buildSimulator } from "../kernel/simulator";
import type { Topology } from "../kernel/topology";
import type { Measurement } from "./main";

const connections = 4_000;
/** How many are under way at a time. */
const together = 32;
const request = "GET / HTTP/1.1";
const answer = "HTTP/1.1 200 OK";

const name = "TCP connections, pod to pod on another node (VXLAN)";

/** Connections per second: a real kernel's, the simulator's on the same topology, and how many times the one the other is. */
export async function benchRealKernel(): Promise<readonly Measurement[]> {
  const topology = await topologyOf("vxlan");
  const machine = await probe();
  const simulated = Math.max(...[1, 2, 3].map(() => simulatorRate(topology)));
  const ours: Measurement = { name: `${name}, simulated`, value: simulated, unit: "1/s", aim: "≥ 20,000" };
  const ratio = "simulated connections for each one of the real kernel";
  if (machine.missing.base !== undefined) {
    const skipped = machine.missing.base;
    return [ours, { name: `${name}, a real kernel`, unit: "1/s", skipped }, { name: ratio, unit: "×", skipped }];
  }
  const real = await kernelRate(topology, machine.way);
  return [
    ours,
    { name: `${name}, a real kernel`, value: real, unit: "1/s" },
    { name: ratio, value: simulated / real, unit: "×" },
  ];
}

/** Answers every request and ends the connection. */
const server = `
require("node:net").createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => socket.end(${JSON.stringify(answer)}));
}).listen(80, "0.0.0.0");
`;

/** Makes the connections, some at a time, a third of them to warm up, and prints how many a second the rest were. */
const client = `
const net = require("node:net");
const run = (count) => new Promise((resolve, reject) => {
  let begun = 0, done = 0;
  const next = () => {
    if (begun === count) return;
    begun++;
    let heard = "";
    const socket = net.connect(80, process.argv[1], () => socket.write(${JSON.stringify(request)}));
    socket.on("data", (data) => { heard += data; });
    socket.on("error", reject);
    socket.on("close", () => {
      if (heard !== ${JSON.stringify(answer)}) reject(new Error("no answer"));
      else if (++done === count) resolve();
      else next();
    });
  };
  for (let at = 0; at < ${together}; at++) next();
});
(async () => {
  await run(${Math.round(connections / 2)});
  const began = performance.now();
  await run(${connections});
  console.log(${connections} / (performance.now() - began) * 1000);
})();
`;

async function kernelRate(topology: Topology, way: readonly string[]): Promise<number> {
  const sandbox = new Sandbox(way);
  try {
    await buildKernel(topology, 4, sandbox);
    await sandbox.serve("b1", [process.execPath, "-e", server], "tcp 80");
    const argv = [process.execPath, "-e", client, topology.names.b1?.[4] ?? ""];
    return Math.round(Number(await sandbox.must(argv, { netns: "a1" })));
  } finally {
    sandbox.stop();
  }
}

function simulatorRate(topology: Topology): number {
  const { network } = buildSimulator(topology, 4, { rules: false });
  const from = network.namespaces.get("a1");
  const to = network.namespaces.get("b1");
  const ip = topology.names.b1?.[4];
  if (!from || !to || ip === undefined) throw new Error("the overlay has no pods");
  to.sockets.listenTcp({ port: 80 }, () => ({
    data: (socket) => {
      socket.write(answer);
      socket.end();
    },
  }));
  const remote = { ip: parseIp(ip), port: 80 };
  let closed = 0;
  const began = performance.now();
  for (let begun = 0; begun < connections; begun++) {
    const handlers = {
      connected: (socket: { write(text: string): void }) => socket.write(request),
      closed: () => closed++,
    };
    from.sockets.connectTcp(remote, handlers);
    if (begun % together === together - 1) network.sim.clock.settle();
  }
  network.sim.clock.settle();
  if (closed !== connections) throw new Error(`${closed} of ${connections} connections ended well`);
  return Math.round((connections / (performance.now() - began)) * 1000);
}
