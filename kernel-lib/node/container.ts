/** Owns one container: its program as it runs, its files, environment and log, and how it ended. */
import type { App, Closable, ProcessRunner, Program, RunningProcess, Signal, Stream } from "../apps/app";
import { signalNumbers } from "../apps/app";
import type { Files } from "../apps/files";
import { executableName, type Image } from "../apps/image";
import type { Netns } from "../net/netns";
import { SocketError } from "../net/socket";
import type { Time } from "../sim/clock";
import type { Sim } from "../sim/sim";
import type { KernelNumbers, Namespaces } from "./kernelnumbers";
import type { Later } from "./later";

/** One line of a container's log (what the runtime writes to /var/log/pods). */
export interface LogLine {
  readonly at: Time;
  readonly stream: Stream;
  readonly text: string;
}

/** What a container is made from. */
export interface ContainerSpec {
  readonly name: string;
  /** `namespace/name` of its pod. */
  readonly pod: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly image: Image;
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly folder: string;
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly hostname: string;
  readonly files: Files;
  readonly netns: Netns;
  /** Net, UTS and IPC are its pod's; PID, mount and cgroup are its own. */
  readonly namespaces: Namespaces;
  readonly numbers: KernelNumbers;
  /** Keeps its volumes up to date until closed, where it has such. */
  readonly followMounts?: () => Closable | undefined;
}

/** What is known of a container before it is looked at. */
export interface ContainerFacts {
  readonly name: string;
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly image: Image;
  /** The first word of its command, where its making is put off. */
  readonly executable: string;
  /** Where its making and its start are put off to; undefined: they are not. */
  readonly later: Later | undefined;
}

/** A process in a container, as its own PID namespace and the node number it. */
export interface ContainerProcess {
  /** 1 is the container's program. */
  readonly pid: number;
  readonly parent: number;
  readonly hostPid: number;
  readonly started: Time;
  /** What `ps` shows. */
  command: string;
  /** What a signal does to it; the first process has its container's handlers instead. */
  hear?: (signal: Signal) => void;
}

/** How a container ended. */
export interface Ending {
  readonly at: Time;
  readonly exitCode: number;
  readonly signal?: Signal;
  /** The runtime could not start it at all. */
  readonly startError?: string;
}

/** What a container has as long as it runs. */
interface Inside {
  readonly handlers: Map<Signal, () => void>;
  readonly owned: Set<Closable>;
  readonly followers: Set<(line: LogLine) => void>;
  readonly ends: Set<() => void>;
  readonly processes: Map<number, ContainerProcess>;
  lastPid: number;
  /** The beginning of a line that is not written yet. */
  readonly rest: Record<Stream, string>;
}

function newInside(): Inside {
  return {
    ...{ handlers: new Map(), owned: new Set(), followers: new Set(), ends: new Set(), processes: new Map() },
    ...{ lastPid: 0, rest: { stdout: "", stderr: "" } },
  };
}

/** How many process ids `kubectl exec` takes: runc's init and its threads come before the command. */
const execStep = 6;

/**
 * A container, from `start` to its ending. A new start of the same container of a pod is a new Container.
 * `kubectl exec` reads `env`, `files` and `netns`; `kubectl logs` reads `log`.
 */
export class Container {
  readonly facts: ContainerFacts;
  #spec: ContainerSpec | undefined;
  readonly #log: LogLine[] = [];
  started: Time | undefined;
  ending: Ending | undefined;
  readonly #sim: Sim;
  readonly #runner: ProcessRunner;
  readonly #ended: (container: Container) => void;
  #made: Inside | undefined;
  #foreign: RunningProcess | undefined;

  /** @param ended told once, when the program has ended or could not start */
  constructor(
    sim: Sim,
    runner: ProcessRunner,
    facts: ContainerFacts,
    make: () => ContainerSpec,
    ended: (container: Container) => void,
  ) {
    this.#sim = sim;
    this.#runner = runner;
    this.facts = facts;
    this.#ended = ended;
    if (facts.later) {
      facts.later.add(() => {
        this.#spec = make();
      });
    } else this.#spec = make();
  }

  /** What it is made from. */
  get spec(): ContainerSpec {
    this.#look();
    if (!this.#spec) throw new Error(`container ${this.facts.name} was never made`);
    return this.#spec;
  }

  get log(): readonly LogLine[] {
    this.#look();
    return this.#log;
  }

  /** Made when it is needed: of many thousand containers most are never looked into. */
  get #inside(): Inside {
    this.#made ??= newInside();
    return this.#made;
  }

