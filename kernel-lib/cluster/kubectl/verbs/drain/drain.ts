/** Owns `kubectl drain`: a node takes no new pods, and those that it has are evicted (kubectl pkg/cmd/drain). */
import { parseSelector, SelectorError } from "../../../../api/selectors";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { markNodes, nodesMeant, tellNode } from "../cordon";
import { dryRunFlag, dryRunOf } from "../dryrun";
import { deletePods, evictPods, Stopped } from "./evict";
import { choosePods, DrainErrors } from "./filters";

export const drain: Verb = {
  name: "drain",
  short: "Drain node in preparation for maintenance",
  usage: "drain NODE [options]",
  flags: [
    { name: "chunk-size", type: "int" },
    { name: "delete-emptydir-data", type: "bool" },
    { name: "disable-eviction", type: "bool" },
    { name: "force", type: "bool" },
    { name: "grace-period", type: "int" },
    { name: "ignore-daemonsets", type: "bool" },
    { name: "pod-selector", type: "string" },
    { name: "selector", short: "l", type: "string" },
    { name: "skip-wait-for-delete-timeout", type: "int" },
    { name: "timeout", type: "duration" },
    dryRunFlag,
  ],
  run: drainNodes,
};

async function drainNodes(context: Context): Promise<number> {
  checkPodSelector(context);
  const nodes = nodesMeant(context, "drain");
  markNodes(context, "cordon", nodes);
  const failures: { readonly node: string; readonly errors: readonly string[] }[] = [];
  for (const { metadata } of nodes) {
    const node = metadata.name;
    try {
      await emptyNode(context, node);
      tellNode(context, node, "drained");
    } catch (error) {
      if (error instanceof Stopped) return 130;
      if (!(error instanceof DrainErrors)) throw error;
      context.err(`error: unable to drain node "${node}" due to error: ${error.message}, continuing command...\n`);
      failures.push({ node, errors: error.errors });
    }
  }
  if (failures.length === 0) return 0;
  context.err("There are pending nodes to be drained:\n");
  for (const { node } of failures) context.err(` ${node}\n`);
  throw new Failed(failures.flatMap(({ errors }) => errors).join("\n"));
}

function checkPodSelector({ flags }: Context): void {
  try {
    parseSelector(flags.text("pod-selector") ?? "");
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error;
    throw new Failed("error: --pod-selector=<pod_selector> must be a valid label selector");
  }
}

/** deleteOrEvictPodsSimple. @throws DrainErrors */
async function emptyNode(context: Context, node: string): Promise<void> {
  const { flags } = context;
  const { pods, warnings } = choosePods(context, node);
  if (warnings) context.err(`Warning: ${warnings}\n`);
  if (dryRunOf(flags) === "client") {
    for (const { metadata } of pods) context.out(`evicting pod ${metadata.namespace}/${metadata.name} (dry run)\n`);
    return;
  }
  try {
    await (flags.is("disable-eviction") ? deletePods(context, pods) : evictPods(context, pods));
  } catch (error) {
    if (!(error instanceof DrainErrors)) throw error;
    tellPending(context, node, error.message);
    throw error;
  }
}

function tellPending(context: Context, node: string, why: string): void {
  try {
    const { pods } = choosePods(context, node);
    if (pods.length === 0) return;
    context.err(`There are pending pods in node "${node}" when an error occurred: ${why}\n`);
    for (const { metadata } of pods) context.err(`pod/${metadata.name}\n`);
  } catch (error) {
    if (!(error instanceof DrainErrors)) throw error;
    context.err(`Following errors occurred while getting the list of pods to delete:\n${error.message}`);
  }
}
