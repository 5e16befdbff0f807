import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Kind, KubeObject } from "../../kernel-lib/api/kinds";
import { parseManifests } from "../../kernel-lib/api/manifest";
import { tableOf } from "../../kernel-lib/api/tables";
import { humanDuration, parseTime, rfc3339 } from "../../kernel-lib/api/time";
import { second } from "../../kernel-lib/sim/clock";

const folder = join(__dirname, "tables");

/** kubectl's widths: each column as wide as its widest cell, three blanks between, none at the end. */
function print(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** Blanks are the printer's affair: only the cells count. */
const squeezed = (text: string): string => text.replace(/ {3,}/g, "   ");

test.each(readdirSync(folder))("%s: objects in, the wide table out", (file) => {
  const [head, rest] = readFileSync(join(folder, file), "utf8").split(/^===$/m) as [string, string];
  const now = parseTime(/^now: (.+)$/m.exec(head)?.[1] ?? "") as number;
  const objects = parseManifests(head.slice(head.indexOf("---")), file).map(({ object }) => object);
  const filled = objects.map((object) => ({ status: {}, ...object })) as unknown as KubeObject[];
  const table = tableOf((filled[0] as KubeObject).kind as Kind, filled as never, now, 1);
  const header = table.columnDefinitions.map(({ name }) => name.toUpperCase());
  const text = print([header, ...table.rows.map(({ cells }) => cells.map(String))]);
  expect(squeezed(text)).toBe(squeezed(rest.trimStart()));
});

test("times go both ways, and spans read as kubectl prints them", () => {
  for (const text of ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2026-01-01T00:00:00Z", "2100-03-01T12:00:00Z"]) {
    expect(rfc3339(parseTime(text) as number)).toBe(text);
    expect(parseTime(text)).toBe(Date.parse(text) * 1000);
  }
  expect(parseTime("yesterday")).toBeUndefined();
  const spans: [number, string][] = [
    [0, "0s"],
    [119, "119s"],
    [120, "2m"],
    [187, "3m7s"],
    [600, "10m"],
    [10799, "179m"],
  ];
  spans.push(
    [10800, "3h"],
    [28799, "7h59m"],
    [28800, "8h"],
    [172800, "2d"],
    [180000, "2d2h"],
    [86400 * 365, "365d"],
    [-5, "<invalid>"],
  );
  for (const [seconds, text] of spans) expect(humanDuration(seconds * second)).toBe(text);
});
