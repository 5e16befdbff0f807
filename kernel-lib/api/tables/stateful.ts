/** Owns the rows of StatefulSets, of the revisions of their templates, and of Jobs. */
import type { Time } from "../../sim/clock";
import type { Kinds } from "../kinds";
import { controllerOf } from "../meta";
import { ageOf, humanDuration, parseTime } from "../time";
import { selectorText } from "./labels";
import type { Cell } from "./table";

type Containers = readonly { readonly name: string; readonly image?: string }[];

function containersAndImages(template: { readonly spec?: { readonly containers: Containers } }): readonly string[] {
  const containers = template.spec?.containers ?? [];
  return [containers.map(({ name }) => name).join(","), containers.map(({ image }) => image).join(",")];
}

export function statefulSetCells({ metadata, spec, status }: Kinds["StatefulSet"], now: Time): readonly Cell[] {
  return [
    metadata.name,
    `${status.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
    ageOf(metadata.creationTimestamp, now),
    ...containersAndImages(spec.template),
  ];
}

export function controllerRevisionCells(object: Kinds["ControllerRevision"], now: Time): readonly Cell[] {
  const { metadata, revision } = object;
  const owner = controllerOf(object);
  const group = owner?.apiVersion.includes("/") ? `.${owner.apiVersion.slice(0, owner.apiVersion.indexOf("/"))}` : "";
  const controller = owner ? `${owner.kind.toLowerCase()}${group}/${owner.name}` : "<none>";
  return [metadata.name, controller, revision, ageOf(metadata.creationTimestamp, now)];
}

/** A Job's state in one word (pkg/printers/internalversion: printJob). */
function jobStatus({ metadata, status }: Kinds["Job"]): string {
  const holds = (type: string): boolean => {
    return status.conditions?.some((condition) => condition.type === type && condition.status === "True") ?? false;
  };
  if (holds("Complete")) return "Complete";
  if (holds("Failed")) return "Failed";
  if (metadata.deletionTimestamp !== undefined) return "Terminating";
  return ["Suspended", "FailureTarget", "SuccessCriteriaMet"].find(holds) ?? "Running";
}

export function jobCells(job: Kinds["Job"], now: Time): readonly Cell[] {
  const { metadata, spec, status } = job;
  const [done, parallelism] = [status.succeeded ?? 0, spec.parallelism ?? 0];
  const wanted = spec.completions !== undefined ? `${spec.completions}` : parallelism > 1 ? `1 of ${parallelism}` : "1";
  const [start, end] = [parseTime(status.startTime ?? ""), parseTime(status.completionTime ?? "")];
  return [
    metadata.name,
    jobStatus(job),
    `${done}/${wanted}`,
    start === undefined ? "" : humanDuration((end ?? now) - start),
    ageOf(metadata.creationTimestamp, now),
    ...containersAndImages(spec.template),
    selectorText(spec.selector),
  ];
}
