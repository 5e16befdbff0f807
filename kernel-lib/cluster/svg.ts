/** Owns drawing a Vega-Lite spec as SVG, for pages that run no script. */

/** A Vega-Lite spec, valid in versions 5 and 6, as plain data. */
export type VegaLiteSpec = { readonly [key: string]: unknown };

/** Draws the spec. The same spec gives the same bytes: no canvas is asked how wide a letter is. */
export async function svgOf(spec: VegaLiteSpec): Promise<string> {
  // ES modules without a CommonJS face: only a dynamic import reaches them.
  const [{ parse, View }, { compile }] = await Promise.all([import("vega"), import("vega-lite")]);
  // Vega writes marks of its own into the data: it gets a copy.
  const copy = JSON.parse(JSON.stringify(spec)) as Parameters<typeof compile>[0];
  const view = new View(parse(compile(copy).spec), { renderer: "none" });
  try {
    return named(await view.toSVG(), spec);
  } finally {
    view.finalize();
  }
}

/** Puts the spec's title and description where a screen reader looks for them. */
function named(svg: string, { title, description }: VegaLiteSpec): string {
  const heading = typeof title === "object" && title !== null ? (title as { readonly text?: unknown }).text : title;
  const names = `<title>${escapeXml(heading)}</title><desc>${escapeXml(description)}</desc>`;
  return svg.replace(/^<svg ([^>]*)>/, (_, attributes: string) => `<svg role="img" ${attributes}>${names}`);
}

function escapeXml(text: unknown): string {
  return String(text ?? "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
