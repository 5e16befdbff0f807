/** Owns what a notebook talks to: the current cluster, its prompt, and the tags `sh`, `file`, `terminal` and `node`. */
import { Cluster } from "./cluster";
import { displayable } from "./display";
import type { ClusterOptions } from "./options";
import { decodeRaw } from "./raw";
import { resolvePath } from "./shell/filesystem";
import type { Session } from "./shell/session";
import { quote } from "./shell/shell";

/** What a command line came to. Shows as nothing: its output has been printed as it came. */
export interface ShellResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** A command line under way: `await` it to run it and print its output, or take its text. */
export interface ShellCommand extends PromiseLike<ShellResult> {
  /** Runs it without printing; gives what it wrote to stdout. */
  text(): Promise<string>;
  /** Runs it without printing; gives the lines of stdout, without a last empty one. */
  lines(): Promise<readonly string[]>;
}

/** A tag for command lines: await sh`kubectl get pods`. */
export type ShellTag = (strings: TemplateStringsArray, ...values: readonly unknown[]) => ShellCommand;

/** Another terminal at the workstation: what it runs goes on while other cells run. */
export interface Terminal {
  readonly name: string;
  /** Runs a line and waits for it, as `sh` does. */
  readonly sh: ShellTag;
  /** Begins a line and returns at once; read what it prints by `output`. */
  start(strings: TemplateStringsArray, ...values: readonly unknown[]): Promise<void>;
  /** What has come since the last time, both streams in order. */
  output(): string;
  /** Ctrl-C. */
  stop(): Promise<void>;
}

/** A node of the current cluster. */
export interface NodeHandle {
  readonly name: string;
  /** Runs lines on the node: await node("node-1").sh`ip route`. */
  readonly sh: ShellTag;
  /** Switches its machine off: nothing of it is heard any more. */
  powerOff(): Promise<void>;
  /** Switches it on again. */
  powerOn(): Promise<void>;
}

interface Lab {
  readonly cluster: Cluster;
  readonly prompt: Session;
  readonly terminals: Map<string, OpenTerminal>;
  readonly nodes: Map<string, Session>;
}

interface OpenTerminal {
  readonly session: Session;
  readonly handle: Terminal;
}

/** The one current cluster of this notebook; held in an object, for importers see no change of a binding. */
const current: { lab: Promise<Lab> | undefined } = { lab: undefined };

/**
 * Starts a new cluster, waits until it is up, and makes it the one that `sh`, `file`, `terminal` and `node` talk to.
 * @throws Error if an option is unknown or wrong
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const before = current.lab;
  const starting = begin(options);
  current.lab = starting;
  try {
    return (await starting).cluster;
  } catch (error) {
    if (current.lab === starting) current.lab = before;
    throw error;
  }
}

async function begin(options: ClusterOptions): Promise<Lab> {
  const cluster = new Cluster(options);
  await cluster.start();
  return { cluster, prompt: cluster.session(), terminals: new Map(), nodes: new Map() };
}

function lab(): Promise<Lab> {
  current.lab ??= begin({});
  return current.lab;
}

/** The cluster that `sh` talks to; a default one is started if there is none. */
export async function currentCluster(): Promise<Cluster> {
  return (await lab()).cluster;
}

/** Types lines at the workstation's prompt: await sh`kubectl get pods`. Values in `${}` are quoted for the shell. */
export const sh: ShellTag = (strings, ...values) =>
  command(textOf(strings, values, quoted), async () => (await lab()).prompt);

/**
 * Writes a file into the folder of the prompt: await file("web.yaml")`…`.
 * @throws Error if the path leads to no folder
 */
export function file(
  path: string,
): (strings: TemplateStringsArray, ...values: readonly unknown[]) => Promise<ShellResult> {
  return async (strings, ...values) => {
    const { shell } = (await lab()).prompt;
    const text = textOf(strings, values, String);
    const at = resolvePath(shell.folder, path);
    if (path === "" || path.endsWith("/") || shell.place.files.isFolder(at))
      throw new Error(`file: ${JSON.stringify(path)} is no name for a file`);
    shell.place.files.write(at, text.endsWith("\n") ? text : `${text}\n`);
    return silent({ stdout: "", stderr: "", exitCode: 0 });
  };
}

