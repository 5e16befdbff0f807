/** Owns asking whether a TCP port can be connected to (pkg/probe/tcp/tcp.go). */
import type { Time } from "../../sim/clock";
import type { Asker, Asking, Outcome } from "./ask";
import { dial, hostPort, type Target } from "./dial";

/** Opens a connection and closes it again; tells once, from the clock. */
export function askTcp(asker: Asker, target: Target, timeout: Time, told: (outcome: Outcome) => void): Asking {
  const finish = (outcome: Outcome): void => {
    deadline.cancel();
    told(outcome);
  };
  const failed = (message: string): void => finish({ result: "failure", message });
  const connected = {
    connected(socket: { end(): void }): void {
      socket.end();
      finish({ result: "success", message: "" });
    },
  };
  const late = (): void => {
    asking.cancel();
    told({ result: "failure", message: `dial tcp ${hostPort(target)}: i/o timeout` });
  };
  const deadline = asker.sim.clock.after(timeout, late, "background");
  const asking = dial(asker, target, connected, failed);
  return {
    cancel() {
      deadline.cancel();
      asking.cancel();
    },
  };
}
