/** Owns `kubectl edit`: the object as YAML in an editor, and what the editor changed as a patch. */
import { parse } from "yaml";
import { same } from "../../../api/equal";
import { StatusError } from "../../../api/errors";
import { type KubeObject, resourceOf } from "../../../api/kinds";
import { threeWayPatch } from "../../../api/patch";
import { Shell } from "../../shell/shell";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { printJson } from "../print/json";
import { printYaml } from "../print/yaml";
import { statusMessage } from "../resources";
import { writing } from "../writing";
import { outputFlag, tell } from "./dryrun";
import { objectsMeant, requireObjects } from "./objects";

export const edit: Verb = {
  name: "edit",
  short: "Edit a resource on the server",
  usage: "edit (RESOURCE/NAME | -f FILENAME)",
  flags: [
    { name: "filename", short: "f", type: "list" },
    { name: "selector", short: "l", type: "string" },
    { name: "output-patch", type: "bool" },
    { name: "save-config", type: "bool" },
    { name: "validate", type: "string", alone: "strict" },
    { name: "recursive", short: "R", type: "bool" },
    outputFlag,
  ],
  run: editObjects,
};

const explanation = `# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
`;

async function editObjects(context: Context): Promise<number> {
  requireObjects(context, "edit");
  const { objects, failed } = objectsMeant(context);
  if (failed || objects.length === 0) return failed ? 1 : 0;
  let exitCode = 0;
  for (const object of objects) exitCode = (await editOne(context, object)) || exitCode;
  return exitCode;
}

async function editOne(context: Context, object: KubeObject): Promise<number> {
  const { place } = context.call;
  const json = context.flags.text("output") === "json";
  const number = context.call.shell.random.integer(100_000_000, 4_294_967_295);
  const path = `/tmp/kubectl-edit-${String(number)}.${json ? "json" : "yaml"}`;
  const before = json ? printJson(object) : explanation + printYaml(object);
  place.files.write(path, before, 0o600);
  await openEditor(context, path);
  const after = place.files.read(path) ?? "";
  const kept = `A copy of your changes has been stored to "${path}"\n`;
  if (withoutComments(after) === withoutComments(before)) {
    place.files.remove(path);
    context.err("Edit cancelled, no changes made.\n");
    return 0;
  }
  if (withoutComments(after).trim() === "") {
    place.files.remove(path);
    context.err("Edit cancelled, saved file was empty.\n");
    return 0;
  }
  try {
    const edited = readEdited(after, object);
    const patch = threeWayPatch(object, edited, object);
    if (same(edited, object) || Object.keys(patch).length === 0) {
      context.err("Edit cancelled, no changes made.\n");
    } else {
      const { namespace = "", name } = object.metadata;
      const options = writing(context, "kubectl-edit", true);
      const now = context.api.patch(object.kind, namespace, name, "strategic", patch, options);
      if (context.flags.is("output-patch")) context.out(`Patch: ${JSON.stringify(patch)}\n`);
      tell(context, now, "edited");
    }
    place.files.remove(path);
    return 0;
  } catch (error) {
    const what = `${resourceOf(object.kind).plural} "${object.metadata.name}"`;
    if (error instanceof StatusError && error.reason !== "Invalid") {
      context.err(`error: ${what} could not be patched: ${error.message}\n`);
      context.err(`You can run \`kubectl replace -f ${path}\` to try this update again.\n`);
      return 1;
    }
    // The real one opens the editor again; what comes out of it unchanged is given up, with the file kept.
    if (error instanceof StatusError || error instanceof Unreadable) {
      const why = error instanceof StatusError ? `${statusMessage(error)}\n` : "";
      context.err(`error: ${what} is invalid\n${why}${kept}error: Edit cancelled, no valid changes were saved.\n`);
      return 1;
    }
    if (!(error instanceof Failed)) throw error;
    throw new Failed(`${kept}${error.message}`);
  }
}

/** What the editor left is no YAML. */
class Unreadable extends Error {}

function withoutComments(text: string): string {
  return text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");
}

function readEdited(text: string, object: KubeObject): unknown {
  let value: unknown;
  try {
    value = parse(withoutComments(text), { version: "1.1" });
  } catch {
    throw new Unreadable();
  }
  if (typeof value !== "object" || value === null) throw new Unreadable();
  const edited = value as { readonly kind?: string; readonly metadata?: { readonly name?: string } };
  if (edited.kind !== object.kind || edited.metadata?.name !== object.metadata.name) {
    throw new Failed("error: At least one of apiVersion, kind and name was changed");
  }
  return value;
}

/** `$KUBE_EDITOR`, `$EDITOR`, or vi, with the file behind it. @throws Failed if it cannot be started or fails */
async function openEditor(context: Context, path: string): Promise<void> {
  const { call } = context;
  const editor = call.env.get("KUBE_EDITOR") || call.env.get("EDITOR") || "vi";
  const shell = new Shell(
    call.cluster,
    call.place,
    `${call.place.name}/${call.cluster.nextShell()}`,
    call.cluster.tools,
  );
  const problems: string[] = [];
  const exitCode = await shell.run(`${editor} ${path}`, {
    process: call.process,
    output: (stream, text) => (stream === "stdout" ? call.out(text) : void problems.push(text)),
    ...(call.terminal && { terminal: call.terminal }),
  });
  if (exitCode === 0) {
    call.err(problems.join(""));
    return;
  }
  context.call.place.files.remove(path);
  if (exitCode === 127) throw new Failed(`error: unable to launch the editor "${editor}"`);
  call.err(problems.join(""));
  throw new Failed(`error: there was a problem with the editor "${editor}"`);
}
