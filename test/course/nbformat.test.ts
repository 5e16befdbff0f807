/** Owns the tests of the notebook format, with Python's nbformat as the judge. */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { writeJson } from "../../kernel-lib/course/json";
import { formatNotebook, type Notebook, parseNotebook, withoutOutputs } from "../../kernel-lib/course/nbformat";
import { requireOrSkip } from "../judges";

const python = process.env.KUBEBOOK_PYTHON ?? "python3";
const hasNbformat = spawnSync(python, ["-c", "import nbformat"]).status === 0;

/** A notebook with every kind of cell and output, and with texts that end lines in every way Python knows. */
const everything: Notebook = {
  nbformat: 4,
  nbformat_minor: 5,
  metadata: { kernelspec: { name: "kubebook", display_name: "TypeScript (kubebook)" }, ünïcode: "→ \u2028 \u007f" },
  cells: [
    {
      cell_type: "markdown",
      id: "a",
      metadata: {},
      source: "# Title\n\ntext\r\nwith\u2028ends\u0085and\x0cmore",
      attachments: { "a.svg": { "image/svg+xml": "<svg>\n</svg>", "image/png": "aGVsbG8=\n" } },
    },
    { cell_type: "raw", id: "b", metadata: { tags: ["x"] }, source: "" },
    {
      cell_type: "code",
      id: "c-1",
      metadata: { jupyter: { source_hidden: true }, tags: ["raises-exception"] },
      source: "throw 1;\n",
      execution_count: 1,
      outputs: [
        { output_type: "stream", name: "stdout", text: "one\n\ntwo" },
        {
          output_type: "display_data",
          data: {
            "application/vnd.vegalite.v5+json": {
              z: [1, 2.5, []],
              a: { "10": 1, "9": {} },
              "\u{1F600}": 1,
              "\uFFFD": 2,
            },
            "application/json": ["not", "lines"],
            "text/plain": "chart\n",
            "text/html": "<b>\n</b>",
            "image/png": "aGVsbG8=\n",
          },
          metadata: {},
        },
        { output_type: "execute_result", data: { "text/plain": "" }, metadata: { isolated: true }, execution_count: 1 },
        { output_type: "error", ename: "E", evalue: "v", traceback: ["\x1b[31mE\x1b[0m: v"] },
      ],
    },
    { cell_type: "code", id: "d", metadata: {}, source: "", execution_count: null, outputs: [] },
  ],
};

describe("a notebook file", () => {
  it("is read back as it was written", () => {
    expect(parseNotebook("x.ipynb", formatNotebook(everything))).toEqual(everything);
  });

  it("holds nothing of a run when its outputs are taken away", () => {
    const { cells } = withoutOutputs(everything);
    for (const cell of cells)
      if (cell.cell_type === "code") expect([cell.execution_count, cell.outputs]).toEqual([null, []]);
  });

  it("is valid for Python's nbformat, and has the bytes that nbformat writes: ours, and those of the course", (context) => {
    requireOrSkip(context, hasNbformat, `${python} has no nbformat`);
    const folders = [join(__dirname, "output"), join(__dirname, "..", "..", "notebooks")];
    const texts = folders.flatMap((folder) => {
      const names = readdirSync(folder).filter((name) => /^[^.]+\.ipynb$/.test(name));
      expect(names.length).toBeGreaterThan(0);
      return names.map((name) => readFileSync(join(folder, name), "utf8"));
    });
    texts.push(formatNotebook(everything));
    const program = [
      "import io, json, sys, warnings, nbformat",
      "warnings.simplefilter('error')",
      "sys.stdin.reconfigure(encoding='utf-8'); sys.stdout.reconfigure(encoding='utf-8')",
      "written = []",
      "for text in json.load(sys.stdin):",
      "    notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)",
      "    nbformat.validate(notebook)",
      "    file = io.StringIO(); nbformat.write(notebook, file); written.append(file.getvalue())",
      "json.dump(written, sys.stdout)",
    ].join("\n");
    const written = execFileSync(python, ["-c", program], {
      input: JSON.stringify(texts),
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(JSON.parse(written)).toEqual(texts);
  });

  it.each<[string, string]>([
    ["{", "x.ipynb:1:2: this is not JSON: a name or } is expected, not the end"],
    ['{\n "cells": [\n<<<<<<< HEAD\n', 'x.ipynb:3:1: this is not JSON: a value or ] is expected, not "<"'],
    ['{"a": 1,}', 'x.ipynb:1:9: this is not JSON: a name is expected, not "}"'],
    ['{"a": "b\nc"}', 'x.ipynb:1:9: this is not JSON: a value is expected, not "\\n"'],
    ['{"a" 1}', 'x.ipynb:1:6: this is not JSON: : is expected, not "1"'],
    ["[1 2]", 'x.ipynb:1:4: this is not JSON: , or ] is expected, not "2"'],
    ["{} {}", 'x.ipynb:1:4: this is not JSON: the end is expected, not "{"'],
    ["", "x.ipynb:1:1: this is not JSON: a value is expected, not the end"],
    ["[]", "x.ipynb:1:1: a notebook must be an object"],
    ["{}", "x.ipynb:1:1: the field nbformat is missing"],
  ])("that is none says where: %j", (text, message) => {
    expect(() => parseNotebook("x.ipynb", text)).toThrow(message);
  });

  it("that breaks the schema says each place", () => {
    const broken = JSON.parse(formatNotebook(everything));
    broken.nbformat_minor = 4;
    broken.cells[0].id = "no spaces";
    broken.cells[1].outputs = [];
    broken.cells[2].metadata.tags = ["a,b"];
    broken.cells[2].outputs[0].text = 1;
    broken.cells[3].cell_type = "cell";
    const text = JSON.stringify(broken, null, 1);
    const lines = text.split("\n");
    const messages: string[] = [];
    try {
      parseNotebook("x.ipynb", text);
    } catch (error) {
      messages.push(...String(error instanceof Error && error.message).split("\n"));
    }
    const told = messages.map((message) => {
      const [, line, column, words] = /^x\.ipynb:(\d+):(\d+): (.*)$/.exec(message) ?? [];
      return [lines[Number(line) - 1]?.slice(Number(column) - 1), words];
    });
    expect(told).toEqual([
      ["4", "nbformat_minor must be 5 or more (older notebooks have no cell ids)"],
      ['"no spaces",', "id must be 1 to 64 letters, digits, - or _"],
      ["[]", "a field outputs is not known here"],
      ["[", "tags must be a list of different words without commas"],
      ["1", "text must be text or a list of texts"],
      ["{", "cell_type must be one of markdown, raw, code"],
    ]);
  });

  it("with two cells of one id is refused", () => {
    const twice = { ...everything, cells: [...everything.cells, ...everything.cells.slice(0, 1)] };
    expect(() => parseNotebook("x.ipynb", formatNotebook(twice))).toThrow("cell 1 has this id too");
  });
});

describe("JSON as we write it", () => {
  it("means what JavaScript's own writer says", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(writeJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
