/** Owns `kubectl run`: a pod from an image, and a terminal at it. */
import type { Kinds } from "../../../api/kinds";
import { keyOf } from "../../../api/meta";
import { executableName } from "../../../apps/image";
import { parseReference } from "../../../apps/reference";
import { minute } from "../../../sim/clock";
import { scriptOf, shellIn, typeAt } from "../../shell/inside";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { pods } from "../pods";
import { nextChange, until } from "../watch";
import { createOrPrint, dryRunFlag, dryRunOf } from "./dryrun";
import { overridden } from "./overrides";

export const run: Verb = {
  name: "run",
  short: "Run a particular image on the cluster",
  usage:
    'run NAME --image=image [--env="key=value"] [--port=port] [--dry-run=server|client] [--overrides=inline-json] [--command] -- [COMMAND] [args...] [options]',
  flags: [
    { name: "image", type: "string" },
    { name: "stdin", short: "i", type: "bool" },
    { name: "tty", short: "t", type: "bool" },
    { name: "rm", type: "bool" },
    { name: "restart", type: "string" },
    { name: "env", type: "list" },
    { name: "port", type: "string" },
    { name: "labels", short: "l", type: "string" },
    { name: "command", type: "bool" },
    { name: "annotations", type: "list" },
    { name: "image-pull-policy", type: "string" },
    { name: "quiet", short: "q", type: "bool" },
    { name: "attach", type: "bool" },
    { name: "output", short: "o", type: "string" },
    { name: "expose", type: "bool" },
    { name: "overrides", type: "string" },
    { name: "override-type", type: "string" },
    { name: "pod-running-timeout", type: "duration" },
    dryRunFlag,
  ],
  run: runPod,
};

const usage = "\nSee 'kubectl run -h' for help and examples";
const restartPolicies = ["Always", "OnFailure", "Never"];

async function runPod(context: Context): Promise<number> {
  const { flags } = context;
  const names = flags.args.slice(0, flags.beforeDash);
  const [name] = names;
  if (name === undefined) {
    throw new Failed("error: NAME is required for run\nSee 'kubectl run -h' for help and examples");
  }
  const image = flags.text("image");
  if (image === undefined || image === "") throw new Failed('error: required flag(s) "image" not set');
  const restart = flags.text("restart") ?? "Always";
  if (!restartPolicies.includes(restart)) {
    throw new Failed(`error: invalid restart policy: ${restart}${usage}`);
  }
  if ("problem" in parseReference(image)) {
    throw new Failed(`error: Invalid image name ${JSON.stringify(image)}: invalid reference format`);
  }
  if (flags.is("expose") && !flags.given("port")) {
    throw new Failed(`error: --port must be set when exposing a service${usage}`);
  }
  const attach = flags.given("attach") ? flags.is("attach") : flags.is("stdin") || flags.is("tty");
  if (flags.is("tty") && !flags.is("stdin"))
    throw new Failed("error: -i/--stdin is required for containers with -t/--tty=true");
  if (flags.is("rm") && !attach) throw new Failed(`error: --rm should only be used for attached containers${usage}`);
  if (attach && dryRunOf(flags) !== "none") {
    const attached = "attached containers options (--attach, --stdin, or --tty)";
    throw new Failed(`error: --dry-run=[server|client] can't be used with ${attached}${usage}`);
  }
  const draft = overridden(podFor(context, name, image, restart), flags);
  if (flags.is("expose")) createOrPrint(context, "Service", serviceOf(draft, Number(flags.text("port"))), "created");
  if (dryRunOf(flags) !== "none" || !attach) {
    createOrPrint(context, "Pod", draft, "created");
    return 0;
  }
  const pod = context.api.create("Pod", draft, { namespace: context.namespace, by: "kubectl-run" });
  try {
    return await attachTo(context, pod, restart);
  } finally {
    // However it ended.
    if (flags.is("rm")) {
      context.api.delete("Pod", context.namespace, name, { by: "kubectl-delete" });
      context.out(`pod "${name}" deleted from ${context.namespace} namespace\n`);
    }
  }
}

/** The Service of `--expose`. */
function serviceOf(pod: object, port: number): object {
  const { metadata } = pod as {
    readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels: object };
  };
  const { labels, ...named } = metadata;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: named,
    spec: { ports: [{ port, protocol: "TCP", targetPort: port }], selector: labels },
    status: { loadBalancer: {} },
  };
}

function podFor(context: Context, name: string, image: string, restart: string): object {
  const { flags } = context;
  const words = flags.args.filter((_, at) => at >= Math.max(1, Math.min(flags.beforeDash, 1)));
  const port = flags.text("port") === undefined ? undefined : portOf(flags.text("port") ?? "");
  const labels = flags.text("labels");
  const env = flags.texts("env").map((text) => {
    const equals = text.indexOf("=");
    if (equals <= 0) throw new Failed(`error: invalid env: ${text}`);
    return { name: text.slice(0, equals), value: text.slice(equals + 1) };
  });
  const policy = flags.text("image-pull-policy");
  const container = {
    ...(words.length > 0 && (flags.is("command") ? { command: words } : { args: words })),
    ...(env.length > 0 && { env }),
    image,
    ...(policy !== undefined && { imagePullPolicy: policy }),
    name,
    ...(port !== undefined && { ports: [{ containerPort: port }] }),
    resources: {},
    ...(flags.is("stdin") && { stdin: true }),
    ...(flags.is("stdin") && restart === "Never" && { stdinOnce: true }),
    ...(flags.is("tty") && { tty: true }),
  };
  const pairs = labels === undefined ? { run: name } : labelsOf(labels);
  const annotations = Object.fromEntries(
    flags.texts("annotations").map((pair) => keyAndValue(pair, "invalid annotations format")),
  );
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...(flags.given("annotations") && { annotations }),
      labels: pairs,
      name,
      ...(flags.given("namespace") && { namespace: context.namespace }),
    },
    spec: { containers: [container], dnsPolicy: "ClusterFirst", restartPolicy: restart },
    status: {},
  };
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split(",").map((pair) => keyAndValue(pair, "unexpected label spec")));
}

