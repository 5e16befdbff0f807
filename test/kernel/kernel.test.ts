/** The simulator and a real kernel, built from the same data and asked the same questions, give the same answers. */
import { describe } from "vitest";
import { groupsFor } from "./cases";
import { caseOf } from "./casetest";
import { designs, make, oneRange, topologyOf } from "./clusters";
import { duplicateCases } from "./duplicates";
import { factsOf } from "./facts";
import { judgeGroup } from "./judge";
import { probe } from "./sandbox";

const machine = await probe();

for (const design of designs) {
  const topology = await topologyOf(design);
  for (const version of ([4, 6] as const).filter((one) => topology.names.a1?.[one] !== undefined)) {
    for (const group of groupsFor(topology, factsOf(design, version), version)) {
      // All groups are on their way at once; the tests below only wait for them.
      const judged = machine.missing.base === undefined ? judgeGroup(topology, group, machine) : undefined;
      judged?.catch(() => {});
      describe(`${design}, IPv${version}, ${group.name}`, () => {
        for (const one of group.cases) caseOf(one, judged);
      });
    }
  }
}

const oneRangeForAll = await make("bridge", oneRange);
const twins = duplicateCases(oneRangeForAll);
const judgedTwins = machine.missing.base === undefined ? judgeGroup(oneRangeForAll, twins, machine) : undefined;
judgedTwins?.catch(() => {});
describe(`bridge, IPv4, ${twins.name}`, () => {
  for (const one of twins.cases) caseOf(one, judgedTwins);
});
