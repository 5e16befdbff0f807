/** Owns `kubectl rollout history`: a Deployment's revisions, which its ReplicaSets are. */
import type { Kinds } from "../../../../api/kinds";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { plainLines } from "../../describe/lines";
import { type Template, templateLines } from "../../describe/pod";
import { parseFormat, printObject, typeName } from "../../print/printer";
import { alignRows } from "../../print/text";
import { objectsMeant, requireObjects } from "../objects";
import { rolloutFlags } from "./change";

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
      if (object.kind !== "Deployment") {
        throw new Failed(
          `error: error retrieving history for ${JSON.stringify(object.kind)}, no visitor method exists for {${groupOf(object.apiVersion)} ${object.kind}}`,
        );
      }
      show(context, object, wanted);
    }
    return failed ? 1 : 0;
  },
};

function groupOf(apiVersion: string): string {
  return apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
}

function show(context: Context, deployment: Kinds["Deployment"], wanted: number): void {
  const all = revisionsOf(context, deployment);
  const title = `${typeName("Deployment")}/${deployment.metadata.name}`;
  if (wanted > 0) {
    const set = all.get(wanted);
    if (!set) throw new Failed(`error: unable to find the specified revision`);
    const format = parseFormat(context, false);
    if (format.format !== "table") printObject(context, format, set);
    else {
      const { template } = set.spec;
      const cause = set.metadata.annotations?.[changeCause];
      const annotations = { ...template?.metadata?.annotations, ...(cause !== undefined && { [changeCause]: cause }) };
      const told = { ...template, metadata: { ...template?.metadata, annotations } } as Template;
      context.out(`${title} with revision #${wanted}\n${plainLines(templateLines(told))}\n`);
    }
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
