/** Owns what a flow case's kube-proxy is: the mode with the case's options, and the view that it is given. */
import type { ProxyMode } from "../../node/proxy/mode";
import { createMode } from "../../node/proxy/modes";
import { type ServicePort, viewOf } from "../../node/proxy/view";
import type { FlowConfig } from "./config";
import type { RuleObjects } from "./node";

/** The mode with the options of the case. */
export function modeOf(config: FlowConfig): ProxyMode {
  const { clusterCidr, serviceCidrs, masqueradeAll, masqueradeBit, nodePortAddresses } = config;
  const { localhostNodePorts, counters, scheduler, conntrackLiberal } = config;
  return createMode(config.mode, {
    ...{
      clusterCidr,
      masqueradeAll,
      masqueradeBit,
      localhostNodePorts,
      counters,
      scheduler,
      nodePortAddresses,
      conntrackLiberal,
    },
    ...(serviceCidrs.length > 0 && { serviceCidrs }),
  });
}

/** What the node should do for the Services. */
export function viewFor(config: FlowConfig, { services, slices }: RuleObjects): readonly ServicePort[] {
  const { nodeName, zone, featureGates, family } = config;
  const nodeHints = featureGates.PreferSameTrafficDistribution ?? true;
  return viewOf(services, slices, { node: nodeName, ...(zone !== undefined && { zone }), nodeHints }, family);
}
