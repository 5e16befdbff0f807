/** The simulator and a real kernel, built from the same data and asked the same questions, give the same answers. */
import { describe, expect, test } from "vitest";
import { requireOrSkip } from "../judges";
import { groupsFor } from "./cases";
import { designs, make, oneRange, topologyOf } from "./clusters";
import { duplicateCases } from "./duplicates";
import { factsOf } from "./facts";
import { type Judgement, judgeGroup } from "./judge";
import { probe } from "./sandbox";
import type { Case } from "./world";

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

function caseOf(one: Case, judged: Promise<ReadonlyMap<Case, Judgement>> | undefined): void {
  test(one.name, { timeout: 120_000 }, async (context) => {
    const reason = machine.missing.base ?? (one.needs && machine.missing[one.needs]);
    requireOrSkip(context, reason === undefined, `a real kernel as judge: ${reason}`);
    const { kernel, simulator, table } = (await judged)?.get(one) ?? {
      kernel: ["not asked"],
      simulator: [],
      table: [],
    };
    expect({ simulator, table }).toEqual({ simulator: kernel, table: kernel });
  });
}
