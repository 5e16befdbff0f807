/** Owns the door to Go templates (text/template): parse files, run one, with functions of one's own. */
import { builtins } from "./builtins";
import { execute, type TemplateFunction, type Templates } from "./execute";
import { parseTemplate } from "./parser";
import type { Tree } from "./tree";

export { ExecError, type TemplateFunction, type Templates } from "./execute";
export { ParseError } from "./parser";

/** The trees of some files, with the functions that they may call. A later definition of a name wins. @throws ParseError */
export function templatesOf(
  files: Iterable<readonly [name: string, source: string]>,
  functions: ReadonlyMap<string, TemplateFunction>,
): Templates {
  const all = new Map([...Object.entries(builtins), ...functions]);
  const trees = new Map<string, Tree>();
  for (const [name, source] of files) {
    for (const tree of parseTemplate(name, source, (each) => all.has(each))) {
      // An empty template does not take the place of one with content.
      const blank = tree.body.every((node) => node.is === "text" && node.text.trim() === "");
      if (!blank || !trees.has(tree.name)) trees.set(tree.name, tree);
    }
  }
  return { trees, functions: all };
}

/** Fills one template. @throws ParseError, ExecError */
export function fillGoTemplate(
  name: string,
  source: string,
  data: unknown,
  functions: ReadonlyMap<string, TemplateFunction> = new Map(),
): string {
  return execute(templatesOf([[name, source]], functions), name, data);
}

export { execute };
