/** Owns the filling of a chart's templates: what they see, what they may call, and Helm's words for what goes wrong. */
import { apiVersionOf, findKind, resources } from "../../api/kinds";
import type { Api } from "../../api/rest";
import type { Random } from "../../sim/random";
import {
  ExecError,
  execute,
  ParseError,
  type TemplateFunction,
  type Templates,
  templatesOf,
} from "../gotemplate/index";
import type { GoMap } from "../gotemplate/values";
import { isMap, truth } from "../gotemplate/values";
import { Failed } from "../shell/tool";
import type { Chart, ChartFile } from "./chart";
import { dataFunctions } from "./functions/data";
import { encodingFunctions } from "./functions/encoding";
import { textFunctions, textOf } from "./functions/text";
import { encoded } from "./release";

/** What a run of templates is about. */
export interface Rendering {
  readonly chart: Chart;
  /** The coalesced values. */
  readonly values: GoMap;
  readonly release: {
    readonly name: string;
    readonly namespace: string;
    readonly revision: number;
    readonly isUpgrade: boolean;
  };
  readonly kubeVersion: string;
  /** For `lookup`; without it nothing is found, as in `helm template`. */
  readonly api: Api | undefined;
  readonly random: Random;
}

interface Unit {
  readonly path: string;
  readonly text: string;
  readonly base: string;
  readonly data: GoMap;
}

const deepestInclude = 1000;

/** Path → text, of every template but the partials. @throws Failed */
export function renderChart(rendering: Rendering): ReadonlyMap<string, string> {
  const units = unitsOf(rendering.chart, rendering.values, rendering.chart.metadata.name, topOf(rendering), true);
  const depth = new Map<string, number>();
  const functions = new Map<string, TemplateFunction>([
    ...Object.entries({
      ...textFunctions,
      ...dataFunctions,
      ...encodingFunctions,
      ...randomFunctions(rendering.random),
    }),
  ]);
  const bound: { templates?: Templates } = {};
  functions.set("include", (name, data) => {
    const count = (depth.get(textOf(name)) ?? 0) + 1;
    if (count > deepestInclude) throw new Error(nested(textOf(name)));
    depth.set(textOf(name), count);
    const text = execute(bound.templates as Templates, textOf(name), data, count);
    depth.set(textOf(name), count - 1);
    return text;
  });
  functions.set("tpl", (text, data) => {
    const inner = templatesOf([["gotpl", textOf(text)]], functions);
    const trees = new Map([...(bound.templates as Templates).trees, ...inner.trees]);
    return execute({ trees, functions: inner.functions }, "gotpl", data).replaceAll("<no value>", "");
  });
  functions.set("required", (message, value) => {
    if (value === null || value === undefined || value === "")
      throw new Error(`HELM_ERR_START${textOf(message)}HELM_ERR_END`);
    return value;
  });
  functions.set("lookup", (version, kind, namespace, name) =>
    lookup(rendering.api, [version, kind, namespace, name].map(textOf)),
  );
  functions.set("getHostByName", () => "");
  try {
    bound.templates = templatesOf(
      orderOf(units).map(({ path, text }) => [path, text] as const),
      functions,
    );
    const rendered = new Map<string, string>();
    for (const unit of orderOf(units)) {
      if (/(^|\/)_[^/]*$/.test(unit.path)) continue;
      const data = { ...unit.data, Template: { Name: unit.path, BasePath: unit.base } };
      rendered.set(unit.path, execute(bound.templates, unit.path, data).replaceAll("<no value>", ""));
    }
    return rendered;
  } catch (error) {
    if (error instanceof RangeError) {
      // The stack was at its end before Helm's own limit.
      const [name = ""] = [...depth].sort(([, one], [, other]) => other - one)[0] ?? [];
      throw new Failed(nested(name));
    }
    throw worded(error);
  }
}

function nested(name: string): string {
  return `rendering template has a nested reference name: ${name}: unable to execute template`;
}

/** engine.go: cleanupParseError and cleanupExecError. */
function worded(error: unknown): unknown {
  if (error instanceof ParseError) {
    const [, place = "", ...rest] = error.message.split(": ");
    return new Failed(`parse error at (${place}): ${rest.at(-1) ?? ""}`);
  }
  if (!(error instanceof ExecError)) return error;
  const [, place = ""] = error.message.split(": ");
  const warned = /HELM_ERR_START([\s\S]*)HELM_ERR_END/.exec(error.message)?.[1];
  return new Failed(warned === undefined ? error.message : `execution error at (${place}): ${warned}`);
}

/** Deeper files first, so that what stands higher has the last word. */
function orderOf(units: readonly Unit[]): readonly Unit[] {
  const depth = (path: string): number => path.split("/").length;
  return [...units].sort((one, other) => depth(other.path) - depth(one.path) || (one.path < other.path ? 1 : -1));
}

