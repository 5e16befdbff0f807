/** Owns making a pod from a template, as controllers do it. */
import { admitPod } from "../api/defaults/pod";
import type { Draft, Kinds } from "../api/kinds";
import { ownedBy } from "../api/meta";
import type { Fresh } from "../api/mutable";
import type { Random } from "../sim/random";

type Pod = Draft<"Pod">;
type PodSpec = Pod["spec"];
type Container = PodSpec["containers"][number];
type Owner = Kinds["ReplicaSet"] | Kinds["DaemonSet"] | Kinds["StatefulSet"] | Kinds["Job"];
type Template = Kinds["DaemonSet"]["spec"]["template"];

/** A pod of a template as admission leaves it, but for its owner and for the name of its token's volume. */
interface Admitted {
  readonly pod: Pod;
  /** Of the owner that it was last made for: thousands of pods share one. */
  owner: { readonly uid: string; readonly references: Pod["metadata"]["ownerReferences"] };
}

const admitted = new WeakMap<Template, Admitted>();

/** Stands for the name of the token's volume; no volume of a user can be called so. */
const tokenVolume = "kube-api-access-";

/**
 * A pod of this owner: the template's labels and annotations, a generated name, the owner's reference, all admitted. What
 * is the same in all pods of a template is the same object.
 */
export function podFrom(owner: Owner, template: Template, random: Random): Pod {
  const known = admitted.get(template) ?? admit(template);
  if (known.owner.uid !== owner.metadata.uid) {
    known.owner = { uid: owner.metadata.uid, references: [{ ...ownedBy(owner) }] };
  }
  const { pod } = known;
  const { ownerReferences: _none, ...metadata } = pod.metadata;
  return {
    ...pod,
    metadata: {
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace ?? "default",
      ...metadata,
      ...(known.owner.references && { ownerReferences: known.owner.references }),
    },
    spec: withToken(pod.spec, `${tokenVolume}${random.suffix()}`),
  };
}

function admit(template: Template): Admitted {
  const pod = {
    apiVersion: "v1",
    kind: "Pod" as const,
    metadata: {
      ...(template.metadata?.labels && { labels: { ...template.metadata.labels } }),
      ...(template.metadata?.annotations && { annotations: { ...template.metadata.annotations } }),
    },
    spec: structured(template.spec ?? { containers: [] }),
  } as unknown as Fresh<"Pod">;
  admitPod(pod, "");
  const made: Admitted = { pod: pod as unknown as Pod, owner: { uid: "", references: undefined } };
  admitted.set(template, made);
  return made;
}

/** The same spec with a token's volume of this name: only what names it is made anew. */
function withToken(spec: PodSpec, name: string): PodSpec {
  const at = spec.volumes?.findIndex((volume) => volume.name === tokenVolume) ?? -1;
  if (!spec.volumes || at < 0) return spec;
  const renamed = (containers: readonly Container[]): readonly Container[] => {
    return containers.map((container) => {
      if (!container.volumeMounts?.some((mount) => mount.name === tokenVolume)) return container;
      const volumeMounts = container.volumeMounts.map((mount) =>
        mount.name === tokenVolume ? { ...mount, name } : mount,
      );
      return { ...container, volumeMounts };
    });
  };
  return {
    ...spec,
    containers: renamed(spec.containers),
    ...(spec.initContainers && { initContainers: renamed(spec.initContainers) }),
    volumes: spec.volumes.map((volume, nth) => (nth === at ? { ...volume, name } : volume)),
  } as PodSpec;
}

/** A copy that may be written to; the template is shared by all. */
function structured<T>(value: T): T {
  if (Array.isArray(value)) return value.map(structured) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, structured(part)])) as T;
}
