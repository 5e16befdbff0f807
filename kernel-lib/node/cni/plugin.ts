/** Owns the contract of a CNI plugin (the CNI specification, 1.1): what it is handed, and what it gives back. */
import type { Cidr, Ip } from "../../net/address";
import type { NodeNet } from "../node";
import type { PodToConnect } from "./cni";
import type { JsonObject } from "./gojson";

/** One call of a plugin's executable: its environment and its standard input. */
export interface PluginCall {
  readonly pod: PodToConnect;
  readonly node: NodeNet;
  /** CNI_IFNAME. */
  readonly device: string;
  /** The name of the network. */
  readonly network: string;
  /** Its part of the configuration. */
  readonly config: JsonObject;
  /** What the plugins before it gave. */
  readonly previous?: CniResult | undefined;
  /** Calls another plugin in this one's stead. @throws PluginError */
  delegate(type: string, config: JsonObject): Plugin;
}

/** An address that the pod gets. */
export interface CniAddress {
  /** With the length of its network. */
  readonly address: Cidr;
  readonly gateway?: Ip;
}

export interface CniRoute {
  readonly to: Cidr;
  readonly via?: Ip;
}

export interface CniResult {
  readonly ips: readonly CniAddress[];
  readonly routes: readonly CniRoute[];
}

export interface Plugin {
  /** @throws PluginError */
  add(call: PluginCall): CniResult;
  /** No error if there is nothing to take away. */
  delete(call: PluginCall): void;
}

/** A plugin's failure, in its own words. */
export class PluginError extends Error {}
