/** Owns reading the cases that Kubernetes' own tests state; they lie beside the checkout and are no part of it. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { TestContext } from "vitest";
import { requireOrSkip } from "../judges";

const folder = path.resolve(import.meta.dirname, "..", "..", "..", "shared", "cases");

/** The content of a file of cases; where the folder is not there, the test is skipped and says so. */
export function readCases<T>(context: TestContext, name: string): T {
  const file = path.join(folder, name);
  if (!existsSync(folder))
    context.skip(`Kubernetes' cases are not beside the checkout (${path.basename(folder)}/${name})`);
  requireOrSkip(context, existsSync(file), `no ${name} among the cases`);
  return JSON.parse(readFileSync(file, "utf8")) as T;
}
