/** Owns hearing SIGINT while a cell holds the main thread, where Node's own signal events would have to wait. */
import { runInThisContext } from "node:vm";
import { parentPort } from "node:worker_threads";

/**
 * Node can break a script at SIGINT, in any thread. So this thread runs a script that does nothing but wait to be broken.
 * The outer script keeps Node's signal handler in place between two waits.
 */
const global = globalThis as unknown as { waiting: Int32Array; watch: () => void };
global.waiting = new Int32Array(new SharedArrayBuffer(4));
global.watch = () => {
  for (;;) {
    try {
      runInThisContext("Atomics.wait(waiting, 0, 0)", { breakOnSigint: true });
    } catch {
      parentPort?.postMessage("SIGINT");
    }
  }
};
runInThisContext("watch()", { breakOnSigint: true });
