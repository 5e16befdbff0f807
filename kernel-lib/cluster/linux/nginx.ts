/** Owns `nginx` as it is typed in a container: signals to the one that runs, tests of its configuration, and one more server. */

import { rfc3339 } from "../../api/time";
import type { RunningProcess, Signal } from "../../apps/app";
import { executableName } from "../../apps/image";
import { ConfError } from "../../apps/nginxconf";
import { readServers } from "../../apps/nginxservers";
import { startChild } from "../../node/childprogram";
import type { Container } from "../../node/container";
import { resolvePath } from "../shell/filesystem";
import { type Call, Failed, type Tool } from "../shell/tool";

const signals: { readonly [word: string]: Signal } = {
  stop: "SIGTERM",
  quit: "SIGQUIT",
  reload: "SIGHUP",
  reopen: "SIGUSR1",
};

const conf = "/etc/nginx/nginx.conf";

/** Servers that shells have started, by their container. */
const started = new WeakMap<Container, { readonly server: RunningProcess; readonly first: boolean }>();

/** What took the place of a container's shell, if something did. */
export function replacedBy(container: Container): RunningProcess | undefined {
  const found = started.get(container);
  return found?.first ? found.server : undefined;
}

/** `nginx -s quit|stop|reload|reopen`, `nginx -t`, `nginx -v`, `nginx -g 'daemon off;'`. */
export const nginx: Tool = (call) => {
  const { container } = call.place;
  if (!container) throw new Failed("nginx: command not found", 127);
  const option = call.args.find((arg) => arg.startsWith("-")) ?? "";
  const value = call.args[call.args.indexOf(option) + 1] ?? "";
  switch (option) {
    case "-s":
      return send(call, container, value);
    case "-t":
      return test(call);
    case "-v":
      call.err(`nginx version: nginx/${container.spec.env.get("NGINX_VERSION") ?? "1.29.3"}\n`);
      return 0;
    case "":
    case "-g":
    case "-c":
      return serve(call, container);
    default:
      throw new Failed(`nginx: invalid option: "${option.replace(/^-/, "")}"`);
  }
};

/** A line of the error log before there is one. */
function say(call: Call, level: string, text: string): void {
  const at = rfc3339(call.cluster.sim.clock.now).slice(0, 19).replace(/-/g, "/").replace("T", " ");
  call.err(`${at} [${level}] 37#37: ${text}\n`);
}

function send(call: Call, container: Container, word: string): number {
  const signal = Object.hasOwn(signals, word) ? signals[word] : undefined;
  if (!signal) throw new Failed(`nginx: invalid option: "-s ${word}"`);
  const { argv } = container.spec;
  const child = started.get(container)?.server;
  const runs = executableName(argv[0] ?? "") === "nginx";
  if (!runs && !child) throw new Failed('nginx: [error] open() "/run/nginx.pid" failed (2: No such file or directory)');
  say(call, "notice", "signal process started");
  // The signal is there when this command ends, and not while it still runs: its own end is the container's, perhaps.
  const to = runs ? container : child;
  call.cluster.sim.clock.after(0, () => to?.signal(signal));
  return 0;
}

function test(call: Call): number {
  try {
    readServers(call.place.files);
  } catch (error) {
    if (!(error instanceof ConfError)) throw error;
    say(call, "emerg", error.message);
    call.err(`nginx: [emerg] ${error.message}\nnginx: configuration file ${conf} test failed\n`);
    return 1;
  }
  call.err(
    `nginx: the configuration file ${conf} syntax is ok\nnginx: configuration file ${conf} test is successful\n`,
  );
  return 0;
}

/**
 * Whether it takes the place of the container's shell: by `exec`, or as the only command of `sh -c`, which dash and bash
 * do not fork for. A file of commands is read on after it, so that there only `exec` counts.
 */
function replacesShell({ place }: Call, { spec }: Container): boolean {
  const [shell = "", option = "", text = ""] = spec.argv;
  if (!/^(sh|ash|bash|dash)$/.test(executableName(shell))) return false;
  const typed = /^-\w*c$/.test(option);
  const script = typed ? text : (place.files.read(resolvePath(spec.folder || "/", option)) ?? "");
  if (/\bexec\s+(\/\S*\/)?nginx\b/.test(script)) return true;
  return typed && !/[;&|\n]/.test(script.replace(/(['"]).*?\1/g, ""));
}

/** Runs until it ends. What a shell was started for alone, or `exec`, takes its place as the first process. */
async function serve(call: Call, container: Container): Promise<number> {
  const app = container.spec.image.programs.nginx;
  if (!app) throw new Failed("nginx: command not found", 127);
  const first = !started.has(container) && replacesShell(call, container);
  // Without `daemon off` it goes into the background, once it has its ports.
  const stays = /daemon\s+off/.test(call.args.join(" ")) || executableName(container.spec.argv[0] ?? "") === "nginx";
  let code = 0;
  let over = false;
  let wakeUp: () => void = () => {};
  const child = startChild(call.cluster.sim, container, app, {
    ...{ argv: ["nginx", ...call.args], env: call.env, folder: call.folder, first },
    seen: first || !stays ? undefined : call.seen,
    write: (text, stream) => {
      if (first) container.print(text, stream);
      else if (stays) (stream === "stdout" ? call.out : call.err)(text);
    },
    exited(exitCode) {
      code = exitCode;
      over = true;
      wakeUp();
    },
  });
  // The shell's own process is this program now.
  if (first && call.seen) container.finish(call.seen);
  if (!over && !started.has(container)) started.set(container, { server: child, first });
  if (!stays) return code;
  while (!over && !call.process.stopped) {
    await call.process.pause((wake) => {
      wakeUp = wake;
      return undefined;
    });
  }
  if (!over) child.signal("SIGKILL");
  if (started.get(container)?.server === child) started.delete(container);
  return code;
}
