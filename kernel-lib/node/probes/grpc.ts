/**
 * Owns asking a health service over gRPC (pkg/probe/grpc/grpc.go), as far as servers here can answer: nothing speaks HTTP/2, so
 * the client tries to connect until its time is over, as the real one does with a server that does not.
 */
import { millisecond, second, type Time } from "../../sim/clock";
import type { Asker, Asking, Outcome } from "./ask";
import { dial, hostPort, type Target } from "./dial";

/** RFC 9113, section 3.4, and an empty SETTINGS frame. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0";

/** gRPC's connection back-off: the first wait, and how it grows. */
const backOff = { first: second, factor: 1.6, longest: 120 * second };

/** Asks; tells once, when the time is over. @param timeout in whole seconds, as Go prints them */
export function askGrpc(asker: Asker, target: Target, timeout: Time, told: (outcome: Outcome) => void): Asking {
  const { clock } = asker.sim;
  let running: Asking | undefined;
  let again: { cancel(): void } | undefined;
  let wait = backOff.first;
  const retry = (): void => {
    running?.cancel();
    again?.cancel();
    again = clock.after(wait, attempt, "background");
    wait = Math.min(wait * backOff.factor, backOff.longest);
  };
  const attempt = (): void => {
    // Whatever comes back is no SETTINGS frame.
    const handlers = {
      connected: (socket: { write(text: string): void }) => socket.write(preface),
      data: retry,
      ended: retry,
      failed: retry,
    };
    running = dial(asker, target, handlers, retry);
  };
  const late = (): void => {
    running?.cancel();
    again?.cancel();
    const within = `${Math.round(timeout / millisecond) / 1000}s`;
    const message = `timeout: failed to connect service "${hostPort(target)}" within ${within}: context deadline exceeded`;
    told({ result: "failure", message });
  };
  const deadline = clock.after(timeout, late, "background");
  attempt();
  return {
    cancel() {
      deadline.cancel();
      again?.cancel();
      running?.cancel();
    },
  };
}
