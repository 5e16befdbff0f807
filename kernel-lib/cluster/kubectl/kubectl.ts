/** Owns the command `kubectl`: it finds the verb, reads the flags, and words what went wrong. */
import { StatusError } from "../../api/errors";
import { ManifestError } from "../../api/manifest";
import { millisecond } from "../../sim/clock";
import { type Call, Failed, type Tool } from "../shell/tool";
import type { Context, Verb } from "./context";
import { type Flags, parseFlags } from "./flags";
import { currentContext, readKubeconfig } from "./kubeconfig";
import { statusMessage } from "./resources";
import { apiResources, apiVersions, clusterInfo, options } from "./verbs/about";
import { apply } from "./verbs/apply";
import { config } from "./verbs/config";
import { cordon, uncordon } from "./verbs/cordon";
import { cp } from "./verbs/cp";
import { create } from "./verbs/create/create";
import { deleteVerb } from "./verbs/delete";
import { describe } from "./verbs/describe";
import { drain } from "./verbs/drain/drain";
import { edit } from "./verbs/edit";
import { events } from "./verbs/events";
import { exec } from "./verbs/exec";
import { expose } from "./verbs/expose";
import { get } from "./verbs/get";
import { annotate, label } from "./verbs/label";
import { logs } from "./verbs/logs";
import { patch } from "./verbs/patch";
import { replace } from "./verbs/replace";
import { rollout } from "./verbs/rollout/rollout";
import { run } from "./verbs/run";
import { scale } from "./verbs/scale";
import { set } from "./verbs/set";
import { taint } from "./verbs/taint";
import { version } from "./verbs/version";
import { wait } from "./verbs/wait";

/** From Enter to the API server: the program starts, reads its kubeconfig and asks what resources there are. */
const startTime = 50 * millisecond;

/** What can follow `kubectl`. */
export const verbs: readonly Verb[] = [
  create,
  expose,
  run,
  set,
  get,
  edit,
  deleteVerb,
  rollout,
  scale,
  describe,
  logs,
  exec,
  cp,
  apply,
  patch,
  replace,
  wait,
  events,
  label,
  annotate,
  apiResources,
  apiVersions,
  clusterInfo,
  cordon,
  uncordon,
  drain,
  taint,
  config,
  options,
  version,
];

/** kubectl, as a command of the shell. */
export const kubectl: Tool = async (call) => {
  const at = verbAt(call.args);
  const name = call.args[at];
  if (name === undefined || name === "help") {
    call.out(help());
    return 0;
  }
  const verb = verbs.find((each) => each.name === name);
  if (!verb) throw new Failed(unknownVerb(name));
  const found = below(verb, [...call.args.slice(0, at), ...call.args.slice(at + 1)]);
  const flags = parseFlags(found.given, found.verb.flags, found.called, {
    stopAtArgument: found.verb.stopAtArgument ?? false,
  });
  if (flags.is("help")) {
    call.out(`${found.verb.short}\n\nUsage:\n  kubectl ${found.verb.usage}\n`);
    return 0;
  }
  await call.process.sleep(startTime, "foreground");
  try {
    return await found.verb.run(contextOf(call, flags));
  } catch (error) {
    throw worded(error);
  }
};

function contextOf(call: Call, flags: Flags): Context {
  const config = readKubeconfig(call, flags.text("kubeconfig"));
  const namespace = flags.text("namespace") ?? (currentContext(config)?.namespace || "default");
  const warned = new Set<string>();
  const warn = (text: string): void => {
    if (!warned.has(text)) call.err(`Warning: ${text}\n`);
    warned.add(text);
  };
  const { out, err } = call;
  return { call, api: call.cluster.api, flags, namespace, out, err, warn, documents: { count: 0 } };
}

interface FoundVerb {
  readonly verb: Verb;
  /** What is left of the arguments. */
  readonly given: readonly string[];
  /** `create service clusterip`: what usage lines call it. */
  readonly called: string;
}

/** Goes down to the verb that is meant: `create`, then `service`, then `clusterip`. */
function below(verb: Verb, given: readonly string[], called = verb.name): FoundVerb {
  const at = verbAt(given);
  const word = given[at];
  const inner = verb.verbs?.find(
    ({ name, aliases }) => name === word || (word !== undefined && aliases?.includes(word)),
  );
  if (!inner) return { verb, given, called };
  return below(inner, [...given.slice(0, at), ...given.slice(at + 1)], `${called} ${inner.name}`);
}

/** Verbs that kubectl has, and that this cluster has nothing for. */
const notSimulated = new Set(
  "attach auth autoscale certificate completion debug diff explain kustomize plugin port-forward proxy taint top".split(
    " ",
  ),
);

/** cobra's words, with what it takes for a slip of the finger. */
function unknownVerb(name: string): string {
  if (notSimulated.has(name)) return `error: "kubectl ${name}" is not simulated in this cluster`;
  const close = verbs.map((verb) => verb.name).filter((verb) => distance(name, verb) <= 2 || verb.startsWith(name));
  const problem = `error: unknown command ${JSON.stringify(name)} for "kubectl"`;
  if (close.length === 0) return problem;
  return `${problem}\n\nDid you mean this?\n${close
    .sort()
    .map((verb) => `\t${verb}\n`)
    .join("")}`.trimEnd();
}

/** How many letters differ (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const change = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

/** Where the verb stands: flags of kubectl itself may come before it (`kubectl -n kube-system get pods`). */
function verbAt(args: readonly string[]): number {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-")) return at;
    if (/^(-n|--namespace|-v|--context|--kubeconfig|--request-timeout)$/.test(arg)) at++;
  }
  return args.length;
}

function worded(error: unknown): unknown {
  if (error instanceof StatusError) return new Failed(statusMessage(error));
  if (error instanceof ManifestError) return new Failed(`error: ${error.message}`);
  return error;
}

function help(): string {
  const lines = verbs.map((verb) => `  ${verb.name.padEnd(15)} ${verb.short}`);
  return `kubectl controls the Kubernetes cluster manager.

 Find more information at: https://kubernetes.io/docs/reference/kubectl/

Commands of this cluster's kubectl:
${lines.join("\n")}

Usage:
  kubectl [flags] [options]

Use "kubectl <command> --help" for more information about a given command.
`;
}
