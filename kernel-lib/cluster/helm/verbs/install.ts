/** Owns `helm install` and `helm template`. */

import { millisecond } from "../../../sim/clock";
import { durationOf } from "../../kubectl/flags";
import { Failed } from "../../shell/tool";
import { chartAt, chartFlags, draftRelease, dryRunOf, nameAndChart, withStatus } from "../action";
import { applyObjects, checkOwnership, waitFor } from "../cluster";
import type { HelmContext, HelmVerb } from "../context";
import type { Wanted } from "../manifest";
import { printStatus } from "../print";
import { forgetRelease, type Release, releasesIn, storeRelease } from "../release";

export const install: HelmVerb = {
  name: "install",
  short: "install a chart",
  usage: "install [NAME] [CHART] [flags]",
  flags: chartFlags,
  args: { least: 1 },
  async run(context) {
    printStatus(context, await installRelease(context));
    return 0;
  },
};

/** Installs what the arguments say; the release as it is then. @throws Failed in Helm's words */
export async function installRelease(context: HelmContext): Promise<Release> {
  try {
    return await doInstall(context);
  } catch (error) {
    if (error instanceof Failed) throw new Failed(`INSTALLATION FAILED: ${error.message}`);
    throw error;
  }
}

async function doInstall(context: HelmContext): Promise<Release> {
  const { api, call, flags, namespace } = context;
  const [name, where] = nameAndChart(context);
  const dryRun = dryRunOf(context);
  const chart = chartAt(context, where);
  const history = releasesIn(api, namespace, name);
  const last = history.at(-1);
  const reusable = last === undefined || (flags.is("replace") && /^(uninstalled|failed)$/.test(last.info.status));
  if (!reusable && dryRun !== "client") {
    throw new Failed("release name check failed: cannot reuse a name that is still in use");
  }
  const { release, objects } = draftRelease(context, chart, {
    name,
    revision: (last?.version ?? 0) + 1,
    isUpgrade: false,
    description: dryRun === "none" ? "Initial install underway" : "Dry run complete",
    looks: dryRun !== "client",
  });
  if (dryRun !== "none") {
    if (dryRun === "server") applyObjects(context, objects, [], release, true);
    return release;
  }
  if (flags.is("create-namespace") && !api.store.get("Namespace", namespace)) {
    api.create("Namespace", { metadata: { name: namespace, labels: { name: namespace } } }, { by: "helm" });
    // The next request takes its time, and meanwhile the namespace gets what every one has.
    await call.process.sleep(requestTime, "foreground");
  }
  if (!flags.is("take-ownership")) checkOwnership(context, objects, release, "install");
  if (last) storeRelease(api, withStatus(last, "superseded"), call.cluster.now);
  try {
    storeRelease(api, release, call.cluster.now);
  } catch (error) {
    throw new Failed(`create: failed to create: ${error instanceof Error ? error.message : ""}`);
  }
  return finish(context, release, objects, [], flags.text("description") ?? "Install complete");
}

/** From one answer of the API server to the next. */
const requestTime = 20 * millisecond;

/** Brings a stored release about, and says how it went. @throws Failed, the release being stored as failed */
export async function finish(
  context: HelmContext,
  release: Release,
  objects: readonly Wanted[],
  before: readonly Wanted[],
  description: string,
): Promise<Release> {
  const { api, call, flags } = context;
  try {
    applyObjects(context, objects, before, release);
    const waits = flags.text("wait");
    if (
      (waits !== undefined && waits !== "false" && waits !== "hookOnly") ||
      flags.is("rollback-on-failure") ||
      flags.is("atomic")
    ) {
      await waitFor(context, objects, release, durationOf(flags.text("timeout") ?? "5m0s"));
    }
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    const what = release.version > 1 ? "Upgrade" : "Release";
    storeRelease(
      api,
      withStatus(release, "failed", `${what} ${JSON.stringify(release.name)} failed: ${error.message}`),
      call.cluster.now,
    );
    throw error;
  }
  const done = withStatus(release, "deployed", description);
  storeRelease(api, done, call.cluster.now);
  return done;
}

export const template: HelmVerb = {
  name: "template",
  short: "locally render templates",
  usage: "template [NAME] [CHART] [flags]",
  flags: [
    ...chartFlags,
    { name: "show-only", short: "s", type: "list" },
    { name: "is-upgrade", type: "bool" },
    { name: "kube-version", type: "string" },
    { name: "api-versions", short: "a", type: "list" },
    { name: "include-crds", type: "bool" },
    { name: "skip-tests", type: "bool" },
    { name: "validate", type: "bool" },
  ],
  args: { least: 1 },
  run(context) {
    const { call, flags } = context;
    const [name, where] = nameAndChart(context, "release-name");
    const chart = chartAt(context, where);
    const { release } = draft(context, chart, name);
    const hooks = flags.is("no-hooks")
      ? []
      : release.hooks.filter(({ events }) => !flags.is("skip-tests") || !events.includes("test"));
    const pieces = `${release.manifest}${hooks.map(({ path, manifest }) => `---\n# Source: ${path}\n${manifest}\n`).join("")}`;
    const wanted = flags.texts("show-only").flatMap((text) => text.split(","));
    call.out(wanted.length === 0 ? `${pieces.trim()}\n` : shown(pieces, wanted));
    return 0;
  },
};

function draft(context: HelmContext, chart: ReturnType<typeof chartAt>, name: string): { readonly release: Release } {
  const intent = {
    name,
    revision: 1,
    isUpgrade: context.flags.is("is-upgrade"),
    description: "Dry run complete",
    looks: context.flags.text("dry-run") === "server",
  };
  try {
    return draftRelease(context, chart, intent);
  } catch (error) {
    if (error instanceof Failed && /^YAML parse error/.test(error.message)) {
      throw new Failed(`${error.message}\n\nUse --debug flag to render out invalid YAML`);
    }
    throw error;
  }
}

function shown(manifests: string, wanted: readonly string[]): string {
  const all = manifests.split(/^---\n/m).filter((part) => part.trim() !== "");
  return wanted
    .map((path) => {
      const found = all.filter((part) => /^# Source: [^/]+\/(.+)$/m.exec(part)?.[1] === path);
      if (found.length === 0) throw new Failed(`could not find template ${path} in chart`);
      return found.map((part) => `---\n${part}`).join("");
    })
    .join("");
}

/** Revisions beyond `--history-max` are forgotten. */
export function forgetOld({ api, flags }: HelmContext, releases: readonly Release[]): void {
  const most = flags.number("history-max") ?? 10;
  if (most > 0) for (const old of releases.slice(0, Math.max(0, releases.length - most))) forgetRelease(api, old);
}
