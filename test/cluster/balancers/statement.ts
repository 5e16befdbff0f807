/**
 * Owns what load balancers mean, as rules of a few words: by which nodes a packet from outside may come in, and what the endpoint
 * then sees. From MetalLB's pages on its two modes, Kubernetes' on source IPs and health checks, and each cloud's documents.
 */
import { createHash } from "node:crypto";
import type { ModeName } from "../../../kernel-lib/node/proxy/mode";
import type { Policy } from "../../node/proxy/modes/matrix";
import { type Ends, isReady, meantAt, nodeOf, usable } from "../../node/proxy/modes/statement";
import { type Client, type Form, staticNodes } from "./ground";

export interface Path {
  readonly form: Form;
  readonly mode: ModeName;
  readonly policy: Policy;
  readonly client: Client;
  readonly vip: string;
}

const workers = ["node-1", "node-2", "node-3"];

/** What becomes of a connection: as of the table of policies, or that nobody takes it. Sorted. */
export function meantBy(path: Path): Ends {
  const { form, mode, policy, client, vip } = path;
  const to = form === "proxy" ? "own node" : form === "static" ? "external IP" : "balancer IP";
  const asked = { mode, policy, to } as const;
  let bears = form === "proxy" ? "balancer" : "client";
  if (/^(pod|node)\//.test(client) && form !== "proxy") {
    // Nodes know the address themselves: nobody's packet leaves its node for the balancer, unless no rule knows it.
    const node = `node-${client.at(-1)}`;
    const sender = client.startsWith("pod/") ? "pod" : "node";
    const ends = meantAt(asked, { node, sender, bears });
    if (!ends.includes("away")) return ends;
    if (sender === "pod") bears = node;
  }
  const entries = entriesOf(form, mode, policy, vip);
  if (entries.length === 0) return [form === "proxy" ? "hung up" : "nobody"];
  const ends = entries.flatMap((node) => meantAt(asked, { node, sender: "outside", bears }));
  return [...new Set(ends)].sort();
}

/** By which nodes packets may come in. */
export function entriesOf(
  form: Form,
  mode: ModeName,
  { endpoints, externalPolicy }: Policy,
  vip: string,
): readonly string[] {
  const isLocal = externalPolicy === "Local";
  const on = (pods: readonly string[]): readonly string[] => [...new Set(pods.map(nodeOf))].sort();
  if (form === "static") return staticNodes;
  if (form === "layer2" || form === "bgp") {
    // Speakers ask for endpoints that are ready or serve; who terminates may serve.
    const serving = on(endpoints.filter((each) => isReady(each) || each.serving).map(({ pod }) => pod));
    if (serving.length === 0) return [];
    const able = isLocal ? serving : workers;
    if (form === "bgp") return able;
    return [...able].sort((one, other) => (rank(one, vip) < rank(other, vip) ? -1 : 1)).slice(0, 1);
  }
  // The port for health checks counts ready endpoints only; without one, kube-proxy's own health is asked.
  const ready = on(endpoints.filter(isReady).map(({ pod }) => pod));
  if (form === "forwarder") return isLocal && ready.length > 0 ? ready : workers;
  // A classic proxy without that port asks whether the node port takes connections; kube-proxy itself takes all.
  const isOpen = usable(endpoints).length > 0 || mode === "userspace";
  return isLocal ? ready : isOpen ? workers : [];
}

/** Speakers all choose the node with the smallest hash. */
function rank(node: string, vip: string): string {
  return createHash("sha256").update(`${node}#${vip}`).digest("hex");
}
