/** Owns two small chapters that show each kind of output, so that the page is tested whatever the course holds. */
import fs from "node:fs";
import path from "node:path";

/** A value that the kernel shows as this MIME bundle. */
function shown(bundle: Readonly<Record<string, unknown>>): string {
  return `({ [Symbol.for("Jupyter.display")]: () => (${JSON.stringify(bundle)}) })`;
}

/** A bar chart of three pods. */
export function chart(version: 5 | 6): Readonly<Record<string, unknown>> {
  return {
    $schema: `https://vega.github.io/schema/vega-lite/v${version}.json`,
    description: `Requests per pod, version ${version}`,
    width: 240,
    height: 100,
    data: { values: ["a", "b", "c"].map((pod, index) => ({ pod, requests: 300 + index })) },
    mark: "bar",
    encoding: { x: { field: "pod", type: "nominal" }, y: { field: "requests", type: "quantitative" } },
  };
}

const vegaLite = (version: 5 | 6, spec: unknown) => ({
  [`application/vnd.vegalite.v${version}+json`]: spec,
  "text/plain": "a chart",
});

/** The source of the cells of the first chapter. */
export const cells = {
  stream: 'const pods: readonly string[] = ["a", "b", "c"];\nconsole.log("There are", pods.length, "pods.");',
  version5: shown(vegaLite(5, chart(5))),
  version6: shown(vegaLite(6, chart(6))),
} as const;

/** Outputs that try what they must not: each would leave a mark on the window or ask for a URL. */
export const hostileCells = {
  html: shown({
    "text/html":
      '<b id="hostile">Bold</b><script>window.hostile = "script"</script><img src="x:" onerror="window.hostile = 1">',
  }),
  svg: shown({
    "image/svg+xml":
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="window.hostile = 2">' +
      "<script>window.hostile = 3</script></svg>",
  }),
  chart: shown(vegaLite(5, { ...chart(5), data: { url: "https://example.com/data.json" } })),
  smuggled: shown(
    vegaLite(5, { ...chart(5), usermeta: { embedOptions: { patch: "https://example.com/patch.json", ast: false } } }),
  ),
} as const;

function codeCell(id: string, source: string) {
  return { id, cell_type: "code", metadata: {}, execution_count: null, outputs: [], source };
}

function notebook(name: string, title: string, sources: Readonly<Record<string, string>>) {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: "kubebook", display_name: "TypeScript (kubebook)", language: "typescript" },
      language_info: { name: "typescript", codemirror_mode: "typescript" },
      kubebook: { chapter: name, title, minutes: 7, goals: ["See every kind of output"] },
    },
    cells: [
      { id: "title", cell_type: "markdown", metadata: {}, source: `# ${title}\n\nIts share is $\\frac{1}{3}$.` },
      ...Object.entries(sources).map(([id, source]) => codeCell(id, source)),
    ],
  };
}

/** Writes the chapters into a folder of notebooks and returns their names. */
export function writeChapters(folder: string): readonly [first: string, second: string] {
  fs.mkdirSync(folder, { recursive: true });
  const chapters = [
    ["01-first-outputs", "First outputs", cells],
    ["02-hostile-outputs", "Hostile outputs", hostileCells],
  ] as const;
  for (const [name, title, sources] of chapters) {
    fs.writeFileSync(
      path.join(folder, `${name}.ipynb`),
      `${JSON.stringify(notebook(name, title, sources), null, 1)}\n`,
    );
  }
  return ["01-first-outputs", "02-hostile-outputs"];
}
