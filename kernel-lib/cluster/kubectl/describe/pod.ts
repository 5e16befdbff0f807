/** Owns the description of pods, and of the pod templates in workloads. */
import type { Kinds } from "../../../api/kinds";
import { controllerOf } from "../../../api/meta";
import { ageOf } from "../../../api/time";
import type { Context } from "../context";
import { containerLines } from "./container";
import { annotationLines, mapLines, timeText } from "./describe";
import { type Line, line } from "./lines";
import { volumeLines } from "./volume";

type Pod = Kinds["Pod"];

/** What a workload makes its pods from. */
export interface Template {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Pod["spec"];
}

export function describePod(context: Context, pod: Pod): Line[] {
  const { metadata, spec, status } = pod;
  const node =
    spec.nodeName === undefined
      ? undefined
      : (context.api.store.get("Node", `/${spec.nodeName}`) ?? context.api.store.get("Node", spec.nodeName));
  const address = node?.status.addresses?.find(({ type }) => type === "InternalIP")?.address ?? status.hostIP;
  const lines: Line[] = [line(0, "Name:", metadata.name), line(0, "Namespace:", metadata.namespace ?? "")];
  lines.push(line(0, "Priority:", String(spec.priority ?? 0)));
  if (spec.priorityClassName) lines.push(line(0, "Priority Class Name:", spec.priorityClassName));
  lines.push(line(0, "Service Account:", spec.serviceAccountName ?? "default"));
  lines.push(line(0, "Node:", spec.nodeName === undefined ? "<none>" : `${spec.nodeName}/${address ?? ""}`));
  if (status.startTime) lines.push(line(0, "Start Time:", timeText(status.startTime)));
  lines.push(...mapLines("Labels", metadata.labels), ...annotationLines(metadata.annotations));
  if (metadata.deletionTimestamp && status.phase !== "Failed" && status.phase !== "Succeeded") {
    // The timestamp is the moment by which it is to be gone: before it kubectl has no word for the time since.
    const lasts = ageOf(metadata.deletionTimestamp, context.call.cluster.sim.clock.now);
    lines.push(
      line(0, "Status:", `Terminating (lasts ${lasts})`),
      line(0, "Termination Grace Period:", `${metadata.deletionGracePeriodSeconds ?? 0}s`),
    );
  } else lines.push(line(0, "Status:", status.phase ?? ""));
  if (status.reason) lines.push(line(0, "Reason:", status.reason));
  if (status.message) lines.push(line(0, "Message:", status.message));
  lines.push(line(0, "IP:", status.podIP ?? ""));
  const ips = status.podIPs ?? [];
  if (ips.length === 0) lines.push(line(0, "IPs:", "<none>"));
  else lines.push(line(0, "IPs:"), ...ips.map(({ ip }) => line(1, "IP:", ip ?? "")));
  const owner = controllerOf(pod);
  if (owner) lines.push(line(0, "Controlled By:", `${owner.kind}/${owner.name}`));
  if (spec.initContainers?.length)
    lines.push(...containerLines("Init Containers", spec.initContainers, status.initContainerStatuses ?? [], pod));
  lines.push(...containerLines("Containers", spec.containers, status.containerStatuses ?? [], pod));
  const gates = (spec.readinessGates ?? []).map(({ conditionType }) => {
    const found = status.conditions?.find(({ type }) => type === conditionType)?.status ?? "<none>";
    return line(1, `${conditionType} `, `${found} `);
  });
  if (gates.length > 0) lines.push(line(0, "Readiness Gates:"), line(1, "Type", "Status"), ...gates);
  if (status.conditions?.length) {
    lines.push(
      line(0, "Conditions:"),
      line(1, "Type", "Status"),
      ...status.conditions.map(({ type, status: value }) => line(1, `${type} `, `${value} `)),
    );
  }
  lines.push(...volumeLines(spec.volumes ?? [], false));
  if (status.qosClass) lines.push(line(0, "QoS Class:", status.qosClass));
  lines.push(...mapLines("Node-Selectors", spec.nodeSelector));
  lines.push(...tolerationLines(spec.tolerations ?? [], 0));
  return lines;
}

/** `Pod Template:` of a workload. */
export function templateLines(template: Template): Line[] {
  const { metadata, spec } = template;
  const lines = [line(0, "Pod Template:"), ...mapLines("Labels", metadata?.labels).map(indented)];
  if (metadata?.annotations && Object.keys(metadata.annotations).length > 0)
    lines.push(...annotationLines(metadata.annotations, 1));
  if (spec?.serviceAccountName) lines.push(line(1, "Service Account:", spec.serviceAccountName));
  if (spec?.initContainers?.length) lines.push(...containerLines("Init Containers", spec.initContainers, []));
  lines.push(...containerLines("Containers", spec?.containers ?? [], []));
  lines.push(...volumeLines(spec?.volumes ?? [], true));
  if (spec?.priorityClassName) lines.push(line(1, "Priority Class Name:", spec.priorityClassName));
  lines.push(...mapLines("Node-Selectors", spec?.nodeSelector).map(indented));
  lines.push(...tolerationLines(spec?.tolerations ?? [], 1));
  return lines;
}

function indented({ level, cells }: Line): Line {
  return cells[0] === "" ? { level: 0, cells } : { level: level + 1, cells };
}

function tolerationLines(
  tolerations: readonly NonNullable<Pod["spec"]["tolerations"]>[number][],
  level: number,
): Line[] {
  if (tolerations.length === 0) return [line(level, "Tolerations:", "<none>")];
  const byKey = [...tolerations].sort((one, other) => ((one.key ?? "") < (other.key ?? "") ? -1 : 1));
  const texts = byKey.map(({ key = "", operator, value, effect, tolerationSeconds }) => {
    const what = value ? `${key}=${value}` : key;
    const effectText = effect ? `:${effect}` : "";
    const exists = operator === "Exists" ? (key === "" && !effect ? "op=Exists" : " op=Exists") : "";
    const time = tolerationSeconds === undefined ? "" : ` for ${tolerationSeconds}s`;
    return `${what}${effectText}${exists}${time}`;
  });
  return texts.map((text, at) => line(level, at === 0 ? "Tolerations:" : "", text));
}
