/** Owns the making of a release: chart and values in, manifest, notes and record out. */
import { kubernetesVersion } from "../../control/bootstrap/version";
import type { GoMap } from "../gotemplate/values";
import type { Flag } from "../kubectl/flags";
import { resolvePath } from "../shell/filesystem";
import { Failed } from "../shell/tool";
import { type Chart, loadChart } from "./chart";
import type { HelmContext } from "./context";
import { manifestText, objectsOf, piecesOf, type Wanted } from "./manifest";
import { encoded, goTime, type Release } from "./release";
import { renderChart } from "./render";
import { coalesced, givenValues, valueFlags } from "./values";

export const chartFlags: readonly Flag[] = [
  ...valueFlags,
  { name: "version", type: "string" },
  { name: "repo", type: "string" },
  { name: "devel", type: "bool" },
  { name: "dry-run", type: "string", alone: "unset" },
  { name: "generate-name", short: "g", type: "bool" },
  { name: "name-template", type: "string" },
  { name: "description", type: "string" },
  { name: "create-namespace", type: "bool" },
  { name: "hide-notes", type: "bool" },
  { name: "no-hooks", type: "bool" },
  { name: "skip-crds", type: "bool" },
  { name: "replace", type: "bool" },
  { name: "wait", type: "string", alone: "watcher" },
  { name: "timeout", type: "duration" },
  { name: "output", short: "o", type: "string" },
  { name: "debug", type: "bool" },
  { name: "server-side", type: "string", alone: "true" },
  { name: "skip-schema-validation", type: "bool" },
  { name: "take-ownership", type: "bool" },
  { name: "rollback-on-failure", type: "bool" },
  { name: "atomic", type: "bool" },
];

/** The chart that an argument means: a folder here. @throws Failed in Helm's words */
export function chartAt({ call }: HelmContext, given: string): Chart {
  const { files } = call.place;
  const path = resolvePath(call.folder, given);
  if (files.isFolder(path)) return loadChart(files, path);
  if (files.read(path) !== undefined) {
    throw new Failed(`file '${path}' does not appear to be a gzipped archive; got 'text/plain; charset=utf-8'`);
  }
  if (/^(\.|\/)/.test(given)) throw new Failed(`path ${JSON.stringify(given)} not found`);
  if (/^(https?|oci):/.test(given)) {
    const host = /^\w+:\/\/([^/:]+)/.exec(given)?.[1] ?? given;
    throw new Failed(`could not download ${given}: dial tcp: lookup ${host}: no such host`);
  }
  const slash = given.indexOf("/");
  if (slash > 0) throw new Failed(`repo ${given.slice(0, slash)} not found`);
  throw new Failed(`non-absolute URLs should be in form of repo_name/path_to_chart, got: ${given}`);
}

const nameRule = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** @throws Failed if a release may not be called so */
function checkName(name: string): void {
  if (nameRule.test(name) && name.length <= 53) return;
  const rule = `invalid release name, must match regex ${nameRule.source} and the length must not be longer than 53`;
  throw new Failed(`release name check failed: ${rule}`);
}

/** The name and chart of `[NAME] CHART`. @throws Failed */
export function nameAndChart({ call, flags }: HelmContext, otherwise?: string): readonly [string, string] {
  const [first = "", second, ...more] = flags.args;
  if (more.length > 0) throw new Failed(`expected at most two arguments, unexpected arguments: ${more.join(", ")}`);
  if (second !== undefined) {
    if (flags.is("generate-name")) throw new Failed("cannot set --generate-name and also specify a name");
    return [first, second];
  }
  if (flags.is("generate-name")) {
    const base = first.replace(/\/$/, "").split("/").at(-1) ?? "chart";
    return [`${base.replace(/[^a-z0-9-]/g, "")}-${Math.floor(call.cluster.now / 1_000_000)}`, first];
  }
  if (otherwise !== undefined) return [otherwise, first];
  throw new Failed("must either provide a name or specify --generate-name");
}

export interface Draft {
  readonly release: Release;
  readonly objects: readonly Wanted[];
}

/** What of a release the action decides. */
export interface Intent {
  readonly name: string;
  readonly revision: number;
  readonly isUpgrade: boolean;
  readonly firstDeployed?: string;
  /** Values of the revision before, under those given now. */
  readonly reused?: GoMap;
  readonly description: string;
  /** Whether templates may look at the cluster. */
  readonly looks: boolean;
}

/** Renders a chart as a release that is not stored yet. @throws Failed */
export function draftRelease(context: HelmContext, chart: Chart, intent: Intent): Draft {
  const { call, flags, namespace } = context;
  checkName(intent.name);
  if (chart.metadata.type === "library") throw new Failed("library charts are not installable");
  const missing = missingParts(chart);
  if (missing.length > 0) {
    throw new Failed(
      `an error occurred while checking for chart dependencies. You may need to run \`helm dependency build\` to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: ${missing.join(", ")}`,
    );
  }
  const given = givenValues(call, flags);
  const config = intent.reused ? { ...intent.reused, ...given } : given;
  const rendered = renderChart({
    chart,
    values: coalesced(chart, config),
    release: { name: intent.name, namespace, revision: intent.revision, isUpgrade: intent.isUpgrade },
    kubeVersion: kubernetesVersion,
    api: intent.looks ? context.api : undefined,
    random: call.shell.random,
  });
  const { pieces, hooks } = piecesOf(rendered);
  const manifest = manifestText(pieces);
  const notes = rendered.get(`${chart.metadata.name}/templates/NOTES.txt`);
  const now = goTime(call.cluster.now);
  const release: Release = {
    name: intent.name,
    namespace,
    version: intent.revision,
    info: {
      first_deployed: intent.firstDeployed ?? now,
      last_deployed: now,
      deleted: "",
      description: flags.text("description") ?? intent.description,
      status: intent.isUpgrade ? "pending-upgrade" : "pending-install",
      ...(notes !== undefined && { notes }),
    },
    chart: {
      metadata: chart.metadata,
      values: chart.values,
      templates: chart.templates.map(({ name, text }) => ({ name, data: encoded(text) })),
    },
    config,
    manifest,
    hooks,
    apply_method: "ssa",
  };
  return { release, objects: objectsOf(manifest) };
}

function missingParts(chart: Chart): readonly string[] {
  const wanted = chart.metadata.dependencies;
  if (!Array.isArray(wanted)) return [];
  const there = new Set(chart.dependencies.map(({ metadata }) => metadata.name));
  return wanted.map((part: GoMap) => String(part.name)).filter((name) => !there.has(name));
}

/** The same release in another state. */
export function withStatus(release: Release, status: Release["info"]["status"], description?: string): Release {
  return { ...release, info: { ...release.info, status, ...(description !== undefined && { description }) } };
}

/** `none`, `client` or `server`. @throws Failed */
export function dryRunOf({ call, flags }: HelmContext): "none" | "client" | "server" {
  const text = flags.text("dry-run") ?? "none";
  if (text === "none" || text === "client" || text === "server") return text;
  if (text === "unset") {
    call.err("level=WARN msg=\"--dry-run is deprecated and should be replaced with '--dry-run=client'\"\n");
    return "client";
  }
  if (text === "true" || text === "false") return text === "true" ? "client" : "none";
  throw new Failed(`invalid dry-run value (${JSON.stringify(text)}). Must be "none", "server", or "client"`);
}