  /** Somebody wants more than the facts. */
  #look(): void {
    this.facts.later?.look();
  }

  get running(): boolean {
    return this.started !== undefined && this.ending === undefined;
  }

  /** What runs in it, by process id; nothing once it has ended. */
  get processes(): readonly ContainerProcess[] {
    this.#look();
    return [...this.#inside.processes.values()];
  }

  /**
   * A process begins; `finish` when it ends.
   * @param entered comes from outside (`kubectl exec`): it has no parent here, and runc's own processes took numbers before it
   */
  begin(command: string, entered: boolean): ContainerProcess {
    this.#inside.lastPid += entered ? execStep : 1;
    const { numbers } = this.spec;
    const [pid, parent] = [this.#inside.lastPid, entered ? 0 : 1];
    const begun: ContainerProcess = { pid, parent, hostPid: numbers.nextPid(), started: this.#sim.clock.now, command };
    this.#inside.processes.set(pid, begun);
    return begun;
  }

  finish(ended: ContainerProcess): void {
    this.#inside.processes.delete(ended.pid);
  }

  /** Starts its program; undefined, or the runtime's sentence why it could not. */
  start(): string | undefined {
    const { image, later } = this.facts;
    const executable = this.#spec ? this.#spec.argv[0] : this.facts.executable;
    const name = executableName(executable ?? "");
    const app: App | undefined = Object.hasOwn(image.programs, name) ? image.programs[name] : undefined;
    if (!app && !image.tools.includes(name)) return notFound(executable);
    this.started = this.#sim.clock.now;
    if (later) later.add(() => this.#launch(app));
    else this.#launch(app);
    return undefined;
  }

  #launch(app: App | undefined): void {
    const { argv } = this.spec;
    const first = this.begin(argv.join(" "), false);
    const program = this.#program(first);
    if (app) this.#run(app, program);
    else this.#foreign = this.#runner.run(program, argv);
  }

  /** A program that cannot have its port says so and ends, as programs do. */
  #run(app: App, program: Program): void {
    try {
      app(program);
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      program.write(`${executableName(this.spec.argv[0] ?? "")}: ${error.message}\n`, "stderr");
      program.exit(1);
    }
  }

  /** Sends a signal. As PID 1 the program hears only what it handles; SIGKILL ends it whatever it wants. */
  signal(signal: Signal): void {
    if (!this.running) return;
    this.#look();
    if (signal === "SIGKILL") {
      this.#foreign?.signal(signal);
      this.#end(128 + signalNumbers.SIGKILL, signal);
      return;
    }
    const handler = this.#inside.handlers.get(signal);
    if (handler) handler();
    else this.#foreign?.signal(signal);
  }

  /** Hands every coming line to `see`, until it is stopped. */
  follow(see: (line: LogLine) => void): { stop(): void } {
    this.#look();
    this.#inside.followers.add(see);
    return { stop: () => this.#inside.followers.delete(see) };
  }

  /** Calls `react` when its program has ended, after all others were told. */
  whenEnded(react: () => void): void {
    if (!this.ending) this.#inside.ends.add(react);
  }

  #program(first: ContainerProcess): Program {
    const container = this;
    const { spec } = this;
    const program: Program = {
      argv: spec.argv,
      env: spec.env,
      folder: spec.folder,
      stdin: spec.stdin,
      tty: spec.tty,
      hostname: spec.hostname,
      files: spec.files,
      get netns() {
        return spec.netns;
      },
      clock: this.#sim.clock,
      random: this.#sim.random.fork(`program/${spec.id}`),
      write: (text, stream = "stdout") => this.#write(text, stream),
      onSignal: (signal, handle) => this.#inside.handlers.set(signal, handle),
      own: (thing) => {
        if (this.ending) thing.close();
        else this.#inside.owned.add(thing);
        return thing;
      },
      disown: (thing) => this.#inside.owned.delete(thing),
      title: (text) => {
        first.command = text;
      },
      spawn: (title) => {
        const child = this.begin(title, false);
        return { close: () => this.finish(child) };
      },
      exit: (code) => this.#end(code),
      get ended() {
        return container.ending !== undefined;
      },
    };
    owners.set(program, this);
    const mounts = spec.followMounts?.();
    if (mounts) program.own(mounts);
    return program;
  }

  /** Text for its log, from whoever has its first process's output. */
  print(text: string, stream: Stream): void {
    this.#write(text, stream);
  }

  #write(text: string, stream: Stream): void {
    if (this.ending) return;
    const lines = (this.#inside.rest[stream] + text).split("\n");
    this.#inside.rest[stream] = lines.pop() ?? "";
    for (const line of lines) this.#line(line, stream);
  }

  #line(text: string, stream: Stream): void {
    const line = { at: this.#sim.clock.now, stream, text };
    this.#log.push(line);
    for (const see of this.#inside.followers) see(line);
  }

  #end(exitCode: number, signal?: Signal): void {
    if (this.ending) return;
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.#inside.rest[stream] !== "") this.#line(this.#inside.rest[stream], stream);
    }
    this.ending = { at: this.#sim.clock.now, exitCode, ...(signal && { signal }) };
    for (const thing of this.#inside.owned) thing.close();
    this.#inside.owned.clear();
    this.#inside.handlers.clear();
    this.#inside.processes.clear();
    this.#ended(this);
    for (const react of [...this.#inside.ends]) react();
    this.#inside.ends.clear();
  }
}

const owners = new WeakMap<Program, Container>();

/** The container that a program is the first process of. */
export function containerOf(program: Program): Container | undefined {
  return owners.get(program);
}

const runcFailed =
  "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init";

/** containerd's and runc's words for an executable that the image has not. */
function notFound(name = ""): string {
  const why = name.startsWith("/")
    ? `exec: "${name}": stat ${name}: no such file or directory`
    : `exec: "${name}": executable file not found in $PATH`;
  return `${runcFailed}: ${why}: unknown`;
}
