/** Owns what all charts share: words, a page of any colour, and a spec, an SVG and a text in one bundle. */
import { displayable, type MimeBundle } from "./display";
import { grey } from "./palette";
import { svgOf, type VegaLiteSpec } from "./svg";

/** A chart: a spec that shows itself, with an SVG beside it and its message in words. */
export interface Chart {
  readonly spec: VegaLiteSpec;
  /** What the chart says, for those who do not see it. */
  readonly text: string;
}

/** What all charts share: words, a page of any colour, and a width that a notebook has. */
export function frame(title: string, subtitle: string, description: string): VegaLiteSpec {
  const axis = {
    labelColor: grey,
    titleColor: grey,
    domainColor: grey,
    tickColor: grey,
    gridColor: grey,
    gridOpacity: 0.25,
  };
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v5.json",
    description,
    title: { text: title, subtitle, anchor: "start", color: grey, subtitleColor: grey, offset: 10 },
    background: "transparent",
    config: { axis: { ...axis, labelLimit: 220 }, view: { stroke: null } },
  };
}

/** The chart as it is shown; `text` is its message in words. */
export async function drawn(spec: VegaLiteSpec, text: string): Promise<Chart> {
  const svg = await svgOf(spec);
  const bundle: MimeBundle = { "application/vnd.vegalite.v5+json": spec, "image/svg+xml": svg, "text/plain": text };
  return displayable(
    { spec, text },
    () => bundle,
    () => text,
  );
}
