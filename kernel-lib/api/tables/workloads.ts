/** Owns the rows of Deployments, ReplicaSets and DaemonSets. */
import type { Time } from "../../sim/clock";
import type { Kinds } from "../kinds";
import { ageOf } from "../time";
import { labelText, selectorText } from "./labels";
import type { Cell } from "./table";

type Template = Kinds["Deployment"]["spec"]["template"];

function wide(template: Template | undefined, selector: Kinds["Deployment"]["spec"]["selector"]): readonly Cell[] {
  const containers = template?.spec?.containers ?? [];
  return [
    containers.map(({ name }) => name).join(","),
    containers.map(({ image }) => image).join(","),
    selectorText(selector),
  ];
}

export function deploymentCells({ metadata, spec, status }: Kinds["Deployment"], now: Time): readonly Cell[] {
  return [
    metadata.name,
    `${status.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
    status.updatedReplicas ?? 0,
    status.availableReplicas ?? 0,
    ageOf(metadata.creationTimestamp, now),
    ...wide(spec.template, spec.selector),
  ];
}

export function replicaSetCells({ metadata, spec, status }: Kinds["ReplicaSet"], now: Time): readonly Cell[] {
  return [
    metadata.name,
    spec.replicas ?? 0,
    status.replicas,
    status.readyReplicas ?? 0,
    ageOf(metadata.creationTimestamp, now),
    ...wide(spec.template, spec.selector),
  ];
}

export function daemonSetCells({ metadata, spec, status }: Kinds["DaemonSet"], now: Time): readonly Cell[] {
  return [
    metadata.name,
    status.desiredNumberScheduled,
    status.currentNumberScheduled,
    status.numberReady,
    status.updatedNumberScheduled ?? 0,
    status.numberAvailable ?? 0,
    labelText(spec.template.spec?.nodeSelector),
    ageOf(metadata.creationTimestamp, now),
    ...wide(spec.template, spec.selector),
  ];
}
