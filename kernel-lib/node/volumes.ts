/** Owns what volumes put into a container's files: ConfigMaps and Secrets, as they are when the container is made. */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { dataOf } from "./data";
import type { SpecContainer } from "./stages";

type Pod = Kinds["Pod"];
type Volume = NonNullable<Pod["spec"]["volumes"]>[number];

/** A volume cannot be mounted: a FailedMount event with this message, and another try. */
export class MountError extends Error {}

/** Path → text of all ConfigMap and Secret volumes that a container mounts. Other kinds of volumes bring nothing. @throws MountError */
export function mountedFiles(spec: SpecContainer, pod: Pod, store: Store): { readonly [path: string]: string } {
  const files: Record<string, string> = {};
  for (const mount of spec.volumeMounts ?? []) {
    const volume = pod.spec.volumes?.find(({ name }) => name === mount.name);
    if (!volume) continue;
    for (const [path, text] of Object.entries(volumeFiles(volume, pod, store))) {
      if (mount.subPath === undefined) files[`${mount.mountPath.replace(/\/$/, "")}/${path}`] = text;
      else if (mount.subPath === path) files[mount.mountPath] = text;
    }
  }
  return files;
}

function volumeFiles(volume: Volume, pod: Pod, store: Store): { readonly [path: string]: string } {
  const { configMap, secret } = volume;
  const name = configMap?.name ?? secret?.secretName;
  if (name === undefined) return {};
  const kind = configMap ? "ConfigMap" : "Secret";
  const data = dataOf(store, kind, pod.metadata.namespace ?? "default", name);
  const { items, optional } = configMap ?? secret ?? {};
  const failed = (why: string): MountError =>
    new MountError(`MountVolume.SetUp failed for volume "${volume.name}" : ${why}`);
  if (!data) {
    if (optional) return {};
    throw failed(`${kind.toLowerCase()} "${name}" not found`);
  }
  if (!items) return data;
  const chosen: Record<string, string> = {};
  for (const { key, path } of items) {
    const text = Object.hasOwn(data, key) ? data[key] : undefined;
    if (text === undefined && !optional) throw failed(`references non-existent ${kind.toLowerCase()} key: ${key}`);
    if (text !== undefined) chosen[path] = text;
  }
  return chosen;
}
