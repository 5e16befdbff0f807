/** Owns the cases of a cluster in which two pods have one address: what each of them, and a third, then reaches. */
import { hostEnd, machineOf, type Topology } from "./topology";
import type { Expectation, Group, Step } from "./world";

/** The pods of different nodes that have the same address, and a pod beside the first. */
function twins(topology: Topology): { readonly one: string; readonly other: string; readonly third: string } {
  const ipOf = (pod: string): string | undefined =>
    machineOf(topology, pod).devices.find(({ name }) => name === "eth0")?.addresses[0];
  const one = ["a1", "a2"].find((pod) => ipOf(pod) === ipOf("b1"));
  if (one === undefined) throw new Error(`no two pods have one address: ${["a1", "a2", "b1"].map(ipOf).join(" ")}`);
  return { one, other: "b1", third: one === "a1" ? "a2" : "a1" };
}

/** Who answers is who is heard first, and that is chance while both are there: so one at a time is. */
export function duplicateCases(topology: Topology): Group {
  const { one, other, third } = twins(topology);
  const address = topology.names[other]?.[4] ?? "";
  const cable = (pod: string, up: boolean): Step => {
    const { machine, device } = hostEnd(topology, pod);
    return { step: "link", at: machine, device, up };
  };
  const forget: readonly Step[] = [third, "node-1", "node-2"].map((at) => ({ step: "forget neighbours", at }));
  const tcp = (from: string, gives?: string): Expectation => ({
    ask: { ask: "tcp", from, to: address },
    ...(gives === undefined ? {} : { gives }),
  });
  return {
    name: "one range for all nodes",
    version: 4,
    rules: false,
    cases: [
      {
        name: "two pods have one address: who answers depends on who is there, and each reaches only itself",
        script: [
          { step: "serve", at: one },
          { step: "serve", at: other },
          tcp(one, `${one} saw ${one}`),
          // Each twin's own address is called by the first one's name: they have no other.
          tcp(other, `${other} saw ${one}`),
          cable(other, false),
          ...forget,
          tcp(third, `${one} saw ${third}`),
          cable(other, true),
          cable(one, false),
          ...forget,
          tcp(third, `${other} saw ${third}`),
          cable(one, true),
        ],
      },
    ],
  };
}
