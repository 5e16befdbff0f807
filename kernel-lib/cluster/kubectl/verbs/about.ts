/** Owns the verbs that tell about the server: `api-resources`, `api-versions`, `cluster-info`, `options`. */
import { apiVersionOf, isServed, resources } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Verb } from "../context";
import { currentContext, readKubeconfig } from "../kubeconfig";
import { alignRows } from "../print/text";

const every = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

export const apiResources: Verb = {
  name: "api-resources",
  short: "Print the supported API resources on the server",
  usage: "api-resources [flags]",
  flags: [
    { name: "output", short: "o", type: "string" },
    { name: "namespaced", type: "bool" },
    { name: "api-group", type: "string" },
    { name: "no-headers", type: "bool" },
    { name: "sort-by", type: "string" },
    { name: "categories", type: "list" },
  ],
  run({ api, flags, out }) {
    const format = flags.text("output") ?? "";
    if (!["", "wide", "name"].includes(format)) {
      throw new Failed(`error: --output ${format} is not available`);
    }
    if (flags.args.length > 0)
      throw new Failed(
        `error: unexpected arguments: [${flags.args.join(" ")}]\nSee 'kubectl api-resources -h' for help and examples`,
      );
    const group = flags.text("api-group");
    const categories = flags.texts("categories").flatMap((text) => text.split(","));
    const shown = resources
      .filter((each) => isServed(each, api.store))
      .filter((each) => !flags.given("namespaced") || each.namespaced === flags.is("namespaced"))
      .filter((each) => group === undefined || each.group === group)
      .filter((each) => categories.every((category) => each.categories.includes(category)))
      .sort((one, other) => (`${one.group} ${one.plural}` < `${other.group} ${other.plural}` ? -1 : 1));
    if (format === "name") {
      out(shown.map(({ plural, group: own }) => `${plural}${own ? `.${own}` : ""}\n`).join(""));
      return 0;
    }
    const wide = format === "wide";
    const head = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", ...(wide ? ["VERBS", "CATEGORIES"] : [])];
    const rows = shown.map((each) => [
      each.plural,
      each.shortNames.join(","),
      apiVersionOf(each),
      String(each.namespaced),
      each.kind,
      ...(wide ? [every.join(","), each.categories.join(",")] : []),
    ]);
    out(alignRows(flags.is("no-headers") ? rows : [head, ...rows]));
    return 0;
  },
};

export const apiVersions: Verb = {
  name: "api-versions",
  short: 'Print the supported API versions on the server, in the form of "group/version"',
  usage: "api-versions",
  flags: [],
  run({ api, out }) {
    out(
      [...new Set(resources.filter((each) => isServed(each, api.store)).map(apiVersionOf))]
        .sort()
        .map((version) => `${version}\n`)
        .join(""),
    );
    return 0;
  },
};

export const clusterInfo: Verb = {
  name: "cluster-info",
  short: "Display cluster information",
  usage: "cluster-info [flags]",
  flags: [],
  run(context) {
    const { api, call, flags, out } = context;
    const config = readKubeconfig(call, flags.text("kubeconfig"));
    const cluster = currentContext(config)?.cluster;
    const server = config.clusters.find(({ name }) => name === cluster)?.value.server ?? "http://localhost:8080";
    out(`Kubernetes control plane is running at ${server}\n`);
    for (const { metadata, spec } of api.list("Service", {
      namespace: "kube-system",
      labelSelector: "kubernetes.io/cluster-service=true",
    })) {
      const name = metadata.labels?.["kubernetes.io/name"] ?? metadata.name;
      const port = spec.ports?.[0]?.name ?? "";
      const path = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}${port && `:${port}`}/proxy`;
      out(`${name} is running at ${server}${path}\n`);
    }
    out("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n");
    return 0;
  },
};

export const options: Verb = {
  name: "options",
  short: "Print the list of flags inherited by all commands",
  usage: "options",
  flags: [],
  run({ out }) {
    out(`The following options can be passed to any command:

    --context='':
	The name of the kubeconfig context to use

    --kubeconfig='':
	Path to the kubeconfig file to use for CLI requests.

    -n, --namespace='':
	If present, the namespace scope for this CLI request

    --request-timeout='0':
	The length of time to wait before giving up on a single server request.

    -v, --v=0:
	number for the log level verbosity
`);
    return 0;
  },
};
