/** Owns the description of a pod's volumes. */
import type { Kinds } from "../../../api/kinds";
import { type Line, line } from "./lines";

type Volume = NonNullable<Kinds["Pod"]["spec"]["volumes"]>[number];

export function volumeLines(volumes: readonly Volume[], inTemplate: boolean): Line[] {
  const level = inTemplate ? 1 : 0;
  if (volumes.length === 0) return [line(level, "Volumes:", "<none>")];
  return [
    line(level, "Volumes:"),
    ...volumes.flatMap((volume) => [line(1, `${inTemplate ? " " : ""}${volume.name}:`), ...sourceLines(volume)]),
  ];
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
