/** Owns `kubectl config`: what the kubeconfig says, and which context and namespace are meant. */
import { Failed } from "../../shell/tool";
import { type Context, type Verb, verbOfVerbs } from "../context";
import { type Kubeconfig, readKubeconfig, writeKubeconfig } from "../kubeconfig";
import { printJson } from "../print/json";
import { alignRows } from "../print/text";
import { printYaml } from "../print/yaml";

function read(context: Context): Kubeconfig {
  return readKubeconfig(context.call, context.flags.text("kubeconfig"));
}

const view: Verb = {
  name: "view",
  short: "Display merged kubeconfig settings or a specified kubeconfig file",
  usage: "config view [flags]",
  flags: [
    { name: "output", short: "o", type: "string" },
    { name: "minify", type: "bool" },
    { name: "raw", type: "bool" },
    { name: "flatten", type: "bool" },
  ],
  run(context) {
    const { document } = read(context);
    const empty = {
      apiVersion: "v1",
      clusters: null,
      contexts: null,
      "current-context": "",
      kind: "Config",
      users: null,
    };
    const format = context.flags.text("output") ?? "yaml";
    const whole = { ...empty, ...document };
    context.out(format === "json" ? printJson(whole) : printYaml(whole));
    return 0;
  },
};

const current: Verb = {
  name: "current-context",
  short: "Display the current-context",
  usage: "config current-context [flags]",
  flags: [],
  run(context) {
    const config = read(context);
    if (config.current === "") throw new Failed("error: current-context is not set");
    context.out(`${config.current}\n`);
    return 0;
  },
};

const contexts: Verb = {
  name: "get-contexts",
  short: "Describe one or many contexts",
  usage: "config get-contexts [(-o|--output=)name)] [flags]",
  flags: [
    { name: "output", short: "o", type: "string" },
    { name: "no-headers", type: "bool" },
  ],
  run(context) {
    const config = read(context);
    const wanted = context.flags.args;
    const missing = wanted.filter((name) => !config.contexts.some((each) => each.name === name));
    if (missing.length > 0) throw new Failed(`error: context ${missing[0]} not found`);
    const shown = config.contexts.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
    if (context.flags.text("output") === "name") {
      context.out(shown.map(({ name }) => `${name}\n`).join(""));
      return 0;
    }
    const rows = shown.map(({ name, value }) => [
      name === config.current ? "*" : "",
      name,
      value.cluster,
      value.user,
      value.namespace ?? "",
    ]);
    const head = context.flags.is("no-headers") ? [] : [["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]];
    context.out(alignRows([...head, ...rows]));
    return 0;
  },
};

const clusters: Verb = {
  name: "get-clusters",
  short: "Display clusters defined in the kubeconfig",
  usage: "config get-clusters [flags]",
  flags: [],
  run(context) {
    context.out(
      `NAME\n${read(context)
        .clusters.map(({ name }) => `${name}\n`)
        .join("")}`,
    );
    return 0;
  },
};

const use: Verb = {
  name: "use-context",
  aliases: ["use"],
  short: "Set the current-context in a kubeconfig file",
  usage: "config use-context CONTEXT_NAME [flags]",
  flags: [],
  run(context) {
    const config = read(context);
    const [name, ...more] = context.flags.args;
    if (name === undefined || more.length > 0)
      throw new Failed("error: unexpected args: a single context name is expected");
    if (!config.contexts.some((each) => each.name === name)) {
      throw new Failed(`error: no context exists with the name: "${name}"`);
    }
    writeKubeconfig(context.call, config, { ...config.document, "current-context": name });
    context.out(`Switched to context "${name}".\n`);
    return 0;
  },
};

const set: Verb = {
  name: "set-context",
  short: "Set a context entry in kubeconfig",
  usage:
    "config set-context [NAME | --current] [--cluster=cluster_nickname] [--user=user_nickname] [--namespace=namespace]",
  flags: [
    { name: "current", type: "bool" },
    { name: "cluster", type: "string" },
    { name: "user", type: "string" },
  ],
  run(context) {
    const { flags } = context;
    const config = read(context);
    const [given, ...more] = flags.args;
    if (more.length > 0 || (given !== undefined && flags.is("current"))) {
      throw new Failed(
        flags.is("current")
          ? "error: you cannot specify both a context name and --current"
          : `error: Unexpected args: [${flags.args.join(" ")}]`,
      );
    }
    const name = flags.is("current") ? config.current : given;
    if (!name) throw new Failed("error: you must specify a non-empty context name or --current");
    const before = config.contexts.find((each) => each.name === name);
    const fields = (["cluster", "user", "namespace"] as const).flatMap((field) => {
      const text = flags.text(field);
      return text === undefined ? [] : [[field, text] as const];
    });
    const after = { name, context: { ...before?.value, ...Object.fromEntries(fields) } };
    const others = config.contexts.map((each) =>
      each.name === name ? after : { name: each.name, context: each.value },
    );
    const list = before ? others : [...others, after];
    writeKubeconfig(context.call, config, { ...config.document, contexts: list });
    context.out(`Context "${name}" ${before ? "modified" : "created"}.\n`);
    return 0;
  },
};

export const config: Verb = verbOfVerbs("config", "Modify kubeconfig files", [
  contexts,
  clusters,
  current,
  set,
  use,
  view,
]);
