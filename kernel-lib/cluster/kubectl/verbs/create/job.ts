/** Owns `kubectl create job`. */
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { generate, generatorFlags, metadata, oneName } from "./generator";

export const job: Verb = {
  name: "job",
  short: "Create a job with the specified name",
  usage: "create job NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]",
  flags: [...generatorFlags, { name: "image", type: "string" }, { name: "from", type: "string" }],
  run: createJob,
};

function createJob(context: Context): number {
  const { flags } = context;
  const name = oneName(context, "job");
  const [image, from] = [flags.text("image") ?? "", flags.text("from") ?? ""];
  if ((image === "") === (from === "")) throw new Failed("error: either --image or --from must be specified");
  const command = flags.args.slice(flags.beforeDash);
  if (from !== "") {
    if (command.length > 0) throw new Failed("error: cannot specify --from and command");
    throw new Failed(`error: the server doesn't have a resource type "${from.split("/")[0]}"`);
  }
  const container = { ...(command.length > 0 && { command }), image, name, resources: {} };
  const draft = {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: metadata(context, name),
    spec: { template: { metadata: {}, spec: { containers: [container], restartPolicy: "Never" } } },
    status: {},
  };
  return generate(context, "Job", draft, "job:");
}
