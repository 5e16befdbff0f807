/** Owns `kubectl patch`: strategic, merge and JSON patches. */
import { parse } from "yaml";
import { StatusError } from "../../../api/errors";
import { jsonPatch } from "../../../api/jsonpatch";
import type { KubeObject } from "../../../api/kinds";
import { mergePatch, strategicMerge } from "../../../api/patch";
import type { PatchType } from "../../../api/rest";
import { resolvePath } from "../../shell/filesystem";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { parseFormat, typeName } from "../print/printer";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, outputFlag, tellAlone } from "./dryrun";
import { objectsMeant } from "./objects";

export const patch: Verb = {
  name: "patch",
  short: "Update fields of a resource",
  usage: "patch (-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [options]",
  flags: [
    { name: "patch", short: "p", type: "string" },
    { name: "patch-file", type: "string" },
    { name: "type", type: "string" },
    { name: "filename", short: "f", type: "list" },
    { name: "local", type: "bool" },
    { name: "field-manager", type: "string" },
    { name: "subresource", type: "string" },
    { name: "template", type: "string" },
    outputFlag,
    dryRunFlag,
  ],
  run: patchObjects,
};

const types: readonly PatchType[] = ["json", "merge", "strategic"];

/** What a patch of the subresource `scale` says of replicas, it says of the object itself as well. */
const subresources: readonly string[] = ["status", "scale", "resize"];

function patchObjects(context: Context): number {
  const { flags } = context;
  if (flags.given("patch") && flags.given("patch-file")) {
    throw new Failed("error: cannot specify --patch and --patch-file together");
  }
  const text = flags.given("patch-file") ? fileOf(context, flags.text("patch-file") ?? "") : flags.text("patch");
  if (!text) throw new Failed("error: must specify --patch or --patch-file containing the contents of the patch");
  if (flags.is("local") && flags.args.length > 0)
    throw new Failed("error: cannot specify --local and server resources");
  const type = (flags.text("type") ?? "strategic").toLowerCase();
  if (!isPatchType(type))
    throw new Failed(`error: --type must be one of [json merge strategic], not ${JSON.stringify(flags.text("type"))}`);
  const part = flags.text("subresource");
  if (part && !subresources.includes(part)) {
    throw new Failed(
      `error: invalid subresource value: ${JSON.stringify(part)}. Must be one of [${subresources.join(" ")}]`,
    );
  }
  const change = patchOf(text);
  const { objects, failed } = objectsMeant(context);
  for (const object of objects) {
    const after =
      flags.is("local") || dryRunOf(flags) === "client"
        ? local(object, type, change)
        : remote(context, object, type, change);
    const same = JSON.stringify(withoutVersion(after)) === JSON.stringify(withoutVersion(object));
    // Of a dry run it says nothing, unlike the other verbs.
    const format = parseFormat(context, false);
    const word = same ? "patched (no change)" : "patched";
    if (format.format === "table") context.out(`${typeName(object.kind)}/${object.metadata.name} ${word}\n`);
    else tellAlone(context, after, word);
  }
  if (objects.length === 0 && !failed) throw new Failed("error: no objects passed to patch");
  return failed ? 1 : 0;
}

function isPatchType(text: string): text is PatchType {
  return types.some((type) => type === text);
}

function patchOf(text: string): unknown {
  if (/^\s*[{[]/.test(text)) {
    // What looks like JSON goes to the server as it is, and it is the server that cannot read it.
    try {
      return JSON.parse(text);
    } catch {
      throw new Failed("Error from server (BadRequest): error decoding patch: invalid JSON");
    }
  }
  try {
    return parse(text);
  } catch (error) {
    throw new Failed(`error: unable to parse ${JSON.stringify(text)}: ${error instanceof Error ? error.message : ""}`);
  }
}

function fileOf({ call }: Context, path: string): string {
  const text = call.place.files.read(resolvePath(call.folder, path));
  if (text === undefined) throw new Failed(`error: unable to read patch file: open ${path}: no such file or directory`);
  return text;
}

function remote(context: Context, object: KubeObject, type: PatchType, change: unknown): KubeObject {
  const { namespace = "", name } = object.metadata;
  const status = context.flags.text("subresource") === "status" ? { subresource: "status" as const } : {};
  const options = { ...writing(context, "kubectl-patch"), ...status };
  return context.api.patch(object.kind, namespace, name, type, change, options);
}

function local(object: KubeObject, type: PatchType, change: unknown): KubeObject {
  try {
    const run = { json: jsonPatch, merge: mergePatch, strategic: strategicMerge }[type];
    return run(object, change) as KubeObject;
  } catch (error) {
    if (error instanceof StatusError) throw new Failed(`error: ${error.message}`);
    throw error;
  }
}

function withoutVersion(object: KubeObject): unknown {
  const { resourceVersion: _version, generation: _generation, ...metadata } = object.metadata;
  return { ...object, metadata };
}
