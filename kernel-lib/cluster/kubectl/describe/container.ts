/** Owns the description of containers, in pods and in templates: image, ports, state, probes, environment, mounts. */
import type { Kinds } from "../../../api/kinds";
import { timeText } from "./describe";
import { type Line, line } from "./lines";

export type Container = Kinds["Pod"]["spec"]["containers"][number];
export type Status = NonNullable<Kinds["Pod"]["status"]["containerStatuses"]>[number];

/** Within a template the title is one level in and each name one space, but what is inside stands where it always does. */
export function containerLines(
  title: string,
  containers: readonly Container[],
  statuses: readonly Status[],
  inTemplate: boolean,
): Line[] {
  const lines = [line(inTemplate ? 1 : 0, `${title}:`)];
  for (const container of containers) {
    const status = statuses.find(({ name }) => name === container.name);
    lines.push(line(1, `${inTemplate ? " " : ""}${container.name}:`), ...insideLines(container, status));
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
