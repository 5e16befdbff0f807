/**
 * Owns what volumes bring to containers: ConfigMaps, Secrets and fields are copied into each, and copied again when they
 * change; an emptyDir, a hostPath and the account's token are trees of files that those who mount them share.
 */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import type { Closable } from "../apps/app";
import { Files } from "../apps/files";
import { minute } from "../sim/clock";
import type { Sim } from "../sim/sim";
import { PayloadFolders, writePayload } from "./atomicwriter";
import { isTokenVolume, MountError, payloadOf, shownBy, tokenFiles } from "./payload";
import type { SpecContainer } from "./stages";

type Pod = Kinds["Pod"];
export type Mount = NonNullable<SpecContainer["volumeMounts"]>[number];

/** A volume that is a tree of files: the tree, and the folder in it. */
export interface VolumeTree {
  readonly files: Files;
  readonly base: string;
}

/** The shared volumes of one pod: they live as long as the pod, whatever happens to its containers. */
export class PodVolumes {
  readonly #sim: Sim;
  readonly #store: Store;
  readonly #nodeFiles: Files | undefined;
  #own: Map<string, Files> | undefined;
  #folders: PayloadFolders | undefined;

  /** @param nodeFiles what hostPath volumes show */
  constructor(sim: Sim, store: Store, nodeFiles: Files | undefined) {
    this.#sim = sim;
    this.#store = store;
    this.#nodeFiles = nodeFiles;
  }

  /** Where the copies of its volumes lie. */
  folders(uid: string): PayloadFolders {
    this.#folders ??= new PayloadFolders(this.#sim, uid);
    return this.#folders;
  }

  /** The tree of a volume; undefined for kinds that are copied, for a part of a token's, and for a hostPath that is one file. */
  tree(pod: Pod, { name, subPath }: Mount): VolumeTree | undefined {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    if (volume?.emptyDir) return this.#kept(name, () => new Files(this.#sim.clock));
    if (volume && isTokenVolume(volume))
      return subPath ? undefined : this.#kept(name, () => this.#tokenTree(pod, name));
    const { hostPath } = volume ?? {};
    const isFile = hostPath?.type === "File" || hostPath?.type === "FileOrCreate" || hostPath?.type === "Socket";
    return hostPath && !isFile && this.#nodeFiles ? { files: this.#nodeFiles, base: hostPath.path } : undefined;
  }

  #kept(name: string, make: () => Files): VolumeTree {
    this.#own ??= new Map();
    const files = this.#own.get(name) ?? make();
    this.#own.set(name, files);
    return { files, base: "" };
  }

  /** Few ever read their token: it is signed and written for those who do. */
  #tokenTree(pod: Pod, name: string): Files {
    const { uid } = pod.metadata;
    const payloadNow = tokenFiles(pod, this.#store);
    return new Files(this.#sim.clock, (files) => {
      const payload = payloadNow();
      writePayload(files, "", this.folders(uid).folderFor(name, payload), payload);
    });
  }
}

/** What copied volumes are made from. */
export interface MountSource {
  readonly pod: Pod;
  readonly sim: Sim;
  readonly store: Store;
  readonly folders: PayloadFolders;
}

/** Puts all copied volumes that a container mounts into its files; what the image has there is hidden. @throws MountError */
export function mountCopies(spec: SpecContainer, source: MountSource, files: Files): void {
  const mounts = [...(spec.volumeMounts ?? [])].sort((one, other) => depth(one) - depth(other));
  for (const mount of mounts) mountCopy(mount, source, files);
}

function depth({ mountPath }: Mount): number {
  return mountPath.split("/").length;
}

function mountCopy({ name, mountPath, subPath }: Mount, { pod, store, folders }: MountSource, files: Files): void {
  const volume = pod.spec.volumes?.find((one) => one.name === name);
  if (!volume || (isTokenVolume(volume) && !subPath)) return;
  const payload = payloadOf(volume, pod, store);
  if (!payload) return;
  const target = mountPath.replace(/\/$/, "");
  if (!subPath) {
    if (!files.link(`${target}/..data`)) files.remove(target);
    writePayload(files, target, folders.folderFor(name, payload), payload);
    return;
  }
  // What a subPath shows is bound to the file that was there, and follows nothing.
  const part = subPath.replace(/\/$/, "");
  const file = payload.get(part);
  if (file) files.write(target, file.text, file.mode);
  for (const [path, { text, mode }] of payload) {
    if (path.startsWith(`${part}/`)) files.write(`${target}${path.slice(part.length)}`, text, mode);
  }
}

/** How often a kubelet brings what it has copied up to date (its sync period). */
const syncPeriod = minute;

/** Brings a container's copies up to date some time after what they show has changed, until closed; not what `subPath` shows. */
export function followMounts(spec: SpecContainer, source: MountSource, files: Files): Closable | undefined {
  const { pod, sim, store } = source;
  const whole = (spec.volumeMounts ?? []).filter(({ subPath }) => !subPath);
  const used = new Set<string>();
  for (const { name } of whole) {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    for (const shown of volume ? shownBy(volume) : [])
      used.add(`${shown.kind} ${pod.metadata.namespace}/${shown.name}`);
  }
  if (used.size === 0) return undefined;
  let timer: { cancel(): void } | undefined;
  const sync = (): void => {
    timer = undefined;
    for (const mount of whole) {
      try {
        mountCopy(mount, source, files);
      } catch (error) {
        // What is there stays, as long as it cannot be told what should be.
        if (!(error instanceof MountError)) throw error;
      }
    }
  };
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
