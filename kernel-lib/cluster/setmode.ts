/** Owns the switching of kube-proxy's mode on a living cluster, as one does it by hand. */
import { parseDocument } from "yaml";
import type { Kinds } from "../api/kinds";
import { rfc3339 } from "../api/time";
import { type ModeName, modeNames, type Scheduler, schedulers } from "../node/proxy/mode";
import { createMode } from "../node/proxy/modes";
import type { Cluster } from "./cluster";

const namespace = "kube-system";

/** Where the configuration is: kubeadm's ConfigMap, or EKS's. */
const places = [
  ["kube-proxy", "config.conf"],
  ["kube-proxy-config", "config"],
] as const;

/** The modes that kube-proxies work in now, each once: several while one is being switched. */
export function proxyModes(cluster: Pick<Cluster, "nodes">): readonly ModeName[] {
  return [...new Set([...cluster.nodes.values()].flatMap(({ proxy }) => (proxy ? [proxy.mode] : [])))];
}

/**
 * Edits the ConfigMap, restarts the DaemonSet and lets time pass until all its pods run again. iptables and ipvs leave
 * each other's rules alone when they start, so between these two `kube-proxy --cleanup` goes first, as its documentation
 * asks.
 * @throws Error
 */
export async function setMode(
  cluster: Cluster,
  mode: ModeName,
  { scheduler }: { readonly scheduler?: Scheduler } = {},
): Promise<void> {
  check("mode", mode, modeNames);
  if (scheduler !== undefined) check("scheduler", scheduler, schedulers);
  editConfig(cluster, mode, scheduler);
  for (const { net, proxy } of cluster.nodes.values()) {
    const before = proxy?.mode;
    const shared = (before === "iptables" && mode === "ipvs") || (before === "ipvs" && mode === "iptables");
    if (before !== undefined && shared) createMode(before).cleanup(net);
  }
  restart(cluster);
  await cluster.settle();
  // On nodes that nobody looks at it is only known that its pod runs.
  const late = [...cluster.nodes.values()]
    .filter(({ net, proxy }) => (proxy ? proxy.mode !== mode : !net.later.asleep))
    .map(({ name }) => name);
  if (late.length === 0) return;
  throw new Error(`kube-proxy does not run in mode ${mode} on ${late.join(", ")}: look at its pods in kube-system`);
}

function check(what: string, word: string, known: readonly string[]): void {
  if (known.includes(word)) return;
  throw new Error(`${what} must be ${known.join(" or ")}, not ${JSON.stringify(word)}`);
}

function editConfig({ api, store }: Cluster, mode: ModeName, scheduler: Scheduler | undefined): void {
  for (const [name, key] of places) {
    const before = store.get("ConfigMap", `${namespace}/${name}`);
    const text = before?.data?.[key];
    if (!before || text === undefined) continue;
    const document = parseDocument(text);
    document.set("mode", mode);
    if (mode === "ipvs") document.setIn(["ipvs", "scheduler"], scheduler ?? "");
    const data = { ...before.data, [key]: document.toString({ lineWidth: 0 }) };
    api.update("ConfigMap", { ...before, data } as Kinds["ConfigMap"]);
    return;
  }
  throw new Error(
    `there is no configuration of kube-proxy: no ConfigMap ${places[0][0]} or ${places[1][0]} in ${namespace}`,
  );
}

/** `kubectl rollout restart daemonset kube-proxy -n kube-system`. */
function restart({ api, sim }: Cluster): void {
  const annotations = { "kubectl.kubernetes.io/restartedAt": rfc3339(sim.clock.now) };
  const patch = { spec: { template: { metadata: { annotations } } } };
  api.patch("DaemonSet", namespace, "kube-proxy", "strategic", patch);
}
