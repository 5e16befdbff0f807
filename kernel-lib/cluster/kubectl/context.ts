/** Owns what a verb of kubectl is and sees: its flags, the API, and the terminal. */
import type { Kind, Kinds, Resource } from "../../api/kinds";
import type { Api } from "../../api/rest";
import { type Call, Failed } from "../shell/tool";
import type { Flag, Flags } from "./flags";

/** One call of a verb. */
export interface Context {
  readonly call: Call;
  readonly api: Api;
  readonly flags: Flags;
  /** `-n`, or what the kubeconfig's context says, or `default`. */
  readonly namespace: string;
  out(text: string): void;
  err(text: string): void;
  /** Says what the server warns of, each thing once. */
  warn(text: string): void;
  /** How many YAML documents were printed: from the second on a line `---` stands before each. */
  readonly documents: { count: number };
}

/** A verb of kubectl: one file each. */
export interface Verb {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** The verbs below it (`rollout status`). */
  readonly verbs?: readonly Verb[];
  readonly flags: readonly Flag[];
  /** One line, as `kubectl --help` prints it. */
  readonly short: string;
  readonly usage: string;
  /** An argument ends the flags. */
  readonly stopAtArgument?: boolean;
  /** Its name in full, where it stands below another verb: what usage lines call it. */
  readonly called?: string;
  run(context: Context): Promise<number> | number;
}

/** An object with what kubectl calls it. */
export interface Found<K extends Kind = Kind> {
  readonly resource: Resource;
  readonly object: Kinds[K];
}

/** A verb that does nothing itself but hold others: it prints what there is. */
export function verbOfVerbs(name: string, short: string, verbs: readonly Verb[]): Verb {
  return {
    name,
    short,
    verbs,
    usage: `${name} SUBCOMMAND`,
    flags: [],
    run({ flags, err }) {
      if (flags.args.length > 0) {
        const problem = `error: unknown command ${JSON.stringify(flags.args.join(" "))}`;
        throw new Failed(`${problem}\nSee 'kubectl ${name} -h' for help and examples`);
      }
      const lines = verbs.map((verb) => `  ${verb.name.padEnd(15)} ${verb.short}\n`).join("");
      err(`${short}.\n\nAvailable Commands:\n${lines}\nUsage:\n  kubectl ${name} SUBCOMMAND [options]\n`);
      return 1;
    },
  };
}
