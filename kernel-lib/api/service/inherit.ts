/** Owns what a replaced Service keeps of the one before: addresses and ports that were handed out, as far as its type has them. */
import { same } from "../equal";
import type { Kinds } from "../kinds";
import type { Spec } from "./families";

type Before = Kinds["Service"]["spec"];

/**
 * The older field `clusterIP` and the newer `clusterIPs` follow each other; the one that changed leads
 * (pkg/registry/core/service/storage: normalizeClusterIPs).
 */
export function normalizeClusterIps(spec: Spec, before: Before | undefined): void {
  if (!before) {
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
    return;
  }
  if (spec.clusterIP === before.clusterIP || !same(spec.clusterIPs ?? [], before.clusterIPs ?? [])) return;
  if (spec.clusterIP) spec.clusterIPs = [spec.clusterIP];
  else delete spec.clusterIPs;
}

/**
 * What a replacement leaves out it keeps, and what its new type cannot have it loses, unless its author changed that too:
 * then validation tells (patchAllocatedValues, dropTypeDependentFields).
 */
export function inherit(spec: Spec, before: Before): void {
  keepAllocated(spec, before);
  if (spec.type === "ExternalName" && before.type !== "ExternalName") dropIps(spec, before);
  if (hasNodePorts(before) && !hasNodePorts(spec)) {
    const old = new Set((before.ports ?? []).map(({ nodePort }) => nodePort));
    const kept = (spec.ports ?? []).every(({ nodePort }) => !nodePort || old.has(nodePort));
    if (kept) for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (isChecked(before) && !isChecked(spec) && spec.healthCheckNodePort === before.healthCheckNodePort) {
    delete spec.healthCheckNodePort;
  }
  if (before.type === "LoadBalancer" && spec.type !== "LoadBalancer") {
    if (spec.allocateLoadBalancerNodePorts === before.allocateLoadBalancerNodePorts) {
      delete spec.allocateLoadBalancerNodePorts;
    }
    if (spec.loadBalancerClass === before.loadBalancerClass) delete spec.loadBalancerClass;
  }
  if (isAccessible(before) && !isAccessible(spec) && spec.externalTrafficPolicy === before.externalTrafficPolicy) {
    delete spec.externalTrafficPolicy;
  }
}

function keepAllocated(spec: Spec, before: Before): void {
  if (spec.type !== "ExternalName" && before.type !== "ExternalName") {
    if (!spec.clusterIP && before.clusterIP) spec.clusterIP = before.clusterIP;
    if (!spec.clusterIPs?.length && before.clusterIPs?.length) spec.clusterIPs = [...before.clusterIPs];
  }
  if (hasNodePorts(spec) && hasNodePorts(before)) {
    const given = new Set((spec.ports ?? []).map(({ nodePort }) => nodePort));
    for (const port of spec.ports ?? []) {
      const old = before.ports?.find(({ name = "" }) => name === (port.name ?? ""))?.nodePort;
      if (port.nodePort || !old || given.has(old)) continue;
      port.nodePort = old;
      given.add(old);
    }
  }
  if (isChecked(spec) && isChecked(before) && !spec.healthCheckNodePort && before.healthCheckNodePort) {
    spec.healthCheckNodePort = before.healthCheckNodePort;
  }
}

function dropIps(spec: Spec, before: Before): void {
  if (spec.clusterIP === before.clusterIP && same(spec.clusterIPs ?? [], before.clusterIPs ?? [])) {
    delete spec.clusterIP;
    delete spec.clusterIPs;
  }
  if (same(spec.ipFamilies, before.ipFamilies)) delete spec.ipFamilies;
  if (spec.ipFamilyPolicy === before.ipFamilyPolicy) delete spec.ipFamilyPolicy;
}

type Typed = Pick<Before, "type" | "externalTrafficPolicy"> & { readonly externalIPs?: readonly string[] | undefined };

function hasNodePorts({ type }: Typed): boolean {
  return type === "NodePort" || type === "LoadBalancer";
}

function isChecked({ type, externalTrafficPolicy }: Typed): boolean {
  return type === "LoadBalancer" && externalTrafficPolicy === "Local";
}

function isAccessible(spec: Typed): boolean {
  return hasNodePorts(spec) || (spec.type === "ClusterIP" && (spec.externalIPs?.length ?? 0) > 0);
}
