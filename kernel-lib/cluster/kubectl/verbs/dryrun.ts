/** Owns `--dry-run`, and how the verbs that write show what came of it. */
import type { Draft, Kind, KubeObject } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context } from "../context";
import type { Flag, Flags } from "../flags";
import { parseFormat, printObject, typeName } from "../print/printer";
import { writing } from "../writing";

export const dryRunFlag: Flag = { name: "dry-run", type: "string", alone: "unchanged" };
export const outputFlag: Flag = { name: "output", short: "o", type: "string" };

/** @throws Failed in kubectl's words */
export function dryRunOf(flags: Flags): "none" | "client" | "server" {
  const text = flags.text("dry-run") ?? "none";
  if (text === "none" || text === "client" || text === "server") return text;
  // Without a value it means the client's, as kubectl still allows.
  if (text === "unchanged") return "client";
  throw new Failed(`error: Invalid dry-run value (${text}). Must be "none", "server", or "client".`);
}

/** `pod/x labeled (dry run)`, or the object in the format of `-o`. */
export function tell(context: Context, object: KubeObject, done: string, typed = false): void {
  const format = parseFormat(context, false);
  if (format.format !== "table") {
    printObject(context, format, object, typed);
    return;
  }
  const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRunOf(context.flags)];
  context.out(`${typeName(object.kind)}/${object.metadata.name} ${done}${suffix}\n`);
}

/** The same by a printer of its own: no `---` between YAML documents. */
export function tellAlone(context: Context, object: KubeObject, done: string): void {
  tell({ ...context, documents: { count: 0 } }, object, done);
}

/** Creates an object, or prints what would be created; `done` is the word for it (`created`, `exposed`). */
export function createOrPrint(
  context: Context,
  kind: Kind,
  draft: object,
  done: string,
  typed = true,
): KubeObject | undefined {
  const { api, flags, namespace } = context;
  parseFormat(context, false);
  if (dryRunOf(flags) === "client") {
    tell(context, draft as KubeObject, done, typed);
    return undefined;
  }
  const by = `kubectl-${context.call.args.find((arg) => !arg.startsWith("-")) ?? "create"}`;
  const made = api.create(kind, draft as Draft<Kind>, { ...writing(context, by, true), namespace });
  tell(context, made, done);
  return made;
}
