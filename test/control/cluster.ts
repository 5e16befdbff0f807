/** Owns a control plane for tests: API, controllers, nodes, and a kubelet that only sets what controllers look at. */
import type { Kinds } from "../../kernel-lib/api/kinds";
import { type Api, createApi } from "../../kernel-lib/api/rest";
import { Store } from "../../kernel-lib/api/store";
import { rfc3339 } from "../../kernel-lib/api/time";
import { startControllers } from "../../kernel-lib/control";
import { bootstrap } from "../../kernel-lib/control/bootstrap";
import { second } from "../../kernel-lib/sim/clock";
import { createSim, type Sim } from "../../kernel-lib/sim/sim";
import { nodeDraft } from "./nodes";

export interface TestCluster {
  readonly sim: Sim;
  readonly store: Store;
  readonly api: Api;
  /** Pods of a name's beginning, by name. */
  pods(prefix: string): readonly Kinds["Pod"][];
}

type Condition = NonNullable<Kinds["Pod"]["status"]["conditions"]>[number];

export function testCluster(seed = 5, workers = 3, settle = true): TestCluster {
  const sim = createSim(seed);
  const store = new Store(sim);
  const api = createApi(sim, store);
  const nodes = Array.from({ length: workers }, (_, at) => ({ name: `node-${at + 1}`, ip: `192.168.1.${11 + at}` }));
  const controlPlane = { name: "control-plane", ip: "192.168.1.10", controlPlane: true };
  for (const node of [controlPlane, ...nodes]) api.create("Node", nodeDraft(node), { by: "kubeadm" });
  bootstrap(api, {
    apiServer: controlPlane.ip,
    mode: "iptables",
    network: { addon: "flannel", backend: "vxlan" },
    podCidrs: ["10.244.0.0/16"],
    apiServerIp: "10.96.0.1",
    dnsIp: "10.96.0.10",
  });
  startControllers(sim, store);
  let next = 2;
  store.watch(
    "Pod",
    (key) => {
      const pod = store.get("Pod", key);
      if (!pod?.spec.nodeName) return;
      if (pod.metadata.deletionTimestamp) store.delete("Pod", key, "kubelet", { grace: 0 });
      else if (!pod.status.podIP && pod.spec.containers[0]?.image !== "broken") run(key);
    },
    second,
  );
  function run(key: string): void {
    const ip = `10.244.${next >> 8}.${next++ & 255}`;
    const ready: Condition = { type: "Ready", status: "True", lastTransitionTime: rfc3339(sim.clock.now) };
    store.update(
      "Pod",
      key,
      (pod) => {
        const conditions = [...(pod.status.conditions ?? []), ready];
        const status = { ...pod.status, phase: "Running", podIP: ip, podIPs: [{ ip }], conditions };
        return { ...pod, status } as Kinds["Pod"];
      },
      "kubelet",
    );
  }
  if (settle) sim.clock.settle();
  return {
    sim,
    store,
    api,
    pods: (prefix) =>
      api.list("Pod", { namespace: "default" }).filter(({ metadata }) => metadata.name.startsWith(prefix)),
  };
}

/** A Deployment's manifest. */
export function deployment(name: string, replicas: number, image = "nginx", more: object = {}): object {
  return {
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { run: name } },
      template: {
        metadata: { labels: { run: name } },
        spec: { containers: [{ name, image, ports: [{ containerPort: 80, name: "http" }] }] },
      },
      ...more,
    },
  };
}
