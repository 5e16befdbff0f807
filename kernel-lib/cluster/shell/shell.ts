/**
 * Owns one shell: a bash at a place, its state between lines, its jobs, and the commands of ours that it knows.
 *
 * Not simulated: a pipeline's commands run one after another (`kubectl get -w | grep` shows nothing before its end), traps
 * in `( )` and in scripts that a script starts, options that last from line to line (`set -e`), `select`, symbolic links
 * other than those of /proc.
 */
import {
  Bash,
  type CommandName,
  type CommandNode,
  decodeBytesToUtf8,
  defineCommand,
  getCommandNames,
  type ResolvedCommandContext,
  type ScriptNode,
  type StatementNode,
} from "just-bash";
import { type Signal, signalNumbers } from "../../apps/app";
import type { ContainerProcess } from "../../node/container";
import type { Time } from "../../sim/clock";
import type { Cluster } from "../cluster";
import type { Process } from "../driver";
import { installable, onceInstalled } from "../linux/apt";
import { namespaceLinks } from "../runtime/processes";
import { simpleStatement } from "./ast";
import type { Job, Run, RunOptions } from "./execution";
import { type Output, PlaceFileSystem, withoutMark } from "./filesystem";
import { endsBy, ShellSignals } from "./signals";
import { type Call, Failed, type Place, type Tool } from "./tool";
import { rewrite, terminalMark } from "./transform";
import { callExitTrap, hasTraps } from "./traps";
import { arraysOf, epilogue } from "./variables";

/** Far above what a script needs; what passes them is a loop that never lets time pass. */
const limits = {
  maxLoopIterations: 1_000_000,
  maxCommandCount: 3_000_000,
  maxWorkUnits: Number.POSITIVE_INFINITY,
  maxExecutionTimeMs: Number.POSITIVE_INFINITY,
  maxOutputSize: 64 * 1024 * 1024,
};

/** Builtins of every shell, whatever executables its place has. */
const builtins = "echo printf pwd true false kill jobs type alias unalias trap".split(" ");
/** What just-bash brings and a Linux machine has not. */
const foreign = new Set(["html-to-markdown", "xan", "sqlite3", "js-exec", "python3", "python", "help"]);

/** A bash whose state lasts from line to line. */
export class Shell {
  readonly cluster: Cluster;
  readonly place: Place;
  readonly jobs: Job[] = [];
  readonly history: string[] = [];
  readonly aliases = new Map<string, string>();
  /** When each `time` that is under way began. */
  readonly stopwatches: Time[] = [];
  /** The commands that there are, besides what bash does itself. */
  readonly commands: ReadonlySet<string>;
  readonly started: Time;
  readonly random;
  readonly signals = new ShellSignals();
  /** `$$`. */
  readonly pid: number;
  lastJob = 0;
  status = 0;
  /** Whether the last line ended the shell (`exit`). */
  ended = false;
  #nextPid: number;
  readonly #bash: Bash;
  readonly #streaming: ReadonlySet<string>;
  readonly #functions = new Map<string, CommandNode>();
  #variables: Readonly<Record<string, string>>;
  #folder: string;
  #arrays = "";
  readonly #runs = new WeakMap<Process, Run>();
  /** Those that work with its own variables. */
  readonly #mains = new Set<Run>();

