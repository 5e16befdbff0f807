/** Owns the rows of MetalLB's kinds, by the printer columns of their definitions. */
import type { Kinds } from "../kinds";
import type { Cell } from "./table";

/** A list or an object in a cell, as the API server prints JSON there. */
function json(value: unknown): string {
  return value === undefined ? "" : JSON.stringify(value);
}

export function addressPoolCells({ metadata, spec }: Kinds["IPAddressPool"]): readonly Cell[] {
  return [metadata.name, spec.autoAssign ?? true, spec.avoidBuggyIPs ?? false, json(spec.addresses)];
}

export function l2AdvertisementCells({ metadata, spec }: Kinds["L2Advertisement"]): readonly Cell[] {
  const { ipAddressPools, ipAddressPoolSelectors, interfaces, nodeSelectors } = spec;
  return [metadata.name, json(ipAddressPools), json(ipAddressPoolSelectors), json(interfaces), json(nodeSelectors)];
}

export function bgpAdvertisementCells({ metadata, spec }: Kinds["BGPAdvertisement"]): readonly Cell[] {
  const { ipAddressPools, ipAddressPoolSelectors, peers, nodeSelectors } = spec;
  return [metadata.name, json(ipAddressPools), json(ipAddressPoolSelectors), json(peers), json(nodeSelectors)];
}

export function bgpPeerCells({ metadata, spec }: Kinds["BGPPeer"]): readonly Cell[] {
  return [metadata.name, spec.peerAddress, spec.peerASN, "", ""];
}
