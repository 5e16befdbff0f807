/** Owns which nodes announce an address: the one that all speakers elect alike for ARP, and all that may for BGP. */
import { sha256 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import type { Kinds } from "../../api/kinds";
import type { Key } from "../../api/meta";
import type { Store } from "../../api/store";
import { announcesByArp, bgpAdvertisementsOf, type Pool } from "./pools";

type Service = Kinds["Service"];
type Node = Kinds["Node"];

const excluded = "node.kubernetes.io/exclude-from-external-load-balancers";

/** A node that load balancers may use, and whose network is there. */
function isUsable(node: Node | undefined): node is Node {
  if (!node || node.metadata.labels?.[excluded] !== undefined) return false;
  return !node.status.conditions?.some(({ type, status }) => type === "NetworkUnavailable" && status === "True");
}

/** The nodes with endpoints of a Service that serve; undefined stands for endpoints without a node. */
function servingNodes(store: Store, service: Key): ReadonlySet<string | undefined> {
  const [namespace = "", name = ""] = service.split("/");
  const slices = store.list("EndpointSlice", { namespace, labels: { "kubernetes.io/service-name": name } });
  const endpoints = slices.flatMap((slice) => slice.endpoints);
  const serving = endpoints.filter(({ conditions }) => conditions?.ready !== false || conditions.serving === true);
  return new Set(serving.map(({ nodeName }) => nodeName));
}

/**
 * Who answers ARP for a Service: of the nodes with a living speaker, under Local only those with an endpoint, the one whose
 * name and the address have the smallest hash (speaker/layer2_controller.go). Undefined: nobody.
 */
export function arpLeader(
  store: Store,
  key: Key,
  service: Service,
  pool: Pool,
  ips: readonly string[],
  speakers: readonly string[],
): string | undefined {
  const serving = servingNodes(store, key);
  if (serving.size === 0) return undefined;
  const local = service.spec.externalTrafficPolicy === "Local";
  const able = speakers.filter((name) => {
    const node = store.get("Node", name);
    const announces = isUsable(node) && announcesByArp(store, pool, node.metadata.labels ?? {});
    return announces && (!local || serving.has(name));
  });
  const rank = (name: string): string => bytesToHex(sha256(`${name}#${ips[0] ?? ""}`));
  return able.sort((one, other) => (rank(one) < rank(other) ? -1 : 1))[0];
}

/** Why a node does not announce a Service by BGP; undefined: it does (speaker/bgp_controller.go). */
export function bgpRefusal(store: Store, key: Key, service: Service, pool: Pool, name: string): string | undefined {
  const node = store.get("Node", name);
  if (!node || bgpAdvertisementsOf(store, pool, node.metadata.labels ?? {}).length === 0) return "notOwner";
  if (!isUsable(node)) return "nodeLabeledExcludeBalancers";
  const serving = servingNodes(store, key);
  if (service.spec.externalTrafficPolicy === "Local" && !serving.has(name)) return "noLocalEndpoints";
  return serving.size === 0 ? "noEndpoints" : undefined;
}