/** Another terminal at the workstation, by its name: the same name gives the same one. */
export function terminal(name: string): Terminal {
  const open = async (): Promise<OpenTerminal> => {
    const { cluster, terminals } = await lab();
    const known = terminals.get(name);
    if (known) return known;
    const opened = { session: cluster.session(), handle };
    terminals.set(name, opened);
    return opened;
  };
  let unread = "";
  const handle: Terminal = {
    name,
    sh: (strings, ...values) => command(textOf(strings, values, quoted), async () => (await open()).session),
    async start(strings, ...values) {
      const text = textOf(strings, values, quoted);
      const { session } = await open();
      session.start(text, (_stream, part) => {
        unread += part;
      });
      await session.shell.cluster.driver.breathe();
    },
    output() {
      const text = unread;
      unread = "";
      return text;
    },
    async stop() {
      const { session } = await open();
      session.interrupt();
      await session.shell.cluster.driver.breathe();
    },
  };
  return handles(name, handle);
}

const known = new Map<string, Terminal>();

/** One handle a name, so that what has come is read once. */
function handles(name: string, handle: Terminal): Terminal {
  const before = known.get(name);
  if (before) return before;
  known.set(name, handle);
  return handle;
}

/** A node of the current cluster: its own prompt, which remembers variables and folder. */
export function node(name: string): NodeHandle {
  const open = async (): Promise<Session> => {
    const { cluster, nodes } = await lab();
    const before = nodes.get(name);
    if (before) return before;
    const session = cluster.session(cluster.node(name).place);
    nodes.set(name, session);
    return session;
  };
  return {
    name,
    sh: (strings, ...values) => command(textOf(strings, values, quoted), open),
    powerOff: async () => (await lab()).cluster.powerOff(name),
    powerOn: async () => (await lab()).cluster.powerOn(name),
  };
}

function textOf(strings: TemplateStringsArray, values: readonly unknown[], shown: (value: unknown) => string): string {
  const raw = decodeRaw(strings.raw);
  return raw.map((text, at) => text + (at < values.length ? shown(values[at]) : "")).join("");
}

/** A value as one word of the shell; a list as several. */
function quoted(value: unknown): string {
  return Array.isArray(value) ? value.map((each) => quote(String(each))).join(" ") : quote(String(value));
}

function command(text: string, session: () => Promise<Session>): ShellCommand {
  let running: Promise<ShellResult> | undefined;
  const run = async (show: boolean): Promise<ShellResult> => {
    const result = { stdout: "", stderr: "", exitCode: 0 };
    const at = await session();
    result.exitCode = await at.type(text, (stream, part) => {
      result[stream] += part;
      if (show) print(stream, part);
    });
    return silent(result);
  };
  const once = (show: boolean): Promise<ShellResult> => {
    running ??= run(show);
    return running;
  };
  return {
    // biome-ignore lint/suspicious/noThenProperty: a command is awaited to run it, and not run when only its text is wanted
    then: (done, failed) => once(true).then(done, failed),
    text: async () => (await once(false)).stdout,
    lines: async () => {
      const { stdout } = await once(false);
      return stdout === "" ? [] : stdout.replace(/\n$/, "").split("\n");
    },
  };
}

function silent(result: ShellResult): ShellResult {
  return displayable(
    result,
    () => ({}),
    () => "",
  );
}

interface Streams {
  readonly process?: { readonly [stream in "stdout" | "stderr"]?: { write(text: string): unknown } };
  readonly console?: { log(text: string): void };
}

/** Output goes to the cell as it comes; where there are no streams, line by line. */
function print(stream: "stdout" | "stderr", text: string): void {
  if (text === "") return;
  const { process, console } = globalThis as unknown as Streams;
  const out = process?.[stream];
  if (out) out.write(text);
  else console?.log(text.replace(/\n$/, ""));
}
