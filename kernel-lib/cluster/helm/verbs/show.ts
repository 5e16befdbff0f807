/** Owns what helm tells of releases and charts: `list`, `status`, `history`, `get`, `show`, `version`. */

import { printYaml } from "../../kubectl/print/yaml";
import { Failed } from "../../shell/tool";
import { chartAt } from "../action";
import type { Chart } from "../chart";
import type { HelmContext, HelmVerb } from "../context";
import { ansiTime, fullTime, printStatus, uiTable } from "../print";
import { type Release, releasesIn } from "../release";
import { helmVersion } from "../render";
import { coalesced } from "../values";

const output = { name: "output", short: "o", type: "string" } as const;
const revision = { name: "revision", type: "int" } as const;

function chartName({ chart }: Release): string {
  return `${chart.metadata.name}-${chart.metadata.version}`;
}

function appVersion({ chart }: Release): string {
  return String(chart.metadata.appVersion ?? "");
}

/** Prints rows as a table, or with `-o json|yaml` as objects. @throws Failed */
function print({ call, flags }: HelmContext, rows: readonly (readonly string[])[], objects: readonly object[]): void {
  const format = flags.text("output") ?? "table";
  if (format === "json") call.out(`${JSON.stringify(objects)}\n`);
  else if (format === "yaml") call.out(printYaml(objects));
  else if (format === "table") call.out(uiTable(rows));
  else throw new Failed(`invalid argument ${JSON.stringify(format)} for "-o, --output" flag: invalid format type`);
}

export const list: HelmVerb = {
  name: "list",
  aliases: ["ls"],
  short: "list releases",
  usage: "list [flags]",
  flags: [
    output,
    { name: "all-namespaces", short: "A", type: "bool" },
    { name: "all", short: "a", type: "bool" },
    { name: "short", short: "q", type: "bool" },
    { name: "no-headers", type: "bool" },
    { name: "date", short: "d", type: "bool" },
    { name: "reverse", short: "r", type: "bool" },
    { name: "filter", short: "f", type: "string" },
    { name: "deployed", type: "bool" },
    { name: "failed", type: "bool" },
    { name: "superseded", type: "bool" },
    { name: "uninstalled", type: "bool" },
    { name: "pending", type: "bool" },
    { name: "max", short: "m", type: "int" },
  ],
  args: { least: 0, most: 0 },
  run(context) {
    const { api, call, flags, namespace } = context;
    const all = releasesIn(api, flags.is("all-namespaces") ? undefined : namespace);
    const newest = all.filter(
      (each, at) => all[at + 1]?.name !== each.name || all[at + 1]?.namespace !== each.namespace,
    );
    const states = ["deployed", "failed", "superseded", "uninstalled"].filter((state) => flags.is(state));
    if (flags.is("pending")) states.push("pending-install", "pending-upgrade", "pending-rollback");
    const wanted = states.length > 0 ? states : ["deployed", "failed"];
    const pattern = new RegExp(flags.text("filter") ?? "");
    const found = (flags.is("superseded") ? all : newest)
      .filter(
        ({ info }) =>
          (flags.is("all") && states.length === 0) || states.includes(info.status) || wanted.includes(info.status),
      )
      .filter(({ name }) => pattern.test(name));
    if (flags.is("date")) found.sort((one, other) => (one.info.last_deployed < other.info.last_deployed ? -1 : 1));
    if (flags.is("reverse")) found.reverse();
    const shown = found.slice(0, flags.number("max") || 256);
    if (flags.is("short")) {
      call.out(shown.map(({ name }) => `${name}\n`).join(""));
      return 0;
    }
    const head = ["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"];
    const rows = shown.map((each) => [
      each.name,
      each.namespace,
      String(each.version),
      fullTime(each.info.last_deployed),
      each.info.status,
      chartName(each),
      appVersion(each),
    ]);
    const keys = ["name", "namespace", "revision", "updated", "status", "chart", "app_version"];
    const objects = rows.map((row) => Object.fromEntries(keys.map((key, at) => [key, row[at] ?? ""])));
    print(context, flags.is("no-headers") ? rows : [head, ...rows], objects);
    return 0;
  },
};

/** The revision that is meant: the last, or that of `--revision`. @throws Failed */
function meant({ api, flags, namespace }: HelmContext): Release {
  const history = releasesIn(api, namespace, flags.args[0] ?? "");
  const wanted = flags.number("revision") ?? 0;
  const found = wanted > 0 ? history.find(({ version }) => version === wanted) : history.at(-1);
  if (!found) throw new Failed("release: not found");
  return found;
}

