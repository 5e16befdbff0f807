/** Owns the suite of seeds as a command: runs what is wanted, shows how far it is, and says whether all holds. */
import { bounds, Tally } from "./tally";
import { usage, type Wanted, wantedOf } from "./tasks";
import { performAll, type Result, serveAsWorker } from "./workers";

/** The command. Sets the exit code to 1 if a statement does not hold. */
export async function main(words: readonly string[]): Promise<void> {
  let wanted: Wanted;
  try {
    wanted = wantedOf(words);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${usage}\n`);
    process.exitCode = 2;
    return;
  }
  const { tasks, suite } = wanted;
  const tally = new Tally(tasks.length, suite);
  const began = performance.now();
  await performAll(__filename, tasks, (result: Result) => {
    tally.add(result);
    const seconds = (performance.now() - began) / 1000;
    if (process.stderr.isTTY) process.stderr.write(`\r${tally.progress(seconds)}\x1b[K`);
    else if (tally.atTenth) process.stderr.write(`${tally.progress(seconds)}\n`);
  });
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  process.stdout.write(tally.text((performance.now() - began) / 1000, bounds));
  if (!tally.holds(bounds)) process.exitCode = 1;
}

serveAsWorker();
