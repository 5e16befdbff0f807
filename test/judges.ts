/** Owns what happens where a judge is missing: skipped with its reason, or, where judges are required, failed. */
import type { TestContext } from "vitest";

/**
 * Skips the running test, saying why, unless the judge is here. Where every judge must be
 * (`KUBEBOOK_JUDGES=required`, as in continuous integration), a missing one fails the test.
 */
export function requireOrSkip(context: TestContext, available: boolean, reason: string): void {
  if (available) return;
  if (process.env.KUBEBOOK_JUDGES === "required") throw new Error(`a judge is missing: ${reason}`);
  context.skip(reason);
}
