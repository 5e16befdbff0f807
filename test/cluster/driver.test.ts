import { expect, test } from "vitest";
import { Driver, parseDuration } from "../../kernel-lib/cluster/driver";
import { second } from "../../kernel-lib/sim/clock";
import { createSim, epoch } from "../../kernel-lib/sim/sim";

test("processes run one at a time, in the order in which they became ready, whatever they await in between", async () => {
  const driver = new Driver(createSim(1));
  const seen: string[] = [];
  const body = (name: string, host: number) =>
    driver.start(name, async (process) => {
      for (let turn = 0; turn < 3; turn++) {
        seen.push(`${name}${turn}`);
        for (let tick = 0; tick < host; tick++) await Promise.resolve();
        seen.push(`${name}${turn}`);
        await process.sleep(second);
      }
    });
  body("slow", 100);
  body("fast", 0);
  await driver.advance(10 * second);
  const pairs = [0, 1, 2].flatMap((turn) => [`slow${turn}`, `slow${turn}`, `fast${turn}`, `fast${turn}`]);
  expect(seen).toEqual(pairs);
});

test("time moves only while somebody waits, and stands exactly where it should", async () => {
  const driver = new Driver(createSim(1));
  let ticks = 0;
  driver.start("ticking", async (process) => {
    while (await process.sleep(second)) ticks++;
  });
  await driver.advance(2.5 * second);
  expect(driver.sim.clock.now - epoch).toBe(2.5 * second);
  expect(ticks).toBe(2);
  await driver.settle();
  expect(driver.sim.clock.now - epoch).toBe(2.5 * second);
});

test("a pause ends by waking, by time or by being stopped, whichever comes first", async () => {
  const driver = new Driver(createSim(1));
  const ends: string[] = [];
  const waiting = driver.start("waiting", async (process) => {
    ends.push(await process.pause((wake) => void driver.sim.clock.after(second, wake), 2 * second));
    ends.push(await process.pause(() => undefined, 2 * second));
    ends.push(await process.pause(() => undefined));
    ends.push(await process.pause(() => undefined, second));
  });
  await driver.advance(5 * second);
  waiting.stop();
  await driver.breathe();
  expect(ends).toEqual(["woken", "timeout", "stopped", "stopped"]);
  expect(waiting.ended).toBe(true);
});

test("what waits for ever is told so, and an interrupt lets the next command run", async () => {
  const driver = new Driver(createSim(1));
  await expect(driver.run("for ever", async (process) => void (await process.pause(() => undefined)))).rejects.toThrow(
    "everything waits",
  );
  driver.sim.clock.every(second, () => {});
  const endless = driver.run("endless", async (process) => void (await process.pause(() => undefined)));
  setTimeout(() => driver.interrupt(), 5);
  await expect(endless).rejects.toThrow("interrupted");
  await expect(driver.run("next", async (process) => process.sleep(second))).resolves.toBe(true);
});

test("a mistake of ours in the background is told to whoever waits", async () => {
  const driver = new Driver(createSim(1));
  driver.start("broken", async () => {
    throw new Error("a bug");
  });
  await expect(driver.advance(second)).rejects.toThrow("a bug");
  await driver.advance(second);
});

test("durations are read as Go writes them", () => {
  expect([
    parseDuration("30s"),
    parseDuration("1h30m"),
    parseDuration("1.5s"),
    parseDuration("250ms"),
    parseDuration(2),
  ]).toEqual([30 * second, 5400 * second, 1.5 * second, second / 4, 2 * second]);
  expect(() => parseDuration("30")).toThrow('invalid duration "30"');
});

test("the signal of a notebook's cell ends what the cell waits for, and time stands still behind it", async () => {
  const host = globalThis as unknown as Record<symbol, unknown>;
  const key = Symbol.for("kubebook.signal");
  const cell = new AbortController();
  host[key] = () => cell.signal;
  try {
    const driver = new Driver(createSim(1));
    driver.sim.clock.every(second, () => {});
    let stopped = false;
    const endless = driver.run("endless", async (process) => {
      while (await process.sleep(second));
      stopped = process.stopped;
    });
    setTimeout(() => cell.abort(), 5);
    await expect(endless).rejects.toThrow("interrupted");
    const { now } = driver.sim.clock;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(driver.sim.clock.now).toBe(now);
    await driver.breathe();
    expect(stopped).toBe(true);
  } finally {
    delete host[key];
  }
});
