/** Owns the description of pods, and of the pod templates in workloads. */
import type { Kinds } from "../../../api/kinds";
import { controllerOf } from "../../../api/meta";
import type { Context } from "../context";
import { annotationLines, mapLines, selectorText, timeText } from "./describe";
import { type Line, line } from "./lines";

type Pod = Kinds["Pod"];
type Container = Pod["spec"]["containers"][number];
type Status = NonNullable<Pod["status"]["containerStatuses"]>[number];
type Volume = NonNullable<Pod["spec"]["volumes"]>[number];

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
  if (metadata.deletionTimestamp) {
    lines.push(
      line(0, "Status:", `Terminating (lasts <invalid>)`),
      line(0, "Termination Grace Period:", `${metadata.deletionGracePeriodSeconds ?? 0}s`),
    );
  } else lines.push(line(0, "Status:", status.phase ?? ""));
  if (status.reason) lines.push(line(0, "Reason:", status.reason));
  lines.push(line(0, "IP:", status.podIP ?? ""));
  const ips = status.podIPs ?? [];
  if (ips.length === 0) lines.push(line(0, "IPs:", "<none>"));
  else lines.push(line(0, "IPs:"), ...ips.map(({ ip }) => line(1, "IP:", ip ?? "")));
  const owner = controllerOf(pod);
  if (owner) lines.push(line(0, "Controlled By:", `${owner.kind}/${owner.name}`));
  if (spec.initContainers?.length)
    lines.push(...containerLines("Init Containers", spec.initContainers, status.initContainerStatuses ?? [], 0));
  lines.push(...containerLines("Containers", spec.containers, status.containerStatuses ?? [], 0));
  if (status.conditions?.length) {
    lines.push(
      line(0, "Conditions:"),
      line(1, "Type", "Status"),
      ...status.conditions.map(({ type, status: value }) => line(1, type, `${value} `)),
    );
  }
  lines.push(...volumeLines(spec.volumes ?? [], 0));
  if (status.qosClass) lines.push(line(0, "QoS Class:", status.qosClass));
  lines.push(line(0, "Node-Selectors:", selectorText(spec.nodeSelector)));
  lines.push(...tolerationLines(spec.tolerations ?? [], 0));
  return lines;
}

/** `Pod Template:` of a workload. */
export function templateLines(template: Template): Line[] {
  const { metadata, spec } = template;
  const lines = [line(0, "Pod Template:"), ...mapLines("Labels", metadata?.labels).map(indented)];
  if (metadata?.annotations && Object.keys(metadata.annotations).length > 0)
    lines.push(...annotationLines(metadata.annotations, 1));
  if (spec?.serviceAccountName && spec.serviceAccountName !== "default")
    lines.push(line(1, "Service Account:", spec.serviceAccountName));
  lines.push(...containerLines("Containers", spec?.containers ?? [], [], 1));
  lines.push(...volumeLines(spec?.volumes ?? [], 1));
  lines.push(
    line(1, "Node-Selectors:", selectorText(spec?.nodeSelector)),
    ...tolerationLines(spec?.tolerations ?? [], 1),
  );
  return lines;
}

function indented({ level, cells }: Line): Line {
  return { level: level + 1, cells };
}

function containerLines(
  title: string,
  containers: readonly Container[],
  statuses: readonly Status[],
  level: number,
): Line[] {
  const lines = [line(level, `${title}:`)];
  for (const container of containers) {
    const status = statuses.find(({ name }) => name === container.name);
    lines.push(line(level + 1, `${container.name}:`));
    lines.push(...insideLines(container, status).map((each) => ({ ...each, level: each.level + level })));
  }
  return lines;
}

