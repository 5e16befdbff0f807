/** Owns the validation of metadata (k8s.io/apimachinery pkg/api/validation/objectmeta.go) and of label selectors. */
import { type FieldError, forbiddenField, invalidValue, notSupported, required, tooLong } from "../errors";
import type { Resource } from "../kinds";
import type { LabelSelector, Meta } from "../meta";
import type { Fresh } from "../mutable";
import { check, checkLabels, dns1035Label, dnsLabel, dnsSubdomain, labelValue, qualifiedName } from "./names";

const annotationsLimit = 256 * 1024;

function nameCheck(resource: Resource): (value: string) => readonly string[] {
  if (resource.kind === "Service") return dns1035Label;
  // A StatefulSet's name begins its pods' hostnames.
  return resource.kind === "Namespace" || resource.kind === "StatefulSet" ? dnsLabel : dnsSubdomain;
}

/** Errors in an object's metadata, before it has a generated name. */
export function validateMeta(resource: Resource, meta: Fresh<"Pod">["metadata"]): FieldError[] {
  const test = nameCheck(resource);
  const errors: FieldError[] = [];
  if (meta.generateName) {
    const prefix = meta.generateName.replace(/-$/, "a");
    errors.push(...test(prefix).map((message) => invalidValue("metadata.generateName", meta.generateName, message)));
  }
  if (meta.name) errors.push(...check("metadata.name", meta.name, test));
  else if (!meta.generateName) errors.push(required("metadata.name", "name or generateName is required"));
  if (!resource.namespaced && meta.namespace) {
    errors.push(forbiddenField("metadata.namespace", "not allowed on this type"));
  } else if (resource.namespaced && !meta.namespace) errors.push(required("metadata.namespace"));
  else if (meta.namespace) errors.push(...check("metadata.namespace", meta.namespace, dnsLabel));
  errors.push(...checkLabels("metadata.labels", meta.labels));
  const annotations = Object.entries(meta.annotations ?? {});
  for (const [key] of annotations) errors.push(...check("metadata.annotations", key.toLowerCase(), qualifiedName));
  const size = annotations.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (size > annotationsLimit) errors.push(tooLong("metadata.annotations", annotationsLimit));
  for (const [at, owner] of (meta.ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${at}]`;
    if (!owner.apiVersion)
      errors.push(invalidValue(`${field}.apiVersion`, owner.apiVersion ?? "", "version must not be empty"));
    if (!owner.kind) errors.push(invalidValue(`${field}.kind`, owner.kind ?? "", "must not be empty"));
    if (!owner.name) errors.push(invalidValue(`${field}.name`, owner.name ?? "", "must not be empty"));
    if (!owner.uid) errors.push(invalidValue(`${field}.uid`, owner.uid ?? "", "must not be empty"));
  }
  return errors;
}

/** What an update may not change. */
export function validateMetaUpdate(now: Meta, before: Meta): FieldError[] {
  const fixed = ["name", "namespace", "uid", "creationTimestamp"] as const;
  return fixed.flatMap((field) => {
    const value = now[field];
    if (value === undefined || value === before[field]) return [];
    return [invalidValue(`metadata.${field}`, value, "field is immutable")];
  });
}

const operators = ["In", "NotIn", "Exists", "DoesNotExist"];

/** metav1validation.ValidateLabelSelector. */
export function validateSelector(field: string, selector: LabelSelector): FieldError[] {
  const errors = checkLabels(`${field}.matchLabels`, selector.matchLabels);
  for (const [at, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const path = `${field}.matchExpressions[${at}]`;
    const listed = values?.length ?? 0;
    if (operator === "In" || operator === "NotIn") {
      if (listed === 0) errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === "Exists" || operator === "DoesNotExist") {
      if (listed > 0) {
        const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
        errors.push(forbiddenField(`${path}.values`, why));
      }
    } else errors.push(notSupported(`${path}.operator`, operator, operators));
    errors.push(...check(`${path}.key`, key, qualifiedName));
    for (const [place, value] of (values ?? []).entries()) {
      errors.push(...check(`${path}.values[${place}]`, value, labelValue));
    }
  }
  return errors;
}
