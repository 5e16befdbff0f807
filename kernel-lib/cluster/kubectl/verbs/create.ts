/** Owns `kubectl create`: objects from files, and from the flags of its generators. */
import { StatusError } from "../../../api/errors";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { readFiles, statusMessage } from "../resources";
import { sourced } from "./apply";
import { createOrPrint, dryRunFlag } from "./dryrun";

export const create: Verb = {
  name: "create",
  short: "Create a resource from a file or from stdin",
  usage:
    "create -f FILENAME | deployment NAME --image=image | service TYPE NAME --tcp=port:targetPort | namespace NAME",
  flags: [
    { name: "filename", short: "f", type: "list" },
    { name: "output", short: "o", type: "string" },
    { name: "image", type: "list" },
    { name: "replicas", short: "r", type: "int" },
    { name: "port", type: "int" },
    { name: "tcp", type: "list" },
    { name: "clusterip", type: "string" },
    { name: "node-port", type: "int" },
    { name: "external-name", type: "string" },
    { name: "from-literal", type: "list" },
    { name: "save-config", type: "bool" },
    { name: "validate", type: "string", alone: "strict" },
    dryRunFlag,
  ],
  run: (context) => (context.flags.given("filename") ? fromFiles(context) : generate(context)),
};

function fromFiles(context: Context): number {
  let failed = 0;
  for (const { manifest, source, resource } of readFiles(context)) {
    const meta = (manifest.object.metadata ?? {}) as { readonly namespace?: string };
    const placed = resource.namespaced
      ? { ...manifest.object, metadata: { ...meta, namespace: meta.namespace ?? context.namespace } }
      : manifest.object;
    try {
      const own = { ...context, namespace: meta.namespace ?? context.namespace };
      sourced("creating", source, () => createOrPrint(own, resource.kind, placed, "created"));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      context.err(`${statusMessage(error)}\n`);
      failed = 1;
    }
  }
  return failed;
}

const generators: { readonly [name: string]: (context: Context, names: readonly string[]) => number } = {
  deployment,
  deploy: deployment,
  service,
  svc: service,
  namespace,
  ns: namespace,
  configmap,
  cm: configmap,
};

function generate(context: Context): number {
  const [what, ...names] = context.flags.args.slice(0, context.flags.beforeDash);
  if (what === undefined) throw new Failed("error: must specify one of -f and -k");
  const generator = Object.hasOwn(generators, what) ? generators[what] : undefined;
  if (!generator) throw new Failed(`error: unknown command "${what}"\nSee 'kubectl create -h' for help and examples`);
  return generator(context, names);
}

function oneName(names: readonly string[], what: string): string {
  if (names.length === 1 && names[0] !== undefined) return names[0];
  throw new Failed(
    `error: exactly one NAME is required, got ${names.length}\nSee 'kubectl create ${what} -h' for help and examples`,
  );
}

/** `namespace` only where it was given: so does kubectl, whose server fills it in. */
function metadata(context: Context, name: string, labels?: Readonly<Record<string, string>>): object {
  return { ...(labels && { labels }), name, ...(context.flags.given("namespace") && { namespace: context.namespace }) };
}

function deployment(context: Context, names: readonly string[]): number {
  const { flags } = context;
  const name = oneName(names, "deployment");
  const images = flags.texts("image").flatMap((text) => text.split(","));
  if (images.length === 0) throw new Failed('error: required flag(s) "image" not set');
  const command = flags.args.slice(flags.beforeDash);
  const port = flags.number("port");
  const labels = { app: name };
  const containers = images.map((image) => {
    const base = image.slice(image.lastIndexOf("/") + 1).replace(/[:@].*$/, "");
    return {
      ...(command.length > 0 && { command }),
      image,
      name: images.length > 1 ? `${base}-${Math.max(0, images.indexOf(image))}` : base.replaceAll("_", "-"),
      ...(port !== undefined && { ports: [{ containerPort: port }] }),
      resources: {},
    };
  });
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
  createOrPrint(context, "Deployment", draft, "created");
  return 0;
}

const serviceTypes = { clusterip: "ClusterIP", nodeport: "NodePort", loadbalancer: "LoadBalancer" } as const;

function service(context: Context, [type = "", ...names]: readonly string[]): number {
  const { flags } = context;
  if (!Object.hasOwn(serviceTypes, type)) {
    throw new Failed(`error: unknown command "service ${type}"\nSee 'kubectl create service -h' for help and examples`);
  }
  const name = oneName(names, `service ${type}`);
  const clusterIP = flags.text("clusterip");
  const tcp = flags.texts("tcp").flatMap((text) => text.split(","));
  if (tcp.length === 0 && clusterIP !== "None")
    throw new Failed("error: at least one tcp port specifier must be provided");
  const ports = tcp.map((text) => portOf(text, flags.number("node-port")));
  const labels = { app: name };
  const draft = {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata(context, name, labels),
    spec: {
      ...(clusterIP !== undefined && { clusterIP }),
      ...(ports.length > 0 && { ports }),
      selector: labels,
      type: serviceTypes[type as keyof typeof serviceTypes],
    },
    status: { loadBalancer: {} },
  };
  createOrPrint(context, "Service", draft, "created");
  return 0;
}

function portOf(text: string, nodePort: number | undefined): object {
  const [port = "", target = port, ...more] = text.split(":");
  if (more.length > 0 || !/^\d+$/.test(port)) {
    throw new Failed(`error: invalid port ${JSON.stringify(text)}: expected <port>:<targetPort>`);
  }
  return {
    name: text.includes(":") ? `${port}-${target}` : port,
    ...(nodePort !== undefined && { nodePort }),
    port: Number(port),
    protocol: "TCP",
    targetPort: /^\d+$/.test(target) ? Number(target) : target,
  };
}

function namespace(context: Context, names: readonly string[]): number {
  const name = oneName(names, "namespace");
  createOrPrint(
    context,
    "Namespace",
    { apiVersion: "v1", kind: "Namespace", metadata: { name }, spec: {}, status: {} },
    "created",
  );
  return 0;
}

function configmap(context: Context, names: readonly string[]): number {
  const name = oneName(names, "configmap");
  const data: Record<string, string> = {};
  for (const literal of context.flags.texts("from-literal")) {
    const equals = literal.indexOf("=");
    if (equals <= 0) throw new Failed(`error: invalid literal source ${literal}, expected key=value`);
    data[literal.slice(0, equals)] = literal.slice(equals + 1);
  }
  const draft = {
    apiVersion: "v1",
    ...(Object.keys(data).length > 0 && { data }),
    kind: "ConfigMap",
    metadata: metadata(context, name),
  };
  createOrPrint(context, "ConfigMap", draft, "created");
  return 0;
}
