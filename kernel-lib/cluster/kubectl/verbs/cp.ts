/** Owns `kubectl cp`: one file, or a folder with all that is in it, into a container or out of it. */
import { keyOf } from "../../../api/meta";
import type { Files } from "../../../apps/files";
import { resolvePath } from "../../shell/filesystem";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { containerNameOf, podOf, runningContainer } from "../pods";

export const cp: Verb = {
  name: "cp",
  short: "Copy files and directories to and from containers",
  usage: "cp <file-spec-src> <file-spec-dest> [options]",
  flags: [
    { name: "container", short: "c", type: "string" },
    { name: "no-preserve", type: "bool" },
  ],
  run: copy,
};

interface End {
  readonly files: Files;
  readonly path: string;
  readonly given: string;
  readonly remote: boolean;
}

function copy(context: Context): number {
  const [source, target, ...more] = context.flags.args;
  if (source === undefined || target === undefined || more.length > 0) {
    throw new Failed("error: source and destination are required");
  }
  const [from, to] = [endOf(context, source), endOf(context, target)];
  if (from.remote === to.remote) throw new Failed("error: one of src or dest must be a local file specification");
  if (!from.files.entry(from.path) && !from.files.isFolder(from.path)) {
    if (!from.remote) throw new Failed(`error: ${from.given} doesn't exist in local filesystem`);
    throw new Failed(
      `tar: ${from.path}: Cannot stat: No such file or directory\ntar: Exiting with failure status due to previous errors\nerror: command terminated with exit code 2`,
    );
  }
  // Into a folder that is there it goes by its own name, as cp has it; out of a container the name is given.
  const into = to.remote && to.files.isFolder(to.path) ? `${to.path}/${from.path.split("/").at(-1)}` : to.path;
  for (const path of from.files.paths()) {
    if (path !== from.path && !path.startsWith(`${from.path}/`)) continue;
    const entry = from.files.entry(path);
    if (entry) to.files.write(`${into}${path.slice(from.path.length)}`, entry.text, entry.mode);
  }
  return 0;
}

/** `[[namespace/]pod:]path`. */
function endOf(context: Context, given: string): End {
  const { place, folder } = context.call;
  const colon = given.indexOf(":");
  if (colon < 0) return { files: place.files, path: resolvePath(folder, given), given, remote: false };
  const words = given.slice(0, colon).split("/");
  const [namespace, name] = words.length > 1 ? words : [context.namespace, words[0]];
  const path = given.slice(colon + 1);
  if (path === "") throw new Failed("error: filepath can not be empty");
  const there = { ...context, namespace: namespace ?? context.namespace };
  const pod = podOf(there, name ?? "");
  const container = runningContainer(
    there,
    context.api.store.get("Pod", keyOf(pod)) ?? pod,
    containerNameOf(there, pod),
  );
  return { files: container.spec.files, path: resolvePath(container.spec.folder || "/", path), given, remote: true };
}
