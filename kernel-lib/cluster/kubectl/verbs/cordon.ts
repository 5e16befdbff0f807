/** Owns `kubectl cordon` and `kubectl uncordon`: whether a node takes new pods. */
import { StatusError } from "../../../api/errors";
import { type Kinds, resourceOf } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { findObjects, readArguments } from "../resources";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf } from "./dryrun";

type Node = Kinds["Node"];

function verbOf(name: "cordon" | "uncordon", short: string): Verb {
  return {
    name,
    short,
    usage: `${name} NODE`,
    flags: [{ name: "selector", short: "l", type: "string" }, dryRunFlag],
    run(context) {
      markNodes(context, name, nodesMeant(context, name));
      return 0;
    },
  };
}

export const cordon = verbOf("cordon", "Mark node as unschedulable");
export const uncordon = verbOf("uncordon", "Mark node as schedulable");

/** The nodes of `NODE…` or `--selector`: all of them, or an error (pkg/cmd/drain: Complete). @throws Failed */
export function nodesMeant(context: Context, verb: string): readonly Node[] {
  const { flags } = context;
  const named = flags.args.length > 0;
  const help = `See 'kubectl ${verb} -h' for help and examples`;
  if (!named && !flags.given("selector")) throw new Failed(`error: USAGE: ${verb} NODE [flags]\n${help}`);
  if (named && flags.text("selector")) {
    throw new Failed(`error: cannot specify both a node name and a --selector option\n${help}`);
  }
  dryRunOf(flags);
  if (named) return flags.args.map((arg) => nodeOf(context, arg));
  const { objects, failed } = findObjects(context, [{ resource: resourceOf("Node"), name: undefined }]);
  if (failed) throw new Failed("");
  return objects as readonly Node[];
}

/** `node-1`, `node/node-1`. */
function nodeOf({ api, namespace }: Context, arg: string): Node {
  const [asked] = readArguments(arg.includes("/") ? [arg] : ["nodes", arg]);
  const { kind, group, version, plural } = asked?.resource ?? resourceOf("Node");
  const object = api.get(kind, namespace, asked?.name ?? "");
  if (object.kind === "Node") return object;
  throw new Failed(`error: expected resource of type node, got "${group}/${version}, Resource=${plural}"`);
}

/** Marks each node that is not marked yet, and says so. */
export function markNodes(context: Context, verb: "cordon" | "uncordon", nodes: readonly Node[]): void {
  const { api, flags } = context;
  const wanted = verb === "cordon";
  for (const { metadata, spec } of nodes) {
    const is = spec.unschedulable ?? false;
    if (is !== wanted && dryRunOf(flags) !== "client") {
      const patch = { spec: { unschedulable: wanted ? true : null } };
      try {
        api.patch("Node", "", metadata.name, "strategic", patch, writing(context, `kubectl-${verb}`));
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        context.err(`error: unable to ${verb} node "${metadata.name}": ${error.message}\n`);
        continue;
      }
    }
    tellNode(context, metadata.name, `${is === wanted ? "already " : ""}${verb}ed`);
  }
}

/** `node/node-1 drained (dry run)` */
export function tellNode(context: Context, name: string, done: string): void {
  const suffix = { none: "", client: " (dry run)", server: " (server dry run)" }[dryRunOf(context.flags)];
  context.out(`node/${name} ${done}${suffix}\n`);
}
