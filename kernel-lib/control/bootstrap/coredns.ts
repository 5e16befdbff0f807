/** Owns CoreDNS as kubeadm installs it (cmd/kubeadm/app/phases/addons/dns). */
import type { Initial } from "./index";

/** kubeadm v1.36: constants.CoreDNSVersion. */
export const corednsImage = "registry.k8s.io/coredns/coredns:v1.14.2";

const namespace = "kube-system";
const labels = { "k8s-app": "kube-dns" };

export const corefile = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
`;

export function corednsObjects(dnsIp: string): readonly Initial[] {
  return [
    { kind: "ServiceAccount", object: { metadata: { name: "coredns", namespace } } },
    { kind: "ConfigMap", object: { metadata: { name: "coredns", namespace }, data: { Corefile: corefile } } },
    { kind: "Service", object: dnsService(dnsIp) },
    { kind: "Deployment", object: deployment() },
  ];
}

function dnsService(clusterIP: string): object {
  return {
    metadata: {
      name: "kube-dns",
      namespace,
      annotations: { "prometheus.io/port": "9153", "prometheus.io/scrape": "true" },
      labels: { ...labels, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
    },
    spec: {
      clusterIP,
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
        { name: "metrics", port: 9153, protocol: "TCP", targetPort: 9153 },
      ],
      selector: labels,
    },
  };
}

function deployment(): object {
  return {
    metadata: { name: "coredns", namespace, labels },
    spec: {
      replicas: 2,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          priorityClassName: "system-cluster-critical",
          serviceAccountName: "coredns",
          tolerations: [
            { key: "CriticalAddonsOnly", operator: "Exists" },
            { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
          ],
          nodeSelector: { "kubernetes.io/os": "linux" },
          containers: [container],
          dnsPolicy: "Default",
          volumes: [
            { name: "config-volume", configMap: { name: "coredns", items: [{ key: "Corefile", path: "Corefile" }] } },
          ],
        },
      },
    },
  };
}

const container = {
  name: "coredns",
  image: corednsImage,
  imagePullPolicy: "IfNotPresent",
  resources: { limits: { memory: "170Mi" }, requests: { cpu: "100m", memory: "70Mi" } },
  args: ["-conf", "/etc/coredns/Corefile"],
  volumeMounts: [{ name: "config-volume", mountPath: "/etc/coredns", readOnly: true }],
  ports: [
    { containerPort: 53, name: "dns", protocol: "UDP" },
    { containerPort: 53, name: "dns-tcp", protocol: "TCP" },
    { containerPort: 9153, name: "metrics", protocol: "TCP" },
    { containerPort: 8080, name: "liveness-probe", protocol: "TCP" },
    { containerPort: 8181, name: "readiness-probe", protocol: "TCP" },
  ],
  livenessProbe: {
    httpGet: { path: "/health", port: "liveness-probe", scheme: "HTTP" },
    initialDelaySeconds: 60,
    timeoutSeconds: 5,
    successThreshold: 1,
    failureThreshold: 5,
  },
  readinessProbe: { httpGet: { path: "/ready", port: "readiness-probe", scheme: "HTTP" } },
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] },
    readOnlyRootFilesystem: true,
  },
};
