/** Owns `crictl`, which asks a node's container runtime about sandboxes and containers, and stops them. */
import { rfc3339Micro } from "../../api/time";
import type { Container } from "../../node/container";
import type { PodWorker } from "../../node/pod";
import type { Sandbox } from "../../node/sandbox";
import { second, type Time } from "../../sim/clock";
import { type Call, Failed, type Tool } from "../shell/tool";
import { tabbed } from "./columns";

interface RuntimeSandbox {
  readonly worker: PodWorker;
  readonly sandbox: Sandbox;
  readonly created: Time;
}

interface RuntimeContainer {
  readonly worker: PodWorker;
  readonly container: Container;
  readonly attempt: number;
  readonly created: Time;
}

type Command = (call: Call, args: Arguments) => number;

interface Arguments {
  readonly words: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
}

/** How long the kubelet leaves a sandbox that was replaced (its garbage collection, once a minute). */
const kept = 60 * second;

function sandboxes({ cluster, place }: Call): readonly RuntimeSandbox[] {
  const pods = cluster.nodes.get(place.name)?.kubelet.pods ?? [];
  return pods
    .flatMap((worker) => worker.sandboxes.map((sandbox) => ({ worker, sandbox, created: sandbox.pause?.started ?? 0 })))
    .filter(({ worker, sandbox }) => sandbox === worker.sandboxes[0] || cluster.now - (sandbox.stopped ?? 0) < kept)
    .sort((one, other) => other.created - one.created);
}

function containers({ cluster, place }: Call): readonly RuntimeContainer[] {
  const pods = cluster.nodes.get(place.name)?.kubelet.pods ?? [];
  return pods
    .flatMap((worker) =>
      worker.lives.flatMap(({ container, previous, restarts }): RuntimeContainer[] => {
        const list: RuntimeContainer[] = [];
        if (container?.started !== undefined) {
          list.push({ worker, container, attempt: restarts, created: container.started });
        }
        if (previous?.started !== undefined && previous !== container) {
          list.push({ worker, container: previous, attempt: restarts - 1, created: previous.started });
        }
        return list;
      }),
    )
    .sort((one, other) => other.created - one.created);
}

/** go-units' HumanDuration, which crictl prints. */
export function humanDuration(time: Time): string {
  const seconds = Math.floor(time / second);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(seconds / 3600);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  return `${Math.floor(hours / 24)} days`;
}

const short = (id: string): string => id.slice(0, 13);
const sandboxOf = (worker: PodWorker): string => worker.sandboxes[0]?.id ?? "";
const stateOf = (container: Container): string => (container.running ? "Running" : "Exited");
const imageOf = (container: Container): string => container.spec.image.id.replace(/^.*@sha256:/, "");

const pods: Command = (call, { flags, values }) => {
  const name = values.get("name");
  const namespace = values.get("namespace");
  const state = values.get("state");
  const list = sandboxes(call).filter(({ worker: { pod }, sandbox }) => {
    if (name !== undefined && !new RegExp(name).test(pod.metadata.name)) return false;
    if (namespace !== undefined && pod.metadata.namespace !== namespace) return false;
    return state === undefined || state.toLowerCase() === (sandbox.stopped === undefined ? "ready" : "notready");
  });
  if (flags.has("quiet")) {
    call.out(list.map(({ sandbox }) => `${sandbox.id}\n`).join(""));
    return 0;
  }
  const head = ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"];
  const rows = list.map(({ worker: { pod }, sandbox, created }) => [
    short(sandbox.id),
    `${humanDuration(call.cluster.now - created)} ago`,
    sandbox.stopped === undefined ? "Ready" : "NotReady",
    pod.metadata.name,
    pod.metadata.namespace ?? "",
    String(sandbox.attempt),
    "(default)",
  ]);
  call.out(tabbed([head, ...rows]));
  return 0;
};

const ps: Command = (call, { flags, values }) => {
  const [name, pod] = [values.get("name"), values.get("pod")];
  const list = containers(call).filter(({ worker, container }) => {
    if (name !== undefined && !new RegExp(name).test(container.spec.name)) return false;
    if (pod !== undefined && !sandboxOf(worker).startsWith(pod)) return false;
    return flags.has("all") || container.running;
  });
  if (flags.has("quiet")) {
    call.out(list.map(({ container }) => `${container.spec.id}\n`).join(""));
    return 0;
  }
  const head = ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"];
  const rows = list.map(({ worker, container, attempt, created }) => [
    short(container.spec.id),
    short(imageOf(container)),
    `${humanDuration(call.cluster.now - created)} ago`,
    stateOf(container),
    container.spec.name,
    String(attempt),
    short(sandboxOf(worker)),
    worker.pod.metadata.name,
    worker.pod.metadata.namespace ?? "",
  ]);
  call.out(tabbed([head, ...rows]));
  return 0;
};

function fatal(text: string): Failed {
  return new Failed(`FATA[0000] ${text}`);
}

/** The one whose id begins so. @throws Failed in the runtime's words */
function byId<T>(list: readonly T[], id: string, idOf: (one: T) => string, doing: string, what: string): T {
  const found = list.filter((one) => idOf(one).startsWith(id));
  const [only] = found;
  const rpc = `${doing} "${id}": rpc error: code = NotFound desc = an error occurred when try to find ${what} "${id}"`;
  if (!only || id === "") throw fatal(`${rpc}: not found`);
  if (found.length > 1) throw fatal(`${rpc}: multiple IDs found with provided prefix: ${id}`);
  return only;
}