function topOf({ release, kubeVersion }: Rendering): GoMap {
  const known = new Set(resources.flatMap((each) => [apiVersionOf(each), `${apiVersionOf(each)}/${each.kind}`]));
  const [, major = "1", minor = ""] = /^v(\d+)\.(\d+)/.exec(kubeVersion) ?? [];
  return {
    Release: {
      Name: release.name,
      Namespace: release.namespace,
      Revision: release.revision,
      IsInstall: !release.isUpgrade,
      IsUpgrade: release.isUpgrade,
      Service: "Helm",
    },
    Capabilities: {
      KubeVersion: { Version: kubeVersion, GitVersion: kubeVersion, Major: major, Minor: minor },
      APIVersions: { Has: (version: unknown) => known.has(textOf(version)) },
      HelmVersion: { version: helmVersion, git_commit: "", git_tree_state: "clean", go_version: "go1.25" },
    },
  };
}

export const helmVersion = "v4.1.0";

function unitsOf(chart: Chart, values: GoMap, path: string, top: GoMap, root: boolean): readonly Unit[] {
  const data: GoMap = {
    ...top,
    Chart: { ...fieldsOf(chart.metadata), IsRoot: root },
    Files: filesOf(chart.files),
    Values: values,
    Subcharts: {},
  };
  const inner = chart.dependencies.flatMap((part) => {
    const { name } = part.metadata;
    const own = isMap(values[name]) ? values[name] : {};
    if (isMap(values[name]) && (values[name] as GoMap).enabled === false && conditionOf(chart, name)) return [];
    return unitsOf(part, own as GoMap, `${path}/charts/${name}`, top, false);
  });
  const own = chart.templates
    .filter(({ name }) => chart.metadata.type !== "library" || /(^|\/)_[^/]*$/.test(name))
    .map(({ name, text }) => ({ path: `${path}/${name}`, text, base: `${path}/templates`, data }));
  return [...inner, ...own];
}

/** Whether Chart.yaml lets `NAME.enabled` switch a part off. */
function conditionOf(chart: Chart, name: string): boolean {
  const parts = chart.metadata.dependencies;
  return Array.isArray(parts) && parts.some((part: GoMap) => part.name === name && truth(part.condition));
}

/** Chart.yaml's fields by the names of Go's: `appVersion` is `.Chart.AppVersion`. */
function fieldsOf(metadata: Chart["metadata"]): GoMap {
  const named = Object.entries(metadata).map(([key, value]) => [
    key === "apiVersion" ? "APIVersion" : key.charAt(0).toUpperCase() + key.slice(1),
    value,
  ]);
  return { AppVersion: "", Description: "", Type: "", ...Object.fromEntries(named) };
}

function filesOf(files: readonly ChartFile[]): GoMap {
  const get = (name: unknown): string => files.find((file) => file.name === textOf(name))?.text ?? "";
  const last = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
  const lines = (pairs: readonly string[]): string => pairs.join("\n");
  return {
    ...Object.fromEntries(files.map(({ name, text }) => [name, text])),
    Get: get,
    GetBytes: get,
    Lines: (name: unknown) => get(name).replace(/\n$/, "").split("\n"),
    Glob: (pattern: unknown) => filesOf(files.filter(({ name }) => globbed(textOf(pattern)).test(name))),
    AsConfig: () =>
      (encodingFunctions.toYaml as TemplateFunction)(
        Object.fromEntries(files.map(({ name, text }) => [last(name), text])),
      ),
    AsSecrets: () => lines(files.map(({ name, text }) => `${last(name)}: ${encoded(text)}`)),
  };
}

function globbed(pattern: string): RegExp {
  const body = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("**", "\u0000")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]")
    .replaceAll("\u0000", ".*");
  return new RegExp(`^${body}$`);
}

function lookup(
  api: Api | undefined,
  [version = "", kind = "", namespace = "", name = ""]: readonly string[],
): unknown {
  const resource = findKind(version, kind);
  if (!api || !resource) return {};
  if (name !== "") return api.store.get(resource.kind, resource.namespaced ? `${namespace}/${name}` : name) ?? {};
  return {
    apiVersion: version,
    kind: `${kind}List`,
    items: api.list(resource.kind, namespace === "" ? {} : { namespace }),
  };
}

function randomFunctions(random: Random): Readonly<Record<string, TemplateFunction>> {
  const of = (letters: string) => (count: unknown) =>
    Array.from({ length: Math.min(10_000, Number(count)) }, () => letters[random.integer(0, letters.length - 1)]).join(
      "",
    );
  const [small, digits] = ["abcdefghijklmnopqrstuvwxyz", "0123456789"];
  return {
    randAlphaNum: of(small + small.toUpperCase() + digits),
    randAlpha: of(small + small.toUpperCase()),
    randNumeric: of(digits),
    randInt: (from, to) => random.integer(Number(from), Number(to) - 1),
  };
}
