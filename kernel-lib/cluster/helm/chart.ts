/** Owns charts: what a folder with a Chart.yaml holds, and the values that it comes with. */
import { parse } from "yaml";
import type { Files } from "../../apps/files";
import type { GoMap } from "../gotemplate/values";
import { Failed } from "../shell/tool";

/** A file of a chart by its path in it. */
export interface ChartFile {
  readonly name: string;
  readonly text: string;
}

export interface Chart {
  /** What Chart.yaml says. */
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly version: string };
  readonly values: GoMap;
  readonly templates: readonly ChartFile[];
  /** What is neither a template nor of the chart's own making. */
  readonly files: readonly ChartFile[];
  readonly dependencies: readonly Chart[];
}

/** Reads the chart in a folder. @throws Failed in Helm's words, without what went wrong in front */
export function loadChart(files: Files, folder: string): Chart {
  const all = filesIn(files, folder);
  const text = (name: string): string | undefined => all.find((file) => file.name === name)?.text;
  const about = text("Chart.yaml");
  if (about === undefined) throw new Failed("Chart.yaml file is missing");
  const metadata = yamlMap(about, "cannot load Chart.yaml");
  checkMetadata(metadata);
  const own = all.filter(({ name }) => !name.startsWith("charts/"));
  const parts = new Set(all.flatMap(({ name }) => /^charts\/([^/_.][^/]*)\//.exec(name)?.[1] ?? []));
  return {
    metadata: metadata as Chart["metadata"],
    values: yamlMap(text("values.yaml") ?? "", "cannot load values.yaml"),
    templates: own.filter(({ name }) => name.startsWith("templates/")),
    files: own.filter(
      ({ name }) => !/^(templates\/|Chart\.(yaml|lock)$|values\.yaml$|values\.schema\.json$)/.test(name),
    ),
    dependencies: [...parts].sort().map((name) => loadChart(files, `${folder}/charts/${name}`)),
  };
}

function filesIn(files: Files, folder: string): readonly ChartFile[] {
  const base = folder.replace(/\/$/, "");
  return files
    .paths()
    .filter((path) => path.startsWith(`${base}/`))
    .map((path) => ({ name: path.slice(base.length + 1), text: files.read(path) ?? "" }))
    .filter(({ name }) => !/(^|\/)\.|~$/.test(name))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** A YAML map; nothing is an empty one. @throws Failed */
export function yamlMap(text: string, problem: string): GoMap {
  let value: unknown;
  try {
    value = parse(text, { version: "1.1", uniqueKeys: false }) ?? {};
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "";
    throw new Failed(
      `${problem}: error converting YAML to JSON: yaml: ${why.replace(/ at (line \d+).*$/, " ($1)").replace(/:$/, "")}`,
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const type = Array.isArray(value) ? "array" : typeof value;
    throw new Failed(
      `${problem}: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${type} into Go value of type map[string]interface {}`,
    );
  }
  return value as GoMap;
}

function checkMetadata(metadata: GoMap): void {
  const need = (field: string): void => {
    if (!metadata[field]) throw new Failed(`validation: chart.metadata.${field} is required`);
  };
  need("apiVersion");
  need("name");
  need("version");
  if (!/^v?\d+(\.\d+){0,2}([-+][\w.+-]+)?$/.test(String(metadata.version))) {
    throw new Failed(`validation: chart.metadata.version ${JSON.stringify(metadata.version)} is invalid`);
  }
  const type = metadata.type ?? "application";
  if (type !== "application" && type !== "library")
    throw new Failed(`validation: chart.metadata.type must be application or library`);
}