export const status: HelmVerb = {
  name: "status",
  short: "display the status of the named release",
  usage: "status RELEASE_NAME [flags]",
  flags: [output, revision],
  args: { least: 1, most: 1 },
  run(context) {
    const release = meant(context);
    const format = context.flags.text("output") ?? "table";
    const { chart: _chart, ...told } = release;
    if (format === "json") context.call.out(`${JSON.stringify(told)}\n`);
    else if (format === "yaml") context.call.out(printYaml(told));
    else printStatus(context, release, { resources: true });
    return 0;
  },
};

export const history: HelmVerb = {
  name: "history",
  aliases: ["hist"],
  short: "fetch release history",
  usage: "history RELEASE_NAME [flags]",
  flags: [output, { name: "max", type: "int" }],
  args: { least: 1, most: 1 },
  run(context) {
    const { api, flags, namespace } = context;
    const all = releasesIn(api, namespace, flags.args[0] ?? "");
    if (all.length === 0) throw new Failed("release: not found");
    const shown = all.slice(-(flags.number("max") ?? 256));
    const rows = shown.map((each) => [
      String(each.version),
      ansiTime(each.info.last_deployed),
      each.info.status,
      chartName(each),
      appVersion(each),
      each.info.description,
    ]);
    const objects = shown.map((each) => ({
      revision: each.version,
      updated: each.info.last_deployed,
      status: each.info.status,
      chart: chartName(each),
      app_version: appVersion(each),
      description: each.info.description,
    }));
    print(context, [["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"], ...rows], objects);
    return 0;
  },
};

function getter(name: string, short: string, text: (release: Release, context: HelmContext) => string): HelmVerb {
  return {
    name,
    short,
    usage: `get ${name} RELEASE_NAME [flags]`,
    flags: [revision, output, { name: "all", short: "a", type: "bool" }],
    args: { least: 1, most: 1 },
    run(context) {
      context.call.out(text(meant(context), context));
      return 0;
    },
  };
}

function valuesText(release: Release, { flags }: HelmContext): string {
  const chart = {
    metadata: release.chart.metadata,
    values: release.chart.values,
    templates: [],
    files: [],
    dependencies: [],
  };
  const all = flags.is("all");
  const values = all ? coalesced(chart, release.config) : release.config;
  if (flags.text("output") === "json") return `${JSON.stringify(values)}\n`;
  const text = Object.keys(values).length === 0 && !all ? "null\n" : printYaml(values);
  return flags.text("output") === "yaml" ? text : `${all ? "COMPUTED" : "USER-SUPPLIED"} VALUES:\n${text}`;
}

export const get: HelmVerb = {
  name: "get",
  short: "download extended information of a named release",
  usage: "get [all|hooks|manifest|metadata|notes|values] RELEASE_NAME [flags]",
  flags: [],
  args: { least: 0 },
  verbs: [
    getter("manifest", "download the manifest for a named release", ({ manifest }) => `${manifest}\n`),
    getter("notes", "download the notes for a named release", ({ info }) =>
      info.notes ? `NOTES:\n${info.notes}\n` : "",
    ),
    getter("hooks", "download all hooks for a named release", ({ hooks }) =>
      hooks.map(({ path, manifest }) => `---\n# Source: ${path}\n${manifest}\n`).join(""),
    ),
    getter("values", "download the values file for a named release", valuesText),
  ],
  run: ({ flags }) => {
    if (flags.args.length > 0) throw new Failed(`unknown command ${JSON.stringify(flags.args[0])} for "helm get"`);
    throw new Failed('"helm get" needs a subcommand: hooks, manifest, notes or values');
  },
};

function shower(name: string, short: string, text: (chart: Chart) => string): HelmVerb {
  return {
    name,
    short,
    usage: `show ${name} [CHART] [flags]`,
    flags: [],
    args: { least: 1, most: 1 },
    run(context) {
      context.call.out(text(chartAt(context, context.flags.args[0] ?? "")));
      return 0;
    },
  };
}

export const show: HelmVerb = {
  name: "show",
  aliases: ["inspect"],
  short: "show information of a chart",
  usage: "show [chart|values] [CHART] [flags]",
  flags: [],
  args: { least: 0 },
  verbs: [
    shower("chart", "show the chart's definition", ({ metadata }) => printYaml(metadata)),
    shower("values", "show the chart's values", ({ values }) => printYaml(values)),
  ],
  run: () => {
    throw new Failed('"helm show" needs a subcommand: chart or values');
  },
};

export const version: HelmVerb = {
  name: "version",
  short: "print the helm version information",
  usage: "version [flags]",
  flags: [
    { name: "short", type: "bool" },
    { name: "template", type: "string" },
  ],
  args: { least: 0 },
  run({ call, flags }) {
    const kube = "v1.36";
    call.out(
      flags.is("short")
        ? `${helmVersion}\n`
        : `version.BuildInfo{Version:"${helmVersion}", GitCommit:"", GitTreeState:"clean", GoVersion:"go1.25", KubeClientVersion:"${kube}"}\n`,
    );
    return 0;
  },
};
