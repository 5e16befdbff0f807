/** Owns `helm upgrade` and `helm rollback`. */
import { Failed } from "../../shell/tool";
import { chartAt, chartFlags, draftRelease, dryRunOf, withStatus } from "../action";
import { applyObjects, checkOwnership, found } from "../cluster";
import type { HelmContext, HelmVerb } from "../context";
import { objectsOf } from "../manifest";
import { printStatus } from "../print";
import { goTime, type Release, releasesIn, storeRelease } from "../release";
import { finish, forgetOld, installRelease } from "./install";

export const upgrade: HelmVerb = {
  name: "upgrade",
  short: "upgrade a release",
  usage: "upgrade [RELEASE] [CHART] [flags]",
  flags: [
    ...chartFlags,
    { name: "install", short: "i", type: "bool" },
    { name: "reuse-values", type: "bool" },
    { name: "reset-values", type: "bool" },
    { name: "reset-then-reuse-values", type: "bool" },
    { name: "history-max", type: "int" },
    { name: "force-replace", type: "bool" },
    { name: "cleanup-on-fail", type: "bool" },
  ],
  args: { least: 2, most: 2 },
  async run(context) {
    const { api, call, flags, namespace } = context;
    const [name = ""] = flags.args;
    const last = releasesIn(api, namespace, name).at(-1);
    if (flags.is("install") && (last === undefined || last.info.status === "uninstalled")) {
      call.out(`Release ${JSON.stringify(name)} does not exist. Installing it now.\n`);
      printStatus(context, await installRelease(context));
      return 0;
    }
    try {
      const release = await upgradeRelease(context, name);
      call.out(`Release ${JSON.stringify(name)} has been upgraded. Happy Helming!\n`);
      printStatus(context, release);
      return 0;
    } catch (error) {
      throw error instanceof Failed ? new Failed(`UPGRADE FAILED: ${error.message}`) : error;
    }
  },
};

async function upgradeRelease(context: HelmContext, name: string): Promise<Release> {
  const { api, call, flags, namespace } = context;
  const dryRun = dryRunOf(context);
  const chart = chartAt(context, flags.args[1] ?? "");
  const history = releasesIn(api, namespace, name);
  const last = history.at(-1);
  const current = [...history].reverse().find(({ info }) => info.status === "deployed");
  if (last === undefined || current === undefined) throw new Failed(`${JSON.stringify(name)} has no deployed releases`);
  // Without values of one's own those of the revision before go on to hold, as Helm has it.
  const own = ["set", "values", "set-string", "set-json", "set-file"].some((flag) => flags.given(flag));
  const reuse = !flags.is("reset-values") && (flags.is("reuse-values") || flags.is("reset-then-reuse-values") || !own);
  const { release, objects } = draftRelease(context, chart, {
    name,
    revision: last.version + 1,
    isUpgrade: true,
    firstDeployed: last.info.first_deployed,
    ...(reuse && { reused: current.config }),
    description: dryRun === "none" ? "Preparing upgrade" : "Dry run complete",
    looks: dryRun !== "client",
  });
  const before = objectsOf(current.manifest);
  if (dryRun !== "none") {
    if (dryRun === "server") applyObjects(context, objects, before, release, true);
    return release;
  }
  if (!flags.is("take-ownership"))
    checkOwnership(
      context,
      objects.filter((each) => found(context, each, release)),
      release,
      "update",
    );
  storeRelease(api, release, call.cluster.now);
  const done = await finish(context, release, objects, before, flags.text("description") ?? "Upgrade complete");
  storeRelease(api, withStatus(current, "superseded"), call.cluster.now);
  forgetOld(context, releasesIn(api, namespace, name));
  return done;
}

export const rollback: HelmVerb = {
  name: "rollback",
  short: "roll back a release to a previous revision",
  usage: "rollback <RELEASE> [REVISION] [flags]",
  flags: [
    { name: "dry-run", type: "string", alone: "unset" },
    { name: "wait", type: "string", alone: "watcher" },
    { name: "timeout", type: "duration" },
    { name: "no-hooks", type: "bool" },
    { name: "history-max", type: "int" },
    { name: "description", type: "string" },
  ],
  args: { least: 1, most: 2 },
  async run(context) {
    const { api, call, flags, namespace } = context;
    const [name = "", text] = flags.args;
    if (text !== undefined && !/^\d+$/.test(text)) {
      throw new Failed(
        `could not convert revision to a number: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
      );
    }
    const history = releasesIn(api, namespace, name);
    const last = history.at(-1);
    if (!last) throw new Failed("release: not found");
    const wanted = Number(text ?? 0) || last.version - 1;
    const target = history.find(({ version }) => version === wanted);
    if (!target) throw new Failed(`release has no ${wanted} version`);
    const now = goTime(call.cluster.now);
    const description = `Rollback to ${wanted}`;
    const next: Release = {
      ...target,
      version: last.version + 1,
      info: {
        ...target.info,
        first_deployed: last.info.first_deployed,
        last_deployed: now,
        status: "pending-rollback",
        description,
      },
    };
    if (dryRunOf(context) === "none") {
      storeRelease(api, next, call.cluster.now);
      const current = [...history].reverse().find(({ info }) => info.status === "deployed") ?? last;
      await finish(context, next, objectsOf(next.manifest), objectsOf(current.manifest), description);
      storeRelease(api, withStatus(current, "superseded"), call.cluster.now);
    }
    call.out("Rollback was a success! Happy Helming!\n");
    return 0;
  },
};
