/** Owns the fields by which a list may be narrowed (`--field-selector`): only those that the API server supports. */
import type { Kind, KubeObject } from "./kinds";

const common = ["metadata.name", "metadata.namespace"];
const more: { readonly [K in Kind]?: readonly string[] } = {
  Pod: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
  ],
  Node: ["spec.unschedulable"],
  Namespace: ["status.phase"],
  Secret: ["type"],
  Service: ["spec.clusterIP", "spec.type"],
  ReplicaSet: ["status.replicas"],
  Job: ["status.successful"],
  Event: [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
};

/** The fields that a kind's lists understand. */
export function fieldLabels(kind: Kind): readonly string[] {
  return [...common, ...(more[kind] ?? [])];
}

/** A field as text; `""` where it is not set (`false` for flags). */
export function fieldValue(object: KubeObject, field: string): string {
  let value: unknown = object;
  for (const part of field.split(".")) {
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[part] : undefined;
  }
  if (field === "source") return object.kind === "Event" ? (object.source?.component ?? "") : "";
  if (field === "status.successful") return object.kind === "Job" ? String(object.status.succeeded ?? 0) : "";
  if (value === undefined) return /hostNetwork|unschedulable/.test(field) ? "false" : "";
  return String(value);
}
