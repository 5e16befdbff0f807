/** Owns what it is to run a command in a running container beside its program: what probes and hooks of kind `exec` ask. */
import type { Container } from "./container";

/** How such a command ended. */
export type Executed =
  /** `output`: both streams, as they came. */
  | { readonly exitCode: number; readonly output: string }
  /** The runtime could not start it; its sentence. */
  | { readonly problem: string };

/**
 * Runs `argv` in a container, not through a shell; `told` is called once, from the clock or a process, and never after
 * `stop`. When the container ends, the command is killed with it (exit code 137).
 */
export type ExecIn = (
  container: Container,
  argv: readonly string[],
  told: (result: Executed) => void,
) => { stop(): void };
