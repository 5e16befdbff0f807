/** Owns what the generators of `kubectl create` share: flags, the one name, metadata. */
import { StatusError } from "../../../../api/errors";
import type { Kind } from "../../../../api/kinds";
import { Failed } from "../../../shell/tool";
import type { Context } from "../../context";
import type { Flag } from "../../flags";
import { createOrPrint, dryRunFlag } from "../dryrun";

export const generatorFlags: readonly Flag[] = [
  { name: "output", short: "o", type: "string" },
  { name: "save-config", type: "bool" },
  { name: "validate", type: "string", alone: "strict" },
  { name: "field-manager", type: "string" },
  { name: "template", type: "string" },
  dryRunFlag,
];

/** Creates what a generator made; what the server refuses is told with what it was. @throws Failed */
export function generate(context: Context, kind: Kind, draft: object, what: string): number {
  try {
    createOrPrint(context, kind, draft, "created");
    return 0;
  } catch (error) {
    if (error instanceof StatusError) throw new Failed(`error: failed to create ${what} ${error.message}`);
    throw error;
  }
}

/** The one argument that a generator takes. @throws Failed in kubectl's words */
export function oneName({ flags }: Context, what: string): string {
  const names = flags.args.slice(0, flags.beforeDash);
  if (names.length === 1 && names[0] !== undefined) return names[0];
  throw new Failed(
    `error: exactly one NAME is required, got ${names.length}\nSee 'kubectl create ${what} -h' for help and examples`,
  );
}

/** `namespace` only where it was given: so does kubectl, whose server fills it in. */
export function metadata(context: Context, name: string, labels?: Readonly<Record<string, string>>): object {
  return { ...(labels && { labels }), name, ...(context.flags.given("namespace") && { namespace: context.namespace }) };
}
