/**
 * Owns how a kubelet lays out files that may change under a program's eyes (pkg/volume/util/atomic_writer.go): in a folder
 * with the time in its name, with `..data` as a link to it that is swapped at once, and a link through `..data` for each name.
 */
import { rfc3339 } from "../api/time";
import type { Files } from "../apps/files";
import type { Sim } from "../sim/sim";
import type { Payload } from "./payload";

const dataLink = "..data";

/** The folders of a pod's volumes: its containers see one and the same, which changes with what the volume shows. */
export class PayloadFolders {
  readonly #sim: Sim;
  readonly #uid: string;
  readonly #known = new Map<string, { readonly text: string; readonly folder: string }>();

  constructor(sim: Sim, uid: string) {
    this.#sim = sim;
    this.#uid = uid;
  }

  /** The name of the folder that this payload lies in: a new one if it is another than the last. */
  folderFor(volume: string, payload: Payload): string {
    const text = JSON.stringify([...payload]);
    const known = this.#known.get(volume);
    if (known?.text === text) return known.folder;
    const { clock, random } = this.#sim;
    const time = rfc3339(clock.now).slice(0, 19).replace(/[-T:]/g, "_");
    const dice = random.fork(`kubelet/volume/${this.#uid}/${volume}/${clock.now}`);
    const folder = `..${time}.${dice.integer(0, 2 ** 32 - 1)}`;
    this.#known.set(volume, { text, folder });
    return folder;
  }
}

/** Makes `target` show a payload; does nothing if it does already. */
export function writePayload(files: Files, target: string, folder: string, payload: Payload): void {
  const old = files.link(`${target}/${dataLink}`)?.target;
  if (old === folder) return;
  files.makeFolder(`${target}/${folder}`);
  for (const [path, { text, mode }] of payload) files.write(`${target}/${folder}/${path}`, text, mode);
  files.makeLink(`${target}/${dataLink}`, folder);
  const names = new Set([...payload.keys()].map((path) => path.split("/")[0] as string));
  for (const name of names) {
    if (!files.link(`${target}/${name}`)) files.makeLink(`${target}/${name}`, `${dataLink}/${name}`);
  }
  for (const name of files.list(target) ?? []) {
    if (!name.startsWith("..") && !names.has(name)) files.remove(`${target}/${name}`);
  }
  if (old !== undefined) files.remove(`${target}/${old}`);
}
