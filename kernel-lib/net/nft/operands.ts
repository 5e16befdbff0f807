/** Owns what kind of values operands give. */
import type { Operand } from "./ruleset";
import { selector } from "./selectors";
import type { DataTypeName } from "./types";

/** The types of what an operand gives, one for each of its parts. */
export function typesOf(operand: Operand): readonly DataTypeName[] {
  if (typeof operand === "string") return [selector(operand).type];
  if ("concat" in operand) return operand.concat.map((name) => selector(name).type);
  return "of" in operand ? [selector(operand.of).type] : ["integer"];
}
