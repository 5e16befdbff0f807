/** Owns the description of containers, in pods and in templates: image, ports, state, probes, environment, mounts. */
import type { Kinds } from "../../../api/kinds";
import { timeText } from "./describe";
import { type Line, line } from "./lines";

export type Container = Kinds["Pod"]["spec"]["containers"][number];
export type Status = NonNullable<Kinds["Pod"]["status"]["containerStatuses"]>[number];

/**
 * Within a template the title is one level in and each name one space, but what is inside stands where it always does.
 * @param pod whose they are; undefined: a template's
 */
export function containerLines(
  title: string,
  containers: readonly Container[],
  statuses: readonly Status[],
  pod?: Kinds["Pod"],
): Line[] {
  const inTemplate = pod === undefined;
  const lines = [line(inTemplate ? 1 : 0, `${title}:`)];
  for (const container of containers) {
    const status = statuses.find(({ name }) => name === container.name);
    lines.push(line(1, `${inTemplate ? " " : ""}${container.name}:`), ...insideLines(container, status, pod));
  }
  return lines;
}

function insideLines(container: Container, status: Status | undefined, pod: Kinds["Pod"] | undefined): Line[] {
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
    const rows = words?.flatMap((word) => word.split("\n")) ?? [];
    if (rows.length > 0) lines.push(line(2, title), ...rows.map((row) => line(3, row)));
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
    ["Startup:", container.startupProbe],
  ] as const) {
    if (probe) lines.push(line(2, title, probeText(probe)));
  }
  lines.push(...envFromLines(container.envFrom ?? []));
  const env = container.env ?? [];
  if (env.length === 0) lines.push(line(2, "Environment:", "<none>"));
  else lines.push(line(2, "Environment:"), ...env.map((each) => line(3, `${each.name}:`, ...envText(each, pod))));
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

function envFromLines(sources: NonNullable<Container["envFrom"]>): Line[] {
  if (sources.length === 0) return [];
  const lines = sources.map(({ configMapRef, secretRef, prefix }) => {
    const from = `${configMapRef ? "ConfigMap" : "Secret"}${prefix ? ` with prefix '${prefix}'` : ""}`;
    const { name = "", optional = false } = configMapRef ?? secretRef ?? {};
    return line(3, name, from, `Optional: ${optional}`);
  });
  return [line(2, "Environment Variables from:"), ...lines];
}

function envText(variable: NonNullable<Container["env"]>[number], pod: Kinds["Pod"] | undefined): readonly string[] {
  const { fieldRef, configMapKeyRef: map, secretKeyRef: secret } = variable.valueFrom ?? {};
  if (fieldRef) {
    return [`${metadataValue(pod, fieldRef.fieldPath)} (${fieldRef.apiVersion ?? "v1"}:${fieldRef.fieldPath})`];
  }
  const optional = `Optional: ${(map ?? secret)?.optional ?? false}`;
  if (map) return [`<set to the key '${map.key}' of config map '${map.name}'>`, optional];
  if (secret) return [`<set to the key '${secret.key}' in secret '${secret.name}'>`, optional];
  return [variable.value ?? ""];
}

/** kubectl looks up what stands in the metadata, and nothing else (fieldpath.ExtractFieldPathAsString). */
function metadataValue(pod: Kinds["Pod"] | undefined, path: string): string {
  if (!pod) return "";
  const { name, namespace = "", uid, labels, annotations } = pod.metadata;
  const known: Readonly<Record<string, string>> = {
    "metadata.name": name,
    "metadata.namespace": namespace,
    "metadata.uid": uid,
  };
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (!keyed) return known[path] ?? "";
  return (keyed[1] === "labels" ? labels : annotations)?.[keyed[2] ?? ""] ?? "";
}

/** DescribeProbe in kubectl's describe.go. */
function probeText({ exec, httpGet, tcpSocket, grpc, ...probe }: NonNullable<Container["livenessProbe"]>): string {
  const { initialDelaySeconds: delay = 0, timeoutSeconds: timeout = 1, periodSeconds: period = 10 } = probe;
  const { successThreshold: good = 1, failureThreshold: bad = 3 } = probe;
  const figures = `delay=${delay}s timeout=${timeout}s period=${period}s #success=${good} #failure=${bad}`;
  if (exec) return `exec [${exec.command?.join(" ") ?? ""}] ${figures}`;
  if (httpGet) return `http-get ${urlText(httpGet)} ${figures}`;
  if (tcpSocket) return `tcp-socket ${tcpSocket.host ?? ""}:${tcpSocket.port} ${figures}`;
  return grpc ? `grpc <pod>:${grpc.port} ${grpc.service ?? ""} ${figures}` : `unknown ${figures}`;
}

type HttpGet = NonNullable<NonNullable<Container["livenessProbe"]>["httpGet"]>;

/** Go's url.URL: what stands in the path is a path, so a question mark in it is none of a query. */
function urlText({ scheme = "HTTP", host = "", port, path = "" }: HttpGet): string {
  const named = host.includes(":") ? `[${host}]` : host;
  const escaped = encodeURI(path).replace(/[?#]/g, (letter) => (letter === "?" ? "%3F" : "%23"));
  return `${scheme.toLowerCase()}://${named}:${port}${path === "" || path.startsWith("/") ? "" : "/"}${escaped}`;
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
