/** Owns what a verb of helm is and sees. */
import type { Api } from "../../api/rest";
import type { Flag, Flags } from "../kubectl/flags";
import type { Call } from "../shell/tool";

export interface HelmContext {
  readonly call: Call;
  readonly api: Api;
  readonly flags: Flags;
  /** `-n`, or the kubeconfig's, or `default`. */
  readonly namespace: string;
}

export interface HelmVerb {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly short: string;
  readonly usage: string;
  readonly flags: readonly Flag[];
  readonly verbs?: readonly HelmVerb[];
  /** How many arguments, and the words for it. */
  readonly args: { readonly least: number; readonly most?: number };
  run(context: HelmContext): Promise<number> | number;
}
