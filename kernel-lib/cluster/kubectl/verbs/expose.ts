/** Owns `kubectl expose`: a Service for something that has a selector and ports. */
import { type KubeObject, resourceOf } from "../../../api/kinds";
import { Failed } from "../../shell/tool";
import type { Context, Verb } from "../context";
import { Flags } from "../flags";
import { findObjects, readArguments, readFiles } from "../resources";
import { createOrPrint, dryRunFlag } from "./dryrun";
import { nothingNamed } from "./objects";
import { overridden } from "./overrides";

export const expose: Verb = {
  name: "expose",
  short: "Take a replication controller, service, deployment or pod and expose it as a new Kubernetes service",
  usage:
    "expose (-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] [--name=name] [--external-ip=external-ip-of-service] [--type=type] [options]",
  flags: [
    { name: "filename", short: "f", type: "list" },
    { name: "output", short: "o", type: "string" },
    { name: "port", type: "string" },
    { name: "target-port", type: "string" },
    { name: "protocol", type: "string" },
    { name: "name", type: "string" },
    { name: "type", type: "string" },
    { name: "selector", type: "string" },
    { name: "labels", short: "l", type: "string" },
    { name: "external-ip", type: "string" },
    { name: "load-balancer-ip", type: "string" },
    { name: "cluster-ip", type: "string" },
    { name: "session-affinity", type: "string" },
    { name: "overrides", type: "string" },
    { name: "override-type", type: "string" },
    { name: "save-config", type: "bool" },
    { name: "field-manager", type: "string" },
    { name: "template", type: "string" },
    dryRunFlag,
  ],
  run: exposeObjects,
};

const exposable: ReadonlySet<string> = new Set(["Deployment", "Pod", "ReplicaSet", "Service"]);

type PortSpec = { readonly port: number; readonly protocol: string };

function exposeObjects(context: Context): number {
  const asked = context.flags.given("filename")
    ? readFiles(context).map(({ resource, manifest }) => ({
        resource,
        name: (manifest.object.metadata as { readonly name?: string } | undefined)?.name,
      }))
    : readArguments(context.flags.args);
  if (asked.length === 0) throw new Failed(nothingNamed);
  if (asked.some(({ name }) => name === undefined)) {
    throw new Failed("error: resource(s) were provided, but no name was specified");
  }
  // `-l` and `--selector` here are those of the new Service, not a way to choose objects.
  const { objects, failed } = findObjects({ ...context, flags: new Flags([], 0, new Map()) }, asked);
  if (failed) return 1;
  for (const object of objects) {
    createOrPrint(context, "Service", overridden(serviceFor(context, object), context.flags), "exposed");
  }
  return 0;
}

function serviceFor(context: Context, object: KubeObject): object {
  const { flags } = context;
  if (!exposable.has(object.kind)) {
    const { group, kind } = resourceOf(object.kind);
    throw new Failed(`error: cannot expose a ${kind}${group && `.${group}`}`);
  }
  const name = flags.text("name") ?? object.metadata.name;
  const ports = portsFor(context, object);
  const labels = labelsOf(flags.text("labels")) ?? object.metadata.labels;
  const spec: Record<string, unknown> = {
    ...(ports.length > 0 && { ports }),
    selector: labelsOf(flags.text("selector")) ?? selectorOf(object),
  };
  const set = (field: string, flag: string): void => {
    const value = flags.text(flag);
    if (value !== undefined) spec[field] = value;
  };
  set("type", "type");
  set("clusterIP", "cluster-ip");
  set("sessionAffinity", "session-affinity");
  set("loadBalancerIP", "load-balancer-ip");
  const external = flags.text("external-ip");
  if (external !== undefined) spec.externalIPs = [external];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      ...(labels && Object.keys(labels).length > 0 && { labels }),
      name,
      ...(flags.given("namespace") && { namespace: context.namespace }),
    },
    spec,
    status: { loadBalancer: {} },
  };
}

function labelsOf(text: string | undefined): Readonly<Record<string, string>> | undefined {
  if (text === undefined) return undefined;
  const pairs = text.split(",").filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = "", value, ...more] = pair.split("=");
      if (value === undefined || more.length > 0 || key === "")
        throw new Failed(`error: unexpected label spec: ${pair}`);
      return [key, value];
    }),
  );
}

function selectorOf(object: KubeObject): Readonly<Record<string, string>> {
  switch (object.kind) {
    case "Deployment":
    case "ReplicaSet": {
      const { selector } = object.spec;
      if ((selector.matchExpressions?.length ?? 0) > 0) {
        throw new Failed(
          `error: couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions - "${JSON.stringify(selector.matchExpressions)}" to map-based selector format`,
        );
      }
      return selector.matchLabels ?? {};
    }
    case "Service":
      if (!object.spec.selector || Object.keys(object.spec.selector).length === 0) {
        throw new Failed(
          "error: couldn't retrieve selectors via --selector flag or introspection: the service has no pod selector set",
        );
      }
      return object.spec.selector;
    case "Pod": {
      const labels = object.metadata.labels ?? {};
      if (Object.keys(labels).length === 0) {
        throw new Failed(
          "error: couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
        );
      }
      return labels;
    }
    default:
      throw new Failed(`error: cannot expose a ${object.kind}`);
  }
}

function portsOf(object: KubeObject): readonly PortSpec[] {
  switch (object.kind) {
    case "Deployment":
    case "ReplicaSet":
      return containerPorts(object.spec.template?.spec?.containers ?? []);
    case "Pod":
      return containerPorts(object.spec.containers);
    case "Service":
      return (object.spec.ports ?? []).map(({ port, protocol }) => ({ port, protocol: protocol ?? "TCP" }));
    default:
      return [];
  }
}

function containerPorts(
  containers: readonly { readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[] }[],
): readonly PortSpec[] {
  return containers.flatMap((container) =>
    (container.ports ?? []).map(({ containerPort, protocol }) => ({
      port: containerPort,
      protocol: protocol ?? "TCP",
    })),
  );
}

/** The ports of the new Service: those of `--port`, or those that the object itself says. */
function portsFor(context: Context, object: KubeObject): readonly object[] {
  const { flags } = context;
  const own = portsOf(object);
  const given = flags.text("port");
  if (given === undefined && own.length === 0) {
    if (flags.text("cluster-ip") === "None") return [];
    throw new Failed(
      "error: couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' for help and examples",
    );
  }
  const numbers = given === undefined ? own.map(({ port }) => port) : given.split(",").map(Number);
  const bad = numbers.find((port) => !Number.isInteger(port));
  if (bad !== undefined) throw new Failed(`error: strconv.Atoi: parsing ${JSON.stringify(given)}: invalid syntax`);
  const target = flags.text("target-port");
  const made = numbers.map((port, at) => {
    const protocol = flags.text("protocol") ?? own.find((each) => each.port === port)?.protocol ?? "TCP";
    const targetPort = target === undefined ? port : /^\d+$/.test(target) ? Number(target) : target;
    return { ...(numbers.length > 1 && { name: `port-${at + 1}` }), port, protocol, targetPort };
  });
  return made;
}
