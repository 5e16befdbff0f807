/** Owns what a verb of kubectl is and sees: its flags, the API, and the terminal. */
import type { Kind, Kinds, KubeObject, Resource } from "../../api/kinds";
import type { Api } from "../../api/rest";
import type { Call } from "../shell/tool";
import type { Flag, Flags } from "./flags";

/** One call of a verb. */
export interface Context {
  readonly call: Call;
  readonly api: Api;
  readonly flags: Flags;
  /** `-n`, or `default`. */
  readonly namespace: string;
  out(text: string): void;
  err(text: string): void;
}

/** A verb of kubectl: one file each. */
export interface Verb {
  readonly name: string;
  readonly flags: readonly Flag[];
  /** One line, as `kubectl --help` prints it. */
  readonly short: string;
  readonly usage: string;
  /** An argument ends the flags. */
  readonly stopAtArgument?: boolean;
  run(context: Context): Promise<number> | number;
}

/** An object with what kubectl calls it. */
export interface Found<K extends Kind = Kind> {
  readonly resource: Resource;
  readonly object: Kinds[K];
}

export type AnyObject = KubeObject;
