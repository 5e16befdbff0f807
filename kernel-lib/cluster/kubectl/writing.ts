/** Owns what kubectl's writing verbs ask of the server: dry run or not, how strictly fields are checked, who writes. */
import type { WriteOptions } from "../../api/rest";
import { Failed } from "../shell/tool";
import type { Context } from "./context";
import type { Flags } from "./flags";
import { dryRunOf } from "./verbs/dryrun";

/** Options of a write; `--validate` counts where the verb has it, otherwise the server only warns. */
export function writing(context: Context, by: string, validated = false): WriteOptions {
  return {
    by,
    dryRun: context.flags.given("dry-run") && dryRunOf(context.flags) !== "none",
    fieldValidation: validated ? validationOf(context.flags) : "Warn",
    warn: (text) => context.warn(text),
  };
}

/** @throws Failed in kubectl's words */
function validationOf(flags: Flags): "Strict" | "Warn" | "Ignore" {
  const text = flags.text("validate") ?? "strict";
  if (text === "true" || text === "strict") return "Strict";
  if (text === "warn") return "Warn";
  if (text === "false" || text === "ignore") return "Ignore";
  throw new Failed(
    `error: invalid - validate option ${JSON.stringify(text)}; must be one of: strict (or true), warn, ignore (or false)`,
  );
}
