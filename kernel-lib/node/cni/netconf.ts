/** Owns a node's network configuration: which file of /etc/cni/net.d counts, and what libcni says of a broken one. */
import type { Files } from "../../apps/files";
import { field, goType, isObject, JsonError, type JsonObject, parseJson } from "./gojson";

export const configFolder = "/etc/cni/net.d";

/** One plugin of a network, with its part of the configuration as it was written. */
export interface PluginConfig {
  readonly type: string;
  /** The configuration's own name, if it has one: `plugin type="bridge" name="mynet"`. */
  readonly name: string;
  readonly config: JsonObject;
}

/** A network: plugins that are called one after another. */
export interface NetworkConfig {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly PluginConfig[];
}

/** No network, and why, in the container runtime's words; it goes into the runtime's log. */
export class ConfigError extends Error {}

/**
 * The network that containerd gives pods: that of the first file by name (github.com/containerd/go-cni, loadFromConfDir).
 * Nothing is read after it, so one broken first file means no network.
 * @throws ConfigError
 */
export function loadNetwork(files: Files): NetworkConfig {
  const names = namesIn(files);
  const name = names.find((one) => files.read(`${configFolder}/${one}`) !== undefined);
  if (name === undefined) {
    throw new ConfigError(
      `cni config load failed: no network config found in ${configFolder}: cni plugin not initialized`,
    );
  }
  const path = `${configFolder}/${name}`;
  try {
    return networkOf(files.read(path) ?? "", path);
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof JsonError)) throw error;
    throw new ConfigError(`cni config load failed: ${error.message}: invalid cni config: failed to load cni config`);
  }
}

const found = new WeakMap<Files, { names: readonly string[] | undefined }>();

/** The files of the folder that count, sorted: looked for again only after one has come or gone. */
function namesIn(files: Files): readonly string[] {
  const known = found.get(files) ?? { names: undefined };
  if (!found.has(files)) {
    found.set(files, known);
    files.watch(configFolder, () => {
      known.names = undefined;
    });
  }
  known.names ??= (files.list(configFolder) ?? []).filter((name) => /\.(conf|conflist|json)$/.test(name));
  return known.names;
}

const read = new Map<string, NetworkConfig>();
const remembered = 1_000;

/** Reads a file's text: a list of plugins, or one plugin alone. The same text is read once. */
function networkOf(text: string, path: string): NetworkConfig {
  const list = path.endsWith(".conflist");
  const key = `${list}${text}`;
  const known = read.get(key);
  if (known) return known;
  const network = list ? readList(text, path) : readSingle(text, path);
  if (read.size >= remembered) read.clear();
  read.set(key, network);
  return network;
}

function readSingle(text: string, path: string): NetworkConfig {
  const failed = `failed to load CNI config file ${path}: `;
  const plugin = within(failed, () => pluginOf(parsed(text, "error parsing configuration: ")));
  const { config, name } = plugin;
  if (name === "") throw new ConfigError(`failed to convert CNI config file ${path} to CNI config list: ${noName}`);
  return { name, cniVersion: within(failed, () => field(config, "cniVersion", "string") ?? ""), plugins: [plugin] };
}

const listError = "error parsing configuration list: ";
const noName = `${listError}no name`;

/** libcni/conf.go, NetworkConfFromBytes. */
function readList(text: string, path: string): NetworkConfig {
  return within(`failed to load CNI config list file ${path}: `, () => {
    const raw = parsed(text, listError);
    const { name, cniVersion = "", plugins } = raw;
    if (name === undefined) throw new ConfigError(noName);
    if (typeof name !== "string") throw new ConfigError(`${listError}invalid name type ${goType(name)}`);
    if (typeof cniVersion !== "string") {
      throw new ConfigError(`${listError}invalid cniVersion type ${goType(cniVersion)}`);
    }
    if (plugins === undefined) throw new ConfigError("no plugin configs found");
    if (!Array.isArray(plugins)) throw new ConfigError(`${listError}invalid 'plugins' type ${goType(plugins)}`);
    if (plugins.length === 0) throw new ConfigError(`${listError}no plugins in list`);
    const read = plugins.map((plugin: unknown, at) => {
      return within(`failed to parse plugin config ${at}: `, () => pluginOf(plugin));
    });
    return { name, cniVersion, plugins: read };
  });
}

function pluginOf(value: unknown): PluginConfig {
  const before = "error parsing configuration: ";
  if (!isObject(value)) {
    const kind = Array.isArray(value) ? "array" : typeof value;
    throw new ConfigError(`${before}json: cannot unmarshal ${kind} into Go value of type types.PluginConf`);
  }
  const type = within(before, () => field(value, "type", "string", "PluginConf"));
  const name = within(before, () => field(value, "name", "string", "PluginConf")) ?? "";
  if (!type) throw new ConfigError(`${before}missing 'type'`);
  return { type, name, config: value };
}

function parsed(text: string, before: string): JsonObject {
  const value = within(before, () => parseJson(text));
  if (isObject(value)) return value;
  const kind = Array.isArray(value) ? "array" : typeof value;
  throw new ConfigError(`${before}json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`);
}

/** Puts words before what `read` complains of. */
function within<T>(before: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof JsonError)) throw error;
    throw new ConfigError(`${before}${error.message}`);
  }
}
