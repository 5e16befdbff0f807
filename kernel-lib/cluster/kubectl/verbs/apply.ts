/** Owns `kubectl apply`: client-side apply with the last-applied annotation and a three-way patch. */
import { StatusError } from "../../../api/errors";
import type { KubeObject, Resource } from "../../../api/kinds";
import { strategicMerge, threeWayPatch } from "../../../api/patch";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { parseFormat } from "../print/format";
import { compactJson } from "../print/json";
import { type FromFile, readFiles, statusMessage } from "../resources";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, tell } from "./dryrun";

/** Where `apply` keeps what it applied last. */
export const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";
const annotation = lastApplied;

export const apply: Verb = {
  name: "apply",
  short: "Apply a configuration to a resource by file name or stdin",
  usage: "apply (-f FILENAME | -k DIRECTORY) [options]",
  flags: [
    { name: "filename", short: "f", type: "list" },
    { name: "output", short: "o", type: "string" },
    { name: "selector", short: "l", type: "string" },
    { name: "recursive", short: "R", type: "bool" },
    { name: "server-side", type: "bool" },
    { name: "force", type: "bool" },
    { name: "overwrite", type: "bool" },
    { name: "wait", type: "bool" },
    { name: "timeout", type: "duration" },
    { name: "field-manager", type: "string" },
    { name: "kustomize", short: "k", type: "string" },
    { name: "validate", type: "string", alone: "strict" },
    dryRunFlag,
  ],
  run: applyFiles,
};

function applyFiles(context: Context): number {
  const { flags } = context;
  if (flags.args.length > 0) {
    throw new Failed(`error: Unexpected args: [${flags.args.join(" ")}]\nSee 'kubectl apply -h' for help and examples`);
  }
  if (flags.given("kustomize")) throw new Failed("error: kustomizations are not simulated: use -f");
  if (!flags.given("filename")) throw new Failed("error: must specify one of -f and -k");
  const files = readFiles(context);
  if (files.length === 0) throw new Failed("error: no objects passed to apply");
  let failed = 0;
  for (const file of files) {
    try {
      applyOne(context, file);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      context.err(`${statusMessage(error)}\n`);
      failed = 1;
    }
  }
  return failed;
}

type Meta = Readonly<Record<string, unknown>> & { readonly name?: string; readonly namespace?: string };

function applyOne(context: Context, { manifest, resource, source }: FromFile): void {
  const { api, flags } = context;
  parseFormat(context, false);
  const meta = (manifest.object.metadata ?? {}) as Meta;
  const namespace = resource.namespaced ? (meta.namespace ?? context.namespace) : "";
  if (flags.given("namespace") && resource.namespaced && meta.namespace && meta.namespace !== context.namespace) {
    throw new Failed(
      `error: the namespace from the provided object "${meta.namespace}" does not match the namespace "${context.namespace}". You must pass '--namespace=${meta.namespace}' to perform this operation.`,
    );
  }
  if (!meta.name) {
    if (meta.generateName) throw new Failed(`error: from ${meta.generateName}: cannot use generate name with apply`);
    throw new Failed(nameless(resource, namespace, source));
  }
  const annotations = (meta.annotations ?? {}) as Readonly<Record<string, string>>;
  const { [annotation]: _old, ...others } = annotations;
  const placed = { ...meta, annotations: others, ...(resource.namespaced && { namespace }) };
  const bare = { ...manifest.object, metadata: placed };
  const wanted = {
    ...bare,
    metadata: { ...placed, annotations: { ...others, [annotation]: `${compactJson(bare)}\n` } },
  };
  const dryRun = dryRunOf(flags);
  const options = {
    ...writing(context, "kubectl-client-side-apply", true),
    ...(resource.namespaced && { namespace }),
  };
  let current: KubeObject | undefined;
  try {
    current = api.get(resource.kind, namespace, meta.name ?? "");
  } catch (error) {
    if (!(error instanceof StatusError) || error.reason !== "NotFound") throw error;
  }
  if (!current) {
    if (dryRun === "client") tell(context, wanted as unknown as KubeObject, "created");
    else {
      const made = sourced("creating", source, () => api.create(resource.kind, wanted, options));
      tell(context, made, "created");
    }
    return;
  }
  const was = current.metadata.annotations?.[annotation];
  if (was === undefined) {
    context.err(
      `Warning: resource ${resource.plural}/${meta.name} is missing the ${annotation} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n`,
    );
  }
  const patch = threeWayPatch(was === undefined ? {} : JSON.parse(was), wanted, current);
  if (dryRun === "client") {
    tell(context, strategicMerge(current, patch) as KubeObject, "configured");
    return;
  }
  if (Object.keys(patch).length === 0) {
    tell(context, current, "unchanged");
    return;
  }
  const now = current;
  const after = sourced("applying patch", source, () =>
    api.patch(resource.kind, namespace, now.metadata.name, "strategic", patch, options),
  );
  tell(context, after, "configured");
}

/** How kubectl says that it could not ask for an object without a name. */
function nameless(resource: Resource, namespace: string, source: string): string {
  const { group, version, plural, kind } = resource;
  const what = `Resource: "${group}/${version}, Resource=${plural}", GroupVersionKind: "${group}/${version}, Kind=${kind}"`;
  return `error: error when retrieving current configuration of:
${what}
Name: "", Namespace: "${namespace}"
from server for: ${JSON.stringify(source)}: resource name may not be empty`;
}

/** An error of the server says which file it is about (cmdutil.AddSourceToErr). */
export function sourced<T>(what: string, source: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof StatusError) || (error.reason === "Invalid" && error.details.kind)) throw error;
    throw new StatusError(error.reason, `error when ${what} "${source}": ${error.message}`, error.details);
  }
}
