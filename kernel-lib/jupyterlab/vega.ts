/** Owns how Vega and Vega-Lite charts (5 and 6) show in outputs: as SVG, in the theme's colours, off the network. */
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Widget } from "@lumino/widgets";
import type { Config, EmbedOptions, Result, VisualizationSpec } from "vega-embed";

const modes = {
  "application/vnd.vegalite.v5+json": "vega-lite",
  "application/vnd.vegalite.v6+json": "vega-lite",
  "application/vnd.vega.v5+json": "vega",
  "application/vnd.vega.v6+json": "vega",
} as const;

type VegaMimeType = keyof typeof modes;

/** `currentColor` is the colour of the page's text, whatever theme is on now: a chart follows a switch by itself. */
const ink = "currentColor";
const guide = { labelColor: ink, titleColor: ink };

/** What a spec's own `config` may override. */
const config: Config = {
  background: "transparent",
  axis: { ...guide, domainColor: ink, tickColor: ink, gridColor: ink, gridOpacity: 0.15 },
  legend: guide,
  header: guide,
  title: { color: ink, subtitleColor: ink },
  text: { color: ink },
  view: { stroke: ink, strokeOpacity: 0.3 },
};

/**
 * What a spec may point at: pictures that it holds itself, and links that somebody must click. A notebook from
 * elsewhere must not make this page talk to other hosts, nor to its own server. Vega only warns when something does not
 * load, so what was refused is told to `onRefused`.
 */
function offlineLoader(onRefused: (uri: string) => void) {
  const refuse = (uri: string): Promise<never> => {
    onRefused(uri);
    return Promise.reject(new Error(`Refused: ${uri}`));
  };
  return {
    load: refuse,
    http: refuse,
    file: refuse,
    sanitize: async (uri: string, options: { readonly context?: string } = {}): Promise<{ href: string }> => {
      const allowed = options.context === "href" ? /^https?:\/\//i : /^data:image\/(?!svg)/i;
      return allowed.test(uri) ? { href: uri } : refuse(uri);
    },
  };
}

/** A spec may carry embed options of its own (`usermeta`); those would win over ours, the loader's among them. */
function withoutUsermeta(spec: Readonly<Record<string, unknown>>): VisualizationSpec {
  const { usermeta: _usermeta, ...rest } = structuredClone(spec);
  return rest as unknown as VisualizationSpec;
}

function problem(text: string): HTMLElement {
  const place = document.createElement("div");
  place.className = "kubebook-Vega-problem";
  place.textContent = text;
  return place;
}

/** One chart in an output. */
class VegaChart extends Widget implements IRenderMime.IRenderer {
  private result: Result | undefined;
  private renders = 0;

  constructor(private readonly mimeType: VegaMimeType) {
    super();
    this.addClass("kubebook-Vega");
  }

  /** Draws the model's spec; called again when the output is updated. */
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const turn = ++this.renders;
    const spec = model.data[this.mimeType];
    const place = document.createElement("div");
    const refused = new Set<string>();
    try {
      if (typeof spec !== "object" || spec === null || Array.isArray(spec)) {
        throw new Error("its spec is not an object");
      }
      const { default: embed, vega } = await import("vega-embed");
      const { expressionInterpreter } = await import("vega-interpreter");
      const options: EmbedOptions = {
        mode: modes[this.mimeType],
        renderer: "svg",
        config,
        loader: offlineLoader((uri) => refused.add(uri)),
        // Expressions are interpreted, not compiled: a chart needs no right to make code.
        ast: true,
        expr: expressionInterpreter,
        logLevel: vega.Error,
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: "chart",
      };
      const result = await embed(place, withoutUsermeta(spec as Record<string, unknown>), options);
      if (turn !== this.renders || this.isDisposed) return result.finalize();
      if (refused.size > 0) {
        result.finalize();
        throw new Error(
          `it wants ${[...refused].join(", ")}, and charts load nothing from elsewhere: put the data inline`,
        );
      }
      this.replace(result, place);
    } catch (error) {
      if (turn !== this.renders || this.isDisposed) return;
      const words = (error instanceof Error ? error.message : String(error)).replace(/\.$/, "");
      this.replace(undefined, problem(`This chart cannot be drawn: ${words}.`));
    }
  }

  override dispose(): void {
    this.result?.finalize();
    this.result = undefined;
    super.dispose();
  }

  /** The old chart stays until the new one is there, so that an updated display does not flicker. */
  private replace(result: Result | undefined, content: HTMLElement): void {
    this.result?.finalize();
    this.result = result;
    this.node.replaceChildren(content);
  }
}

/** The MIME extension; its rank puts a chart before the SVG or text in the same bundle. */
export const vegaExtension: IRenderMime.IExtension = {
  id: "kubebook:vega",
  description: "Shows Vega and Vega-Lite charts, versions 5 and 6.",
  dataType: "json",
  rendererFactory: {
    safe: true,
    defaultRank: 57,
    mimeTypes: Object.keys(modes),
    createRenderer: ({ mimeType }) => new VegaChart(mimeType as VegaMimeType),
  },
};
