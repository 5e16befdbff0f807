/** Owns the tests of the fold from kernel messages to outputs. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type CellMessage, foldOutputs } from "../../kernel-lib/course/outputs";

function said(cell: number, type: string, content: Record<string, unknown>): CellMessage {
  return { cell, message: { header: { msg_type: type }, content } };
}

const stream = (cell: number, name: string, text: string) => said(cell, "stream", { name, text });
const display = (cell: number, text: string, id?: string) =>
  said(cell, "display_data", {
    data: { "text/plain": text },
    metadata: {},
    ...(id === undefined ? {} : { transient: { display_id: id } }),
  });
const update = (cell: number, text: string, id: string) =>
  said(cell, "update_display_data", { data: { "text/plain": text }, metadata: {}, transient: { display_id: id } });
const clear = (cell: number, wait: boolean) => said(cell, "clear_output", { wait });

/** What a cell shows, in short. */
function shown(messages: readonly CellMessage[], cell = 0): string[] {
  return (foldOutputs(messages).get(cell) ?? []).map((output) => {
    if (output.output_type === "stream") return `${output.name}: ${output.text}`;
    return output.output_type === "error" ? output.ename : `${output.output_type}: ${output.data["text/plain"]}`;
  });
}

describe("outputs", () => {
  it("keep the order of streams and displays, and join text of one stream", () => {
    const messages = [
      stream(0, "stdout", "a"),
      stream(0, "stdout", "b\n"),
      stream(0, "stderr", "c"),
      stream(0, "stdout", "d"),
      display(0, "chart"),
      stream(0, "stdout", "e"),
    ];
    expect(shown(messages)).toEqual(["stdout: ab\n", "stderr: c", "stdout: d", "display_data: chart", "stdout: e"]);
  });

  it("do not depend on how a stream's text is cut into messages", () => {
    const piece = fc.tuple(fc.constantFrom("stdout", "stderr"), fc.string({ minLength: 1 }));
    fc.assert(
      fc.property(fc.array(piece), fc.infiniteStream(fc.nat(3)), (pieces, cuts) => {
        const cut = pieces.flatMap(([name, text]) => {
          const chunks: CellMessage[] = [];
          for (let at = 0; at < text.length; ) {
            const length = cuts.next().value ?? 1;
            chunks.push(stream(0, name, text.slice(at, at + length)));
            at += length;
          }
          return chunks;
        });
        expect(shown(cut)).toEqual(shown(pieces.map(([name, text]) => stream(0, name, text))));
      }),
    );
  });

  it("go when they are cleared, at once or when the next comes", () => {
    expect(shown([stream(0, "stdout", "a"), clear(0, false)])).toEqual([]);
    expect(shown([stream(0, "stdout", "a"), clear(0, true)])).toEqual(["stdout: a"]);
    expect(shown([stream(0, "stdout", "a"), clear(0, true), stream(0, "stdout", "b")])).toEqual(["stdout: b"]);
    expect(shown([stream(0, "stdout", "a"), clear(0, true), display(0, "b"), display(0, "c")])).toEqual([
      "display_data: b",
      "display_data: c",
    ]);
  });

  it("change by name wherever in the notebook they are shown", () => {
    const messages = [
      display(0, "0 %", "bar"),
      display(1, "50 %", "bar"),
      update(2, "100 %", "bar"),
      update(2, "?", "foo"),
    ];
    expect(shown(messages, 0)).toEqual(["display_data: 100 %"]);
    expect(shown(messages, 1)).toEqual(["display_data: 100 %"]);
    expect(foldOutputs(messages).get(2)).toBeUndefined();
  });

  it("forget the name of a display that was cleared", () => {
    expect(shown([display(0, "a", "x"), clear(0, false), update(0, "b", "x")])).toEqual([]);
  });

  it("hold results and errors with what nbformat asks for, and nothing of the protocol's own", () => {
    const messages = [
      said(0, "status", { execution_state: "busy" }),
      said(0, "execute_input", { code: "1", execution_count: 3 }),
      said(0, "execute_result", { data: { "text/plain": "1" }, metadata: {}, transient: {}, execution_count: 3 }),
      said(1, "error", { ename: "TypeError", evalue: "no", traceback: ["TypeError: no", "  at 1:1"], status: "error" }),
    ];
    expect(foldOutputs(messages)).toEqual(
      new Map([
        [0, [{ output_type: "execute_result", data: { "text/plain": "1" }, metadata: {}, execution_count: 3 }]],
        [1, [{ output_type: "error", ename: "TypeError", evalue: "no", traceback: ["TypeError: no", "  at 1:1"] }]],
      ]),
    );
  });
});
