/** Owns how helm shows releases: the status text, and tables as its library sets them. */

import type { Kind, KubeObject } from "../../api/kinds";
import { parseTime } from "../../api/time";
import { unixDate } from "../calendar";
import { printTable } from "../kubectl/print/printer";
import { found } from "./cluster";
import type { HelmContext } from "./context";
import { objectsOf } from "./manifest";
import type { Release } from "./release";

/** `Thu Jan  1 00:01:05 2026` (time.ANSIC). */
export function ansiTime(text: string): string {
  return unixDate(parseTime(text) ?? 0).replace(" UTC", "");
}

/** `2026-01-01 00:01:05.05 +0000 UTC` (time.Time's String). */
export function fullTime(text: string): string {
  return `${text.replace("T", " ").replace("Z", "")} +0000 UTC`;
}

/** gosuri/uitable: columns as wide as their widest cell, with tabs between. */
export function uiTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => [...(row[at] ?? "")].length)));
  return rows
    .map((row) => `${row.map((cell, at) => cell + " ".repeat((widths[at] ?? 0) - [...cell].length)).join("\t")}\n`)
    .join("");
}

/** What install, upgrade and status print. */
export function printStatus(
  context: HelmContext,
  release: Release,
  { resources = false }: { readonly resources?: boolean } = {},
): void {
  const { info } = release;
  const lines = [
    `NAME: ${release.name}`,
    `LAST DEPLOYED: ${ansiTime(info.last_deployed)}`,
    `NAMESPACE: ${release.namespace}`,
    `STATUS: ${info.status}`,
    `REVISION: ${release.version}`,
    `DESCRIPTION: ${info.description}`,
  ];
  if (resources) lines.push(...resourceLines(context, release));
  lines.push("TEST SUITE: None");
  if (info.description === "Dry run complete") {
    lines.push(
      "HOOKS:",
      ...release.hooks.flatMap(({ path, manifest }) => ["---", `# Source: ${path}`, manifest]),
      "MANIFEST:",
      release.manifest,
    );
  }
  const notes = info.notes?.trim() ?? "";
  if (notes !== "" && !context.flags.is("hide-notes")) lines.push("NOTES:", notes);
  context.call.out(`${lines.join("\n")}\n`);
}

function resourceLines(context: HelmContext, release: Release): readonly string[] {
  const groups = new Map<string, KubeObject[]>();
  const add = (title: string, object: KubeObject): void => {
    groups.set(title, [...(groups.get(title) ?? []), object]);
  };
  for (const wanted of objectsOf(release.manifest)) {
    const object = found(context, wanted, release);
    if (!object) continue;
    add(`${object.apiVersion}/${object.kind}`, object);
    for (const pod of podsOf(context, object)) add("v1/Pod(related)", pod);
  }
  if (groups.size === 0) return [];
  const options = { wide: false, headers: true, namespaces: false, labels: false, labelColumns: [], kinds: false };
  const tables = [...groups]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([title, objects]) => {
      const kind = objects[0]?.kind as Kind;
      return `==> ${title}\n${printTable(context.api, kind, objects as never, options)}\n`;
    });
  return [`RESOURCES:\n${tables.join("")}`];
}

function podsOf({ api }: HelmContext, object: KubeObject): readonly KubeObject[] {
  if (object.kind !== "Deployment" && object.kind !== "ReplicaSet" && object.kind !== "DaemonSet") return [];
  return api.store.list("Pod", { namespace: object.metadata.namespace ?? "", selector: object.spec.selector });
}
