/** Owns what the suite of seeds promises as a command: thirty seeds hold, and a failing one can be run again. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const script = join(import.meta.dirname, "run.mjs");

interface Ended {
  readonly exitCode: number;
  readonly out: string;
}

function seeds(...words: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...words], (error, stdout, stderr) => {
      const exitCode = error ? Number(error.code ?? -1) : 0;
      resolve({ exitCode, out: exitCode === 2 ? stderr : stdout });
    });
  });
}

describe("npm run test:seeds", () => {
  it("thirty rollouts under traffic lose nothing, and each part that is left out matters", async () => {
    const { exitCode, out } = await seeds("--seeds", "30");
    expect(exitCode, out).toBe(0);
    expect(out).toMatch(/the full recipe, iptables +10 seeds, 30,000 requests, 0 failed; \d+ ends/);
    expect(out.match(/requests fail in 1 of 1 seeds/g)?.length).toBeGreaterThanOrEqual(4);
  }, 300_000);

  it("a failing seed says how to run it again, and fails in the same way alone", async () => {
    const [several, alone] = await Promise.all([
      seeds("--seeds", "2", "--without", "probe"),
      seeds("--seed", "2", "--without", "probe"),
    ]);
    expect([several.exitCode, alone.exitCode]).toEqual([1, 1]);
    const [, failure] = /^ {2}(\d+ of 3000 requests failed; the first: request \d+ at .*)$/m.exec(alone.out) ?? [];
    expect(failure).toBeDefined();
    expect(several.out).toContain(`${failure}\n  run it again: npm run test:seeds -- --seed 2 --without probe\n`);
  }, 120_000);

  it.each([
    [["--without", "luck"], "--without: luck is none of probe, prestop, grace, surge, margin, keepalive"],
    [["--seed", "x"], "--seed: x is no whole number from 1"],
    [["--mode", "ebpf"], "--mode: ebpf is none of iptables, ipvs, nftables, userspace"],
  ])("%j is no such thing", async (words, message) => {
    const { exitCode, out } = await seeds(...words);
    expect([exitCode, out.split("\n")[0]]).toEqual([2, message]);
  });
});
