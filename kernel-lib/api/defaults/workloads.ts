/** Owns the defaults of Deployments, ReplicaSets and DaemonSets (pkg/apis/apps/v1/defaults.go). */
import type { Fresh } from "../mutable";
import { defaultPodSpec } from "./pod";

export function defaultDeployment(deployment: Fresh<"Deployment">): void {
  const spec = deployment.spec;
  deployment.status ??= {};
  if (!spec) return;
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  spec.strategy ??= {};
  const strategy = spec.strategy;
  strategy.type ??= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    strategy.rollingUpdate = { maxSurge: "25%", maxUnavailable: "25%", ...strategy.rollingUpdate };
  }
  if (spec.template?.spec) defaultPodSpec(spec.template.spec);
}

export function defaultReplicaSet(set: Fresh<"ReplicaSet">): void {
  set.status ??= { replicas: 0 };
  if (!set.spec) return;
  set.spec.replicas ??= 1;
  if (set.spec.template?.spec) defaultPodSpec(set.spec.template.spec);
}

export function defaultDaemonSet(set: Fresh<"DaemonSet">): void {
  const spec = set.spec;
  set.status ??= {
    currentNumberScheduled: 0,
    desiredNumberScheduled: 0,
    numberMisscheduled: 0,
    numberReady: 0,
  };
  if (!spec) return;
  spec.revisionHistoryLimit ??= 10;
  spec.updateStrategy ??= {};
  const strategy = spec.updateStrategy;
  strategy.type ??= "RollingUpdate";
  if (strategy.type === "RollingUpdate") {
    strategy.rollingUpdate = { maxSurge: 0, maxUnavailable: 1, ...strategy.rollingUpdate };
  }
  if (spec.template?.spec) defaultPodSpec(spec.template.spec);
}
