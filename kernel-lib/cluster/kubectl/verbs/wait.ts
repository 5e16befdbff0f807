/** Owns `kubectl wait`: until a condition holds, a value is there, or an object is gone. */
import type { KubeObject } from "../../../api/kinds";
import { resourceOf } from "../../../api/kinds";
import { keyOf } from "../../../api/meta";
import { second } from "../../../sim/clock";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { durationOf } from "../flags";
import { findValues } from "../print/jsonpath";
import { typeName } from "../print/printer";
import { findObjects, readArguments, readFiles } from "../resources";
import { until } from "../watch";
import { nothingNamed } from "./objects";

export const wait: Verb = {
  name: "wait",
  short: "Wait for a specific condition on one or many resources",
  usage:
    "wait ([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]] [options]",
  flags: [
    { name: "for", type: "string" },
    { name: "timeout", type: "duration" },
    { name: "selector", short: "l", type: "string" },
    { name: "field-selector", type: "string" },
    { name: "all", type: "bool" },
    { name: "all-namespaces", short: "A", type: "bool" },
    { name: "filename", short: "f", type: "list" },
  ],
  run: waitFor,
};

type Holds = (object: KubeObject | undefined) => boolean;

async function waitFor(context: Context): Promise<number> {
  const { api, call, flags } = context;
  const { holds, forDelete, forCreate } = conditionOf(flags.text("for"));
  const asked = flags.given("filename")
    ? readFiles(context).map(({ resource, manifest }) => ({
        resource,
        name: (manifest.object.metadata as { readonly name?: string } | undefined)?.name,
      }))
    : readArguments(flags.args);
  if (asked.length === 0) throw new Failed(nothingNamed);
  if (
    asked.some(({ name }) => name === undefined) &&
    !flags.is("all") &&
    !flags.given("selector") &&
    !flags.given("field-selector")
  ) {
    throw new Failed("error: resource(s) were provided, but no name was specified");
  }
  const limit = durationOf(flags.text("timeout") ?? "30s");
  const timeout = limit < 0 ? 7 * 24 * 3600 * second : limit;
  const end = call.cluster.sim.clock.now + timeout;
  const narrowing = { allNamespaces: flags.is("all-namespaces") };
  const quiet = forDelete || forCreate ? { ...context, err: () => {} } : context;
  let { objects, failed } = findObjects(quiet, asked, narrowing);
  if (forCreate && objects.length === 0 && asked[0]) {
    const first = asked[0].resource;
    await until(context, first, () => findObjects(quiet, asked, narrowing).objects.length > 0, timeout);
    ({ objects, failed } = findObjects(context, asked, narrowing));
  }
  if (objects.length === 0) {
    if (forDelete || failed) return failed && !forDelete ? 1 : 0;
    throw new Failed("error: no matching resources found");
  }
  let exitCode = failed && !forDelete ? 1 : 0;
  for (const object of objects) {
    const resource = resourceOf(object.kind);
    const now = (): KubeObject | undefined => {
      const stored = api.store.get(object.kind, keyOf(object));
      return stored?.metadata.uid === object.metadata.uid ? (stored as KubeObject) : undefined;
    };
    const left = Math.max(0, end - call.cluster.sim.clock.now);
    const how = await until(context, resource, () => holds(now()) || (!forDelete && !now()), left);
    if (how === "stopped") return 130;
    if (how === "timeout") {
      context.err(`error: timed out waiting for the condition on ${resource.plural}/${object.metadata.name}\n`);
      exitCode = 1;
    } else if (!forDelete && !now()) {
      context.err(`Error from server (NotFound): ${resource.plural} "${object.metadata.name}" not found\n`);
      exitCode = 1;
    } else context.out(`${typeName(object.kind)}/${object.metadata.name} condition met\n`);
  }
  return exitCode;
}

/** Reads `--for`. @throws Failed in kubectl's words */
function conditionOf(text: string | undefined): { holds: Holds; forDelete: boolean; forCreate: boolean } {
  const none = { forDelete: false, forCreate: false };
  if (text === undefined || text === "") throw new Failed('error: unrecognized condition: ""');
  if (text === "delete") return { holds: (object) => object === undefined, forDelete: true, forCreate: false };
  if (text === "create") return { holds: (object) => object !== undefined, forDelete: false, forCreate: true };
  const condition = /^condition=([^=]+)(?:=(.*))?$/.exec(text);
  if (condition) {
    const [, type = "", wanted = "true"] = condition;
    return { ...none, holds: (object) => object !== undefined && hasCondition(object, type, wanted) };
  }
  const path = /^jsonpath=(\{[\s\S]*?\}|'[\s\S]*?'|[^={}']+)(?:={1,2}([\s\S]*))?$/.exec(text);
  if (path) {
    const [, expression = "", wanted] = path;
    return {
      ...none,
      holds: (object) => {
        const values = object ? findValues(expression.replace(/^'|'$/g, ""), object) : [];
        return values.length > 0 && (wanted === undefined || values.some((value) => String(value) === wanted));
      },
    };
  }
  throw new Failed(`error: unrecognized condition: ${JSON.stringify(text)}`);
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly observedGeneration?: number;
}

function hasCondition(object: KubeObject, type: string, wanted: string): boolean {
  const status = "status" in object ? (object.status as { readonly conditions?: readonly Condition[] }) : undefined;
  const found = status?.conditions?.find((each) => each.type.toLowerCase() === type.toLowerCase());
  if (!found || found.status.toLowerCase() !== wanted.toLowerCase()) return false;
  // A condition that was computed for an older spec does not count (wait.go, checkCondition).
  const whole = status as { readonly observedGeneration?: number } | undefined;
  const observed = found.observedGeneration ?? whole?.observedGeneration;
  const { generation } = object.metadata as { readonly generation?: number };
  return observed === undefined || generation === undefined || observed >= generation;
}
