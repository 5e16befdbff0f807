/**
 * Owns the defaults of pods and pod templates (pkg/apis/core/v1/defaults.go, and the admission plugins of a new
 * cluster).
 */
import type { Container, PodSpec, Probe, Volume } from "kubernetes-types/core/v1";
import type { Fresh, Writable } from "../mutable";
import { imageTag } from "../validation/image";

type Spec = Writable<PodSpec>;

/** What any pod template gets. */
export function defaultPodSpec(spec: Spec): void {
  spec.dnsPolicy ??= "ClusterFirst";
  spec.restartPolicy ??= "Always";
  spec.schedulerName ??= "default-scheduler";
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  if (spec.serviceAccountName) spec.serviceAccount ??= spec.serviceAccountName;
  else if (spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount;
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    defaultContainer(container, spec.hostNetwork === true);
  }
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
}

function defaultContainer(container: Writable<Container>, hostNetwork: boolean): void {
  const tag = imageTag(container.image ?? "");
  container.imagePullPolicy ??= tag === "latest" ? "Always" : "IfNotPresent";
  container.resources ??= {};
  container.terminationMessagePath ??= "/dev/termination-log";
  container.terminationMessagePolicy ??= "File";
  for (const port of container.ports ?? []) {
    port.protocol ??= "TCP";
    if (hostNetwork) port.hostPort ??= port.containerPort;
  }
  const { limits, requests } = container.resources;
  if (limits) container.resources.requests = { ...limits, ...requests };
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) defaultProbe(probe);
  }
  for (const variable of container.env ?? []) {
    const reference = variable.valueFrom?.fieldRef;
    if (reference) reference.apiVersion ??= "v1";
  }
  // ContainerStopSignals (KEP-4960) is off in v1.36: the field is dropped without a word (dropDisabledFields).
  if (container.lifecycle && "stopSignal" in container.lifecycle) delete container.lifecycle.stopSignal;
  for (const hook of [container.lifecycle?.postStart, container.lifecycle?.preStop]) {
    if (hook?.httpGet) {
      hook.httpGet.path ||= "/";
      hook.httpGet.scheme ||= "HTTP";
    }
  }
}

/** A figure of 0 says nothing, as with every number of these kinds. */
function defaultProbe(probe: Writable<Probe>): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet) {
    probe.httpGet.path ||= "/";
    probe.httpGet.scheme ||= "HTTP";
  }
  if (probe.grpc) probe.grpc.service ??= "";
}

function defaultVolume(volume: Writable<Volume>): void {
  const sources = Object.keys(volume).filter((field) => field !== "name");
  if (sources.length === 0) volume.emptyDir = {};
  if (volume.configMap) volume.configMap.defaultMode ??= 0o644;
  if (volume.secret) volume.secret.defaultMode ??= 0o644;
  if (volume.downwardAPI) volume.downwardAPI.defaultMode ??= 0o644;
  if (volume.projected) volume.projected.defaultMode ??= 0o644;
  if (volume.hostPath) volume.hostPath.type ??= "";
}

const notReady = "node.kubernetes.io/not-ready";
const unreachable = "node.kubernetes.io/unreachable";

/**
 * What a pod gets beyond its template: the admission plugins ServiceAccount, DefaultTolerationSeconds and Priority.
 * @param suffix five letters for the name of the token's volume (`kube-api-access-x2k8p`)
 */
export function admitPod(pod: Fresh<"Pod">, suffix: string): void {
  pod.spec ??= { containers: [] };
  const spec = pod.spec;
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  spec.preemptionPolicy ??= "PreemptLowerPriority";
  spec.priority ??= priorities[spec.priorityClassName ?? ""] ?? 0;
  spec.serviceAccountName ??= "default";
  spec.serviceAccount ??= spec.serviceAccountName;
  const tolerations = spec.tolerations ?? [];
  for (const key of [notReady, unreachable]) {
    const covered = tolerations.some(({ key: known, effect }) => {
      return (!known || known === key) && (!effect || effect === "NoExecute");
    });
    if (!covered) tolerations.push({ effect: "NoExecute", key, operator: "Exists", tolerationSeconds: 300 });
  }
  spec.tolerations = tolerations;
  if (spec.automountServiceAccountToken !== false) mountToken(spec, `kube-api-access-${suffix}`);
  pod.status = { phase: "Pending", qosClass: qualityOf(spec), ...pod.status };
}

const priorities: Readonly<Record<string, number>> = {
  "system-cluster-critical": 2_000_000_000,
  "system-node-critical": 2_000_001_000,
};

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

function mountToken(spec: Spec, name: string): void {
  let used = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.volumeMounts?.some((mount) => mount.mountPath === tokenPath)) continue;
    container.volumeMounts = [...(container.volumeMounts ?? []), { mountPath: tokenPath, name, readOnly: true }];
    used = true;
  }
  if (!used) return;
  const namespace = { fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" }, path: "namespace" };
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
    { configMap: { items: [{ key: "ca.crt", path: "ca.crt" }], name: "kube-root-ca.crt" } },
    { downwardAPI: { items: [namespace] } },
  ];
  spec.volumes = [...(spec.volumes ?? []), { name, projected: { defaultMode: 0o644, sources } }];
}

/** BestEffort, Burstable or Guaranteed (pkg/apis/core/v1/helper/qos). */
function qualityOf(spec: Spec): string {
  const counted = ["cpu", "memory"];
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const asks = containers.flatMap(({ resources }) => [
    ...Object.keys(resources?.requests ?? {}),
    ...Object.keys(resources?.limits ?? {}),
  ]);
  if (!asks.some((name) => counted.includes(name))) return "BestEffort";
  const guaranteed = containers.every(({ resources }) => {
    return counted.every((name) => {
      const limit = resources?.limits?.[name];
      return limit !== undefined && (resources?.requests?.[name] ?? limit) === limit;
    });
  });
  return guaranteed ? "Guaranteed" : "Burstable";
}
