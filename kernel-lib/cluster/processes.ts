/** Owns how a container's command runs when it is no function of ours: a shell of the cluster, as its first process. */
import { type ProcessRunner, type Signal, signalNumbers } from "../apps/app";
import { executableName } from "../apps/image";
import { type Container, containerOf } from "../node/container";
import type { ExecIn, Executed } from "../node/exec";
import type { Cluster } from "./cluster";
import type { Process } from "./driver";
import { replacedBy } from "./linux/nginx";
import { runInside, scriptOf, shellIn } from "./shell/inside";
import { Failed } from "./shell/tool";

const shells = new Set(["sh", "ash", "bash", "dash"]);

/** Runs containers' commands on a cluster's driver. */
export function processRunner(cluster: Cluster): ProcessRunner {
  return {
    run(program, argv) {
      const { driver } = cluster;
      const [path = "", ...args] = argv;
      const name = executableName(path);
      let hear: (signal: Signal) => void = () => {};
      const process = driver.start(`container ${program.hostname}`, async (self) => {
        const container = containerOf(program);
        if (!container) {
          program.exit(1);
          return;
        }
        const shell = shellIn(cluster, container, 1);
        // What ends with the first process: all others of its PID namespace.
        container.whenEnded(() => shell.kill());
        if (shells.has(name)) hear = (signal) => shell.hear(signal);
        const options = {
          process: self,
          output: (stream: "stdout" | "stderr", text: string) => program.write(text, stream),
        };
        try {
          if (!shells.has(name)) program.exit(await shell.runDirectly([name, ...args], options));
          else {
            const script = scriptOf(shell, args);
            if (script !== undefined) program.exit(await shell.run(script, { ...options, whole: true }));
            // A shell that reads its input ends at once without one, and waits for what is typed with one.
            else if (!program.stdin) program.exit(0);
            else program.exit(await typedEnd(cluster, container, self));
          }
        } catch (error) {
          if (!(error instanceof Failed)) throw error;
          program.write(`${error.message}\n`, "stderr");
          program.exit(error.exitCode);
        }
      });
      return {
        signal(signal) {
          const container = containerOf(program);
          // A shell as the first process of a container ignores the signals that it does not handle.
          if (signal === "SIGKILL") process.stop();
          else ((container && replacedBy(container)?.signal) ?? hear)(signal);
        },
      };
    },
  };
}

/** Runs the commands of probes and hooks in containers, on a cluster's driver. */
export function containerExec(cluster: Cluster): ExecIn {
  const killed = new WeakMap<Container, Set<() => void>>();
  // Whoever is in a container when its first process ends is killed with it.
  const killsOf = (container: Container): Set<() => void> => {
    const known = killed.get(container);
    if (known) return known;
    const kills = new Set<() => void>();
    killed.set(container, kills);
    container.whenEnded(() => {
      for (const kill of kills) kill();
    });
    return kills;
  };
  return (container, argv, told) => {
    let output = "";
    const kills = killsOf(container);
    const process = cluster.driver.start(`exec ${container.spec.hostname}`, async (self) => {
      const write = (_stream: unknown, text: string): void => {
        output += text;
      };
      tell(await executed(() => runInside(cluster, container, argv, { process: self, output: write })));
    });
    const stop = (): void => {
      kills.delete(kill);
      process.stop();
    };
    let waits = true;
    const tell = (result: Executed): void => {
      if (!waits) return;
      waits = false;
      stop();
      told("exitCode" in result ? { ...result, output: output + result.output } : result);
    };
    const kill = (): void => tell({ exitCode: 128 + signalNumbers.SIGKILL, output: "" });
    kills.add(kill);
    return {
      stop() {
        waits = false;
        stop();
      },
    };
  };
}

/** How a command came out; `output` is what was said beside its own output. */
async function executed(run: () => Promise<number>): Promise<Executed> {
  try {
    return { exitCode: await run(), output: "" };
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    if (error.message.startsWith("exec: ")) return { problem: error.message };
    return { exitCode: error.exitCode, output: `${error.message}\n` };
  }
}

/** A shell that waits for what is typed lasts until somebody who is attached types `exit`. */
async function typedEnd(cluster: Cluster, container: Container, process: Process): Promise<number> {
  let code = 137;
  await process.pause((wake) => {
    cluster.attachable.set(container, (given) => {
      code = given;
      wake();
    });
    return () => cluster.attachable.delete(container);
  });
  return code;
}
