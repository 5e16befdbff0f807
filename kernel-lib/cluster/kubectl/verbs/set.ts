/** Owns `kubectl set image|env|selector`. */
import { StatusError } from "../../../api/errors";
import type { KubeObject } from "../../../api/kinds";
import { strategicMerge } from "../../../api/patch";
import { Failed } from "../../shell/tool";
import { type Context, type Verb, verbOfVerbs } from "../context";
import type { Flag } from "../flags";
import { writing } from "../writing";
import { dryRunFlag, dryRunOf, outputFlag, tell } from "./dryrun";
import { objectsMeant } from "./objects";

const flags: readonly Flag[] = [
  { name: "all", type: "bool" },
  { name: "filename", short: "f", type: "list" },
  { name: "selector", short: "l", type: "string" },
  { name: "local", type: "bool" },
  { name: "recursive", short: "R", type: "bool" },
  { name: "template", type: "string" },
  { name: "field-manager", type: "string" },
  outputFlag,
  dryRunFlag,
];

interface Containers {
  readonly names: readonly string[];
  /** A patch of some containers, in its place in the object. */
  patch(containers: readonly object[]): object;
}

const image: Verb = {
  name: "image",
  short: "Update the image of a pod template",
  usage:
    "set image (-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
  flags,
  run(context) {
    const { pairs, objects, failed } = meant(context, "image");
    let wrong = failed;
    for (const object of objects) {
      const found = containersOf(object);
      if (!found) {
        context.err(noTemplate(object));
        wrong = true;
        continue;
      }
      const wanted = pairs.map(
        (pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)] as const,
      );
      const missing = wanted.filter(([name]) => name !== "*" && !found.names.includes(name));
      if (missing.length > 0) {
        for (const [name] of missing) context.err(`error: unable to find container named "${name}"\n`);
        wrong = true;
        continue;
      }
      const containers = wanted.flatMap(([name, value]) =>
        (name === "*" ? found.names : [name]).map((one) => ({ name: one, image: value })),
      );
      if (!writePods(context, object, found.patch(containers), "image")) wrong = true;
    }
    return wrong ? 1 : 0;
  },
};

const env: Verb = {
  name: "env",
  short: "Update environment variables on a pod template",
  usage: "set env RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
  flags: [
    ...flags,
    { name: "containers", short: "c", type: "string" },
    { name: "env", short: "e", type: "list" },
    { name: "list", type: "bool" },
    { name: "overwrite", type: "bool" },
  ],
  run(context) {
    const { flags: given } = context;
    const { pairs: typed, objects, failed } = meant(context, "environment variable", true);
    const pairs = [...typed, ...given.texts("env")];
    if (pairs.length === 0 && !given.is("list"))
      throw new Failed("error: at least one environment variable must be provided");
    const pattern = new RegExp(
      `^${(given.text("containers") ?? "*").replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`,
    );
    let wrong = failed;
    for (const object of objects) {
      const found = containersOf(object);
      if (!found) {
        context.err(noTemplate(object));
        wrong = true;
        continue;
      }
      const names = found.names.filter((name) => pattern.test(name));
      if (names.length === 0) continue;
      if (given.is("list")) list(context, object, names);
      else {
        const variables = pairs.map((pair) =>
          pair.includes("=")
            ? { name: pair.slice(0, pair.indexOf("=")), value: pair.slice(pair.indexOf("=") + 1) }
            : { $patch: "delete", name: pair.slice(0, -1) },
        );
        const patch = found.patch(names.map((name) => ({ name, env: variables })));
        if (!writePods(context, object, patch, "env")) wrong = true;
      }
    }
    return wrong ? 1 : 0;
  },
};

const selector: Verb = {
  name: "selector",
  short: "Set the selector on a resource",
  usage: "set selector (-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
  flags: [...flags.filter(({ name }) => name !== "selector"), { name: "resource-version", type: "string" }],
  run(context) {
    const { args, given } = { args: context.flags.args, given: context.flags.given("filename") };
    const expression = args.at(-1);
    if (expression === undefined || (!given && args.length < 2)) {
      throw new Failed("error: one or more resources must be specified as <resource> <name> or <resource>/<name>");
    }
    if (!/[=!,]| in | notin /.test(expression) && args.length === 2 && !given) {
      throw new Failed("error: resource(s) were provided, but no name was specified");
    }
    const pairs = expression.split(",").filter((pair) => pair !== "");
    const entries = pairs.map((pair) => {
      const [key = "", value, ...more] = pair.split(/==?/);
      if (value === undefined)
        throw new Failed(`error: match expression [{${pair} Exists []}] not supported on this object`);
      if (more.length > 0 || key === "") throw new Failed(`error: invalid selector: ${expression}`);
      return [key.trim(), value.trim()] as const;
    });
    const { objects, failed } = objectsMeant(context, args.slice(0, -1));
    for (const object of objects) {
      if (object.kind !== "Service") {
        throw new Failed("error: setting a selector is only supported for Services");
      }
      const gone = Object.keys(object.spec.selector ?? {}).map((key) => [key, null] as const);
      const patch = { spec: { selector: { ...Object.fromEntries(gone), ...Object.fromEntries(entries) } } };
      write(context, object, patch, "selector updated");
    }
    return failed ? 1 : 0;
  },
};

