/** Tests spans of time as Go reads and writes them. */
import { expect, test } from "vitest";
import { millisecond, second } from "../../kernel-lib/sim/clock";
import { formatDuration, readDuration } from "../../kernel-lib/sim/duration";

test.each([
  ["1h30m0s", 5400 * second],
  ["-1.5s", -1.5 * second],
  ["250ms", 250 * millisecond],
  ["1.5ms", 1500],
  ["7µs", 7],
  ["0s", 0],
  ["1m0.5s", 60.5 * second],
])("%s is so long, and is written so", (text, span) => {
  expect(readDuration(text)).toBe(span);
  expect(formatDuration(span)).toBe(text);
});

test.each([
  ["0", 0],
  ["+1h", 3600 * second],
  [".5s", second / 2],
  ["1500us", 1500],
  ["30", 'time: missing unit in duration "30"'],
  ["1h3", 'time: missing unit in duration "1h3"'],
  ["2d", 'time: unknown unit "d" in duration "2d"'],
  ["", 'time: invalid duration ""'],
  ["-", 'time: invalid duration "-"'],
  ["soon", 'time: invalid duration "soon"'],
])("%j is read as Go reads it", (text, span) => {
  expect(readDuration(text)).toBe(span);
});