  /**
   * @param name of its own random stream: two shells draw different numbers
   * @param pid of its process, where it has one in its container
   */
  constructor(cluster: Cluster, place: Place, name: string, tools: ReadonlyMap<string, Tool>, pid?: number) {
    this.cluster = cluster;
    this.place = place;
    this.started = cluster.sim.clock.now;
    this.random = cluster.sim.random.fork(`shell/${name}`);
    this.#nextPid = this.random.integer(1_000, 3_000);
    this.pid = pid ?? this.#nextPid++;
    this.#folder = place.folder;
    this.#variables = Object.fromEntries(place.env);
    const has = (tool: string): boolean =>
      tool.startsWith("__") || !place.tools || place.tools.includes(tool) || builtins.includes(tool);
    const apt = place.tools?.includes("apt-get") ?? false;
    const ours = [...tools].flatMap(([tool, run]): (readonly [string, Tool])[] => {
      if (has(tool)) return [[tool, run]];
      return apt && installable.has(tool) ? [[tool, onceInstalled(tool, run)]] : [];
    });
    this.#streaming = new Set(ours.map(([tool]) => tool).filter((tool) => !tool.startsWith("__")));
    ours.push(["__background", () => 0]);
    ours.push(["__status", ({ args }) => Number(args[0])]);
    ours.push(["__keep", ({ args }) => this.#keep(Number(args[0]))]);
    const output: Output = (stream, text) => this.#current().output(stream, text);
    const keepVariables = (text: string): void => {
      this.#current().variables += text;
    };
    const typed = async (): Promise<string> => {
      const { terminal } = this.#current();
      const line = terminal?.ask ? await terminal.ask("") : terminal?.readLine();
      return line === undefined ? "" : `${line}\n`;
    };
    const bundled = getCommandNames().filter((tool) => has(tool) && !foreign.has(tool));
    this.commands = new Set([...bundled, ...this.#streaming]);
    this.#bash = new Bash({
      fs: new PlaceFileSystem(place.files, output, keepVariables, namespaceLinks(cluster, place), typed),
      cwd: place.folder,
      env: Object.fromEntries(place.env),
      commands: bundled as CommandName[],
      customCommands: ours.map(([tool, run]) => defineCommand(tool, (args, ctx) => this.#call(tool, run, args, ctx))),
      executionLimits: limits,
      defenseInDepth: false,
      processInfo: { pid: this.pid, ppid: 1, uid: place.user === "root" ? 0 : 1000, gid: 1000 },
      sleep: async (milliseconds) => {
        await this.#current().process.sleep(milliseconds * 1000);
      },
    });
    this.#bash.registerTransformPlugin({
      name: "kubebook",
      transform: ({ ast, metadata }) => ({ ast: this.#transform(ast), metadata }),
    });
  }

  get folder(): string {
    return this.#folder;
  }

  /** A variable as it is now. */
  variable(name: string): string | undefined {
    return this.#variables[name];
  }

  /** Runs a script in this shell: its variables, functions and folder are there afterwards. Gives its exit code. */
  async run(script: string, options: RunOptions): Promise<number> {
    const run = this.#begin(options, { main: !options.env });
    if (run.main) this.#mains.add(run);
    const result = await this.#exec(run, script, {
      ...(options.stdin !== undefined && { stdin: options.stdin }),
      env: options.env ? Object.fromEntries(options.env) : this.#variables,
      folder: options.folder ?? this.#folder,
    });
    this.#mains.delete(run);
    if (options.env) return result.status;
    this.#variables = result.env;
    this.#folder = result.env.PWD ?? this.#folder;
    this.#arrays = run.variables === "" ? this.#arrays : arraysOf(run.variables);
    for (const [name, body] of run.functions) this.#functions.set(name, body);
    this.status = result.status;
    this.ended = run.status === undefined && !options.process.stopped;
    return result.status;
  }

  /** What is defined of functions. */
  get functions(): readonly string[] {
    return [...this.#functions.keys()];
  }

  /** Runs one program with its arguments, without a shell around it (`kubectl exec POD -- printenv`). */
  async runDirectly(argv: readonly string[], options: RunOptions): Promise<number> {
    const run = this.#begin(options, { direct: true });
    const { status } = await this.#exec(run, argv.map(quote).join(" "), {
      ...(options.stdin !== undefined && { stdin: options.stdin }),
      env: Object.fromEntries(options.env ?? this.place.env),
      folder: options.folder ?? this.place.folder,
    });
    return status;
  }

  /** What a process runs, if it works with the shell's own variables: jobs and what a tool runs do not. */
  mainOf(process: Process): Run | undefined {
    const run = this.#runs.get(process);
    return run?.main ? run : undefined;
  }

  /** A signal for it: what is trapped waits for its moment, else the script ends, unless it is the first process. */
  hear(signal: Signal): void {
    if (this.signals.hear(signal) || !endsBy(signal) || (this.pid === 1 && this.place.container)) return;
    for (const run of [...this.#mains]) run.end(signal);
  }

  /** It is gone, and its jobs with it. */
  kill(): void {
    for (const { process } of this.jobs) process.stop();
  }

  /** Starts a job of its own process; its output goes where the starter's goes. */
  startJob(text: string, body: (process: Process, shown: ContainerProcess | undefined) => Promise<number>): Job {
    const { container } = this.place;
    const shown = container?.running ? container.begin(text, false) : undefined;
    const process = this.cluster.driver.start(`${this.place.name}: ${text}`, async (self) => {
      job.exitCode = await body(self, shown);
      if (job.signal) job.exitCode = 128 + signalNumbers[job.signal];
      if (shown) container?.finish(shown);
    });
    const number = Math.max(0, ...this.jobs.map((each) => each.number)) + 1;
    const pid = shown?.pid ?? this.#nextPid++;
    const job: Job = { number, pid, text, process, exitCode: undefined, signal: undefined, told: false };
    if (shown) shown.hear = (signal) => endJob(job, signal);
    this.lastJob = job.pid;
    this.jobs.push(job);
    return job;
  }

  #keep(status: number): number {
    this.#current().status = status;
    return 0;
  }

  #begin(
    options: RunOptions,
    { direct = false, main = false, statement, shown }: Partial<Pick<Run, "direct" | "main" | "statement" | "shown">>,
  ): Run {
    const run: Run = {
      ...{ main, shown, replaced: false, endedBy: undefined, end: () => {} },
      process: options.process,
      output: options.output,
      piped: options.piped ?? false,
      terminal: options.terminal,
      functions: new Map(this.#functions),
      background: [],
      direct,
      whole: options.whole ?? false,
      statement,
      status: undefined,
      variables: "",
      nested: false,
    };
    this.#runs.set(options.process, run);
    return run;
  }

  async #exec(
    run: Run,
    script: string,
    { env, folder, stdin }: { env: Readonly<Record<string, string>>; folder: string; stdin?: string },
  ): Promise<{ status: number; env: Readonly<Record<string, string>> }> {
    const abort = new AbortController();
    const stop = run.process.onStop(() => abort.abort());
    run.end = (signal) => {
      run.endedBy ??= signal;
      abort.abort();
      run.process.cut();
    };
    const result = await this.#bash.exec(script, {
      rawScript: true,
      replaceEnv: true,
      env: { ...env },
      cwd: folder,
      signal: abort.signal,
      ...(stdin !== undefined && { stdin }),
    });
    stop();
    if (result.stdout !== "") run.output("stdout", result.stdout);
    if (result.stderr !== "" && !run.process.stopped && !run.endedBy) {
      // The parser's own place in the line is no help to who typed it, and not what bash says.
      run.output(
        "stderr",
        withoutMark(result.stderr).replace(/^(bash: syntax error): Parse error at \d+:\d+: syntax error/gm, "$1"),
      );
    }
    const ended = run.endedBy ? 128 + signalNumbers[run.endedBy] : run.process.stopped ? 130 : undefined;
    return { status: ended ?? run.status ?? result.exitCode, env: result.env };
  }

  /** Around the line itself: what it may use of earlier lines before it, what later ones may use of it after it. */
  #transform(ast: ScriptNode): ScriptNode {
    const run = this.#current();
    const { background } = run;
    const { aliases } = this;
    const common = { streaming: this.#streaming, background, hears: false };
    // A script of its own knows neither the functions nor the aliases of the shell that started it.
    if (run.nested) {
      const exits = callExitTrap(ast);
      return rewrite(ast, { ...common, exits, whole: true, aliases: new Map(), functions: new Map() }, false);
    }
    run.nested = true;
    const hears = run.main && (this.signals.used || hasTraps(ast));
    const { whole, functions } = run;
    const rewriting = { ...common, exits: whole && callExitTrap(ast), whole, hears, aliases, functions };
    const before = [...run.functions.values()].map((body): StatementNode => {
      const statement = simpleStatement([]);
      const pipeline = statement.pipelines[0];
      return pipeline ? { ...statement, pipelines: [{ ...pipeline, commands: [body] }] } : statement;
    });
    if (run.statement) return { ...ast, statements: [...before, run.statement] };
    const script = rewrite(ast, rewriting, true);
    if (run.direct) return script;
    const arrays = this.#arrays === "" ? [] : [simpleStatement(["eval", this.#arrays])];
    const start = [...before, ...arrays, simpleStatement(["__status", String(this.status)])];
    return { ...script, statements: [...start, ...script.statements, ...epilogue()] };
  }

  /** `statement &`: a process of its own, with a copy of the variables; its output goes to the same terminal. */
  #background(run: Run, index: number, context: ResolvedCommandContext): number {
    const statement = run.background[index];
    if (!statement) return 1;
    const env = Object.fromEntries(context.env);
    const text = (statement.sourceText ?? "").replace(/\s*&\s*$/, "");
    const [{ commands: [only, more] = [] } = {}, further] = statement.pipelines;
    const alone = only?.type === "SimpleCommand" && !more && !further;
    const job = this.startJob(text, async (process, shown) => {
      // One command alone is the process itself; else it is a shell's, as which it is shown.
      const own = this.#begin({ process, output: run.output }, { statement, shown: alone ? shown : undefined });
      return (await this.#exec(own, ":", { env, folder: context.cwd })).status;
    });
    if (run.terminal?.notices) run.output("stderr", `[${job.number}] ${job.pid}\n`);
    return 0;
  }

  #current(): Run {
    const process = this.cluster.driver.current;
    const run = process && this.#runs.get(process);
    if (!run) throw new Error(`no process of ${this.place.name} has the baton`);
    return run;
  }

  async #call(
    name: string,
    tool: Tool,
    given: readonly string[],
    context: ResolvedCommandContext,
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const run = this.#current();
    const mark = given[0]?.startsWith(terminalMark) ? given[0].slice(terminalMark.length) : "";
    const collected = { stdout: "", stderr: "" };
    const toTerminal = mark.includes("o");
    const write = (stream: "stdout" | "stderr", text: string): void => {
      if (text === "") return;
      if (toTerminal) run.output(stream, text);
      else collected[stream] += text;
    };
    const { container } = this.place;
    const listed = container?.running && !run.direct && !name.startsWith("__") && !builtins.includes(name);
    const args = given[0]?.startsWith(terminalMark) ? given.slice(1) : given;
    const line = [name, ...args].join(" ");
    const first = run.replaced ? container?.processes.find(({ pid }) => pid === this.pid) : undefined;
    if (listed && first) first.command = line;
    const seen = listed && !run.shown && !first ? container.begin(line, false) : undefined;
    let endedBy: Signal | undefined;
    if (seen) {
      seen.hear = (signal) => {
        if (!endsBy(signal)) return;
        endedBy = signal;
        run.process.cut();
      };
    }
    const call: Call = {
      ...{ name, args, seen: seen ?? run.shown },
      cluster: this.cluster,
      place: this.place,
      shell: this,
      process: run.process,
      env: new Map(Object.entries(context.exportedEnv ?? Object.fromEntries(context.env))),
      folder: context.cwd,
      stdin: mark.includes("i") ? "" : decodeBytesToUtf8(context.stdin),
      terminal: mark.includes("i") ? run.terminal : undefined,
      toTerminal: toTerminal && !run.piped,
      out: (text) => write("stdout", text),
      err: (text) => write("stderr", text),
      original: (args) =>
        context.origCommand?.([...args]) ?? Promise.resolve({ stdout: "", stderr: "", exitCode: 127 }),
    };
    if (name === "__background") return { ...collected, exitCode: this.#background(run, Number(given[0]), context) };
    let exitCode: number;
    try {
      exitCode = await tool(call);
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      if (error.message !== "") call.err(`${error.message}\n`);
      exitCode = error.exitCode;
    } finally {
      if (seen) container?.finish(seen);
    }
    return { ...collected, exitCode: endedBy ? 128 + signalNumbers[endedBy] : exitCode };
  }
}

/** A job hears a signal: it has no traps of its own. */
export function endJob(job: Job, signal: Signal): void {
  if (!endsBy(signal) || job.process.ended) return;
  job.signal ??= signal;
  job.process.stop();
}

/** Quotes a word for the shell. */
export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
