/**
 * Owns the validation of a Service's cluster IPs and families (ValidateServiceClusterIPsRelatedFields), and of their
 * change.
 */
import { duplicate, type FieldError, forbiddenField, invalidValue, notSupported, required } from "../errors";
import type { Kinds } from "../kinds";
import { parseIp } from "./ip";
import { check, ipAddress } from "./names";

type Spec = Kinds["Service"]["spec"];

const families = ["IPv4", "IPv6"];
const familyPolicies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const notForExternalName = "may not be set for ExternalName services";

export function validateClusterIps(spec: Spec): FieldError[] {
  const ips = spec.clusterIPs ?? [];
  const chosen = spec.ipFamilies ?? [];
  const errors: FieldError[] = [];
  if (spec.type === "ExternalName") {
    if (ips.length > 0) errors.push(forbiddenField("spec.clusterIPs", notForExternalName));
    if (chosen.length > 0) errors.push(forbiddenField("spec.ipFamilies", notForExternalName));
    if (spec.ipFamilyPolicy !== undefined) errors.push(forbiddenField("spec.ipFamilyPolicy", notForExternalName));
    return errors;
  }
  if (!spec.clusterIP && ips.length > 0) {
    errors.push(forbiddenField("spec.clusterIPs", "must be empty when `clusterIP` is not specified"));
  } else if (spec.clusterIP && ips.length === 0) errors.push(required("spec.clusterIPs"));
  else if (ips[0] !== undefined && ips[0] !== spec.clusterIP) {
    errors.push(invalidValue("spec.clusterIPs", ips, "element [0] must match `clusterIP`"));
  }
  const seen = new Set<string>();
  for (const [at, family] of chosen.entries()) {
    const field = `spec.ipFamilies[${at}]`;
    if (!families.includes(family)) errors.push(notSupported(field, family, families));
    if (seen.has(family)) errors.push(duplicate(field, family));
    seen.add(family);
  }
  const policy = spec.ipFamilyPolicy;
  if (policy !== undefined && !familyPolicies.includes(policy)) {
    errors.push(notSupported("spec.ipFamilyPolicy", policy, familyPolicies));
  }
  return [...errors, ...validateAddresses(ips, chosen)];
}

function validateAddresses(ips: readonly string[], chosen: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  if (ips.length > 1 && ips.includes("None")) {
    const at = ips.indexOf("None");
    errors.push(invalidValue(`spec.clusterIPs[${at}]`, "None", "may not be set to 'None' with other cluster IPs"));
  }
  for (const [at, ip] of ips.entries())
    if (ip !== "None") errors.push(...check(`spec.clusterIPs[${at}]`, ip, ipAddress));
  if (ips.length > 2) errors.push(invalidValue("spec.clusterIPs", ips, "may only hold up to 2 values"));
  if (errors.length > 0 || ips[0] === "None") return errors;
  const given = ips.map((ip) => parseIp(ip)?.family);
  if (ips.length === 2 && given[0] === given[1]) {
    errors.push(invalidValue("spec.clusterIPs", ips, "may specify no more than one IP for each IP family"));
  }
  for (const [at, ip] of ips.entries()) {
    const wanted = chosen[at];
    if (wanted === undefined || wanted === given[at]) continue;
    const why = `expected an ${wanted} value as indicated by \`ipFamilies[${at}]\``;
    errors.push(invalidValue(`spec.clusterIPs[${at}]`, ip, why));
  }
  return errors;
}

/** What an update may not change: an address or a family, once given (ValidateServiceUpdate). */
export function validateServiceUpdate(now: Spec, before: Spec): FieldError[] {
  const errors: FieldError[] = [];
  if (now.type !== "ExternalName" && before.type !== "ExternalName") {
    const [wasHeadless, isHeadless] = [headless(before), headless(now)];
    if (!wasHeadless || !isHeadless) {
      errors.push(...changes("clusterIPs", "clusterIP", now.clusterIPs ?? [], before.clusterIPs ?? [], now));
    }
    if (!wasHeadless && !isHeadless) {
      errors.push(...changes("ipFamilies", "ipFamily", now.ipFamilies ?? [], before.ipFamilies ?? [], now));
    }
  }
  const balanced = now.type === "LoadBalancer" && before.type === "LoadBalancer";
  if (balanced && now.loadBalancerClass !== before.loadBalancerClass) {
    errors.push(invalidValue("spec.loadBalancerClass", now.loadBalancerClass, onceSet));
  }
  if (isChecked(now) && isChecked(before) && now.healthCheckNodePort !== before.healthCheckNodePort) {
    errors.push(forbiddenField("spec.healthCheckNodePort", "field is immutable"));
  }
  return errors;
}

/** Whether a balancer asks every node for its health. */
function isChecked({ type, externalTrafficPolicy }: Spec): boolean {
  return type === "LoadBalancer" && externalTrafficPolicy === "Local";
}

const onceSet = "may not change once set";

function headless({ clusterIPs }: Spec): boolean {
  return clusterIPs?.length === 1 && clusterIPs[0] === "None";
}

/** The first stays; the second may come, and may go only by a policy that says so (validateUpgradeDowngrade…). */
function changes(
  field: "clusterIPs" | "ipFamilies",
  word: string,
  now: readonly string[],
  before: readonly string[],
  spec: Spec,
): FieldError[] {
  if (now.length === 0 && before.length > 0) {
    return [invalidValue(`spec.${field}[0]`, now, `primary ${word} can not be unset`)];
  }
  const kept = now.length === before.length ? before : before.slice(0, 1);
  const errors = kept.flatMap((value, at) =>
    now[at] === value ? [] : [invalidValue(`spec.${field}[${at}]`, now, onceSet)],
  );
  if (now.length < before.length && spec.ipFamilyPolicy !== "SingleStack") {
    const why = `must be set to 'SingleStack' when releasing the secondary ${word}`;
    errors.push(invalidValue("spec.ipFamilyPolicy", spec.ipFamilyPolicy, why));
  }
  return errors;
}
