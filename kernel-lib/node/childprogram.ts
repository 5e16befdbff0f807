/** Owns a program of the image that a shell has started in its container: it ends with the container, and signals end it. */
import {
  type App,
  type Closable,
  type Program,
  type RunningProcess,
  type Signal,
  type Stream,
  signalNumbers,
} from "../apps/app";
import { SocketError } from "../net/socket";
import type { Sim } from "../sim/sim";
import type { Container, ContainerProcess } from "./container";

/** How it is started. */
export interface ChildOptions {
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly folder: string;
  /** It has taken the place of the container's first process (`exec`): what it does not handle does nothing. */
  readonly first: boolean;
  /** The process that it is already seen as; whoever began that finishes it. Default: one of its own. */
  readonly seen?: ContainerProcess | undefined;
  write(text: string, stream: Stream): void;
  /** Told once, when it has ended. */
  exited(code: number): void;
}

/** Starts it. What is sent to it, `signal` of the result takes. */
export function startChild(sim: Sim, container: Container, app: App, options: ChildOptions): RunningProcess {
  const { spec } = container;
  const handlers = new Map<Signal, () => void>();
  const owned = new Set<Closable>();
  const own = options.first || options.seen ? undefined : container.begin(options.argv.join(" "), false);
  const shown = own ?? options.seen;
  let ended = false;
  const end = (code: number): void => {
    if (ended) return;
    ended = true;
    for (const thing of owned) thing.close();
    if (own) container.finish(own);
    options.exited(code);
  };
  const program: Program = {
    ...{ argv: options.argv, env: options.env, folder: options.folder, stdin: false, tty: false },
    ...{ hostname: spec.hostname, files: spec.files, clock: sim.clock },
    random: sim.random.fork(`child/${spec.id}/${sim.clock.now}`),
    get netns() {
      return spec.netns;
    },
    write: (text, stream = "stdout") => {
      if (!ended) options.write(text, stream);
    },
    onSignal: (signal, handle) => handlers.set(signal, handle),
    own: (thing) => {
      if (ended) thing.close();
      else owned.add(thing);
      return thing;
    },
    disown: (thing) => owned.delete(thing),
    title: (text) => {
      const named = shown ?? container.processes.find(({ pid }) => pid === 1);
      if (named) named.command = text;
    },
    spawn: (title) => {
      const child = container.begin(title, false);
      return { close: () => container.finish(child) };
    },
    exit: end,
    get ended() {
      return ended;
    },
  };
  container.whenEnded(() => end(128 + signalNumbers.SIGKILL));
  try {
    app(program);
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    program.write(`${options.argv[0] ?? ""}: ${error.message}\n`, "stderr");
    end(1);
  }
  const signal = (name: Signal): void => {
    const handle = handlers.get(name);
    if (handle && name !== "SIGKILL") handle();
    else if (!options.first || name === "SIGKILL") end(128 + signalNumbers[name]);
  };
  if (shown) shown.hear = signal;
  return { signal };
}
