/** Owns MetalLB as its manifest metallb-native.yaml installs it, with a pool of the nodes' network announced by ARP. */
import type { Initial } from "./index";

const namespace = "metallb-system";
const version = "v0.15.2";
const privileged = {
  "pod-security.kubernetes.io/audit": "privileged",
  "pod-security.kubernetes.io/enforce": "privileged",
  "pod-security.kubernetes.io/warn": "privileged",
};

/** @param addresses what the pool `first-pool` has: of the nodes' network, and nobody's */
export function metallbObjects(addresses: readonly string[]): readonly Initial[] {
  return [
    { kind: "Namespace", object: { metadata: { name: namespace, labels: privileged } } },
    ...["controller", "speaker"].map(
      (name): Initial => ({
        kind: "ServiceAccount",
        object: { metadata: { name, namespace, labels: { app: "metallb" } } },
      }),
    ),
    { kind: "Deployment", object: controller() },
    { kind: "DaemonSet", object: speaker() },
    {
      kind: "IPAddressPool",
      object: {
        apiVersion: "metallb.io/v1beta1",
        kind: "IPAddressPool",
        metadata: { name: "first-pool", namespace },
        spec: { addresses },
      },
    },
    {
      kind: "L2Advertisement",
      object: {
        apiVersion: "metallb.io/v1beta1",
        kind: "L2Advertisement",
        metadata: { name: "example", namespace },
        spec: { ipAddressPools: ["first-pool"] },
      },
    },
  ];
}

/** Both programs answer with their metrics or not at all (manifests of v0.15). */
const probe = {
  failureThreshold: 3,
  httpGet: { path: "/metrics", port: "monitoring" },
  initialDelaySeconds: 10,
  periodSeconds: 10,
  successThreshold: 1,
  timeoutSeconds: 1,
};

function controller(): object {
  const labels = { app: "metallb", component: "controller" };
  return {
    metadata: { name: "controller", namespace, labels },
    spec: {
      replicas: 1,
      revisionHistoryLimit: 3,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { "prometheus.io/port": "7472", "prometheus.io/scrape": "true" } },
        spec: {
          serviceAccountName: "controller",
          terminationGracePeriodSeconds: 0,
          nodeSelector: { "kubernetes.io/os": "linux" },
          containers: [
            {
              name: "controller",
              image: `quay.io/metallb/controller:${version}`,
              args: ["--port=7472", "--log-level=info", "--tls-min-version=VersionTLS12"],
              env: [
                { name: "METALLB_ML_SECRET_NAME", value: "memberlist" },
                { name: "METALLB_DEPLOYMENT", value: "controller" },
              ],
              ports: [{ containerPort: 7472, name: "monitoring" }],
              livenessProbe: probe,
              readinessProbe: probe,
            },
          ],
        },
      },
    },
  };
}

function speaker(): object {
  const labels = { app: "metallb", component: "speaker" };
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const toleration = (key: string) => ({ effect: "NoSchedule", key, operator: "Exists" });
  return {
    metadata: { name: "speaker", namespace, labels },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { "prometheus.io/port": "7472", "prometheus.io/scrape": "true" } },
        spec: {
          serviceAccountName: "speaker",
          hostNetwork: true,
          terminationGracePeriodSeconds: 2,
          nodeSelector: { "kubernetes.io/os": "linux" },
          tolerations: [
            toleration("node-role.kubernetes.io/master"),
            toleration("node-role.kubernetes.io/control-plane"),
          ],
          containers: [
            {
              name: "speaker",
              image: `quay.io/metallb/speaker:${version}`,
              args: ["--port=7472", "--log-level=info"],
              env: [
                field("METALLB_NODE_NAME", "spec.nodeName"),
                field("METALLB_POD_NAME", "metadata.name"),
                field("METALLB_HOST", "status.hostIP"),
                field("METALLB_ML_BIND_ADDR", "status.podIP"),
                { name: "METALLB_ML_LABELS", value: "app=metallb,component=speaker" },
              ],
              ports: [
                { containerPort: 7472, name: "monitoring" },
                { containerPort: 7946, name: "memberlist-tcp" },
                { containerPort: 7946, name: "memberlist-udp", protocol: "UDP" },
              ],
              livenessProbe: probe,
              readinessProbe: probe,
            },
          ],
        },
      },
    },
  };
}
