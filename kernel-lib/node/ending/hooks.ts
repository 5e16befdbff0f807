/** Owns running a container's hooks, postStart and preStop: a command, a request, or only some time. */
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import { second } from "../../sim/clock";
import type { Container } from "../container";
import { type HookKind, tellLife } from "../lifeevents";
import type { PodHost } from "../pod";
import { askHttp } from "../probes/http";
import { resolvePort } from "../probes/port";
import type { Note } from "../pull";
import type { Life, SpecContainer } from "../stages";

/** What the end of a container has of its pod. */
export interface EndingPod {
  readonly host: PodHost;
  readonly key: Key;
  readonly uid: string;
  /** As it was last seen. */
  readonly pod: Kinds["Pod"];
  podIps(): readonly string[];
  tell(note: Note, life?: Life): void;
}

type Lifecycle = NonNullable<SpecContainer["lifecycle"]>;
export type HookHandler = NonNullable<Lifecycle["preStop"]>;

/** A hook that runs. */
export interface Hook {
  /** Nobody waits for it any more, but it goes on: at its end it may still be told that it failed. */
  leave(): void;
  /** It is given up: what can be cut short fails now. */
  cut(): void;
}

const words: { readonly [K in HookKind]: { readonly reason: string; readonly message: string } } = {
  // What a command or a server said is kept out of events: it may hold secrets (kuberuntime_container.go).
  postStart: { reason: "FailedPostStartHook", message: "PostStartHook failed" },
  preStop: { reason: "FailedPreStopHook", message: "PreStopHook failed" },
};

/**
 * Runs a hook (handlerRunner in pkg/kubelet/lifecycle/handlers.go).
 * @param over called once, unless the hook is left or cut before: with why it failed, if it did
 */
export function runHook(
  pod: EndingPod,
  life: Life,
  container: Container,
  kind: HookKind,
  over: (failure: string | undefined) => void,
): Hook {
  const { sim, node } = pod.host;
  const about = { pod: pod.key, uid: pod.uid, container: life.spec.name, of: "hook", hook: kind } as const;
  const where = `kubelet/${node.name}`;
  let state: "runs" | "left" | "over" = "runs";
  const end = (failure: string | undefined): void => {
    if (state === "over") return;
    const waited = state === "runs";
    state = "over";
    if (failure !== undefined) pod.tell({ type: "Warning", ...words[kind] }, life);
    if (!waited) return;
    tellLife(sim, where, () =>
      failure === undefined ? { ...about, state: "ended" } : { ...about, state: "failed", message: failure },
    );
    over(failure);
  };
  tellLife(sim, where, () => ({ ...about, state: "begun" }));
  const running = begin(pod, life, container, life.spec.lifecycle?.[kind] ?? {}, end);
  const leave = (): void => {
    if (state !== "runs") return;
    state = "left";
    tellLife(sim, where, () => ({ ...about, state: "cut off" }));
  };
  return {
    leave,
    cut() {
      leave();
      running.stop();
      if (running.fails) end("context canceled");
      state = "over";
    },
  };
}

/** What runs of a hook; `fails`: to be given up is a failure that is told. */
interface Running {
  readonly fails: boolean;
  stop(): void;
}

function begin(
  pod: EndingPod,
  life: Life,
  container: Container,
  handler: HookHandler,
  end: (failure: string | undefined) => void,
): Running {
  const { host } = pod;
  const { clock } = host.sim;
  if (handler.exec) {
    const running = host.exec(container, handler.exec.command ?? [], (result) => {
      if ("problem" in result) end(result.problem);
      else end(result.exitCode === 0 ? undefined : `command exited with ${result.exitCode}`);
    });
    return { fails: true, stop: () => running.stop() };
  }
  if (handler.sleep) {
    const timer = clock.after(handler.sleep.seconds * second, () => end(undefined));
    return { fails: true, stop: () => timer.cancel() };
  }
  if (handler.httpGet) return request(pod, life, handler.httpGet, end);
  // The API has it still, but the kubelet does not know it any more.
  const timer = clock.after(0, () => end("invalid handler"));
  return { fails: false, stop: () => timer.cancel() };
}

/** Any answer is a success; its body is thrown away. */
function request(
  pod: EndingPod,
  life: Life,
  { scheme = "HTTP", host: named, port, path = "/", httpHeaders: headers = [] }: NonNullable<HookHandler["httpGet"]>,
  end: (failure: string | undefined) => void,
): Running {
  const { sim, asker } = pod.host;
  const host = named || pod.podIps()[0];
  const number = resolvePort(port, life.spec);
  if (host === undefined || typeof number === "string") {
    const why = typeof number === "string" ? number : "failed to find networking container";
    const timer = sim.clock.after(0, () => end(why));
    return { fails: false, stop: () => timer.cancel() };
  }
  const asking = askHttp(
    asker,
    { scheme, host, port: number, path, headers, agent: "kube-lifecycle/1.36", timeout: undefined },
    (answer) => end("error" in answer ? answer.error : undefined),
  );
  return { fails: false, stop: () => asking.cancel() };
}
