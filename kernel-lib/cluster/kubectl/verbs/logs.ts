/** Owns `kubectl logs`. */
import type { Kinds } from "../../../api/kinds";
import { keyOf } from "../../../api/meta";
import { rfc3339Micro } from "../../../api/time";
import type { LogLine } from "../../../node/container";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { durationOf } from "../flags";
import { containerNameOf, podOf } from "../pods";
import { watchEnd } from "../watch";

export const logs: Verb = {
  name: "logs",
  short: "Print the logs for a container in a pod",
  usage: "logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [options]",
  flags: [
    { name: "follow", short: "f", type: "bool" },
    { name: "tail", type: "int" },
    { name: "container", short: "c", type: "string" },
    { name: "all-containers", type: "bool" },
    { name: "previous", short: "p", type: "bool" },
    { name: "timestamps", type: "bool" },
    { name: "since", type: "duration" },
    { name: "selector", short: "l", type: "string" },
    { name: "prefix", type: "bool" },
    { name: "max-log-requests", type: "int" },
  ],
  run: show,
};

async function show(context: Context): Promise<number> {
  const { api, call, flags, namespace } = context;
  const selector = flags.text("selector");
  const [word] = flags.args;
  if (word === undefined && selector === undefined) {
    throw new Failed(
      "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples",
    );
  }
  const pods: readonly Kinds["Pod"][] =
    word === undefined ? api.list("Pod", { namespace, labelSelector: selector ?? "" }) : [podOf(context, word, true)];
  if (pods.length === 0) {
    context.err(`No resources found in ${namespace} namespace.\n`);
    return 0;
  }
  const tail = flags.number("tail") ?? (selector === undefined ? -1 : 10);
  const since = flags.text("since");
  const from = since === undefined ? 0 : call.cluster.sim.clock.now - durationOf(since);
  const prefixed = flags.is("prefix");
  const following: { pod: Kinds["Pod"]; name: string }[] = [];
  for (const pod of pods) {
    const names = flags.is("all-containers")
      ? pod.spec.containers.map(({ name }) => name)
      : [containerNameOf(context, pod)];
    for (const name of names) {
      const lines = linesOf(context, pod, name).filter((line) => line.at >= from);
      for (const line of tail < 0 ? lines : lines.slice(Math.max(0, lines.length - tail)))
        write(context, line, pod, name, prefixed);
      following.push({ pod, name });
    }
  }
  if (!flags.is("follow")) return 0;
  return follow(context, following, prefixed);
}

function linesOf(context: Context, pod: Kinds["Pod"], name: string): readonly LogLine[] {
  const { cluster } = context.call;
  const key = keyOf(pod);
  if (context.flags.is("previous")) {
    const previous = cluster.previousContainer(key, name);
    if (previous) return previous.log;
    throw new Failed(
      `Error from server (BadRequest): previous terminated container "${name}" in pod "${pod.metadata.name}" not found`,
    );
  }
  const current = cluster.container(key, name);
  if (current?.started !== undefined) return current.log;
  const state = pod.status.containerStatuses?.find((status) => status.name === name)?.state?.waiting?.reason;
  const why = {
    ErrImagePull: "trying and failing to pull image",
    ImagePullBackOff: "trying and failing to pull image",
  }[state ?? ""];
  const what = `container "${name}" in pod "${pod.metadata.name}" is waiting to start: ${why ?? state ?? "ContainerCreating"}`;
  throw new Failed(`Error from server (BadRequest): ${what}`);
}

function write(context: Context, line: LogLine, pod: Kinds["Pod"], name: string, prefixed: boolean): void {
  const prefix = prefixed ? `[pod/${pod.metadata.name}/${name}] ` : "";
  const time = context.flags.is("timestamps") ? `${rfc3339Micro(line.at).slice(0, -1)}000Z ` : "";
  context.out(`${prefix}${time}${line.text}\n`);
}

async function follow(
  context: Context,
  following: readonly { pod: Kinds["Pod"]; name: string }[],
  prefixed: boolean,
): Promise<number> {
  const { call } = context;
  const waiting: (() => void)[] = [];
  let wakeUp = (): void => {};
  const containers = following.flatMap(({ pod, name }) => {
    const container = call.cluster.container(keyOf(pod), name);
    return container ? [{ container, pod, name }] : [];
  });
  const followed = containers.map(({ container, pod, name }) =>
    container.follow((line) => {
      waiting.push(() => write(context, line, pod, name, prefixed));
      wakeUp();
    }),
  );
  const end = watchEnd(context);
  while (!call.process.stopped && !end.reached() && containers.some(({ container }) => container.running)) {
    for (let next = waiting.shift(); next; next = waiting.shift()) next();
    await call.process.pause((wake) => {
      wakeUp = wake;
      // The kubelet tells the store when a container has ended.
      const subscription = context.api.store.watch("Pod", wake);
      return () => subscription.stop();
    }, end.left());
  }
  end.tell();
  for (const next of waiting) next();
  for (const each of followed) each.stop();
  return call.process.stopped || end.reached() ? 130 : 0;
}
