/** Owns `helm uninstall`. */

import { durationOf } from "../../kubectl/flags";
import { Failed } from "../../shell/tool";
import { withStatus } from "../action";
import { deleteObjects, waitFor } from "../cluster";
import type { HelmContext, HelmVerb } from "../context";
import { objectsOf } from "../manifest";
import { forgetRelease, goTime, releasesIn, storeRelease } from "../release";

const propagations = { background: "Background", foreground: "Foreground", orphan: "Orphan" } as const;

export const uninstall: HelmVerb = {
  name: "uninstall",
  aliases: ["del", "delete", "un"],
  short: "uninstall a release",
  usage: "uninstall RELEASE_NAME [...] [flags]",
  flags: [
    { name: "keep-history", type: "bool" },
    { name: "dry-run", type: "bool" },
    { name: "ignore-not-found", type: "bool" },
    { name: "cascade", type: "string" },
    { name: "wait", type: "string", alone: "watcher" },
    { name: "timeout", type: "duration" },
    { name: "no-hooks", type: "bool" },
    { name: "description", type: "string" },
  ],
  args: { least: 1 },
  async run(context) {
    for (const name of context.flags.args) await uninstallOne(context, name);
    return 0;
  },
};

async function uninstallOne(context: HelmContext, name: string): Promise<void> {
  const { api, call, flags, namespace } = context;
  const cascade = flags.text("cascade") ?? "background";
  if (!Object.hasOwn(propagations, cascade)) {
    throw new Failed(`invalid cascade value (${cascade}). Must be "background", "foreground", or "orphan"`);
  }
  const history = releasesIn(api, namespace, name);
  const last = history.at(-1);
  const told = `release ${JSON.stringify(name)} uninstalled\n`;
  if (!last) {
    if (!flags.is("ignore-not-found")) throw new Failed(`uninstall: Release not loaded: ${name}: release: not found`);
    call.out(told);
    return;
  }
  if (flags.is("dry-run")) {
    call.out(told);
    return;
  }
  if (last.info.status === "uninstalled") {
    if (flags.is("keep-history")) throw new Failed(`the release named ${JSON.stringify(name)} is already deleted`);
    for (const release of history) forgetRelease(api, release);
    call.out(told);
    return;
  }
  const objects = objectsOf(last.manifest);
  const kept = deleteObjects(context, objects, last, propagations[cascade as keyof typeof propagations]);
  if (kept.length > 0) {
    const names = kept.map(
      ({ manifest, resource }) =>
        `[${resource.kind}] ${(manifest.object.metadata as { readonly name?: string }).name}\n`,
    );
    call.out(`These resources were kept due to the resource policy:\n${names.join("")}\n`);
  }
  const waits = flags.text("wait");
  if (waits !== undefined && waits !== "false" && waits !== "hookOnly") {
    const going = objects.filter((each) => !kept.includes(each));
    await waitFor(context, going, last, durationOf(flags.text("timeout") ?? "5m0s"), true);
  }
  if (flags.is("keep-history")) {
    const gone = withStatus(last, "uninstalled", flags.text("description") ?? "Uninstallation complete");
    storeRelease(api, { ...gone, info: { ...gone.info, deleted: goTime(call.cluster.now) } }, call.cluster.now);
  } else for (const release of history) forgetRelease(api, release);
  call.out(told);
}
