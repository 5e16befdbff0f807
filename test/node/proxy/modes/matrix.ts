/** Owns the Services of the table of policies: every type with every policy, and every placement of endpoints. */
import type { Feature, Listed, Row, To } from "./services";

/** How a Service is opened, and which of its traffic policies are Local. */
export interface Opened {
  readonly type: "ClusterIP" | "External IP" | "NodePort" | "LoadBalancer";
  readonly internalPolicy: "Cluster" | "Local";
  readonly externalPolicy: "Cluster" | "Local";
}

/** A cell's Service: how it is opened, and where its endpoints are. */
export interface Policy extends Feature, Opened {
  readonly placement: string;
}

const leaving = { ready: false, serving: true, terminating: true } as const;
const unready = { ready: false, serving: false, terminating: false } as const;
const gone = { ready: false, serving: false, terminating: true } as const;

/** Of a client on node-1, a1 is local and b2 is remote; a client on node-3 has none near. */
const placements: { readonly [name: string]: readonly Listed[] } = {
  local: [{ pod: "a1" }],
  remote: [{ pod: "b2" }],
  both: [{ pod: "a1" }, { pod: "b2" }],
  none: [],
  "none ready": [
    { pod: "a1", ...unready },
    { pod: "b2", ...gone },
  ],
  "local terminates": [{ pod: "a1", ...leaving }],
  "remote terminates": [{ pod: "b2", ...leaving }],
  "both terminate": [
    { pod: "a1", ...leaving },
    { pod: "b2", ...leaving },
  ],
  "local terminates, remote ready": [{ pod: "a1", ...leaving }, { pod: "b2" }],
  "local ready, remote terminates": [{ pod: "a1" }, { pod: "b2", ...leaving }],
};

const opened: readonly Opened[] = [
  { type: "ClusterIP", internalPolicy: "Cluster", externalPolicy: "Cluster" },
  { type: "ClusterIP", internalPolicy: "Local", externalPolicy: "Cluster" },
  { type: "External IP", internalPolicy: "Cluster", externalPolicy: "Cluster" },
  { type: "External IP", internalPolicy: "Cluster", externalPolicy: "Local" },
  { type: "NodePort", internalPolicy: "Cluster", externalPolicy: "Cluster" },
  { type: "NodePort", internalPolicy: "Cluster", externalPolicy: "Local" },
  { type: "LoadBalancer", internalPolicy: "Cluster", externalPolicy: "Cluster" },
  { type: "LoadBalancer", internalPolicy: "Cluster", externalPolicy: "Local" },
  { type: "LoadBalancer", internalPolicy: "Local", externalPolicy: "Cluster" },
  { type: "LoadBalancer", internalPolicy: "Local", externalPolicy: "Local" },
];

const addresses: { readonly [type in Opened["type"]]: readonly To[] } = {
  ClusterIP: ["cluster IP"],
  "External IP": ["cluster IP", "external IP"],
  NodePort: ["cluster IP", "own node", "other node"],
  LoadBalancer: ["cluster IP", "balancer IP", "own node", "other node"],
};

const firstNodePort = 30_100;

export const policies: readonly Policy[] = opened.flatMap((how, group) =>
  Object.entries(placements).map(([placement, endpoints], at): Policy => {
    const { type, internalPolicy, externalPolicy } = how;
    const port = firstNodePort + group * Object.keys(placements).length + at;
    const rows = addresses[type].map((to): Row => ({ to, port: to.endsWith("node") ? port : 80 }));
    return {
      ...how,
      placement,
      title: `${wordOf(how)}, ${placement}`,
      rows,
      endpoints,
      ...(type === "External IP" && { external: true }),
      ...(type === "LoadBalancer" && { balancer: "VIP" }),
      ...((type === "NodePort" || type === "LoadBalancer") && { nodePort: port }),
      spec: {
        internalTrafficPolicy: internalPolicy,
        ...(type !== "ClusterIP" && { externalTrafficPolicy: externalPolicy }),
      },
    };
  }),
);

/** `LoadBalancer, internalTrafficPolicy Cluster, externalTrafficPolicy Local` */
export function wordOf({ type, internalPolicy, externalPolicy }: Opened): string {
  const outside = type === "ClusterIP" ? "" : `, externalTrafficPolicy ${externalPolicy}`;
  return `${type}, internalTrafficPolicy ${internalPolicy}${outside}`;
}