function insideLines(container: Container, status: Status | undefined): Line[] {
  const lines: Line[] = [];
  if (status) lines.push(line(2, "Container ID:", status.containerID ?? ""));
  lines.push(line(2, "Image:", container.image ?? ""));
  if (status) lines.push(line(2, "Image ID:", status.imageID));
  const ports = container.ports ?? [];
  const shown = ports.map(
    (port) => `${port.containerPort}/${port.protocol ?? "TCP"}${port.name ? ` (${port.name})` : ""}`,
  );
  const hostPorts = ports.map(
    (port) => `${port.hostPort ?? 0}/${port.protocol ?? "TCP"}${port.name ? ` (${port.name})` : ""}`,
  );
  lines.push(line(2, ports.length > 1 ? "Ports:" : "Port:", shown.join(", ") || "<none>"));
  lines.push(line(2, ports.length > 1 ? "Host Ports:" : "Host Port:", hostPorts.join(", ") || "<none>"));
  for (const [title, words] of [
    ["Command:", container.command],
    ["Args:", container.args],
  ] as const) {
    if (words?.length) lines.push(line(2, title), ...words.map((word) => line(3, word)));
  }
  if (status) lines.push(...stateLines(status));
  for (const kind of ["limits", "requests"] as const) {
    const entries = Object.entries(container.resources?.[kind] ?? {}).sort();
    if (entries.length > 0)
      lines.push(
        line(2, kind === "limits" ? "Limits:" : "Requests:"),
        ...entries.map(([name, value]) => line(3, `${name}:`, String(value))),
      );
  }
  for (const [title, probe] of [
    ["Liveness:", container.livenessProbe],
    ["Readiness:", container.readinessProbe],
  ] as const) {
    if (probe) lines.push(line(2, title, probeText(probe)));
  }
  const env = container.env ?? [];
  if (env.length === 0) lines.push(line(2, "Environment:", "<none>"));
  else lines.push(line(2, "Environment:"), ...env.map((each) => line(3, `${each.name}:`, envText(each))));
  const mounts = container.volumeMounts ?? [];
  if (mounts.length === 0) lines.push(line(2, "Mounts:", "<none>"));
  else {
    lines.push(line(2, "Mounts:"));
    const sorted = [...mounts].sort((one, other) => (one.mountPath < other.mountPath ? -1 : 1));
    lines.push(
      ...sorted.map((mount) =>
        line(
          3,
          `${mount.mountPath} from ${mount.name} (${mount.readOnly ? "ro" : "rw"}${mount.subPath ? `,path="${mount.subPath}"` : ""})`,
        ),
      ),
    );
  }
  return lines;
}

function envText(variable: NonNullable<Container["env"]>[number]): string {
  const from = variable.valueFrom;
  if (from?.fieldRef) return ` (${from.fieldRef.apiVersion ?? "v1"}:${from.fieldRef.fieldPath})`;
  if (from?.configMapKeyRef)
    return `<set to the key '${from.configMapKeyRef.key}' of config map '${from.configMapKeyRef.name}'>`;
  if (from?.secretKeyRef) return `<set to the key '${from.secretKeyRef.key}' in secret '${from.secretKeyRef.name}'>`;
  return variable.value ?? "";
}

function probeText(probe: NonNullable<Container["livenessProbe"]>): string {
  const what = probe.httpGet
    ? `http-get ${(probe.httpGet.scheme ?? "HTTP").toLowerCase()}://${probe.httpGet.host ?? ""}:${probe.httpGet.port}${probe.httpGet.path ?? ""}`
    : probe.tcpSocket
      ? `tcp-socket ${probe.tcpSocket.host ?? ""}:${probe.tcpSocket.port}`
      : `exec [${probe.exec?.command?.join(" ") ?? ""}]`;
  const {
    initialDelaySeconds = 0,
    timeoutSeconds = 1,
    periodSeconds = 10,
    successThreshold = 1,
    failureThreshold = 3,
  } = probe;
  return `${what} delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s period=${periodSeconds}s #success=${successThreshold} #failure=${failureThreshold}`;
}

function stateLines(status: Status): Line[] {
  const lines = oneState("State:", status.state);
  if (status.lastState?.terminated) lines.push(...oneState("Last State:", status.lastState));
  lines.push(
    line(2, "Ready:", status.ready ? "True" : "False"),
    line(2, "Restart Count:", String(status.restartCount)),
  );
  return lines;
}

