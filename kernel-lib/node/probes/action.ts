/** Owns doing one probe: what its spec asks for, of a container as it runs (pkg/kubelet/prober/prober.go). */

import type { Kinds } from "../../api/kinds";
import { second } from "../../sim/clock";
import { formatDuration } from "../../sim/duration";
import type { Container } from "../container";
import { expand } from "../env";
import type { ExecIn } from "../exec";
import type { SpecContainer } from "../stages";
import type { Asker, Asking, Outcome } from "./ask";
import { askGrpc } from "./grpc";
import { askHttp, judgeHttp } from "./http";
import { resolvePort } from "./port";
import { askTcp } from "./tcp";

export type ProbeSpec = NonNullable<Kinds["Pod"]["spec"]["containers"][number]["livenessProbe"]>;

/** Whom a probe asks. */
export interface Probed {
  readonly asker: Asker;
  readonly exec: ExecIn;
  readonly spec: SpecContainer;
  readonly container: Container;
  readonly podIp: string;
}

const version = "1.36";
/** What a probe of kind `exec` may say (maxReadLength). */
const outputLimit = 10_240;

/** Does a probe; tells once, from the clock or a process, unless it is cancelled. */
export function doProbe(probed: Probed, probe: ProbeSpec, told: (outcome: Outcome) => void): Asking {
  const { asker, podIp, spec } = probed;
  const timeout = (probe.timeoutSeconds ?? 1) * second;
  const { httpGet, tcpSocket, grpc } = probe;
  if (probe.exec) return execute(probed, probe.exec.command ?? [], timeout, told);
  const asked = httpGet?.port ?? tcpSocket?.port ?? grpc?.port;
  const port = asked === undefined ? "missing probe handler" : resolvePort(asked, spec);
  if (typeof port === "string") {
    const timer = asker.sim.clock.after(0, () => told({ result: "error", message: port }));
    return { cancel: () => timer.cancel() };
  }
  if (tcpSocket) return askTcp(asker, { host: tcpSocket.host || podIp, port }, timeout, told);
  if (grpc || !httpGet) return askGrpc(asker, { host: podIp, port }, timeout, told);
  const { host, scheme = "HTTP", path = "/", httpHeaders: headers = [] } = httpGet;
  const ask = { scheme, host: host || podIp, port, path, headers, agent: `kube-probe/${version}`, timeout };
  return askHttp(asker, ask, (answer) => told(judgeHttp(answer)));
}

/** A command that cannot be started counts as nothing; one that is not done in time has failed. */
function execute(
  { asker, exec, spec, container }: Probed,
  command: readonly string[],
  timeout: number,
  told: (outcome: Outcome) => void,
): Asking {
  // Only what the spec says outright is put in (ExpandContainerCommandOnlyStatic).
  const given = new Map(spec.env?.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const])));
  const argv = command.map((word) => expand(word, (name) => given.get(name)));
  const late = (): void => {
    running.stop();
    const message = `command timed out: ${JSON.stringify(argv.join(" "))} timed out after ${formatDuration(timeout)}`;
    told({ result: "failure", message });
  };
  const deadline = asker.sim.clock.after(timeout, late, "background");
  const running = exec(container, argv, (result) => {
    deadline.cancel();
    if ("problem" in result) told({ result: "error", message: notStarted(result.problem) });
    else {
      const message = result.output.slice(0, outputLimit);
      told({ result: result.exitCode === 0 ? "success" : "failure", message });
    }
  });
  return {
    cancel() {
      deadline.cancel();
      running.stop();
    },
  };
}

/** The runtime's words for a command that it could not start. */
function notStarted(problem: string): string {
  const failed = "OCI runtime exec failed: exec failed: unable to start container process";
  return `rpc error: code = Unknown desc = failed to exec in container: failed to start exec: ${failed}: ${problem}: unknown`;
}
