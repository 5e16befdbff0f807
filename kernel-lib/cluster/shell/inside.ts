/** Owns running a command in a container: a program of its image, a script, or a shell that somebody types at. */
import { type Signal, signalNumbers } from "../../apps/app";
import { executableName } from "../../apps/image";
import type { Container } from "../../node/container";
import { second } from "../../sim/clock";
import type { Cluster } from "../cluster";
import type { Process } from "../driver";
import { isInstalled } from "../linux/apt";
import { containerPlace } from "../places";
import type { Output } from "./filesystem";
import { completed } from "./session";
import { Shell } from "./shell";
import { endsBy } from "./signals";
import { Failed, type Terminal } from "./tool";

/** How a command is started in a container. */
export interface InsideOptions {
  readonly process: Process;
  readonly output: Output;
  /** Given where somebody types. */
  readonly terminal?: Terminal;
  /** `-t`: the terminal shows a prompt and what is typed. */
  readonly tty?: boolean;
  /** A login shell: bash says `logout` at its end, and else `exit`. */
  readonly login?: boolean;
  readonly stdin?: string;
}

const shells = new Set(["sh", "ash", "bash", "dash"]);

/** A new shell in a container. */
export function shellIn(cluster: Cluster, container: Container, pid?: number): Shell {
  const place = containerPlace(container);
  return new Shell(cluster, place, `${place.name}/${container.spec.name}/${cluster.nextShell()}`, cluster.tools, pid);
}

/**
 * Runs `argv` in a container; gives its exit code.
 * @throws Failed in the words of runc, if the image has no such executable
 */
export async function runInside(
  cluster: Cluster,
  container: Container,
  argv: readonly string[],
  options: InsideOptions,
): Promise<number> {
  const [path = "", ...args] = argv;
  const name = executableName(path);
  if (!isThere(container, name)) throw new Failed(`exec: ${executableNotFound(path)}`, 126);
  const process = container.begin(argv.join(" "), true);
  const shell = shellIn(cluster, container, process.pid);
  let endedBy: Signal | undefined;
  process.hear = (signal) => {
    if (shells.has(name)) shell.hear(signal);
    else if (endsBy(signal)) {
      endedBy = signal;
      options.process.cut();
    }
  };
  try {
    const code = await runProgram(shell, [name, ...args], options);
    return endedBy ? 128 + signalNumbers[endedBy] : code;
  } finally {
    container.finish(process);
    shell.kill();
  }
}

/** A program of the image, or one that was installed since. */
function isThere({ spec }: Container, name: string): boolean {
  return spec.image.tools.includes(name) || isInstalled(spec, name);
}

async function runProgram(
  shell: Shell,
  [name = "", ...args]: readonly string[],
  options: InsideOptions,
): Promise<number> {
  if (!shells.has(name)) return shell.runDirectly([name, ...args], withInput(options));
  const script = scriptOf(shell, args);
  if (typeof script === "string") return shell.run(script, { ...withInput(options), whole: true });
  if (options.terminal) return typeAt(shell, name, options.terminal, options);
  return shell.run(options.stdin ?? "", { process: options.process, output: options.output, piped: true });
}

function withInput(options: InsideOptions): Parameters<Shell["run"]>[1] {
  const { process, output, terminal, stdin } = options;
  const piped = !options.tty;
  return { process, output, piped, ...(terminal && { terminal }), ...(stdin !== undefined && { stdin }) };
}

/** runc's words. */
export function executableNotFound(path: string): string {
  return path.startsWith("/")
    ? `"${path}": stat ${path}: no such file or directory`
    : `"${path}": executable file not found in $PATH`;
}

/** The script of `sh -c '…' name args…` or `sh file args…`; undefined for a shell that reads its input. */
export function scriptOf(shell: Shell, args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => /^-[a-z]*c$/.test(arg));
  if (at >= 0) {
    const [script = "", _name, ...positional] = args.slice(at + 1);
    return positional.length > 0
      ? `set -- ${positional.map((each) => JSON.stringify(each)).join(" ")}\n${script}`
      : script;
  }
  const [file, ...positional] = args.filter((arg) => !arg.startsWith("-"));
  if (file === undefined) return undefined;
  const text = shell.place.files.read(file.startsWith("/") ? file : `${shell.place.folder}/${file}`);
  if (text === undefined) throw new Failed(`sh: can't open '${file}': No such file or directory`, 2);
  return positional.length > 0 ? `set -- ${positional.map((each) => JSON.stringify(each)).join(" ")}\n${text}` : text;
}

/** A shell's prompt: bash's in Debian's images, ash's in BusyBox's, and that of one well-known image. */
export function promptOf(shell: Shell, program: string): string {
  const { place } = shell;
  const reference = place.container?.spec.image.reference ?? "";
  const folder = shell.folder;
  if (reference.includes("radial/busyboxplus")) return `[ ${place.user}@${place.hostname}:${folder} ]$ `;
  if (program === "bash") return `${place.user}@${place.hostname}:${folder === place.env.get("HOME") ? "~" : folder}# `;
  return place.tools?.includes("bash") ? "# " : `${folder === place.env.get("HOME") ? "~" : folder} # `;
}

/**
 * Reads lines from the terminal and runs them until `exit` or the end of what is typed. Gives the exit code.
 * @param exited told when `exit` was typed: the shell itself has ended, and not only its terminal has been closed
 */
export async function typeAt(
  shell: Shell,
  program: string,
  terminal: Terminal,
  options: InsideOptions,
  exited: (code: number) => void = () => {},
): Promise<number> {
  const { process, output, tty = false, login = false } = options;
  const bye = program !== "bash" || !tty ? "" : login ? "logout\n" : "exit\n";
  const { clock } = shell.cluster.sim;
  // Who sits at a keyboard sees the prompt and the line already; elsewhere they are shown as a terminal shows them.
  const read = async (prompt: string): Promise<string | undefined> => {
    if (terminal.ask) return terminal.ask(tty ? prompt : "");
    const line = terminal.readLine();
    if (tty && line !== undefined) output("stdout", `${prompt}${line}\n`);
    return line;
  };
  while (!process.stopped) {
    const line = await read(promptOf(shell, program));
    if (line === undefined) {
      // The end of input (Ctrl-D) comes at a prompt; a shell other than bash says nothing, and begins a line.
      if (tty && !terminal.ask) output("stdout", `${promptOf(shell, program)}${bye || "\n"}`);
      else output("stdout", bye);
      break;
    }
    const exit = /^\s*exit(?:\s+(\d+))?\s*$/.exec(line);
    if (exit) {
      const code = Number(exit[1] ?? shell.status);
      exited(code);
      output("stdout", bye);
      return code;
    }
    if (line.trim() === "") continue;
    const command = await completed(line, () => read("> "));
    const begin = clock.now;
    await shell.run(command, { process, output, terminal });
    const took = clock.now - begin;
    const cost = Math.max(second, Math.ceil(took / second) * second);
    if (cost > took) await process.sleep(cost - took);
  }
  return process.stopped ? 130 : shell.status;
}
