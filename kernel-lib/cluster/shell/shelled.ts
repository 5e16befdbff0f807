/** Owns a command line that a command runs for itself: as a process of its own, its output collected or passed on. */
import type { Time } from "../../sim/clock";
import { waitFor } from "./jobs";
import type { Call } from "./tool";

/** A command line run as a process of its own, its output collected. */
export class Shelled {
  stdout = "";
  stderr = "";
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  /** @param limit stop it after this time; the exit code is then 124 */
  async run(line: string, limit?: Time, live = false): Promise<number> {
    const call = this.#call;
    let exitCode = 0;
    const child = call.cluster.driver.start(`${call.place.name}: ${line}`, async (process) => {
      exitCode = await call.shell.run(line, {
        process,
        env: call.env,
        folder: call.folder,
        stdin: call.stdin,
        output: (stream, text) => {
          if (!live) this[stream] += text;
          else if (stream === "stdout") call.out(text);
          else call.err(text);
        },
      });
    });
    const end = await waitFor(call, child, limit);
    if (end !== "woken") {
      child.stop();
      await waitFor(call, child);
      return end === "timeout" ? 124 : 130;
    }
    return exitCode;
  }
}
