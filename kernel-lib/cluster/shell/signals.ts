/** Owns the signals of one shell: what is trapped, what has come and waits for the command that runs, and `trap` as it lists. */
import { type Signal, signalNumbers } from "../../apps/app";
import { type Call, Failed, type Tools } from "./tool";

/** A signal by `TERM`, `SIGTERM`, `sigterm` or `15`; undefined: there is none of that name. */
export function signalOf(text: string): Signal | undefined {
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG") as Signal;
  if (Object.hasOwn(signalNumbers, name)) return name;
  const names = Object.keys(signalNumbers) as Signal[];
  return names.find((each) => String(signalNumbers[each]) === text);
}

/** What a program does on a signal that it does not handle: nothing, or it ends. */
export function endsBy(signal: Signal): boolean {
  return signal !== "SIGWINCH";
}

/** A shell's traps (POSIX, "2.15 trap"): a signal waits until the command in the foreground has ended, but `wait` ends at once. */
export class ShellSignals {
  /** The commands; none: the signal is ignored. */
  readonly #traps = new Map<Signal, string>();
  #pending: Signal[] = [];
  readonly #waiting = new Set<() => void>();
  /** `$?` when it was last looked for signals. */
  status = 0;

  /** Whether anything is trapped. */
  get used(): boolean {
    return this.#traps.size > 0;
  }

  get traps(): ReadonlyMap<Signal, string> {
    return this.#traps;
  }

  /** The first of those that wait. */
  get next(): Signal | undefined {
    return this.#pending[0];
  }

  trap(signal: Signal, commands: string): void {
    this.#traps.set(signal, commands);
  }

  untrap(signal: Signal): void {
    this.#traps.delete(signal);
  }

  /** A new program in the shell's place handles nothing; what was ignored stays ignored. */
  forget(): void {
    for (const [signal, commands] of this.#traps) if (commands !== "") this.#traps.delete(signal);
    this.#pending = [];
  }

  /** A signal has come; false if nobody has said what it should do. */
  hear(signal: Signal): boolean {
    const commands = this.#traps.get(signal);
    if (commands === undefined || signal === "SIGKILL") return false;
    if (commands === "") return true;
    if (!this.#pending.includes(signal)) this.#pending.push(signal);
    for (const wake of [...this.#waiting]) wake();
    return true;
  }

  /** Takes all that wait. */
  take(): readonly Signal[] {
    const taken = this.#pending;
    this.#pending = [];
    return taken;
  }

  /** Calls `wake` when a trapped signal comes; gives what takes that back. */
  onTrapped(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => void this.#waiting.delete(wake);
  }
}

/** `__trap COMMANDS SIGNAL…`: what `trap` has become, beside the functions of the commands (traps.ts). */
function set({ shell, args }: Call): number {
  const [commands = "", ...signals] = args;
  for (const signal of signals) shell.signals.trap(signal as Signal, commands);
  return 0;
}

/** `__trapped STATUS`: 1 if a signal waits, and else the status. */
function trapped({ shell, args, process }: Call): number {
  shell.signals.status = Number(args[0]);
  return shell.signals.next !== undefined && shell.mainOf(process) ? 1 : shell.signals.status;
}

/** What is run then: `$?` is as it was, before and after each. */
function code({ shell, out, process }: Call): number {
  const status = `__status ${shell.signals.status}`;
  const signals = shell.mainOf(process) ? shell.signals.take() : [];
  out(
    signals.map((signal) => `__before=${shell.signals.status}; ${status}\n__terminal___trap_${signal}\n`).join("") +
      status,
  );
  return 0;
}

/** `trap`, `trap -p`, `trap -l`: lists; and what is no signal. */
function trap({ shell, args, out }: Call): number {
  const [first, ...rest] = args;
  if (first !== undefined && first !== "-p" && first !== "-l") {
    const other = rest.find((name) => signalOf(name) === undefined) ?? rest[0] ?? first;
    if (/^(ERR|DEBUG|RETURN)$/i.test(other)) {
      throw new Failed(
        `bash: trap: ${other}: only EXIT and signals can be trapped here, by a script that stands alone`,
      );
    }
    if (signalOf(other))
      throw new Failed(`bash: trap: ${other}: a script that a script starts cannot trap signals here`);
    throw new Failed(`bash: trap: ${other}: invalid signal specification`);
  }
  if (first === "-l") {
    const names = (Object.keys(signalNumbers) as Signal[]).sort(
      (one, other) => signalNumbers[one] - signalNumbers[other],
    );
    out(names.map((name) => `${String(signalNumbers[name]).padStart(2)}) ${name}\n`).join(""));
    return 0;
  }
  for (const [signal, commands] of shell.signals.traps) {
    if (rest.length === 0 || rest.some((name) => signalOf(name) === signal)) {
      out(`trap -- '${commands.replaceAll("'", "'\\''")}' ${signal}\n`);
    }
  }
  return 0;
}

export const trapTools: Tools = {
  trap,
  __trap: set,
  __untrap: ({ shell, args }) => {
    for (const signal of args) shell.signals.untrap(signal as Signal);
    return 0;
  },
  __exec: ({ shell, process }) => {
    shell.signals.forget();
    const run = shell.mainOf(process);
    if (run) run.replaced = true;
    return 0;
  },
  __trapped: trapped,
  __trapcode: code,
  __trapbody: ({ shell, args, out }) => {
    out(shell.signals.traps.get(args[0] as Signal) ?? "");
    return 0;
  },
};