/** Without a timeout it is SIGKILL at once, as crictl's default of 0 seconds has it. */
const stop: Command = (call, { words, values }) => {
  if (words.length === 0) throw fatal("ID cannot be empty");
  for (const id of words) {
    const { container } = byId(
      containers(call),
      id,
      (one) => one.container.spec.id,
      "stopping the container",
      "container",
    );
    const timeout = Number(values.get("timeout") ?? "0");
    if (timeout > 0) {
      container.signal(container.spec.image.stopSignal);
      call.cluster.sim.clock.after(timeout * second, () => container.signal("SIGKILL"));
    } else container.signal("SIGKILL");
    call.out(`${id}\n`);
  }
  return 0;
};

const stopSandbox: Command = (call, { words }) => {
  if (words.length === 0) throw fatal("ID cannot be empty");
  for (const id of words) {
    const found = byId(sandboxes(call), id, (one) => one.sandbox.id, "stopping the pod sandbox", "sandbox");
    if (found.sandbox.stopped === undefined) found.worker.stopSandbox();
    call.out(`Stopped sandbox ${id}\n`);
  }
  return 0;
};

const inspect: Command = (call, { words, values }) => {
  const [id = ""] = words;
  const found = byId(
    containers(call),
    id,
    (one) => one.container.spec.id,
    "getting the status of the container",
    "container",
  );
  const { worker, container, attempt, created } = found;
  const pause = worker.sandboxes[0]?.pause;
  const shared = (type: string, file: string) => ({ type, path: `/proc/${pause?.pid ?? 0}/ns/${file}` });
  const pid = container.processes[0]?.hostPid ?? 0;
  const about = {
    status: {
      id: container.spec.id,
      metadata: { attempt, name: container.spec.name },
      state: container.running ? "CONTAINER_RUNNING" : "CONTAINER_EXITED",
      createdAt: rfc3339Micro(created),
      ...(container.ending && { exitCode: container.ending.exitCode, finishedAt: rfc3339Micro(container.ending.at) }),
      image: { image: container.spec.image.reference },
      imageRef: container.spec.image.id,
    },
    info: {
      sandboxID: sandboxOf(worker),
      pid,
      runtimeSpec: {
        process: { args: container.spec.argv, cwd: container.spec.folder || "/" },
        hostname: container.spec.hostname,
        linux: {
          namespaces: [
            { type: "pid" },
            shared("ipc", "ipc"),
            shared("uts", "uts"),
            { type: "mount" },
            shared("network", "net"),
            { type: "cgroup" },
          ],
        },
      },
    },
  };
  return printed(call, about, values);
};

const inspectSandbox: Command = (call, { words, values }) => {
  const [id = ""] = words;
  const found = byId(sandboxes(call), id, (one) => one.sandbox.id, "getting the status of the pod sandbox", "sandbox");
  const { worker, sandbox, created } = found;
  const { metadata } = worker.pod;
  const running = sandbox.stopped === undefined;
  const about = {
    status: {
      id: sandbox.id,
      metadata: { attempt: sandbox.attempt, name: metadata.name, namespace: metadata.namespace, uid: metadata.uid },
      state: running ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
      createdAt: rfc3339Micro(created),
      network: { additionalIps: [], ip: running ? (worker.pod.status.podIP ?? "") : "" },
    },
    info: { pid: running ? (sandbox.pause?.pid ?? 0) : 0, image: "registry.k8s.io/pause:3.10.1" },
  };
  return printed(call, about, values);
};

/** JSON, or one value of it (`-o go-template --template '{{.info.pid}}'`). */
function printed(call: Call, about: object, values: ReadonlyMap<string, string>): number {
  const template = values.get("template");
  if (template === undefined) {
    call.out(`${JSON.stringify(about, null, 2)}\n`);
    return 0;
  }
  call.out(
    `${template.replace(/\{\{\s*\.([\w.]*)\s*\}\}/g, (_, path: string) => {
      let value: unknown = about;
      for (const key of path.split(".").filter(Boolean)) {
        value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
      }
      return value === undefined ? "<no value>" : String(value);
    })}\n`,
  );
  return 0;
}

const commands: { readonly [name: string]: Command } = {
  pods,
  ps,
  stop,
  stopp: stopSandbox,
  inspect,
  inspectp: inspectSandbox,
};

const letters: { readonly [letter: string]: string } = {
  a: "all",
  q: "quiet",
  p: "pod",
  o: "output",
  t: "timeout",
  s: "state",
};
const takesValue = new Set(["name", "pod", "namespace", "state", "timeout", "output", "template"]);

function argumentsOf(given: readonly string[]): Arguments {
  const words: string[] = [];
  const flags = new Set<string>();
  const values = new Map<string, string>();
  for (let at = 0; at < given.length; at++) {
    const arg = given[at] ?? "";
    const [, dashes, key = "", , inline] = /^(--?)([a-z-]+)(=(.*))?$/.exec(arg) ?? [];
    if (dashes === undefined) words.push(arg);
    else {
      const name = dashes === "-" ? (letters[key] ?? key) : key;
      if (takesValue.has(name)) values.set(name, inline ?? given[++at] ?? "");
      else if (name === "all" || name === "quiet") flags.add(name);
      else throw new Failed(`Incorrect Usage: flag provided but not defined: -${key}`);
    }
  }
  return { words, flags, values };
}

/** crictl on a node. */
export const crictl: Tool = (call) => {
  const [name, ...rest] = call.args;
  if (call.place.kind !== "node") {
    throw new Failed("bash: crictl: command not found", 127);
  }
  if (name === undefined || name === "help" || name === "--help") {
    call.out(
      `NAME:\n   crictl - client for CRI\n\nCOMMANDS:\n${Object.keys(commands)
        .map((one) => `   ${one}\n`)
        .join("")}`,
    );
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new Failed(`No help topic for '${name}'`, 3);
  return command(call, argumentsOf(rest));
};
