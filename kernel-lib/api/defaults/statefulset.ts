/** Owns the defaults of StatefulSets (pkg/apis/apps/v1/defaults.go) and what their strategy leaves out. */
import type { Fresh } from "../mutable";
import { defaultPodSpec } from "./pod";

export function defaultStatefulSet(set: Fresh<"StatefulSet">): void {
  const spec = set.spec;
  set.status ??= { availableReplicas: 0, replicas: 0 };
  if (!spec) return;
  spec.podManagementPolicy ??= "OrderedReady";
  spec.updateStrategy ??= {};
  const strategy = spec.updateStrategy;
  if (!strategy.type) {
    strategy.type = "RollingUpdate";
    strategy.rollingUpdate ??= {};
  }
  if (strategy.rollingUpdate) {
    if (strategy.type === "RollingUpdate") strategy.rollingUpdate.partition ??= 0;
    // v1.36 has MaxUnavailableStatefulSet off: its API server drops the field (kubernetes/kubernetes#137904).
    delete strategy.rollingUpdate.maxUnavailable;
  }
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= "Retain";
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= "Retain";
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  if (spec.template?.spec) defaultPodSpec(spec.template.spec);
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion ??= "v1";
    claim.kind ??= "PersistentVolumeClaim";
    claim.spec ??= {};
    claim.spec.volumeMode ??= "Filesystem";
    claim.status = { phase: "Pending" };
  }
}
