/** Owns which address families a Service has: what it asks for, what the cluster has, and what an update may change. */
import { same } from "../equal";
import { type FieldError, invalidValue } from "../errors";
import type { Kinds } from "../kinds";
import type { Fresh } from "../mutable";
import { validateClusterIps } from "../validation/serviceips";

export type Family = "IPv4" | "IPv6";
type Before = Kinds["Service"]["spec"];
export type Spec = NonNullable<Fresh<"Service">["spec"]>;

/**
 * Fills `ipFamilyPolicy` and `ipFamilies` in place, and says what about them cannot be
 * (pkg/registry/core/service/storage/alloc.go: initIPFamilyFields).
 * @param cluster the families of the cluster, its default first
 * @param before the Service that is replaced
 */
export function assignFamilies(spec: Spec, before: Before | undefined, cluster: readonly Family[]): FieldError[] {
  if (spec.type === "ExternalName" || keepsPreferred(spec, before)) return [];
  const selectorless = spec.clusterIP === "None" && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= before?.ipFamilyPolicy ?? (selectorless ? "RequireDualStack" : "SingleStack");
  const loose = validateClusterIps(spec as Before);
  if (loose.length > 0) return loose;
  const errors = [...(before ? changedFamilies(spec, before) : []), ...policyErrors(spec)];
  errors.push(...familiesOfIps(spec, cluster));
  if (errors.length > 0) return errors;
  // Nothing is handed out for a headless Service that somebody else fills: it may name families the cluster lacks.
  if (!selectorless) errors.push(...missingFamilies(spec, cluster));
  if (errors.length > 0) return errors;
  const families: string[] = spec.ipFamilies?.length ? spec.ipFamilies : [cluster[0] ?? "IPv4"];
  spec.ipFamilies = families;
  const dual = spec.ipFamilyPolicy !== "SingleStack" && (selectorless || cluster.length > 1);
  if (dual && families.length === 1) families.push(families[0] === "IPv4" ? "IPv6" : "IPv4");
  return [];
}

/** A PreferDualStack Service stays as it is when the cluster becomes dual-stack, or stops being so. */
function keepsPreferred(spec: Spec, before: Before | undefined): boolean {
  return (
    before !== undefined &&
    spec.ipFamilyPolicy === "PreferDualStack" &&
    before.ipFamilyPolicy === "PreferDualStack" &&
    spec.type === before.type &&
    same(spec.clusterIPs ?? [], before.clusterIPs ?? []) &&
    same(spec.ipFamilies ?? [], before.ipFamilies ?? [])
  );
}

/** Back to one family is asked for by the policy: then the second address goes. By itself it may not be left out. */
function changedFamilies(spec: Spec, before: Before): FieldError[] {
  if (spec.ipFamilyPolicy === "SingleStack") {
    if (same(spec.clusterIPs, before.clusterIPs)) spec.clusterIPs = spec.clusterIPs?.slice(0, 1) ?? [];
    if (same(spec.ipFamilies, before.ipFamilies)) spec.ipFamilies = spec.ipFamilies?.slice(0, 1) ?? [];
    return [];
  }
  const reduced = (now: readonly string[] | undefined, old: readonly string[] | undefined): boolean =>
    (now?.length ?? 0) > 0 && (now?.length ?? 0) < (old?.length ?? 0);
  const errors: FieldError[] = [];
  const refuse = (what: string): void => {
    const why = `must be 'SingleStack' to release the secondary ${what}`;
    errors.push(invalidValue("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why));
  };
  if (reduced(spec.clusterIPs, before.clusterIPs)) refuse("cluster IP");
  if (reduced(spec.ipFamilies, before.ipFamilies)) refuse("IP family");
  return errors;
}

function policyErrors(spec: Spec): FieldError[] {
  if (spec.ipFamilyPolicy !== "SingleStack") return [];
  const refuse = (what: string): FieldError => {
    const why = `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
    return invalidValue("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why);
  };
  return [
    ...(spec.clusterIPs?.length === 2 ? [refuse("cluster IPs")] : []),
    ...(spec.ipFamilies?.length === 2 ? [refuse("IP families")] : []),
  ];
}

/** An address that was asked for says its family. */
function familiesOfIps(spec: Spec, cluster: readonly Family[]): FieldError[] {
  const errors: FieldError[] = [];
  for (const [at, ip] of (spec.clusterIPs ?? []).entries()) {
    if (ip === "None") break;
    const family = ip.includes(":") ? "IPv6" : "IPv4";
    if (at < (spec.ipFamilies?.length ?? 0)) continue;
    if (cluster.includes(family)) spec.ipFamilies = [...(spec.ipFamilies ?? []), family];
    else {
      const why = `${family} is not configured on this cluster`;
      errors.push(invalidValue(`spec.clusterIPs[${at}]`, spec.clusterIPs, why));
    }
  }
  return errors;
}

function missingFamilies(spec: Spec, cluster: readonly Family[]): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.ipFamilyPolicy === "RequireDualStack" && cluster.length < 2) {
    const why = "this cluster is not configured for dual-stack services";
    errors.push(invalidValue("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why));
  }
  for (const [at, family] of (spec.ipFamilies ?? []).entries()) {
    if (cluster.includes(family as Family)) continue;
    errors.push(invalidValue(`spec.ipFamilies[${at}]`, family, "not configured on this cluster"));
  }
  return errors;
}
