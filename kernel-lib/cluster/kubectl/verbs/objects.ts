/** Owns which objects a changing verb is about: those of `-f`, or those that its arguments name. */
import { StatusError } from "../../../api/errors";
import type { KubeObject } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context } from "../context";
import { type Asked, findObjects, readArguments, readFiles, statusMessage } from "../resources";

/** The words of most verbs when nothing is named. */
export const nothingNamed = `error: You must provide one or more resources by argument or filename.
Example resource specifications include:
   '-f rsrc.yaml'
   '--filename=rsrc.json'
   '<resource> <name>'
   '<resource>'`;

/** @throws Failed unless a file or an argument says what is meant */
export function requireObjects(context: Context, verb: string): void {
  if (context.flags.given("filename") || context.flags.args.length > 0) return;
  throw new Failed(verb.startsWith("rollout") ? `error: required resource not specified` : nothingNamed);
}

/** The objects as the server has them. What is not there is told on stderr. */
export function objectsMeant(
  context: Context,
  args: readonly string[] = context.flags.args,
  /** A type alone means all objects of it. */
  wholeTypes = false,
): { readonly objects: readonly KubeObject[]; readonly failed: boolean } {
  const { flags } = context;
  if (flags.given("filename")) return objectsOfFiles(context);
  if (flags.is("local")) throw new Failed("error: one or more files must be specified when --local is set");
  const asked = readArguments(args);
  if (!wholeTypes) requireNames(context, asked);
  return findObjects(context, asked, { allNamespaces: flags.is("all-namespaces") });
}

function requireNames(context: Context, asked: readonly Asked[]): void {
  const { flags } = context;
  if (asked.length === 0) throw new Failed(nothingNamed);
  const open = asked.some(({ name }) => name === undefined);
  if (!open || flags.is("all") || flags.given("selector") || flags.given("field-selector")) return;
  throw new Failed("error: resource(s) were provided, but no name was specified");
}

function objectsOfFiles(context: Context): { readonly objects: readonly KubeObject[]; readonly failed: boolean } {
  const objects: KubeObject[] = [];
  let failed = false;
  for (const { resource, manifest } of readFiles(context)) {
    if (context.flags.is("local")) {
      objects.push(manifest.object as unknown as KubeObject);
      continue;
    }
    const meta = (manifest.object.metadata ?? {}) as { readonly name?: string; readonly namespace?: string };
    try {
      objects.push(context.api.get(resource.kind, meta.namespace ?? context.namespace, meta.name ?? ""));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      context.err(`${statusMessage(error)}\n`);
      failed = true;
    }
  }
  return { objects, failed };
}
