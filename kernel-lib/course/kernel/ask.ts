/** Owns answers about code that is being written: completions, and what a name means. */
import type { JSDocTagInfo, SymbolDisplayPart } from "@tslab/typescript-for-tslab";
import type { Engine } from "./engine";

/** Completions (Jupyter messaging, "Completion"). `cursor` and the answer's positions count Unicode characters. */
export function completeReply(engine: Engine, code: string, cursor: number): Record<string, unknown> {
  const info = engine.complete(code, offsetOf(code, cursor));
  const start = charactersIn(code, info.start);
  const end = charactersIn(code, info.end);
  const kinds = new Map(info.original?.entries.map((entry) => [entry.name, entry.kind]));
  const types = info.candidates.map((text) => ({ start, end, text, type: kinds.get(text) ?? "" }));
  return {
    status: "ok",
    matches: info.candidates,
    cursor_start: start,
    cursor_end: end,
    metadata: { _jupyter_types_experimental: types }, // what JupyterLab and VS Code show as icons
  };
}

/** The type and documentation of the name at the cursor (Jupyter messaging, "Introspection"). */
export function inspectReply(engine: Engine, code: string, cursor: number): Record<string, unknown> {
  const offset = offsetOf(code, cursor);
  // A cursor right behind a name means that name.
  const info = engine.inspect(code, offset) ?? (offset > 0 ? engine.inspect(code, offset - 1) : undefined);
  if (!info) return { status: "ok", found: false, data: {}, metadata: {} };
  const signature = textOf(info.displayParts);
  const documentation = textOf(info.documentation);
  const tags = (info.tags ?? []).map((tag) => ({ name: tag.name, text: textOf(tag.text) }));
  const plain = [signature, documentation, tags.map((tag) => `@${tag.name} ${tag.text}`.trimEnd()).join("\n")];
  const markdown = [`\`\`\`typescript\n${signature}\n\`\`\``, documentation, tags.map(tagInMarkdown).join("  \n")];
  return {
    status: "ok",
    found: true,
    data: { "text/plain": paragraphs(plain), "text/markdown": paragraphs(markdown) },
    metadata: {},
  };
}

function tagInMarkdown(tag: { name: string; text: string }): string {
  return `*@${tag.name}* ${tag.text}`.trimEnd();
}

function textOf(parts: SymbolDisplayPart[] | JSDocTagInfo["text"]): string {
  return (parts ?? []).map((part) => part.text).join("");
}

function paragraphs(parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Jupyter counts Unicode characters, JavaScript UTF-16 units. */
function offsetOf(code: string, characters: number): number {
  return [...code].slice(0, Math.max(0, characters)).join("").length;
}

function charactersIn(code: string, offset: number): number {
  return [...code.slice(0, offset)].length;
}
