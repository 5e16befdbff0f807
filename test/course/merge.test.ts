/** Tests what becomes of a learner's cells when the chapter changes under them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type MergeCell, mergeCells } from "../../kernel-lib/course/merge";

/** `a b=text c`: cells by id, with a source of their own or the id's. */
const cells = (text: string): MergeCell[] =>
  text.split(" ").flatMap((word) => {
    const [id = "", source = id] = word.split("=");
    return id === "" ? [] : [{ id, source }];
  });
const shown = (list: readonly MergeCell[]) =>
  list.map(({ id, source }) => (id === source ? id : `${String(id)}=${source}`)).join(" ");

describe("merging a chapter's new text", () => {
  const cases: readonly [string, string, string, string, string][] = [
    // what, base, theirs, mine, merged
    ["nothing changed", "a b c", "a b c", "a b c", "a b c"],
    ["the chapter gains a cell", "a b c", "a new b c", "a b c", "a new b c"],
    ["the chapter drops a cell", "a b c", "a c", "a b c", "a c"],
    ["the chapter rewords a cell", "a b c", "a b=2 c", "a b c", "a b=2 c"],
    ["the chapter replaces a cell by another", "a b c", "a new c", "a b c", "a new c"],
    ["the chapter moves a cell", "a b c", "c a b", "a b c", "c a b"],
    ["the learner changed a cell", "a b c", "a b c", "a b=mine c", "a b=mine c"],
    ["both changed a cell: the learner's text stays", "a b c", "a b=2 c", "a b=mine c", "a b=mine c"],
    ["the chapter drops what the learner changed", "a b c", "a c", "a b=mine c", "a b=mine c"],
    ["the chapter replaces what the learner changed: both stay", "a b c", "a new c", "a b=mine c", "a b=mine new c"],
    ["the learner added cells", "a b c", "a new b c", "a b mine1 mine2 c", "a new b mine1 mine2 c"],
    ["the learner added at the top and the end", "a b", "a b new", "mine1 a b mine2", "mine1 a b mine2 new"],
    ["the learner deleted a cell", "a b c", "a b c new", "a c", "a c new"],
    ["the learner deleted what the chapter reworded", "a b c", "a b=2 c", "a c", "a c"],
    ["the learner moved a cell and the chapter gained one", "a b c", "a b new c", "c a b", "c a b new"],
    ["what the copy was made from is lost", "", "a b=2 c", "a b mine", "a b mine c"],
    ["the learner deleted everything", "a b", "a b new", "", "new"],
  ];
  test.each(cases)("%s", (_, base, theirs, mine, merged) => {
    expect(shown(mergeCells(cells(base), cells(theirs), cells(mine)))).toBe(merged);
  });

  test("cells without an id are the learner's, and stay", () => {
    const own = { source: "no id" };
    expect(mergeCells(cells("a b"), cells("a new"), [...cells("a"), own])).toEqual([
      { id: "a", source: "a" },
      own,
      { id: "new", source: "new" },
    ]);
  });

  test("loses no text of the learner's and doubles no cell, whatever was done", () => {
    const list = fc.uniqueArray(
      fc.record({ id: fc.constantFrom(..."abcdefgh"), source: fc.constantFrom("1", "2", "3") }),
      {
        selector: ({ id }) => id,
      },
    );
    fc.assert(
      fc.property(list, list, list, (base, theirs, mine) => {
        const merged = mergeCells<MergeCell>(base, theirs, mine);
        expect(new Set(merged.map(({ id }) => id)).size).toBe(merged.length);
        const before = new Map(base.map((cell) => [cell.id, cell.source]));
        for (const cell of mine) if (cell.source !== before.get(cell.id)) expect(merged).toContain(cell);
        const own = new Set(mine.map(({ id }) => id));
        for (const cell of theirs) if (!own.has(cell.id) && !before.has(cell.id)) expect(merged).toContain(cell);
      }),
    );
  });

  test("leaves an untouched copy exactly as the chapter is", () => {
    const list = fc.uniqueArray(fc.record({ id: fc.constantFrom(..."abcdef"), source: fc.constantFrom("1", "2") }), {
      selector: ({ id }) => id,
    });
    fc.assert(
      fc.property(list, list, (base, theirs) => {
        expect(mergeCells<MergeCell>(base, theirs, base)).toEqual(theirs);
      }),
    );
  });
});
