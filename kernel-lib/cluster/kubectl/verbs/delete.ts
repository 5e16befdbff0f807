/** Owns `kubectl delete`: it waits until what it deleted is gone, as the real one does. */
import { StatusError } from "../../../api/errors";
import { type KubeObject, resourceOf } from "../../../api/kinds";
import { keyOf } from "../../../api/meta";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { durationOf } from "../flags";
import { typeName } from "../print/printer";
import { findObjects, readArguments, readFiles, statusMessage } from "../resources";
import { until } from "../watch";
import { dryRunFlag, dryRunOf } from "./dryrun";
import { nothingNamed } from "./objects";

export const deleteVerb: Verb = {
  name: "delete",
  short: "Delete resources by file names, stdin, resources and names, or by resources and label selector",
  usage: "delete ([-f FILENAME] | [-k DIRECTORY] | TYPE [(NAME | -l label | --all)]) [options]",
  flags: [
    { name: "filename", short: "f", type: "list" },
    { name: "selector", short: "l", type: "string" },
    { name: "field-selector", type: "string" },
    { name: "all", type: "bool" },
    { name: "all-namespaces", short: "A", type: "bool" },
    { name: "grace-period", type: "int" },
    { name: "now", type: "bool" },
    { name: "force", type: "bool" },
    { name: "wait", type: "bool" },
    { name: "timeout", type: "duration" },
    { name: "cascade", type: "string", alone: "background" },
    { name: "ignore-not-found", type: "bool" },
    { name: "output", short: "o", type: "string" },
    dryRunFlag,
  ],
  run: deleteObjects,
};

const propagations = { background: "Background", foreground: "Foreground", orphan: "Orphan" } as const;

async function deleteObjects(context: Context): Promise<number> {
  const { api, flags } = context;
  const output = flags.text("output") ?? "";
  if (output !== "" && output !== "name") {
    throw new Failed(`error: unexpected -o output mode: ${output}. We only support '-o name'`);
  }
  const cascade = flags.text("cascade") ?? "background";
  if (!Object.hasOwn(propagations, cascade)) {
    throw new Failed(`error: invalid cascade value (${cascade}). Must be "background", "foreground", or "orphan"`);
  }
  const grace = graceOf(context, () => checkArguments(context));
  const { objects, failed } = objectsToDelete(context);
  const dryRun = dryRunOf(flags);
  const deleted: KubeObject[] = [];
  for (const object of objects) {
    const { metadata, kind } = object;
    if (dryRun !== "client") {
      api.delete(kind, metadata.namespace ?? "", metadata.name, {
        propagation: propagations[cascade as keyof typeof propagations],
        dryRun: dryRun === "server",
        by: "kubectl-delete",
        ...(grace !== undefined && { grace }),
      });
    }
    deleted.push(object);
    const where = metadata.namespace ? ` from ${metadata.namespace} namespace` : "";
    const how = grace === 0 ? "force deleted" : "deleted";
    const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRun];
    context.out(
      output === "name"
        ? `${typeName(kind)}/${metadata.name}\n`
        : `${typeName(kind)} "${metadata.name}" ${how}${where}${suffix}\n`,
    );
  }
  if (deleted.length === 0 && !failed) {
    const named = flags.given("filename") || readArguments(flags.args).every(({ name }) => name !== undefined);
    if (!named || !flags.is("ignore-not-found")) context.out("No resources found\n");
    return 0;
  }
  const waits = dryRun === "none" && (!flags.given("wait") || flags.is("wait"));
  if (waits && (await waitUntilGone(context, deleted)) === "stopped") return 130;
  return failed ? 1 : 0;
}

/**
 * The grace period that is asked for, in seconds; undefined: each pod's own (Complete and Validate in cmd/delete/delete.go).
 * @param between what else is looked at between the two
 */
