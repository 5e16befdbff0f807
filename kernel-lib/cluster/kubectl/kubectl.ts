/** Owns the command `kubectl`: it finds the verb, reads the flags, and words what went wrong. */
import { StatusError } from "../../api/errors";
import { ManifestError } from "../../api/manifest";
import { millisecond } from "../../sim/clock";
import { Failed, type Tool } from "../shell/tool";
import type { Verb } from "./context";
import { parseFlags } from "./flags";
import { statusMessage } from "./resources";
import { apply } from "./verbs/apply";
import { cp } from "./verbs/cp";
import { create } from "./verbs/create";
import { deleteVerb } from "./verbs/delete";
import { describe } from "./verbs/describe";
import { exec } from "./verbs/exec";
import { expose } from "./verbs/expose";
import { get } from "./verbs/get";
import { annotate, label } from "./verbs/label";
import { logs } from "./verbs/logs";
import { patch, set } from "./verbs/patch";
import { rollout } from "./verbs/rollout";
import { run } from "./verbs/run";
import { scale } from "./verbs/scale";
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
  deleteVerb,
  rollout,
  scale,
  describe,
  logs,
  exec,
  cp,
  apply,
  patch,
  wait,
  label,
  annotate,
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
  if (!verb) throw new Failed(`error: unknown command "${name}" for "kubectl"`);
  const given = [...call.args.slice(0, at), ...call.args.slice(at + 1)];
  const flags = parseFlags(given, verb.flags, commandOf(verb, given), { stopAtArgument: verb.stopAtArgument ?? false });
  if (flags.is("help")) {
    call.out(`${verb.short}\n\nUsage:\n  kubectl ${verb.usage}\n`);
    return 0;
  }
  await call.process.sleep(startTime, "foreground");
  const context = {
    call,
    api: call.cluster.api,
    flags,
    namespace: flags.text("namespace") ?? "default",
    out: call.out,
    err: call.err,
  };
  try {
    return await verb.run(context);
  } catch (error) {
    throw worded(error);
  }
};

/** `create deployment`, `rollout status`: what a usage line calls a verb that has verbs of its own. */
function commandOf(verb: Verb, given: readonly string[]): string {
  const [first] = given;
  return (verb.name === "create" || verb.name === "rollout" || verb.name === "set") && first && !first.startsWith("-")
    ? `${verb.name} ${first}`
    : verb.name;
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
