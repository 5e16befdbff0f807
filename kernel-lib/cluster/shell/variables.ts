/** Owns how variables last from line to line: those that only the shell itself can tell are printed, and made anew. */
import { parse, type StatementNode } from "just-bash";
import { variablesPath } from "./filesystem";

/** `$?` is kept, then the variables are printed: what only bash knows of them, arrays and attributes, is taken from there. */
export function epilogue(): StatementNode[] {
  return parse(`__keep "$?"; declare -p >>${variablesPath} 2>/dev/null`).statements;
}

/** What makes arrays and attributes anew, from what `declare -p` printed of them (plain variables are carried as they are). */
export function arraysOf(declarations: string): string {
  const lines: string[] = [];
  for (const line of declarations.split(/\n(?=declare )/)) {
    const [, flags = "", name = "", values] =
      /^declare (-[a-zA-Z-]+) ([A-Za-z_]\w*)(?:=(\([\s\S]*\))\n?)?/.exec(line) ?? [];
    if (/^(PIPESTATUS|BASH_\w+|FUNCNAME|DIRSTACK|GROUPS)$/.test(name) || !/[aAilu]/.test(flags)) continue;
    // Two steps: just-bash splits the values of a `declare` at their spaces.
    lines.push(`declare ${flags} ${name}`);
    if (values) lines.push(`${name}=${values}`);
  }
  return lines.join("\n");
}
