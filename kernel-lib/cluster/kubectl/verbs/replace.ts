/** Owns `kubectl replace`: an object becomes what the file says, or (`--force`) goes and comes again. */
import { StatusError } from "../../../api/errors";
import { resourceOf } from "../../../api/kinds";
import { keyOf } from "../../../api/meta";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { parseFormat, typeName } from "../print/printer";
import { type FromFile, readFiles, statusMessage } from "../resources";
import { until } from "../watch";
import { writing } from "../writing";
import { sourced } from "./apply";
import { dryRunFlag, dryRunOf, outputFlag, tell } from "./dryrun";

export const replace: Verb = {
  name: "replace",
  short: "Replace a resource by file name or stdin",
  usage: "replace -f FILENAME",
  flags: [
    { name: "filename", short: "f", type: "list" },
    { name: "force", type: "bool" },
    { name: "grace-period", type: "int" },
    { name: "timeout", type: "duration" },
    { name: "cascade", type: "string", alone: "background" },
    { name: "wait", type: "bool" },
    { name: "validate", type: "string", alone: "strict" },
    { name: "save-config", type: "bool" },
    { name: "recursive", short: "R", type: "bool" },
    { name: "field-manager", type: "string" },
    outputFlag,
    dryRunFlag,
  ],
  run: replaceFiles,
};

async function replaceFiles(context: Context): Promise<number> {
  const { flags } = context;
  parseFormat(context, false);
  if (!flags.given("filename")) throw new Failed("error: must specify one of -f and -k");
  if (flags.is("force") && dryRunOf(flags) !== "none")
    throw new Failed("error: --dry-run can not be used when --force is set");
  if ((flags.number("grace-period") ?? -1) >= 0 && !flags.is("force")) {
    throw new Failed("error: --grace-period must have --force specified");
  }
  if (flags.given("timeout") && !flags.is("force")) throw new Failed("error: --timeout must have --force specified");
  let failed = 0;
  const files = readFiles(context);
  if (flags.is("force")) for (const file of files) await remove(context, file);
  for (const file of files) {
    try {
      sourced("replacing", file.source, () => replaceOne(context, file));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      context.err(`${statusMessage(error)}\n`);
      failed = 1;
    }
  }
  return failed;
}

interface Meta {
  readonly name?: string;
  readonly namespace?: string;
}

function replaceOne(context: Context, { manifest, resource }: FromFile): void {
  const { api, flags } = context;
  const meta = (manifest.object.metadata ?? {}) as Meta;
  const namespace = resource.namespaced ? (meta.namespace ?? context.namespace) : "";
  const placed = resource.namespaced ? { ...manifest.object, metadata: { ...meta, namespace } } : manifest.object;
  const options = { ...writing(context, "kubectl-replace", true), ...(resource.namespaced && { namespace }) };
  if (flags.is("force")) {
    tell(context, api.create(resource.kind, placed, options), "replaced");
    return;
  }
  const current = api.get(resource.kind, namespace, meta.name ?? "");
  if (dryRunOf(flags) === "client") tell(context, placed as never, "replaced");
  else
    tell(
      context,
      api.update(resource.kind, keepVersion(placed, current.metadata.resourceVersion), options),
      "replaced",
    );
}

/** Without a version of its own the file replaces whatever there is. */
function keepVersion(object: object, current: string): object {
  const { metadata } = object as { readonly metadata: { readonly resourceVersion?: string } };
  return { ...object, metadata: { ...metadata, resourceVersion: metadata.resourceVersion ?? current } };
}

async function remove(context: Context, { manifest, resource }: FromFile): Promise<void> {
  const { api, flags } = context;
  const meta = (manifest.object.metadata ?? {}) as Meta;
  const namespace = resource.namespaced ? (meta.namespace ?? context.namespace) : "";
  const found = api.store.get(resource.kind, namespace === "" ? (meta.name ?? "") : `${namespace}/${meta.name}`);
  if (!found) return;
  const grace = flags.number("grace-period");
  api.delete(resource.kind, namespace, found.metadata.name, {
    by: "kubectl-replace",
    propagation: "Background",
    ...(grace !== undefined && grace >= 0 && { grace }),
  });
  const where = resource.namespaced ? ` from ${namespace} namespace` : "";
  context.out(`${typeName(resource.kind)} "${found.metadata.name}" deleted${where}\n`);
  const gone = (): boolean => api.store.get(resource.kind, keyOf(found))?.metadata.uid !== found.metadata.uid;
  await until(context, resourceOf(resource.kind), gone, undefined);
}
