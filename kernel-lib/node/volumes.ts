/**
 * Owns what volumes bring to containers: ConfigMaps and Secrets are copied into each when it is made; an emptyDir and a
 * hostPath are trees of files that those who mount them share.
 */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { Files } from "../apps/files";
import type { Clock } from "../sim/clock";
import { dataOf } from "./data";
import type { SpecContainer } from "./stages";

type Pod = Kinds["Pod"];
type Volume = NonNullable<Pod["spec"]["volumes"]>[number];

/** A volume that is a tree of files: the tree, and the folder in it. */
export interface VolumeTree {
  readonly files: Files;
  readonly base: string;
}

/** The shared volumes of one pod: an emptyDir lives as long as the pod, whatever happens to its containers. */
export class PodVolumes {
  readonly #clock: Clock;
  readonly #nodeFiles: Files | undefined;
  readonly #empty = new Map<string, Files>();

  /** @param nodeFiles what hostPath volumes show */
  constructor(clock: Clock, nodeFiles: Files | undefined) {
    this.#clock = clock;
    this.#nodeFiles = nodeFiles;
  }

  /** The tree of a volume; undefined for kinds that are copied, and for a hostPath that is one file. */
  tree(pod: Pod, name: string): VolumeTree | undefined {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    if (volume?.emptyDir) {
      const files = this.#empty.get(name) ?? new Files(this.#clock);
      this.#empty.set(name, files);
      return { files, base: "" };
    }
    const { hostPath } = volume ?? {};
    const isFile = hostPath?.type === "File" || hostPath?.type === "FileOrCreate" || hostPath?.type === "Socket";
    return hostPath && !isFile && this.#nodeFiles ? { files: this.#nodeFiles, base: hostPath.path } : undefined;
  }
}

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
