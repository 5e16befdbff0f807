/** Owns `kubectl describe`. */
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { describeObject } from "../describe/describe";
import { findObjects, readArguments, readFiles } from "../resources";

export const describe: Verb = {
  name: "describe",
  short: "Show details of a specific resource or group of resources",
  usage: "describe (-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
  flags: [
    { name: "selector", short: "l", type: "string" },
    { name: "all-namespaces", short: "A", type: "bool" },
    { name: "filename", short: "f", type: "list" },
    { name: "show-events", type: "bool" },
  ],
  run: show,
};

function show(context: Context): number {
  const { flags } = context;
  const asked = flags.given("filename")
    ? readFiles(context).map(({ resource, manifest }) => ({
        resource,
        name: (manifest.object.metadata as { readonly name?: string } | undefined)?.name,
      }))
    : readArguments(flags.args);
  if (asked.length === 0) {
    throw new Failed(
      'error: You must specify the type of resource to describe. Use "kubectl api-resources" for a complete list of supported resources.',
    );
  }
  const allNamespaces = flags.is("all-namespaces");
  const { objects, failed } = findWithPrefix(context, asked, allNamespaces);
  if (objects.length === 0 && !failed) {
    context.err(allNamespaces ? "No resources found\n" : `No resources found in ${context.namespace} namespace.\n`);
    return 0;
  }
  const events = !flags.given("show-events") || flags.is("show-events");
  context.out(objects.map((object) => describeObject(context, object, events)).join("\n\n"));
  return failed ? 1 : 0;
}

/** `describe pod my-` means every pod whose name begins so, if none is called just that. */
function findWithPrefix(
  context: Context,
  asked: ReturnType<typeof readArguments>,
  allNamespaces: boolean,
): ReturnType<typeof findObjects> {
  const quiet: string[] = [];
  const found = findObjects({ ...context, err: (text) => void quiet.push(text) }, asked, { allNamespaces });
  if (!found.failed || context.flags.args.length !== 2) {
    context.err(quiet.join(""));
    return found;
  }
  const byPrefix = asked.flatMap(({ resource, name }) =>
    name === undefined
      ? []
      : context.api
          .list(resource.kind, resource.namespaced ? { namespace: context.namespace } : {})
          .filter((object) => object.metadata.name.startsWith(name)),
  );
  if (byPrefix.length > 0) return { objects: byPrefix, failed: false };
  if (found.objects.length === 0 && quiet.length > 0) throw new Failed(quiet.join("").trimEnd());
  context.err(quiet.join(""));
  return found;
}
