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

/**
 * What an update may not change: an address, once given (validateUpgradeDowngradeClusterIPs, ValidateServiceUpdate).
 */
export function validateServiceUpdate(now: Spec, before: Spec): FieldError[] {
  if (now.type === "ExternalName" || before.type === "ExternalName") return [];
  if (!before.clusterIP || now.clusterIP === before.clusterIP) return [];
  return [invalidValue("spec.clusterIPs[0]", now.clusterIPs?.[0] ?? now.clusterIP, "may not change once set")];
}
