/** Owns what an image is to us, a function, and what a running one sees of the world. */
import type { Netns } from "../net/netns";
import type { Clock } from "../sim/clock";
import type { Random } from "../sim/random";
import type { Files } from "./files";

/** The signals that end, stop or stir a program. */
export type Signal = "SIGHUP" | "SIGINT" | "SIGQUIT" | "SIGKILL" | "SIGUSR1" | "SIGUSR2" | "SIGTERM" | "SIGWINCH";

/** Linux's numbers: a program that a signal ended has exit code 128 + number. */
export const signalNumbers: { readonly [S in Signal]: number } = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGWINCH: 28,
};

export type Stream = "stdout" | "stderr";

/** A program: it sets up its sockets, signals and timers, and returns; it lives until it says `exit`. */
export type App = (program: Program) => void;

/** What ends with the program that opened it: a socket, a timer. */
export interface Closable {
  close(): void;
}

/**
 * What a running program sees: its arguments, environment, files, network, time and chance.
 *
 * As the first program of its container it has Linux's treatment of PID 1: a signal that it does not handle does
 * nothing, except SIGKILL.
 */
export interface Program {
  /** `argv[0]` is the name it was called by. */
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly folder: string;
  /** Whether somebody may type at it (`stdin: true` in the spec), and whether that is a terminal. */
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly hostname: string;
  readonly files: Files;
  /** The pod's network namespace: shared by all its containers. */
  readonly netns: Netns;
  readonly clock: Clock;
  readonly random: Random;
  /** Text for the container's log. A line is logged once its end (`\n`) has come, or when the program ends. */
  write(text: string, stream?: Stream): void;
  /** Calls `handle` on every signal of this name; the last handler counts. */
  onSignal(signal: Signal, handle: () => void): void;
  /** Closes `thing` when the program ends. Gives it back. */
  own<T extends Closable>(thing: T): T;
  /** Lets go of a thing that has ended by itself. */
  disown(thing: Closable): void;
  /** What `ps` shows of it instead of its arguments. */
  title(text: string): void;
  /** Another process that it starts, as `ps` shows it; it lives no longer than the program. */
  spawn(title: string): Closable;
  /** Ends the program. What it owns is closed; nothing of it runs afterwards. */
  exit(code: number): void;
  /** Whether it has ended. */
  readonly ended: boolean;
}

/** A program that somebody else runs for us: a shell script in a container. */
export interface RunningProcess {
  /** A signal has come that ends it (SIGKILL: at once). A shell as PID 1 ignores SIGTERM, as in life. */
  signal(signal: Signal): void;
}

/** Runs commands that are not functions of ours (`sh -c "while true; …"`, `sleep 3600`); `cluster/` hands it in. */
export interface ProcessRunner {
  /** Starts `argv` as `program`: it writes with `program.write` and ends with `program.exit`. */
  run(program: Program, argv: readonly string[]): RunningProcess;
}
