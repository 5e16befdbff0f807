import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readScenario, runScenario, writeScenario } from "./scenario";

const folder = join(import.meta.dirname, "..", "scenarios");

test.each(readdirSync(folder).filter((name) => name.endsWith(".txt")))("%s prints what it says", async (name) => {
  const path = join(folder, name);
  const text = readFileSync(path, "utf8");
  const printed = writeScenario(await runScenario(readScenario(text)));
  if (process.env.KUBEBOOK_UPDATE === "1") writeFileSync(path, printed);
  else expect(printed).toBe(text);
});

test("a scenario is written as it was read", () => {
  const text = "# seed: 2\n\n## why\n$ cat\n> typed\n>\nprinted\n$ false\n[exit 1]\n";
  expect(writeScenario(readScenario(text))).toBe(text);
});
