/** Owns following objects as they change: `get -w`, `wait`, `delete`, `rollout status`. */
import type { KubeObject, Resource } from "../../api/kinds";
import { keyOf } from "../../api/meta";
import { matchesAll, parseSelector } from "../../api/selectors";
import { millisecond, type Time } from "../../sim/clock";
import type { PauseEnd } from "../driver";
import type { Context } from "./context";

/** From a write to a watching client. */
const notice = 3 * millisecond;

/** Pauses until an object of a kind is written, or the time is over. */
export async function nextChange(context: Context, resource: Resource, timeout?: Time): Promise<PauseEnd> {
  return context.call.process.pause(
    (wake) => {
      const subscription = context.api.store.watch(resource.kind, wake, notice);
      return () => subscription.stop();
    },
    timeout,
    "foreground",
  );
}

/** Pauses until `done` says yes of the objects as they are. */
export async function until(
  context: Context,
  resource: Resource,
  done: () => boolean,
  timeout: Time | undefined,
): Promise<PauseEnd> {
  const { clock } = context.call.cluster.sim;
  const end = timeout === undefined ? undefined : clock.now + timeout;
  while (!done()) {
    if (end !== undefined && clock.now >= end) return "timeout";
    const how = await nextChange(context, resource, end === undefined ? undefined : end - clock.now);
    if (how === "stopped") return how;
  }
  return "woken";
}

/**
 * Hands over an object as it is, then as each write leaves it (undefined: it was deleted), until `see` says that it is
 * enough (client-go tools/watch: UntilWithSync).
 */
export async function followObject(
  context: Context,
  object: KubeObject,
  timeout: Time | undefined,
  see: (now: KubeObject | undefined) => boolean,
): Promise<PauseEnd> {
  const { clock } = context.call.cluster.sim;
  const end = timeout === undefined ? undefined : clock.now + timeout;
  const waiting: (KubeObject | undefined)[] = [object];
  let wakeUp: () => void = () => {};
  const subscription = context.api.store.followOne(object.kind, keyOf(object), ({ type, object: now }) => {
    clock.after(notice, () => {
      waiting.push(type === "DELETED" ? undefined : (now as KubeObject));
      wakeUp();
    });
  });
  try {
    for (;;) {
      while (waiting.length > 0) if (see(waiting.shift())) return "woken";
      if (end !== undefined && clock.now >= end) return "timeout";
      const arm = (wake: () => void): undefined => {
        wakeUp = wake;
        return undefined;
      };
      const left = end === undefined ? undefined : end - clock.now;
      if ((await context.call.process.pause(arm, left, "foreground")) === "stopped") return "stopped";
    }
  } finally {
    subscription.stop();
  }
}

/** Shows every change of the objects asked for, until Ctrl-C; gives its exit code. */
export async function watchObjects(
  context: Context,
  resource: Resource,
  name: string | undefined,
  allNamespaces: boolean,
  show: (object: KubeObject, type: "ADDED" | "MODIFIED" | "DELETED") => void,
): Promise<number> {
  const { api, call, flags, namespace } = context;
  const requirements = parseSelector(flags.text("selector") ?? "");
  const waiting: (() => void)[] = [];
  let wakeUp: () => void = () => {};
  const subscription = api.store.follow(resource.kind, ({ object, type }) => {
    const { metadata } = object;
    if (resource.namespaced && !allNamespaces && metadata.namespace !== namespace) return;
    if (name !== undefined && metadata.name !== name) return;
    if (!matchesAll(requirements, metadata.labels ?? {})) return;
    call.cluster.sim.clock.after(notice, () => {
      waiting.push(() => show(object as KubeObject, type));
      wakeUp();
    });
  });
  const end = watchEnd(context);
  while (!call.process.stopped && !end.reached()) {
    for (let next = waiting.shift(); next; next = waiting.shift()) next();
    await call.process.pause((wake) => {
      wakeUp = wake;
      return undefined;
    }, end.left());
  }
  subscription.stop();
  end.tell();
  return 130;
}

/** When a command that only watches stops: at Ctrl-C, or in a notebook's cell, where nobody can press it, after a while. */
export function watchEnd({ call, err }: Context): {
  reached(): boolean;
  left(): Time | undefined;
  tell(): void;
} {
  const { clock } = call.cluster.sim;
  const limit = call.terminal?.patience;
  const end = limit === undefined ? undefined : clock.now + limit;
  return {
    reached: () => end !== undefined && clock.now >= end,
    left: () => (end === undefined ? undefined : Math.max(0, end - clock.now)),
    tell() {
      if (call.process.stopped || end === undefined || clock.now < end) return;
      err(`^C (a minute has passed; ${call.terminal?.advice})\n`);
    },
  };
}
