/** Owns finding the pod and container that `exec`, `logs` and `run` mean. */
import type { Kinds } from "../../api/kinds";
import { findResource, resourceOf } from "../../api/kinds";
import { keyOf } from "../../api/meta";
import type { Container } from "../../node/container";
import { Failed } from "../shell/tool";
import type { Context } from "./context";
import { findObjects } from "./resources";

/** The pod that `NAME` or `TYPE/NAME` means: a workload's or a Service's first pod. @throws Failed */
export function podOf(context: Context, word: string, tellsChoice = false): Kinds["Pod"] {
  const [type, name] = word.includes("/") ? word.split("/") : ["pod", word];
  const resource = findResource(type ?? "");
  if (!resource) throw new Failed(`error: the server doesn't have a resource type "${type}"`);
  const { objects, failed } = findObjects(context, [{ resource, name }]);
  const [object] = objects;
  if (!object || failed) throw new Failed("");
  if (object.kind === "Pod") return object;
  const selector =
    object.kind === "Service"
      ? { matchLabels: object.spec.selector ?? {} }
      : "spec" in object && "template" in object.spec && "selector" in object.spec
        ? object.spec.selector
        : undefined;
  if (!selector)
    throw new Failed(`error: cannot attach to *v1.${object.kind}: selector for *v1.${object.kind} not implemented`);
  const pods = context.api.store.list("Pod", { namespace: object.metadata.namespace ?? "", selector });
  const found = pods.find((pod) => pod.status.phase === "Running") ?? pods[0];
  if (!found) throw new Failed(`error: timed out waiting for the condition`);
  // `logs` says which of several it takes; `exec` just takes one.
  if (tellsChoice && pods.length > 1) context.err(`Found ${pods.length} pods, using pod/${found.metadata.name}\n`);
  return found;
}

/** The container's name: `-c`, or the first, which kubectl says when there are several. @throws Failed */
export function containerNameOf(context: Context, pod: Kinds["Pod"]): string {
  const names = pod.spec.containers.map(({ name }) => name);
  const all = [...names, ...(pod.spec.initContainers ?? []).map(({ name }) => name)];
  const wanted = context.flags.text("container");
  if (wanted !== undefined) {
    if (all.includes(wanted)) return wanted;
    throw new Failed(`error: container ${wanted} not found in pod ${pod.metadata.name}`);
  }
  const [first = ""] = names;
  if (all.length > 1) {
    const inits = (pod.spec.initContainers ?? []).map(({ name }) => `${name} (init)`);
    context.err(`Defaulted container "${first}" out of: ${[...names, ...inits].join(", ")}\n`);
  }
  return first;
}

/** A running container. @throws Failed as the kubelet words it */
export function runningContainer(context: Context, pod: Kinds["Pod"], name: string): Container {
  const { phase } = pod.status;
  if (phase === "Succeeded" || phase === "Failed") {
    throw new Failed(`error: cannot exec into a container in a completed pod; current phase is ${phase}`);
  }
  if (!pod.spec.nodeName) {
    throw new Failed(`Error from server (BadRequest): pod ${pod.metadata.name} does not have a host assigned`);
  }
  const container = context.call.cluster.container(keyOf(pod), name);
  if (!container?.running) throw new Failed(`error: unable to upgrade connection: container not found ("${name}")`);
  return container;
}

/** The resource of pods, for the watching verbs. */
export const pods = resourceOf("Pod");
