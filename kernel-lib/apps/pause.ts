/** Owns the pause program: it holds a pod's namespaces open and does nothing. */
import type { App } from "./app";

export const pause: App = (program) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    program.onSignal(signal, () => {
      program.write("Shutting down, got signal: Terminated\n", "stderr");
      program.exit(0);
    });
  }
};
