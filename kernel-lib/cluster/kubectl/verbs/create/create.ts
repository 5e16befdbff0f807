/** Owns `kubectl create`: objects from files; its generators stand below it. */
import { StatusError } from "../../../../api/errors";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { compactJson } from "../../print/json";
import { readFiles, statusMessage } from "../../resources";
import { lastApplied, sourced } from "../apply";
import { createOrPrint } from "../dryrun";
import { configmap, namespace, serviceaccount } from "./data";
import { deployment } from "./deployment";
import { generatorFlags } from "./generator";
import { job } from "./job";
import { poddisruptionbudget } from "./pdb";
import { secret } from "./secret";
import { service } from "./service";

export const create: Verb = {
  name: "create",
  short: "Create a resource from a file or from stdin",
  usage: "create -f FILENAME",
  flags: [
    ...generatorFlags,
    { name: "filename", short: "f", type: "list" },
    { name: "recursive", short: "R", type: "bool" },
    { name: "selector", short: "l", type: "string" },
  ],
  verbs: [configmap, deployment, job, namespace, poddisruptionbudget, secret, service, serviceaccount],
  run: fromFiles,
};

/** Generators that kubectl has for kinds that this cluster has not. */
const notSimulated = new Set(
  "clusterrole clusterrolebinding cronjob ingress priorityclass pc quota resourcequota role rolebinding token".split(
    " ",
  ),
);

function fromFiles(context: Context): number {
  const { flags } = context;
  if (!flags.given("filename")) {
    if (flags.args.length > 0) {
      if (notSimulated.has(flags.args[0] ?? "")) {
        throw new Failed(`error: "kubectl create ${flags.args[0]}" is not simulated in this cluster`);
      }
      const unexpected = `error: Unexpected args: [${flags.args.join(" ")}]`;
      throw new Failed(`${unexpected}\nSee 'kubectl create -h' for help and examples`);
    }
    throw new Failed("error: must specify one of -f and -k");
  }
  let failed = 0;
  for (const { manifest, source, resource } of readFiles(context)) {
    const meta = (manifest.object.metadata ?? {}) as { readonly namespace?: string; readonly annotations?: object };
    const space = meta.namespace ?? context.namespace;
    const placed = resource.namespaced
      ? { ...manifest.object, metadata: { ...meta, namespace: space } }
      : manifest.object;
    const saved = flags.is("save-config") ? withConfig(placed) : placed;
    try {
      sourced("creating", source, () =>
        createOrPrint({ ...context, namespace: space }, resource.kind, saved, "created", false),
      );
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      context.err(`${statusMessage(error)}\n`);
      failed = 1;
    }
  }
  return failed;
}

function withConfig(object: Readonly<Record<string, unknown>>): object {
  const meta = (object.metadata ?? {}) as { readonly annotations?: Readonly<Record<string, string>> };
  const bare = { ...object, metadata: { annotations: {}, ...meta } };
  const annotations = { ...meta.annotations, [lastApplied]: `${compactJson(bare)}\n` };
  return { ...object, metadata: { ...meta, annotations } };
}
