/** Owns `--dry-run` and what the verbs that make objects share. */
import type { Draft, Kind, KubeObject } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context } from "../context";
import type { Flag, Flags } from "../flags";
import { parseFormat, printObjects, typeName } from "../print/printer";

export const dryRunFlag: Flag = { name: "dry-run", type: "string", alone: "unchanged" };

/** @throws Failed in kubectl's words */
export function dryRunOf(flags: Flags): "none" | "client" | "server" {
  const text = flags.text("dry-run") ?? "none";
  if (text === "none" || text === "client" || text === "server") return text;
  // Without a value it means the client's, as kubectl still allows.
  if (text === "unchanged") return "client";
  throw new Failed(`error: Invalid dry-run value (${text}). Must be "none", "server", or "client".`);
}

/** Creates an object, or prints what would be created; `done` is the word for it (`created`, `exposed`). */
export function createOrPrint(context: Context, kind: Kind, draft: object, done: string): KubeObject | undefined {
  const { api, flags, namespace } = context;
  const dryRun = dryRunOf(flags);
  const format = flags.text("output");
  const name = (draft as { metadata: { name: string } }).metadata.name;
  const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRun];
  if (dryRun === "client") {
    if (format === undefined) context.out(`${typeName(kind)}/${name} ${done}${suffix}\n`);
    else context.out(printObjects(parseFormat(format, false), [draft as KubeObject], false));
    return undefined;
  }
  const by = `kubectl-${flagsVerb(context)}`;
  const made = api.create(kind, draft as Draft<Kind>, { namespace, dryRun: dryRun === "server", by });
  if (format === undefined) context.out(`${typeName(kind)}/${made.metadata.name} ${done}${suffix}\n`);
  else context.out(printObjects(parseFormat(format, false), [made], false));
  return made;
}

function flagsVerb(context: Context): string {
  return context.call.args.find((arg) => !arg.startsWith("-")) ?? "create";
}
