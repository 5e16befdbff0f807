/** Owns `kubectl create deployment`. */
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { generate, generatorFlags, metadata, oneName } from "./generator";

export const deployment: Verb = {
  name: "deployment",
  aliases: ["deploy"],
  short: "Create a deployment with the specified name",
  usage: "create deployment NAME --image=image -- [COMMAND] [args...]",
  flags: [
    ...generatorFlags,
    { name: "image", type: "list" },
    { name: "replicas", short: "r", type: "int" },
    { name: "port", type: "int" },
  ],
  run: createDeployment,
};

function createDeployment(context: Context): number {
  const { flags } = context;
  const images = flags.texts("image").flatMap((text) => text.split(","));
  if (images.length === 0) throw new Failed('error: required flag(s) "image" not set');
  const name = oneName(context, "deployment");
  const command = flags.args.slice(flags.beforeDash);
  if (command.length > 0 && images.length > 1) {
    throw new Failed("error: cannot specify multiple --image options and command");
  }
  const port = flags.number("port");
  if (flags.number("replicas") !== undefined && Number(flags.number("replicas")) < 0) {
    throw new Failed(`error: --replicas must be greater than or equal to 0`);
  }
  const labels = { app: name };
  const containers = images.map((image) => ({
    ...(command.length > 0 && { command }),
    image,
    name: containerName(context, image),
    ...(port !== undefined && { ports: [{ containerPort: port }] }),
    resources: {},
  }));
  const draft = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadata(context, name, labels),
    spec: {
      replicas: flags.number("replicas") ?? 1,
      selector: { matchLabels: labels },
      strategy: {},
      template: { metadata: { labels }, spec: { containers } },
    },
    status: {},
  };
  return generate(context, "Deployment", draft, "deployment:");
}

/** What stands between the last slash and the tag; one that had to be made fit for a name gets a suffix. */
function containerName(context: Context, image: string): string {
  const base = image.slice(image.lastIndexOf("/") + 1).replace(/[:@].*$/, "");
  const name = base.replaceAll("_", "-").toLowerCase();
  return name === base ? name : `${name}-${suffixOf(context)}`;
}

/** Five letters and digits (utilrand.String). */
function suffixOf({ call }: Context): string {
  const { random } = call.shell;
  return Array.from({ length: 5 }, () => letters[random.integer(0, letters.length - 1)]).join("");
}

const letters = "bcdfghjklmnpqrstvwxz2456789";
