/** Owns what a command of ours is: a function that sees its arguments, its place and its terminal, and gives an exit code. */

import { decodeBytesToUtf8 } from "just-bash";
import type { Files } from "../../apps/files";
import type { Netns } from "../../net/netns";
import type { Container, ContainerProcess } from "../../node/container";
import type { Time } from "../../sim/clock";
import type { Cluster } from "../cluster";
import type { Process } from "../driver";
import type { Shell } from "./shell";

/** Where commands run: the workstation, a node, or a container. */
export interface Place {
  /** `workstation`, `node-1`, `default/curl`. */
  readonly name: string;
  readonly kind: "workstation" | "node" | "container";
  readonly hostname: string;
  readonly user: string;
  readonly files: Files;
  readonly netns: Netns;
  /** What a new process starts with. */
  readonly env: ReadonlyMap<string, string>;
  readonly folder: string;
  /** The executables that there are; undefined: all that we have. */
  readonly tools: readonly string[] | undefined;
  readonly container?: Container;
}

/** What is typed at a terminal, and what is shown there. */
export interface Terminal {
  /** The next typed line, without its end; undefined when nothing more is typed. */
  readLine(): string | undefined;
  /** Waits for a line where somebody sits at a keyboard, who sees the prompt and what is typed; undefined at Ctrl-D. */
  ask?(prompt: string): Promise<string | undefined>;
  /**
   * How long a command that only watches may go on: in a notebook's cell nobody can press Ctrl-C. Undefined in another
   * terminal, where it may go on for ever.
   */
  readonly patience: Time | undefined;
  /** What is said when it was ended for that: how to watch on. */
  readonly advice: string;
  /** Whether the shell says when jobs begin. */
  readonly notices: boolean;
}

/** One call of a command. */
export interface Call {
  readonly name: string;
  readonly args: readonly string[];
  readonly cluster: Cluster;
  readonly place: Place;
  readonly shell: Shell;
  readonly process: Process;
  /** The process of a container that `ps` shows for it; undefined where it has none of its own. */
  readonly seen?: ContainerProcess | undefined;
  /** The exported variables. */
  readonly env: ReadonlyMap<string, string>;
  readonly folder: string;
  /** What is piped or redirected in; empty at a terminal. */
  readonly stdin: string;
  /** Set when the command reads from a terminal. */
  readonly terminal: Terminal | undefined;
  /** Whether its output goes to a terminal. */
  readonly toTerminal: boolean;
  out(text: string): void;
  err(text: string): void;
  /** Runs the command of the shell's own that this one stands for. */
  original(args: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number }>;
}

/** A command: prints by `call.out` and `call.err`, gives its exit code. */
export type Tool = (call: Call) => Promise<number> | number;

/** Commands by name. */
export interface Tools {
  readonly [name: string]: Tool;
}

type Octets = Parameters<typeof decodeBytesToUtf8>[0];

/** Runs the shell's own command in the place of ours; what it prints are octets. */
export async function originally(call: Call, args: readonly string[]): Promise<number> {
  const { stdout, stderr, exitCode } = await call.original(args);
  call.out(decodeBytesToUtf8(stdout as unknown as Octets));
  call.err(decodeBytesToUtf8(stderr as unknown as Octets));
  return exitCode;
}

/** What ends a command with a message on stderr and an exit code. */
export class Failed extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
    this.name = "Failed";
  }
}
