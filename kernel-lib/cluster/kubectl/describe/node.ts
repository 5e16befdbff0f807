/** Owns the description of nodes. */
import type { Kinds } from "../../../api/kinds";
import { humanDuration, parseTime } from "../../../api/time";
import type { Context } from "../context";
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
  const taints = (spec.taints ?? []).map(({ key, value, effect }) => `${key}${value ? `=${value}` : ""}:${effect}`);
  if (taints.length === 0) lines.push(line(0, "Taints:", "<none>"));
  else lines.push(...taints.map((taint, at) => line(0, at === 0 ? "Taints:" : "", taint)));
  lines.push(line(0, "Unschedulable:", String(spec.unschedulable ?? false)));
  lines.push(line(0, "Conditions:"));
  lines.push(line(1, "Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"));
  lines.push(line(1, "----", "------", "-----------------", "------------------", "------", "-------"));
  for (const { type, status: value, lastHeartbeatTime, lastTransitionTime, reason, message } of status.conditions ??
    []) {
    lines.push(
      line(1, type, value, timeText(lastHeartbeatTime), timeText(lastTransitionTime), reason ?? "", message ?? ""),
    );
  }
  lines.push(
    line(0, "Addresses:"),
    ...(status.addresses ?? []).map(({ type, address }) => line(1, `${type}:`, address)),
  );
  for (const [title, amounts] of [
    ["Capacity:", status.capacity],
    ["Allocatable:", status.allocatable],
  ] as const) {
    lines.push(
      line(0, title),
      ...Object.entries(amounts ?? {})
        .sort()
        .map(([name, value]) => line(1, `${name}:`, String(value))),
    );
  }
  const info = status.nodeInfo;
  if (info) {
    lines.push(line(0, "System Info:"));
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
    lines.push(...rows.map(([name, value]) => line(1, name, value ?? "")));
  }
  if (spec.podCIDR)
    lines.push(line(0, "PodCIDR:", spec.podCIDR), line(0, "PodCIDRs:", (spec.podCIDRs ?? []).join(",")));
  lines.push(...podLines(context, node));
  return lines;
}

function podLines(context: Context, node: Node): Line[] {
  const { now } = context.call.cluster.sim.clock;
  const pods = context.api.store
    .list("Pod", { node: node.metadata.name })
    .filter((pod) => pod.status.phase !== "Succeeded" && pod.status.phase !== "Failed");
  const lines = [line(0, "Non-terminated Pods:", `(${pods.length} in total)`)];
  lines.push(line(1, "Namespace", "Name", "", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age"));
  lines.push(line(1, "---------", "----", "", "------------", "----------", "---------------", "-------------", "---"));
  for (const pod of pods) {
    const created = parseTime(pod.metadata.creationTimestamp);
    const age = created === undefined ? "<unknown>" : humanDuration(now - created);
    lines.push(
      line(1, pod.metadata.namespace ?? "", pod.metadata.name, "", "0 (0%)", "0 (0%)", "0 (0%)", "0 (0%)", age),
    );
  }
  return lines;
}
