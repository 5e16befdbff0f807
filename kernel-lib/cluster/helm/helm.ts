/**
 * Owns the command `helm`: it finds the verb, reads the flags, and words what went wrong. Helm 4 is what it follows.
 *
 * Not simulated: repositories and registries, chart archives, hooks (they are kept and shown, not run), schemas of values,
 * plugins, and those functions of Sprig's that make dates, keys and certificates.
 */
import { StatusError } from "../../api/errors";
import { millisecond } from "../../sim/clock";
import { parseFlags } from "../kubectl/flags";
import { currentContext, readKubeconfig } from "../kubectl/kubeconfig";
import { statusMessage } from "../kubectl/resources";
import { Failed, type Tool } from "../shell/tool";
import type { HelmVerb } from "./context";
import { install, template } from "./verbs/install";
import { get, history, list, show, status, version } from "./verbs/show";
import { uninstall } from "./verbs/uninstall";
import { rollback, upgrade } from "./verbs/upgrade";

/** From Enter to the API server. */
const startTime = 60 * millisecond;

const verbs: readonly HelmVerb[] = [
  get,
  history,
  install,
  list,
  rollback,
  show,
  status,
  template,
  uninstall,
  upgrade,
  version,
];

/** Words of flags that take a value, before the verb. */
const leading = /^(-n|--namespace|--kube-context|--kubeconfig)$/;

/** helm, as a command of the shell. */
export const helm: Tool = async (call) => {
  const at = verbAt(call.args);
  const name = call.args[at];
  if (name === undefined || name === "help") {
    call.out(help());
    return 0;
  }
  let verb = verbs.find((each) => each.name === name || each.aliases?.includes(name));
  if (!verb)
    throw new Failed(`Error: unknown command ${JSON.stringify(name)} for "helm"\nRun 'helm --help' for usage.`);
  let given = [...call.args.slice(0, at), ...call.args.slice(at + 1)];
  let called = verb.name;
  if (verb.verbs) {
    const inner = verbAt(given);
    const below = verb.verbs.find((each) => each.name === given[inner]);
    if (below) {
      given = [...given.slice(0, inner), ...given.slice(inner + 1)];
      called = `${called} ${below.name}`;
      verb = below;
    }
  }
  try {
    return await runVerb(call, verb, called, given);
  } catch (error) {
    if (error instanceof StatusError) throw new Failed(`Error: ${statusMessage(error)}`);
    if (error instanceof Failed && !/^Error: /.test(error.message))
      throw new Failed(`Error: ${error.message}`, error.exitCode);
    throw error;
  }
};

async function runVerb(
  call: Parameters<Tool>[0],
  verb: HelmVerb,
  called: string,
  given: readonly string[],
): Promise<number> {
  let flags: ReturnType<typeof parseFlags>;
  try {
    flags = parseFlags(given, [...verb.flags, { name: "kube-context", type: "string" }], called);
  } catch (error) {
    // pflag's words are the same; only kubectl says where to read more.
    if (error instanceof Failed)
      throw new Failed(error.message.replace(/^error: /, "").replace(/\nSee 'kubectl[\s\S]*$/, ""));
    throw error;
  }
  if (flags.is("help")) {
    call.out(`${verb.short}\n\nUsage:\n  helm ${verb.usage}\n`);
    return 0;
  }
  const count = flags.args.length;
  const { least, most = Number.POSITIVE_INFINITY } = verb.args;
  if (count < least || count > most) {
    const wanted = least === most ? `${least}` : count < least ? `at least ${least}` : `at most ${most}`;
    const noun = /(^| )1$/.test(wanted) ? "argument" : "arguments";
    const problem =
      most === 0 ? `"helm ${called}" accepts no arguments` : `"helm ${called}" requires ${wanted} ${noun}`;
    throw new Failed(`${problem}\n\nUsage:  helm ${verb.usage}`);
  }
  await call.process.sleep(startTime, "foreground");
  const config = readKubeconfig(call, flags.text("kubeconfig"));
  const namespace = flags.text("namespace") ?? (currentContext(config)?.namespace || "default");
  return verb.run({ call, api: call.cluster.api, flags, namespace });
}

function verbAt(args: readonly string[]): number {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-")) return at;
    if (leading.test(arg)) at++;
  }
  return args.length;
}

function help(): string {
  const lines = verbs.map((verb) => `  ${verb.name.padEnd(11)} ${verb.short}`);
  return `The Kubernetes package manager

Usage:
  helm [command]

Available Commands:
${lines.join("\n")}

Use "helm [command] --help" for more information about a command.
`;
}