function oneState(title: string, state: Status["state"]): Line[] {
  if (state?.running) return [line(2, title, "Running"), line(3, "Started:", timeText(state.running.startedAt))];
  if (state?.terminated) {
    const { reason, message, exitCode, signal, startedAt, finishedAt } = state.terminated;
    return [
      line(2, title, "Terminated"),
      ...(reason ? [line(3, "Reason:", reason)] : []),
      ...(message ? [line(3, "Message:", message)] : []),
      line(3, "Exit Code:", String(exitCode)),
      ...(signal ? [line(3, "Signal:", String(signal))] : []),
      line(3, "Started:", timeText(startedAt)),
      line(3, "Finished:", timeText(finishedAt)),
    ];
  }
  const reason = state?.waiting?.reason;
  return [line(2, title, "Waiting"), ...(reason ? [line(3, "Reason:", reason)] : [])];
}

function volumeLines(volumes: readonly Volume[], level: number): Line[] {
  if (volumes.length === 0) return [line(level, "Volumes:", "<none>")];
  const lines = [line(level, "Volumes:")];
  for (const volume of volumes) {
    lines.push(
      line(level + 1, `${volume.name}:`),
      ...sourceLines(volume).map((each) => ({ ...each, level: each.level + level })),
    );
  }
  return lines;
}

function sourceLines(volume: Volume): Line[] {
  if (volume.configMap) {
    return [
      line(2, "Type:", "ConfigMap (a volume populated by a ConfigMap)"),
      line(2, "Name:", volume.configMap.name ?? ""),
      line(2, "Optional:", String(volume.configMap.optional ?? false)),
    ];
  }
  if (volume.hostPath) {
    return [
      line(2, "Type:", "HostPath (bare host directory volume)"),
      line(2, "Path:", volume.hostPath.path),
      line(2, "HostPathType:", volume.hostPath.type ?? ""),
    ];
  }
  if (volume.secret) {
    return [
      line(2, "Type:", "Secret (a volume populated by a Secret)"),
      line(2, "SecretName:", volume.secret.secretName ?? ""),
      line(2, "Optional:", String(volume.secret.optional ?? false)),
    ];
  }
  if (volume.emptyDir) {
    return [
      line(2, "Type:", "EmptyDir (a temporary directory that shares a pod's lifetime)"),
      line(2, "Medium:", volume.emptyDir.medium ?? ""),
      line(2, "SizeLimit:", "<unset>"),
    ];
  }
  if (volume.projected) {
    const lines = [line(2, "Type:", "Projected (a volume that contains injected data from multiple sources)")];
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken)
        lines.push(line(2, "TokenExpirationSeconds:", String(source.serviceAccountToken.expirationSeconds ?? 3600)));
      if (source.configMap)
        lines.push(
          line(2, "ConfigMapName:", source.configMap.name ?? ""),
          line(2, "Optional:", String(source.configMap.optional ?? false)),
        );
      if (source.downwardAPI) lines.push(line(2, "DownwardAPI:", "true"));
    }
    return lines;
  }
  return [line(2, "<unknown>")];
}

function tolerationLines(
  tolerations: readonly NonNullable<Pod["spec"]["tolerations"]>[number][],
  level: number,
): Line[] {
  if (tolerations.length === 0) return [line(level, "Tolerations:", "<none>")];
  const texts = tolerations.map(({ key = "", operator, value, effect, tolerationSeconds }) => {
    const what = value ? `${key}=${value}` : key;
    const effectText = effect ? `:${effect}` : "";
    const exists = operator === "Exists" ? (key === "" && !effect ? "op=Exists" : " op=Exists") : "";
    const time = tolerationSeconds === undefined ? "" : ` for ${tolerationSeconds}s`;
    return `${what}${effectText}${exists}${time}`;
  });
  return texts.sort().map((text, at) => line(level, at === 0 ? "Tolerations:" : "", text));
}
