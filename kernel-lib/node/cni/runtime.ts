/** Owns what the container runtime does with CNI: it reads the node's configuration, and calls its plugins in a row. */
import { rfc3339 } from "../../api/time";
import type { Ip } from "../../net/address";
import type { NodeNet } from "../node";
import { bridge } from "./bridgeplugin";
import { CniError, type PodToConnect } from "./cni";
import { flannel } from "./flannelplugin";
import { JsonError, type JsonObject } from "./gojson";
import { hostLocal } from "./hostlocal";
import { ConfigError, loadNetwork, type NetworkConfig, type PluginConfig } from "./netconf";
import { type CniResult, type Plugin, type PluginCall, PluginError } from "./plugin";
import { portmap } from "./portmap";
import { ptp } from "./ptp";

/** What the package kubernetes-cni installs in /opt/cni/bin, as far as it is here. */
const installed: Readonly<Record<string, Plugin>> = {
  bridge,
  ptp,
  portmap,
  flannel,
  "host-local": hostLocal,
};

/** containerd and libcni, for all nodes. */
export class PodNetworks {
  readonly #plugins: Readonly<Record<string, Plugin>>;

  /** @param more plugins that a design installs beside the usual ones */
  constructor(more: Readonly<Record<string, Plugin>> = {}) {
    this.#plugins = { ...installed, ...more };
  }

  /** Whether there is a network to give, and if not, why (in the runtime's log). */
  state(node: NodeNet): { readonly ready: true } | { readonly ready: false; readonly why: string } {
    try {
      loadNetwork(node.files);
      return { ready: true };
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return { ready: false, why: error.message };
    }
  }

  /** Calls ADD of each plugin. @throws CniError */
  add(pod: PodToConnect, node: NodeNet): readonly Ip[] {
    const network = this.#network(node);
    if (!network) throw new CniError("cni plugin not initialized");
    let previous: CniResult | undefined;
    for (const plugin of network.plugins) {
      const call = this.#call(pod, node, network, plugin, previous);
      previous = this.#try(plugin, "add", () => this.#find(plugin.type).add(call));
    }
    const ips = previous?.ips.map(({ address }) => address.ip) ?? [];
    if (ips.length === 0) throw new CniError("no valid IP address found in CNI result");
    return ips;
  }

  /** Calls DEL of each plugin, the last one first. A network that is no longer there takes nothing away. */
  delete(pod: PodToConnect, node: NodeNet): void {
    const network = this.#network(node);
    for (const plugin of network ? [...network.plugins].reverse() : []) {
      const call = network && this.#call(pod, node, network, plugin, undefined);
      try {
        if (call) this.#find(plugin.type).delete(call);
      } catch (error) {
        // The runtime tears the rest down all the same; its namespace takes the pod's devices with it.
        if (!(error instanceof PluginError || error instanceof JsonError)) throw error;
      }
    }
  }

  #network(node: NodeNet): NetworkConfig | undefined {
    try {
      return loadNetwork(node.files);
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }

  #call(
    pod: PodToConnect,
    node: NodeNet,
    network: NetworkConfig,
    plugin: PluginConfig,
    previous: CniResult | undefined,
  ): PluginCall {
    const delegate = (type: string, _config: JsonObject): Plugin => this.#find(type);
    return { pod, node, device: "eth0", network: network.name, config: plugin.config, previous, delegate };
  }

  #find(type: string): Plugin {
    const found = Object.hasOwn(this.#plugins, type) ? this.#plugins[type] : undefined;
    if (!found) throw new PluginError(`failed to find plugin "${type}" in path [/opt/cni/bin]`);
    return found;
  }

  /** libcni's words around what a plugin says. */
  #try<T>(plugin: PluginConfig, what: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof PluginError || error instanceof JsonError)) throw error;
      const named = plugin.name === "" ? "" : ` name=${JSON.stringify(plugin.name)}`;
      const why = error instanceof JsonError ? `failed to load netconf: ${error.message}` : error.message;
      throw new CniError(`plugin type=${JSON.stringify(plugin.type)}${named} failed (${what}): ${why}`);
    }
  }
}

const log = "/var/log/syslog";

/** What containerd writes when a file of /etc/cni/net.d changed, and there is no network to be had any more. */
export function logReload({ name, files, sim }: NodeNet, path: string): void {
  try {
    loadNetwork(files);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const at = rfc3339(sim.clock.now);
    const event = `failed to reload cni configuration after receiving fs change event(WRITE ${JSON.stringify(path)})`;
    const message = `msg=${JSON.stringify(event)} error=${JSON.stringify(error.message)}`;
    const line = `${at} ${name} containerd[612]: time="${at}" level=error ${message}\n`;
    files.write(log, (files.read(log) ?? "") + line);
  }
}
