/** Owns `kubectl rollout history`: revisions, which are a Deployment's ReplicaSets or another set's ControllerRevisions. */
import type { Kinds } from "../../../../api/kinds";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { plainLines } from "../../describe/lines";
import { type Template, templateLines } from "../../describe/pod";
import { parseFormat, printObject, typeName } from "../../print/printer";
import { alignRows } from "../../print/text";
import { objectsMeant, requireObjects } from "../objects";
import { groupKind, rolloutFlags } from "./change";
import { type Historic, revisionsOfSet, setOf } from "./stateful";

const revisionAnnotation = "deployment.kubernetes.io/revision";
const changeCause = "kubernetes.io/change-cause";

export const history: Verb = {
  name: "history",
  short: "View rollout history",
  usage: "rollout history (TYPE NAME | TYPE/NAME) [flags]",
  flags: [...rolloutFlags, { name: "revision", type: "int" }, { name: "output", short: "o", type: "string" }],
  run(context) {
    requireObjects(context, "rollout history");
    const { flags } = context;
    const wanted = flags.number("revision") ?? 0;
    if (wanted < 0) throw new Failed(`error: revision must be a positive integer: ${wanted}`);
    const { objects, failed } = objectsMeant(context, flags.args, true);
    for (const object of objects) {
      if (object.kind !== "Deployment" && object.kind !== "StatefulSet" && object.kind !== "DaemonSet") {
        if (visited.has(object.kind)) {
          throw new Failed(`error: no history viewer has been implemented for "${groupKind(object.kind)}"`);
        }
        throw new Failed(
          `error: error retrieving history for ${JSON.stringify(object.kind)}, no visitor method exists for {${groupOf(object.apiVersion)} ${object.kind}}`,
        );
      }
      show(context, object, wanted);
    }
    return failed ? 1 : 0;
  },
};

/** Kinds that kubectl's visitor knows, and has no history of. */
const visited: ReadonlySet<string> = new Set(["Job", "Pod", "ReplicaSet"]);

function groupOf(apiVersion: string): string {
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}

function show(context: Context, owner: Kinds["Deployment"] | Historic, wanted: number): void {
  const isSet = owner.kind !== "Deployment";
  const all: ReadonlyMap<number, Told> = isSet ? revisionsOfSet(context, owner) : revisionsOf(context, owner);
  const title = `${typeName(owner.kind)}/${owner.metadata.name}`;
  if (wanted > 0) {
    const told = all.get(wanted);
    if (!told) throw new Failed(`error: unable to find the specified revision`);
    const set = whole(owner, told);
    const format = parseFormat(context, false);
    if (format.format !== "table") printObject(context, format, set);
    else {
      const { template } = set.spec;
      const cause = isSet ? undefined : set.metadata.annotations?.[changeCause];
      const annotations = { ...template?.metadata?.annotations, ...(cause !== undefined && { [changeCause]: cause }) };
      const shown = { ...template, metadata: { ...template?.metadata, annotations } } as Template;
      context.out(`${title} with revision #${wanted}\n${plainLines(templateLines(shown))}\n`);
    }
    return;
  }
  const format = parseFormat(context, false);
  if (format.format !== "table") {
    for (const told of all.values()) printObject(context, format, whole(owner, told));
    return;
  }
  if (all.size === 0) {
    context.out(`${title} \nNo rollout history found.\n`);
    return;
  }
  const rows = [...all].map(([revision, set]) => [
    String(revision),
    set.metadata.annotations?.[changeCause] ?? "<none>",
  ]);
  context.out(`${title} \n${alignRows([["REVISION", "CHANGE-CAUSE"], ...rows], { minimum: 0, padding: 2 })}\n`);
}

/** What a revision is of: a ReplicaSet itself, or the set as it was. */
function whole(owner: Kinds["Deployment"] | Historic, told: Told): Kinds["ReplicaSet"] | Historic {
  if (owner.kind !== "Deployment") return setOf(owner, told as Kinds["ControllerRevision"]);
  return told as Kinds["ReplicaSet"];
}

/** What remembers a template. */
type Told = Kinds["ReplicaSet"] | Kinds["ControllerRevision"];

/** Revision → the ReplicaSet that has its template, oldest first. */
export function revisionsOf(
  context: Context,
  deployment: Kinds["Deployment"],
): ReadonlyMap<number, Kinds["ReplicaSet"]> {
  const { namespace = "", uid } = deployment.metadata;
  const own = context.api.store.list("ReplicaSet", { namespace, owner: uid });
  const numbered = own.map((set) => [Number(set.metadata.annotations?.[revisionAnnotation] ?? 0), set] as const);
  return new Map(numbered.sort(([one], [other]) => one - other));
}
