import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { schemaText } from "./schema.source";

const path = join(__dirname, "../../kernel-lib/api/schema/text.ts");

/** To renew the schema after the type package moved: KUBEBOOK_UPDATE=1 npx vitest run test/api/schema.test.ts */
test("the schema is what the type package declares", () => {
  const head =
    "/** Owns the fields of all kinds, made from the declarations of kubernetes-types by test/api/schema.source.ts. */\n";
  const wanted = `${head}export const schemaText = \`\n${schemaText()}\`;\n`;
  if (process.env.KUBEBOOK_UPDATE) writeFileSync(path, wanted);
  expect(readFileSync(path, "utf8")).toBe(wanted);
});
