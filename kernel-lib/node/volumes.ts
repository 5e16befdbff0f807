/**
 * Owns what volumes bring to containers: ConfigMaps and Secrets are copied into each, and copied again when they change; an
 * emptyDir and a hostPath are trees of files that those who mount them share.
 */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import type { Closable } from "../apps/app";
import { Files } from "../apps/files";
import { type Clock, minute } from "../sim/clock";
import type { Sim } from "../sim/sim";
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
  #empty: Map<string, Files> | undefined;

  /** @param nodeFiles what hostPath volumes show */
  constructor(clock: Clock, nodeFiles: Files | undefined) {
    this.#clock = clock;
    this.#nodeFiles = nodeFiles;
  }

  /** The tree of a volume; undefined for kinds that are copied, and for a hostPath that is one file. */
  tree(pod: Pod, name: string): VolumeTree | undefined {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    if (volume?.emptyDir) {
      this.#empty ??= new Map();
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

/** How often a kubelet brings what it has copied up to date (its sync period). */
const syncPeriod = minute;

/** Brings a container's ConfigMaps and Secrets up to date some time after they change, until closed; not what `subPath` shows. */
export function followMounts(
  spec: SpecContainer,
  pod: Pod,
  { sim, store }: { readonly sim: Sim; readonly store: Store },
  files: Files,
): Closable | undefined {
  const whole = (spec.volumeMounts ?? []).filter(({ subPath }) => !subPath);
  const used = new Set<string>();
  for (const { name } of whole) {
    const { configMap, secret } = pod.spec.volumes?.find((volume) => volume.name === name) ?? {};
    if (configMap?.name) used.add(`ConfigMap ${pod.metadata.namespace}/${configMap.name}`);
    if (secret?.secretName) used.add(`Secret ${pod.metadata.namespace}/${secret.secretName}`);
  }
  if (used.size === 0) return undefined;
  let known = new Set<string>();
  let timer: { cancel(): void } | undefined;
  const sync = (): void => {
    timer = undefined;
    let now: { readonly [path: string]: string };
    try {
      now = mountedFiles({ ...spec, volumeMounts: whole }, pod, store);
    } catch (error) {
      // What is there stays, as long as it cannot be told what should be.
      if (error instanceof MountError) return;
      throw error;
    }
    for (const path of known) if (!Object.hasOwn(now, path)) files.remove(path);
    for (const [path, text] of Object.entries(now)) if (files.read(path) !== text) files.write(path, text);
    known = new Set(Object.keys(now));
  };
  known = new Set(Object.keys(mountedFiles({ ...spec, volumeMounts: whole }, pod, store)));
  const subscriptions = (["ConfigMap", "Secret"] as const).map((kind) => {
    return store.follow(kind, ({ key, type }) => {
      if (type === "DELETED" || !used.has(`${kind} ${key}`)) return;
      timer ??= sim.clock.after(syncPeriod, sync, "background");
    });
  });
  return {
    close: () => {
      timer?.cancel();
      for (const subscription of subscriptions) subscription.stop();
    },
  };
}
