/** Owns a case as a test: what the table says, what the kernel says, and what the simulator says are the same. */
import { expect, test } from "vitest";
import { requireOrSkip } from "../judges";
import type { Judgement } from "./judge";
import { probe } from "./sandbox";
import type { Case } from "./world";

const machine = await probe();

export function caseOf(one: Case, judged: Promise<ReadonlyMap<Case, Judgement>> | undefined): void {
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
