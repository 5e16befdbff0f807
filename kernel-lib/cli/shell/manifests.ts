/** Owns the manifests that `kubebook shell -f` applies: reading them from the disk, and applying them before the first line. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, isAbsolute, join, normalize } from "node:path";
import type { Cluster } from "../../cluster/cluster";
import { quote } from "../../cluster/shell/shell";
import { CliError } from "../error";

/** One file, and the path that it has at the prompt. */
export interface ManifestFile {
  readonly path: string;
  readonly text: string;
}

/** In the clock's microseconds. */
const second = 1_000_000;
/** What kubectl takes of a folder. */
const manifestName = /\.(ya?ml|json)$/;

/** Reads files and folders. @throws CliError in kubectl's words if there is no such path */
export function readManifests(paths: readonly string[]): readonly ManifestFile[] {
  return paths.flatMap((path) => {
    const info = statSync(path, { throwIfNoEntry: false });
    if (!info) throw new CliError(`error: the path ${JSON.stringify(path)} does not exist`, 2);
    const found = info.isDirectory()
      ? readdirSync(path)
          .filter((name) => manifestName.test(name))
          .sort()
      : [""];
    if (found.length === 0) {
      throw new CliError(`error: error reading [${path}]: recognized file extensions are [.json .yaml .yml]`, 2);
    }
    return found.map((name) => ({ path: placeOf(join(path, name)), text: readFileSync(join(path, name), "utf8") }));
  });
}

/** At the prompt a file has the path that it was named by, unless that leads out of the folder: then its name. */
function placeOf(path: string): string {
  const plain = normalize(path).replaceAll("\\", "/").replace(/\/$/, "");
  return isAbsolute(path) || plain.startsWith("..") ? basename(plain) : plain;
}

/** Applies them, and lets the cluster come to rest. @throws CliError with what kubectl says */
export async function applyManifests(cluster: Cluster, files: readonly ManifestFile[]): Promise<void> {
  if (files.length === 0) return;
  const session = cluster.session();
  let said = "";
  for (const { path, text } of files) {
    cluster.prompt.files.write(`${cluster.prompt.folder}/${path}`, text);
    const exitCode = await session.type(`kubectl apply -f ${quote(path)}`, (stream, part) => {
      if (stream === "stderr") said += part;
    });
    if (exitCode !== 0) throw new CliError(said.trimEnd());
  }
  await cluster.settle();
  const past = cluster.now % second;
  if (past > 0) await cluster.advance((second - past) / second);
}
