/** Owns making a pod from a template, as controllers do it. */
import { admitPod } from "../api/defaults/pod";
import type { Draft, Kinds } from "../api/kinds";
import { ownedBy } from "../api/meta";
import type { Fresh } from "../api/mutable";
import type { Random } from "../sim/random";

type Owner = Kinds["ReplicaSet"] | Kinds["DaemonSet"];
type Template = Kinds["DaemonSet"]["spec"]["template"];

/**
 * A pod of this owner: the template's labels and annotations, a generated name, the owner's reference, all admitted.
 */
export function podFrom(owner: Owner, template: Template, random: Random): Draft<"Pod"> {
  const pod = {
    apiVersion: "v1",
    kind: "Pod" as const,
    metadata: {
      generateName: `${owner.metadata.name}-`,
      namespace: owner.metadata.namespace ?? "default",
      ...(template.metadata?.labels && { labels: { ...template.metadata.labels } }),
      ...(template.metadata?.annotations && { annotations: { ...template.metadata.annotations } }),
      ownerReferences: [{ ...ownedBy(owner) }],
    },
    spec: structured(template.spec ?? { containers: [] }),
  } as unknown as Fresh<"Pod">;
  admitPod(pod, random.suffix());
  return pod as unknown as Draft<"Pod">;
}

/** A copy that may be written to; the template is shared by all. */
function structured<T>(value: T): T {
  if (Array.isArray(value)) return value.map(structured) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, structured(part)])) as T;
}