/** @throws Failed unless it is `key=value` */
function keyAndValue(pair: string, problem: string): readonly [string, string] {
  const equals = pair.indexOf("=");
  if (equals <= 0) throw new Failed(`error: ${problem}: ${pair}`);
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}

/** Go's strconv.Atoi. */
function portOf(text: string): number {
  if (!/^[-+]?\d+$/.test(text))
    throw new Failed(`error: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** Waits until the pod runs (or has ended), and connects the terminal to its first program. */
async function attachTo(context: Context, pod: Kinds["Pod"], restart: string): Promise<number> {
  const { api, call, flags } = context;
  const key = keyOf(pod);
  const phase = (): string => api.store.get("Pod", key)?.status.phase ?? "gone";
  const reached = (): boolean => phase() !== "Pending" || failedPull(api.store.get("Pod", key)) !== undefined;
  const end = await until(context, pods, reached, minute);
  if (end === "stopped") return 130;
  const pull = failedPull(api.store.get("Pod", key));
  if (end === "timeout" || pull !== undefined) {
    // kubectl waits a minute for a pod that cannot run, and then gives up.
    if (end !== "timeout") await call.process.sleep(minute);
    throw new Failed("error: timed out waiting for the condition");
  }
  const { name } = pod.metadata;
  const container = call.cluster.container(key, pod.spec.containers[0]?.name);
  if (!container)
    throw new Failed(
      `error: unable to upgrade connection: container ${name} not found in pod ${name}_${context.namespace}`,
    );
  const program = container.spec.argv[0] ?? "";
  const shell = /(^|\/)(sh|ash|bash|dash)$/.test(program) ? shellIn(call.cluster, container) : undefined;
  if (shell && call.terminal && container.running && scriptOf(shell, container.spec.argv.slice(1)) === undefined) {
    if (!flags.is("quiet")) {
      context.err(
        "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.\n",
      );
      context.err("If you don't see a command prompt, try pressing enter.\n");
    }
    let ended = false;
    const options = {
      process: call.process,
      output: (stream: "stdout" | "stderr", text: string) => (stream === "stdout" ? call.out(text) : call.err(text)),
      tty: flags.is("tty"),
    };
    const end = (code: number): void => {
      ended = true;
      call.cluster.attachable.get(container)?.(code);
    };
    const exitCode = await typeAt(shell, executableName(program), call.terminal, options, end);
    if (restart === "Never") {
      // What was attached once ends with its input (stdinOnce).
      if (!ended) end(exitCode);
      return exitCodeOfPod(context, key, exitCode);
    }
    if (!ended) return exitCode;
    call.err(sessionEnded(name, container.spec.name));
    return 0;
  }
  return followToItsEnd(context, key, restart);
}

function failedPull(pod: Kinds["Pod"] | undefined): string | undefined {
  const reason = pod?.status.containerStatuses?.[0]?.state?.waiting?.reason;
  return reason === "ErrImagePull" || reason === "ImagePullBackOff" || reason === "InvalidImageName"
    ? reason
    : undefined;
}

/** Shows what the first program writes until it ends; with `--restart=Never` its exit code is kubectl's. */
async function followToItsEnd(context: Context, key: string, restart: string): Promise<number> {
  const { call } = context;
  let shown = 0;
  for (;;) {
    const container = call.cluster.containers(key)[0];
    for (const line of container?.log.slice(shown) ?? []) {
      if (line.stream === "stdout") call.out(`${line.text}\n`);
      else call.err(`${line.text}\n`);
      shown++;
    }
    if (container?.ending) {
      const { exitCode } = container.ending;
      if (restart !== "Never") {
        call.err(sessionEnded(key.slice(key.indexOf("/") + 1), container.spec.name));
        return 0;
      }
      return exitCodeOfPod(context, key, exitCode);
    }
    if ((await nextLineOrChange(context, container)) === "stopped") return 130;
  }
}

/** Waits until the pod's status says so, too. @throws Failed with that exit code, unless it is 0 */
async function exitCodeOfPod(context: Context, key: string, exitCode: number): Promise<number> {
  const phase = (): string => context.api.store.get("Pod", key)?.status.phase ?? "Failed";
  await until(context, pods, () => /Succeeded|Failed/.test(phase()), minute);
  if (exitCode !== 0) throw new Failed(`pod ${key} terminated (Error)`, exitCode);
  return 0;
}

function sessionEnded(pod: string, container: string): string {
  return `Session ended, resume using 'kubectl attach ${pod} -c ${container} -i -t' command when the pod is running\n`;
}

async function nextLineOrChange(
  context: Context,
  container: { follow(see: () => void): { stop(): void } } | undefined,
): Promise<"woken" | "timeout" | "stopped"> {
  if (!container) return nextChange(context, pods);
  return context.call.process.pause((wake) => {
    const lines = container.follow(wake);
    const subscription = context.api.store.watch("Pod", wake);
    return () => {
      lines.stop();
      subscription.stop();
    };
  });
}
