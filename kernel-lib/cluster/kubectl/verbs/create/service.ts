/** Owns `kubectl create service clusterip|nodeport|loadbalancer|externalname`. */
import { Failed } from "../../../shell/tool";
import { type Context, type Verb, verbOfVerbs } from "../../context";
import type { Flag } from "../../flags";
import { generate, generatorFlags, metadata, oneName } from "./generator";

interface ServiceType {
  readonly name: string;
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  readonly short: string;
  readonly flags: readonly Flag[];
}

const types: readonly ServiceType[] = [
  {
    name: "clusterip",
    type: "ClusterIP",
    short: "Create a ClusterIP service",
    flags: [{ name: "clusterip", type: "string" }],
  },
  {
    name: "externalname",
    type: "ExternalName",
    short: "Create an ExternalName service",
    flags: [{ name: "external-name", type: "string" }],
  },
  { name: "loadbalancer", type: "LoadBalancer", short: "Create a LoadBalancer service", flags: [] },
  {
    name: "nodeport",
    type: "NodePort",
    short: "Create a NodePort service",
    flags: [{ name: "node-port", type: "int" }],
  },
];

function verbOf({ name, type, short, flags }: ServiceType): Verb {
  return {
    name,
    short,
    usage: `create service ${name} NAME [--tcp=<port>:<targetPort>] [--dry-run=server|client|none]`,
    flags: [...generatorFlags, { name: "tcp", type: "list" }, ...flags],
    run: (context) => createService(context, name, type),
  };
}

export const service: Verb = {
  ...verbOfVerbs("create service", "Create a service using a specified subcommand", types.map(verbOf)),
  name: "service",
  aliases: ["svc"],
};

function createService(context: Context, word: string, type: ServiceType["type"]): number {
  const { flags } = context;
  const external = flags.text("external-name");
  if (type === "ExternalName" && external === undefined) {
    throw new Failed('error: required flag(s) "external-name" not set');
  }
  const name = oneName(context, `service ${word}`);
  const clusterIP = flags.text("clusterip");
  const tcp = flags.texts("tcp").flatMap((text) => text.split(","));
  if (tcp.length === 0 && clusterIP !== "None" && type !== "ExternalName") {
    throw new Failed("error: at least one tcp port specifier must be provided");
  }
  const nodePort = flags.number("node-port") ?? 0;
  const ports = tcp.map((text) => portOf(text, nodePort));
  const labels = { app: name };
  const draft = {
    apiVersion: "v1",
    kind: "Service",
    metadata: metadata(context, name, labels),
    spec: {
      ...(clusterIP !== undefined && clusterIP !== "" && { clusterIP }),
      ...(external !== undefined && { externalName: external }),
      ...(ports.length > 0 && { ports }),
      selector: labels,
      type,
    },
    status: { loadBalancer: {} },
  };
  return generate(context, "Service", draft, `${type} service:`);
}

/** `port:targetPort`, the target a number or a name (create_service.go: parsePorts). @throws Failed */
function portOf(text: string, nodePort: number): object {
  const [port = "", ...rest] = text.split(":");
  const target = rest.length > 0 ? rest.join(":") : port;
  const wrong = !/^\d+$/.test(port) ? "invalid syntax" : Number(port) > 65535 ? "value out of range" : "";
  if (wrong) throw new Failed(`error: strconv.ParseUint: parsing ${JSON.stringify(port)}: ${wrong}`);
  const numbered = /^\d+$/.test(target);
  if (numbered && (Number(target) > 65535 || Number(target) < 1)) {
    throw new Failed("error: must be between 1 and 65535, inclusive");
  }
  if (!numbered && (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(target) || target.length > 15 || !/[a-z]/.test(target))) {
    throw new Failed("error: must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  return {
    name: rest.length > 0 ? `${port}-${target}` : port,
    ...(nodePort !== 0 && { nodePort }),
    port: Number(port),
    protocol: "TCP",
    targetPort: numbered ? Number(target) : target,
  };
}
