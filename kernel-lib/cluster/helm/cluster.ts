/** Owns what Helm does to the cluster: it makes, changes and deletes a release's objects, and waits for them. */
import { StatusError } from "../../api/errors";
import type { KubeObject, Resource } from "../../api/kinds";
import { threeWayPatch } from "../../api/patch";
import { second, type Time } from "../../sim/clock";
import { statusMessage } from "../kubectl/resources";
import { Failed } from "../shell/tool";
import type { HelmContext } from "./context";
import type { Wanted } from "./manifest";

const managedBy = "app.kubernetes.io/managed-by";
const releaseName = "meta.helm.sh/release-name";
const releaseNamespace = "meta.helm.sh/release-namespace";

interface Owner {
  readonly name: string;
  readonly namespace: string;
}

interface Meta {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

function metaOf({ manifest }: Wanted): Meta {
  return (manifest.object.metadata ?? {}) as Meta;
}

function namespaceOf(wanted: Wanted, owner: Owner): string {
  return wanted.resource.namespaced ? (metaOf(wanted).namespace ?? owner.namespace) : "";
}

/** The object that is there now, if one is. */
export function found(context: HelmContext, wanted: Wanted, owner: Owner): KubeObject | undefined {
  const namespace = namespaceOf(wanted, owner);
  const name = metaOf(wanted).name ?? "";
  return context.api.store.get(wanted.resource.kind, namespace === "" ? name : `${namespace}/${name}`);
}

/** The manifest with the marks by which Helm knows what is its own. */
function owned(wanted: Wanted, owner: Owner): object {
  const meta = metaOf(wanted);
  return {
    ...wanted.manifest.object,
    metadata: {
      ...meta,
      ...(wanted.resource.namespaced && { namespace: namespaceOf(wanted, owner) }),
      labels: { ...meta.labels, [managedBy]: "Helm" },
      annotations: { ...meta.annotations, [releaseName]: owner.name, [releaseNamespace]: owner.namespace },
    },
  };
}

/** @throws Failed if an object is there that is not the release's */
export function checkOwnership(context: HelmContext, wanted: readonly Wanted[], owner: Owner, action: string): void {
  for (const each of wanted) {
    const there = found(context, each, owner);
    if (!there) continue;
    const problems = [
      mark("label", managedBy, "Helm", there.metadata.labels),
      mark("annotation", releaseName, owner.name, there.metadata.annotations),
      mark("annotation", releaseNamespace, owner.namespace, there.metadata.annotations),
    ].filter((problem) => problem !== undefined);
    if (problems.length === 0) continue;
    const what = `${there.kind} "${there.metadata.name}" in namespace "${there.metadata.namespace ?? ""}"`;
    throw new Failed(
      `unable to continue with ${action}: ${what} exists and cannot be imported into the current release: invalid ownership metadata; ${problems.join("; ")}`,
    );
  }
}

function mark(
  what: "label" | "annotation",
  key: string,
  wanted: string,
  map: Readonly<Record<string, string>> | undefined,
): string | undefined {
  const now = map?.[key];
  if (now === wanted) return undefined;
  return now === undefined
    ? `${what} validation error: missing key "${key}": must be set to "${wanted}"`
    : `${what} validation error: key "${key}" must equal "${wanted}": current value is "${now}"`;
}

/** Makes what is not there, changes what is, and deletes what `before` had and `wanted` has not. @throws Failed */
export function applyObjects(
  context: HelmContext,
  wanted: readonly Wanted[],
  before: readonly Wanted[],
  owner: Owner,
  dryRun = false,
): void {
  const id = (each: Wanted): string => `${each.resource.kind} ${namespaceOf(each, owner)}/${metaOf(each).name}`;
  const old = new Map(before.map((each) => [id(each), each]));
  for (const each of wanted) {
    const { resource } = each;
    const target = owned(each, owner);
    const there = found(context, each, owner);
    const options = {
      by: "helm",
      dryRun,
      warn: (text: string) => context.call.err(`Warning: ${text}\n`),
      ...(resource.namespaced && { namespace: namespaceOf(each, owner) }),
    };
    try {
      if (!there) context.api.create(resource.kind, target, options);
      else {
        const last = old.get(id(each));
        const patch = threeWayPatch(last ? owned(last, owner) : {}, target, there);
        const { namespace = "", name } = there.metadata;
        context.api.patch(resource.kind, namespace, name, "strategic", patch, {
          ...options,
          fieldValidation: "Strict",
        });
      }
    } catch (error) {
      throw refused(error, resource);
    }
  }
  if (dryRun) return;
  const kept = new Set(wanted.map(id));
  deleteObjects(
    context,
    before.filter((each) => !kept.has(id(each))),
    owner,
  );
}

function refused(error: unknown, _resource: Resource): unknown {
  if (!(error instanceof StatusError)) return error;
  return new Failed(
    error.reason === "Invalid" ? error.message : statusMessage(error).replace(/^Error from server( \(\w+\))?: /, ""),
  );
}

/** Deletes objects but those that `helm.sh/resource-policy: keep` protects, which it gives back. */
export function deleteObjects(
  context: HelmContext,
  objects: readonly Wanted[],
  owner: Owner,
  propagation: "Background" | "Foreground" | "Orphan" = "Background",
): readonly Wanted[] {
  const kept = objects.filter((each) => metaOf(each).annotations?.["helm.sh/resource-policy"] === "keep");
  for (const each of [...objects].reverse()) {
    const there = found(context, each, owner);
    if (!there || kept.includes(each)) continue;
    const { namespace = "", name } = there.metadata;
    context.api.delete(each.resource.kind, namespace, name, { by: "helm", propagation });
  }
  return kept;
}

/** Waits until what a release brings is ready, or (`gone`) is no more. @throws Failed after the time */
export async function waitFor(
  context: HelmContext,
  wanted: readonly Wanted[],
  owner: Owner,
  timeout: Time,
  gone = false,
): Promise<void> {
  const { clock } = context.call.cluster.sim;
  const end = clock.now + timeout;
  const unready = (): KubeObject | Wanted | undefined =>
    wanted.find((each) => {
      const object = found(context, each, owner);
      return gone ? object !== undefined : object === undefined || !isReady(object);
    });
  while (unready() && !context.call.process.stopped) {
    if (clock.now >= end) throw new Failed("context deadline exceeded");
    await context.call.process.sleep(Math.min(2 * second, Math.max(1, end - clock.now)), "foreground");
  }
}

function isReady(object: KubeObject): boolean {
  switch (object.kind) {
    case "Pod":
      return object.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    case "Deployment":
      return (
        (object.status.availableReplicas ?? 0) >= (object.spec.replicas ?? 1) &&
        (object.status.updatedReplicas ?? 0) >= (object.spec.replicas ?? 1)
      );
    case "ReplicaSet":
      return (object.status.readyReplicas ?? 0) >= (object.spec.replicas ?? 1);
    case "DaemonSet":
      return object.status.numberReady >= object.status.desiredNumberScheduled;
    case "Service":
      return object.spec.type !== "LoadBalancer" || (object.status.loadBalancer?.ingress?.length ?? 0) > 0;
    default:
      return true;
  }
}
