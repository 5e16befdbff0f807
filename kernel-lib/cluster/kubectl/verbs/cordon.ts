/** Owns `kubectl cordon` and `kubectl uncordon`: whether a node takes new pods. */
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf } from "./dryrun";
import { objectsMeant } from "./objects";

function verbOf(name: "cordon" | "uncordon", short: string): Verb {
  return {
    name,
    short,
    usage: `${name} NODE`,
    flags: [{ name: "selector", short: "l", type: "string" }, dryRunFlag],
    run: (context) => change(context, name),
  };
}

function change(context: Context, name: "cordon" | "uncordon"): number {
  const { api, flags } = context;
  const named = flags.args.length > 0;
  if (!named && !flags.given("selector"))
    throw new Failed(`error: USAGE: ${name} NODE [flags]\nSee 'kubectl ${name} -h' for help and examples`);
  if (named && flags.given("selector"))
    throw new Failed("error: cannot specify both a node name and a --selector option");
  const args = flags.args.map((arg) => (arg.includes("/") ? arg : `node/${arg}`));
  const { objects, failed } = objectsMeant(context, named ? args : ["nodes"]);
  const wanted = name === "cordon";
  const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRunOf(flags)];
  for (const object of objects) {
    if (object.kind !== "Node") throw new Failed(`error: unable to ${name} node "${object.metadata.name}"`);
    const is = object.spec.unschedulable ?? false;
    if (is !== wanted && dryRunOf(flags) !== "client") {
      const patch = { spec: { unschedulable: wanted ? true : null } };
      api.patch("Node", "", object.metadata.name, "strategic", patch, writing(context, `kubectl-${name}`));
    }
    context.out(`node/${object.metadata.name} ${is === wanted ? "already " : ""}${name}ed${suffix}\n`);
  }
  return failed ? 1 : 0;
}

export const cordon = verbOf("cordon", "Mark node as unschedulable");
export const uncordon = verbOf("uncordon", "Mark node as schedulable");
