/** Owns the flannel plugin: it reads what flanneld wrote of this node, and hands the work to the bridge plugin. */
import type { Files } from "../../apps/files";
import { type Cidr, formatCidr, networkOf, tryParseCidr } from "../../net/address";
import { field, type JsonObject, listField, objectField } from "./gojson";
import { type Plugin, type PluginCall, PluginError } from "./plugin";

/** Where flanneld says which range the node has. */
const subnetFile = "/run/flannel/subnet.env";

/** What is in the file. */
export interface SubnetEnv {
  readonly networks: readonly Cidr[];
  readonly subnets: readonly Cidr[];
  readonly mtu: number;
  readonly ipMasq: boolean;
}

/** flannel-io/cni-plugin, flannel.go and flannel_linux.go. */
export const flannel: Plugin = {
  add(call) {
    const config = delegateConfig(call);
    try {
      return delegateOf(call, config).add({ ...call, config });
    } catch (error) {
      if (!(error instanceof PluginError)) throw error;
      throw new PluginError(`failed to delegate add: ${error.message}`);
    }
  },
  delete(call) {
    // What it delegated to then is what it would delegate to now; without the file there is nothing to be found.
    if (call.node.files.read(subnetFile) === undefined) return;
    const config = delegateConfig(call);
    delegateOf(call, config).delete({ ...call, config });
  },
};

function delegateOf(call: PluginCall, config: JsonObject): Plugin {
  return call.delegate(String(config.type), config);
}

interface Made {
  readonly text: string;
  readonly config: JsonObject;
}

/** The same configuration and the same file give the same object, so that who reads it may remember it. */
const made = new WeakMap<JsonObject, Map<string, Made>>();

function delegateConfig({ config, node, network }: PluginCall): JsonObject {
  const path = field(config, "subnetFile", "string") ?? subnetFile;
  const text = node.files.read(path);
  if (text === undefined) throw new PluginError(`open ${path}: no such file or directory`);
  const byText = made.get(config) ?? new Map<string, Made>();
  made.set(config, byText);
  const known = byText.get(text);
  if (known) return known.config;
  const fresh = newDelegateConfig(config, readSubnetEnv(text, path), network);
  byText.set(text, { text, config: fresh });
  return fresh;
}

function newDelegateConfig(config: JsonObject, env: SubnetEnv, network: string): JsonObject {
  const delegate = objectField(config, "delegate", "map[string]interface {}") ?? {};
  const { type = "bridge" } = delegate;
  if (typeof type !== "string") {
    throw new PluginError("'delegate' dictionary, if present, must have (string) 'type' field");
  }
  for (const name of ["name", "ipam"] as const) {
    if (name in delegate) {
      throw new PluginError(`'delegate' dictionary must not have '${name}' field, it'll be set by flannel`);
    }
  }
  const ipam = objectField(config, "ipam", "map[string]interface {}") ?? {};
  const routes = [
    ...listField(ipam, "routes", "[]types.Route"),
    ...env.networks.map((to) => ({ dst: formatCidr(to) })),
  ];
  return {
    ipMasq: !env.ipMasq,
    mtu: env.mtu,
    ...(type === "bridge" && { isGateway: true }),
    ...delegate,
    type,
    name: network,
    ipam: {
      type: "host-local",
      ...ipam,
      ranges: env.subnets.map((subnet) => [{ subnet: formatCidr(networkOf(subnet)) }]),
      routes,
    },
  };
}

function readSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1));
  }
  const prefixes = (...names: readonly string[]): readonly Cidr[] =>
    names.flatMap((name) => {
      const value = values.get(name);
      if (value === undefined) return [];
      const cidr = value.includes("/") ? tryParseCidr(value) : undefined;
      if (!cidr) throw new PluginError(`invalid CIDR address: ${value}`);
      return [cidr];
    });
  const networks = prefixes("FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK");
  const subnets = prefixes("FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET");
  const missing = [
    ...(networks.length > 0 ? [] : ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"]),
    ...(subnets.length > 0 ? [] : ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"]),
    ...["FLANNEL_MTU", "FLANNEL_IPMASQ"].filter((name) => !values.has(name)),
  ];
  if (missing.length > 0) throw new PluginError(`${path} is missing ${missing.join(", ")}`);
  const mtu = values.get("FLANNEL_MTU") ?? "";
  if (!/^[0-9]+$/.test(mtu)) throw new PluginError(`strconv.ParseUint: parsing ${JSON.stringify(mtu)}: invalid syntax`);
  return { networks, subnets, mtu: Number(mtu), ipMasq: values.get("FLANNEL_IPMASQ") === "true" };
}

/** Writes the file, as flanneld does when it has its lease (pkg/subnet, WriteSubnetFile). */
export function writeSubnetEnv(files: Files, { networks, subnets, mtu, ipMasq }: SubnetEnv): void {
  const line = (name: string, cidrs: readonly Cidr[], kind: "number" | "bigint"): readonly string[] =>
    cidrs.filter(({ ip }) => typeof ip === kind).map((cidr) => `${name}=${formatCidr(cidr)}`);
  const lines = [
    ...line("FLANNEL_NETWORK", networks, "number"),
    ...line("FLANNEL_SUBNET", subnets, "number"),
    ...line("FLANNEL_IPV6_NETWORK", networks, "bigint"),
    ...line("FLANNEL_IPV6_SUBNET", subnets, "bigint"),
    `FLANNEL_MTU=${mtu}`,
    `FLANNEL_IPMASQ=${ipMasq}`,
  ];
  files.write(subnetFile, `${lines.join("\n")}\n`);
}
