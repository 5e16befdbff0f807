/** Where the simulator does otherwise than a real kernel, it is known, has a reason, and is still so. */
import { expect, test } from "vitest";
import { requireOrSkip } from "../judges";
import { topologyOf } from "./clusters";
import { differences } from "./differences";
import { judgeGroup } from "./judge";
import { probe } from "./sandbox";

const machine = await probe();

for (const { design, because, group, kernel, simulator } of await differences()) {
  const [one] = group.cases;
  test(`${design}: ${one?.name}: ${because}`, { timeout: 60_000 }, async (context) => {
    requireOrSkip(context, machine.missing.base === undefined, `a real kernel as judge: ${machine.missing.base}`);
    const judged = await judgeGroup(await topologyOf(design), group, machine);
    const found = one && judged.get(one);
    expect(found).toMatchObject({ kernel, simulator });
  });
}
