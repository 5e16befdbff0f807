/** Owns the tests of raw text in template literals: what the build writes, JavaScript itself reads, the tags give back. */
import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeRaw } from "../../kernel-lib/cluster/raw";
import { encodeRaw } from "../../kernel-lib/course/raw";

/** The TypeScript that the notebooks' cells go through. */
const typescript: { transpile(source: string, options: object): string } = createRequire(import.meta.url)(
  "@tslab/typescript-for-tslab",
);

/** What a tag function is called with when this JavaScript runs. */
function tagged(javascript: string): { raw: readonly string[]; holes: readonly unknown[] } {
  const tag = (strings: TemplateStringsArray, ...holes: unknown[]) => ({ raw: strings.raw, holes });
  return new Function("tag", `return ${javascript}`)(tag);
}

/** Text in which the letters that matter are frequent. */
const nasty = fc
  .array(
    fc.oneof(fc.constantFrom("\\", "`", "$", "${", "{", "}", "\n", "\\u", "\\x", "a"), fc.string({ unit: "binary" })),
  )
  .map((parts) => parts.join(""));

describe("text in a template literal", () => {
  it("comes back as it was, whatever it is, through JavaScript's own reading", () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const { raw, holes } = tagged(`tag\`${encodeRaw(text)}\``);
        expect(holes).toEqual([]);
        expect(decodeRaw(raw)).toEqual([text.replace(/\r\n?/g, "\n")]);
      }),
      { numRuns: 2000 },
    );
  });

  it("comes back through the TypeScript of the kernel", () => {
    fc.assert(
      fc.property(nasty, (text) => {
        const source = typescript.transpile(`tag\`${encodeRaw(text)}\``, { target: 9, module: 99 });
        expect(decodeRaw(tagged(source).raw)).toEqual([text.replace(/\r\n?/g, "\n")]);
      }),
      { numRuns: 300 },
    );
  });

  it("comes back around holes", () => {
    fc.assert(
      fc.property(fc.array(nasty, { minLength: 1, maxLength: 4 }), (texts) => {
        const { raw, holes } = tagged(`tag\`${texts.map(encodeRaw).join("$" + "{0}")}\``);
        expect(holes).toEqual(texts.slice(1).map(() => 0));
        expect(decodeRaw(raw)).toEqual(texts.map((text) => text.replace(/\r\n?/g, "\n")));
      }),
    );
  });

  it("is touched only where it must be", () => {
    const hole = "$" + "{";
    const cases = [
      ["kubectl get pods -o wide", "kubectl get pods -o wide"],
      ["awk '{print $1}' a\\nb \\d+ $HOME", "awk '{print $1}' a\\nb \\d+ $HOME"],
      [`echo ${hole}HOME} \`date\``, `echo \\${hole}HOME} \\\`date\\\``],
      [`\\${hole}HOME}`, `\\\\\\${hole}HOME}`],
      ["ends with \\", "ends with \\\\"],
    ] as const;
    for (const [text, written] of cases) expect(encodeRaw(text)).toBe(written);
  });
});