export const set: Verb = verbOfVerbs("set", "Set specific features on objects", [env, image, selector]);

function meant(
  context: Context,
  what: string,
  optional = false,
): { readonly pairs: readonly string[]; readonly objects: readonly KubeObject[]; readonly failed: boolean } {
  const { args } = context.flags;
  const isPair = (arg: string): boolean => arg.includes("=") || (optional && arg.endsWith("-") && arg.length > 1);
  const first = args.findIndex(isPair);
  const pairs = first < 0 ? [] : args.slice(first);
  if (pairs.length === 0 && !optional) throw new Failed(`error: at least one ${what} update is required`);
  const { objects, failed } = objectsMeant(context, first < 0 ? args : args.slice(0, first));
  return { pairs, objects, failed };
}

/** Changes a pod template; what the server refuses is told, and the next object is looked at. */
function writePods(context: Context, object: KubeObject, patch: object, what: "image" | "env"): boolean {
  try {
    write(context, object, patch, `${what} updated`);
    return true;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    context.err(`error: failed to patch ${what} update to pod template: ${error.message}\n`);
    return false;
  }
}

function write(context: Context, object: KubeObject, patch: object, done: string): void {
  if (context.flags.is("local") || dryRunOf(context.flags) === "client") {
    tell(context, typed(strategicMerge(object, patch) as KubeObject), done);
    return;
  }
  const { namespace = "", name, resourceVersion } = object.metadata;
  const after = context.api.patch(object.kind, namespace, name, "strategic", patch, writing(context, "kubectl-set"));
  // What was so already is not mentioned.
  if (after.metadata.resourceVersion === resourceVersion && dryRunOf(context.flags) === "none") return;
  tell(context, after, done);
}

function noTemplate({ kind, metadata }: KubeObject): string {
  const what = "the object is not a pod or does not have a pod template";
  return `error: ${kind.toLowerCase()}/${metadata.name} ${what}: *v1.${kind}\n`;
}

/** A manifest as Go's types hold it: structs that were left out are there, empty. */
function typed(object: KubeObject): KubeObject {
  const empty: Readonly<Record<string, object>> = {
    Pod: { status: {} },
    Deployment: { spec: { strategy: {} }, status: {} },
    ReplicaSet: { status: { replicas: 0 } },
    DaemonSet: {
      spec: { updateStrategy: {} },
      status: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
    },
    StatefulSet: { spec: { updateStrategy: {} }, status: { availableReplicas: 0, replicas: 0 } },
    Job: { status: {} },
  };
  const names = containersOf(object)?.names ?? [];
  const containers = names.map((name) => ({ name, resources: {} }));
  const filled = strategicMerge(empty[object.kind] ?? {}, containersOf(object)?.patch(containers) ?? {});
  return strategicMerge(filled, object) as KubeObject;
}

function list(context: Context, object: KubeObject, names: readonly string[]): void {
  const spec =
    object.kind === "Pod"
      ? object.spec
      : "spec" in object && "template" in object.spec
        ? object.spec.template?.spec
        : undefined;
  for (const container of spec?.containers ?? []) {
    if (!names.includes(container.name)) continue;
    context.out(`# ${object.kind} ${object.metadata.name}, container ${container.name}\n`);
    for (const { name, value } of container.env ?? []) context.out(`${name}=${value ?? ""}\n`);
  }
}

function containersOf(object: KubeObject): Containers | undefined {
  switch (object.kind) {
    case "Pod":
      return {
        names: object.spec.containers.map(({ name }) => name),
        patch: (containers) => ({ spec: { containers } }),
      };
    case "Deployment":
    case "ReplicaSet":
    case "DaemonSet":
    case "StatefulSet":
    case "Job":
      return {
        names: object.spec.template?.spec?.containers.map(({ name }) => name) ?? [],
        patch: (containers) => ({ spec: { template: { spec: { containers } } } }),
      };
    default:
      return undefined;
  }
}
