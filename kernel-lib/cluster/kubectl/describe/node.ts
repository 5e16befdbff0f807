/** Owns the description of nodes. */
import type { Kinds } from "../../../api/kinds";
import { humanDuration, parseTime } from "../../../api/time";
import type { Context } from "../context";
import { amountOf, amountText, type PodAmounts, podAmounts, shareText } from "./amounts";
import { annotationLines, mapLines, timeText } from "./describe";
import { type Line, line } from "./lines";

type Node = Kinds["Node"];

export function describeNode(context: Context, node: Node): Line[] {
  const { metadata, spec, status } = node;
  const roles = Object.keys(metadata.labels ?? {}).flatMap(
    (label) => /^node-role\.kubernetes\.io\/(.+)$/.exec(label)?.[1] ?? [],
  );
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Roles:", roles.sort().join(",") || "<none>")];
  lines.push(...mapLines("Labels", metadata.labels), ...annotationLines(metadata.annotations));
  lines.push(line(0, "CreationTimestamp:", timeText(metadata.creationTimestamp)));
  const sorted = [...(spec.taints ?? [])].sort((one, other) => {
    return `${one.effect},${one.key}` < `${other.effect},${other.key}` ? -1 : 1;
  });
  const taints = sorted.map(({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`);
  if (taints.length === 0) lines.push(line(0, "Taints:", "<none>"));
  else lines.push(...taints.map((taint, at) => line(0, at === 0 ? "Taints:" : "", taint)));
  lines.push(line(0, "Unschedulable:", String(spec.unschedulable ?? false)));
  lines.push(...conditionLines(status.conditions ?? []));
  lines.push(
    line(0, "Addresses:"),
    ...(status.addresses ?? []).map(({ type, address }) => line(1, `${type}:`, address)),
  );
  lines.push(...capacityLines("Capacity:", status.capacity), ...capacityLines("Allocatable:", status.allocatable));
  lines.push(...systemLines(status.nodeInfo));
  if (spec.podCIDR) lines.push(line(0, "PodCIDR:", spec.podCIDR));
  if (spec.podCIDRs?.length) lines.push(line(0, "PodCIDRs:", spec.podCIDRs.join(",")));
  if (spec.providerID) lines.push(line(0, "ProviderID:", spec.providerID));
  lines.push(...podLines(context, node));
  return lines;
}

function conditionLines(conditions: NonNullable<Node["status"]["conditions"]>): Line[] {
  if (conditions.length === 0) return [];
  return [
    line(0, "Conditions:"),
    line(1, "Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"),
    line(1, "----", "------", "-----------------", "------------------", "------", "-------"),
    ...conditions.map(({ type, status, lastHeartbeatTime, lastTransitionTime, reason = "", message = "" }) => {
      const times = [timeText(lastHeartbeatTime), timeText(lastTransitionTime)];
      return line(1, ...[type, status, ...times, reason].map((cell) => `${cell} `), message);
    }),
  ];
}

function capacityLines(title: string, amounts: Readonly<Record<string, string>> | undefined): Line[] {
  const entries = Object.entries(amounts ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  if (entries.length === 0) return [];
  return [line(0, title), ...entries.map(([name, value]) => line(1, `${name}:`, amountText(value)))];
}

function systemLines(info: Node["status"]["nodeInfo"]): Line[] {
  if (!info) return [];
  const rows: readonly (readonly [string, string | undefined])[] = [
    ["Machine ID:", info.machineID],
    ["System UUID:", info.systemUUID],
    ["Boot ID:", info.bootID],
    ["Kernel Version:", info.kernelVersion],
    ["OS Image:", info.osImage],
    ["Operating System:", info.operatingSystem],
    ["Architecture:", info.architecture],
    ["Container Runtime Version:", info.containerRuntimeVersion],
    ["Kubelet Version:", info.kubeletVersion],
    ["Kube-Proxy Version:", info.kubeProxyVersion],
  ];
  return [line(0, "System Info:"), ...rows.map(([name, value]) => line(1, name, value ?? ""))];
}

function podLines(context: Context, node: Node): Line[] {
  const { now } = context.call.cluster.sim.clock;
  const pods = context.api
    .list("Pod", { fieldSelector: `spec.nodeName=${node.metadata.name}` })
    .filter(({ status }) => status.phase !== "Succeeded" && status.phase !== "Failed");
  const room = node.status.allocatable ?? node.status.capacity ?? {};
  const lines = [line(0, "Non-terminated Pods:", `(${pods.length} in total)`)];
  lines.push(line(1, "Namespace", "Name", "", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age"));
  lines.push(line(1, "---------", "----", "", "------------", "----------", "---------------", "-------------", "---"));
  const all: PodAmounts[] = [];
  for (const pod of pods) {
    const created = parseTime(pod.metadata.creationTimestamp);
    const age = created === undefined ? "<unknown>" : humanDuration(now - created);
    const amounts = podAmounts(pod);
    all.push(amounts);
    const shares = (["cpu", "memory"] as const).flatMap((name) =>
      (["requests", "limits"] as const).map((kind) => shareText(name, amounts[kind].get(name) ?? 0, room)),
    );
    lines.push(line(1, pod.metadata.namespace ?? "", pod.metadata.name, "", ...shares, age));
  }
  return [...lines, ...totalLines(all, room)];
}

function totalLines(all: readonly PodAmounts[], room: Readonly<Record<string, string>>): Line[] {
  const sum = (kind: keyof PodAmounts, name: string): number =>
    all.reduce((total, amounts) => total + (amounts[kind].get(name) ?? 0), 0);
  const named = new Set(["cpu", "memory", "ephemeral-storage"]);
  const rest = all.flatMap(({ requests, limits }) => [...requests.keys(), ...limits.keys()]);
  const more = [...new Set(rest)].filter((name) => !named.has(name)).sort();
  return [
    line(0, "Allocated resources:"),
    line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)"),
    line(1, "Resource", "Requests", "Limits"),
    line(1, "--------", "--------", "------"),
    ...[...named].map((name) =>
      line(1, name, shareText(name, sum("requests", name), room), shareText(name, sum("limits", name), room)),
    ),
    ...more.map((name) => line(1, name, amountOf(name, sum("requests", name)), amountOf(name, sum("limits", name)))),
  ];
}
