/** Owns `--overrides` of `run` and `expose`. */
import { mergePatch, strategicMerge } from "../../../api/patch";
import { Failed } from "../../shell/tool";
import type { Flags } from "../flags";

/** An object with what `--overrides` puts over it: as JSON merge patch (RFC 7386) unless the strategic one is asked for. */
export function overridden(object: object, flags: Flags): object {
  const text = flags.text("overrides");
  if (text === undefined || text === "") return object;
  const type = flags.text("override-type") ?? "merge";
  if (type !== "merge" && type !== "strategic") {
    throw new Failed(`error: invalid override type: ${type}: this kubectl has merge and strategic`);
  }
  let patch: unknown;
  try {
    patch = JSON.parse(text);
  } catch {
    throw new Failed("error: Invalid JSON Patch");
  }
  return (type === "merge" ? mergePatch(object, patch) : strategicMerge(object, patch)) as object;
}
