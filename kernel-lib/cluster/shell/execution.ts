/** Owns what is said of one execution of a shell, and of its jobs. */
import type { CommandNode, StatementNode } from "just-bash";
import type { Signal } from "../../apps/app";
import type { ContainerProcess } from "../../node/container";
import type { Process } from "../driver";
import type { Output } from "./filesystem";
import type { Terminal } from "./tool";

/** A statement that runs in the background. */
export interface Job {
  readonly number: number;
  readonly pid: number;
  readonly text: string;
  readonly process: Process;
  exitCode: number | undefined;
  /** What has ended it. */
  signal: Signal | undefined;
  /** Its end was shown at the prompt. */
  told: boolean;
}

/** One execution: where its output goes, and which process it is. */
export interface Run {
  readonly process: Process;
  readonly piped: boolean;
  readonly output: Output;
  readonly terminal: Terminal | undefined;
  readonly functions: Map<string, CommandNode>;
  readonly background: StatementNode[];
  readonly direct: boolean;
  /** The text is all that the shell runs: it ends with it. */
  readonly whole: boolean;
  /** Run instead of the text: a statement that was parsed before. */
  readonly statement: StatementNode | undefined;
  /** `$?` at the end of the script; undefined if it did not get there. */
  status: number | undefined;
  variables: string;
  /** The line itself has been rewritten: what comes now is a script that it started (`bash x.sh`, `xargs`, `find -exec`). */
  nested: boolean;
  /** It works with the shell's own variables: what has come for the shell is done here. */
  readonly main: boolean;
  /** The process that it is in its container, where it is one of its own. */
  readonly shown: ContainerProcess | undefined;
  /** What it runs now has taken the shell's place (`exec`). */
  replaced: boolean;
  /** Breaks it off, as the signal does that ends it. */
  end: (signal: Signal) => void;
  endedBy: Signal | undefined;
}

/** How a command line is run. */
export interface RunOptions {
  readonly process: Process;
  readonly output: Output;
  readonly terminal?: Terminal;
  readonly stdin?: string;
  /** Variables instead of the shell's own: the run then changes nothing of the shell. */
  readonly env?: ReadonlyMap<string, string>;
  readonly folder?: string;
  /** What it prints goes into a pipe, though it is shown as it comes (`kubectl exec` without -t). */
  readonly piped?: boolean;
  /** The text is a whole script, and the shell ends with it (`sh -c`): what it has set for its end is run. */
  readonly whole?: boolean;
}