function graceOf({ flags, err }: Context, between: () => void): number | undefined {
  const given = flags.number("grace-period") ?? -1;
  const force = flags.is("force");
  if (flags.is("now") && given !== -1) {
    throw new Failed("error: --now and --grace-period cannot be specified together");
  }
  between();
  const grace = flags.is("now") ? 1 : given;
  if (force && grace > 0) {
    throw new Failed("error: --force and --grace-period greater than 0 cannot be specified together");
  }
  if (!force) return grace < 0 ? undefined : Math.max(grace, 1);
  err(
    "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n",
  );
  return 0;
}

/** @throws Failed unless it is said what is meant, by a file, a name, or a selector */
function checkArguments({ flags }: Context): void {
  if (flags.given("filename")) return;
  if (flags.is("all") && (flags.text("selector") || flags.text("field-selector"))) {
    throw new Failed("error: setting 'all' parameter but found a non empty selector. ");
  }
  const asked = readArguments(flags.args);
  if (asked.length === 0) {
    const selected = flags.is("all") || flags.given("selector") || flags.given("field-selector");
    throw new Failed(selected ? "error: at least one resource must be specified to use a selector" : nothingNamed);
  }
  const unnamed = asked.some(({ name }) => name === undefined);
  if (unnamed && !flags.is("all") && !flags.given("selector") && !flags.given("field-selector")) {
    throw new Failed("error: resource(s) were provided, but no name was specified");
  }
  if (!unnamed && flags.is("all")) {
    throw new Failed("error: name cannot be provided when a selector is specified");
  }
}

function objectsToDelete(context: Context): { readonly objects: readonly KubeObject[]; readonly failed: boolean } {
  const { flags } = context;
  if (flags.given("filename")) {
    const objects: KubeObject[] = [];
    let failed = false;
    for (const { resource, manifest, source } of readFiles(context)) {
      const meta = (manifest.object.metadata ?? {}) as { readonly name?: string; readonly namespace?: string };
      if (dryRunOf(flags) === "client") {
        // Nobody is asked whether there is such an object.
        const where = resource.namespaced ? { namespace: meta.namespace ?? context.namespace } : {};
        objects.push({ ...manifest.object, metadata: { ...meta, ...where } } as unknown as KubeObject);
        continue;
      }
      try {
        objects.push(context.api.get(resource.kind, meta.namespace ?? context.namespace, meta.name ?? ""));
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        failed = !flags.is("ignore-not-found");
        const told = new StatusError(error.reason, `error when deleting "${source}": ${error.message}`, error.details);
        if (failed) context.err(`${statusMessage(told)}\n`);
      }
    }
    return { objects, failed };
  }
  const asked = readArguments(flags.args);
  const quiet = flags.is("ignore-not-found") ? { ...context, err: () => {} } : context;
  const { objects, failed } = findObjects(quiet, asked, { allNamespaces: flags.is("all-namespaces") });
  return { objects, failed: failed && !flags.is("ignore-not-found") };
}

/** One time-out for all of them. */
async function waitUntilGone(context: Context, deleted: readonly KubeObject[]): Promise<"gone" | "stopped"> {
  const { clock } = context.call.cluster.sim;
  const given = context.flags.text("timeout");
  const limit = given === undefined || durationOf(given) <= 0 ? undefined : durationOf(given);
  const deadline = limit === undefined ? undefined : clock.now + limit;
  for (const object of deleted) {
    const gone = (): boolean => isGone(context, object);
    const left = deadline === undefined ? undefined : Math.max(0, deadline - clock.now);
    const end = await until(context, resourceOf(object.kind), gone, left);
    if (end === "stopped") return end;
    if (end === "timeout") {
      throw new Failed(
        `error: timed out waiting for the condition on ${resourceOf(object.kind).plural}/${object.metadata.name}`,
      );
    }
  }
  return "gone";
}

/** Gone, or another object has its name. */
function isGone(context: Context, object: KubeObject): boolean {
  return context.api.store.get(object.kind, keyOf(object))?.metadata.uid !== object.metadata.uid;
}
