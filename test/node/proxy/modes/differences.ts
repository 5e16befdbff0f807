/** Owns the list of what modes do otherwise than iptables mode, each by name and with its reason. */

export interface Difference {
  readonly name: string;
  /** Why the real mode does so. */
  readonly because: string;
  /** `nftables`, `nftables IPv6`, …: of whom it is said. */
  readonly only: readonly string[];
  /** Of which lines, `Title / sent to, protocol port`. */
  readonly where: RegExp;
}

const both = (mode: string): readonly string[] => [mode, `${mode} IPv6`];

export const differences: readonly Difference[] = [
  {
    name: "refuses the rest",
    because:
      "the chain cluster-ips-check refuses whatever is for a cluster IP and none of its ports, a ping too (pkg/proxy/nftables, README).",
    only: both("nftables"),
    where: /^Cluster IP \/ cluster IP, (tcp 81|udp 80|ping)$/,
  },
  {
    name: "own addresses",
    because:
      "the node has the addresses of Services itself, on kube-ipvs0, and KUBE-IPVS-FILTER refuses what is for one of them and for no service port (kubernetes/kubernetes issue 72236), a ping too.",
    only: both("ipvs"),
    where: /^(Cluster|External) IP \/ .*, (tcp 81|udp 80|ping)$/,
  },
  {
    name: "primary address",
    because: "node ports are open on the node's primary address only, unless nodePortAddresses says otherwise.",
    only: both("nftables"),
    where: /own cni0/,
  },
  {
    name: "no localhost",
    because:
      "node ports on 127.0.0.1 need route_localnet and rules that nftables mode does not make; ipvs mode makes no virtual servers for loopback addresses.",
    only: [...both("nftables"), ...both("ipvs")],
    where: /localhost/,
  },
  {
    name: "no localhost in IPv6",
    because:
      "there is no route_localnet for ::1, so node ports are not looked for there; the rule that drops for want of local endpoints matches every address of the node, ::1 among them.",
    only: ["iptables IPv6"],
    where: /localhost/,
  },
  {
    name: "local servers only",
    because:
      "with policy Local a virtual server has the node's own endpoints whoever asks, and nobody is masqueraded: there is no short cut for pods and the node itself.",
    only: both("ipvs"),
    where: /externalTrafficPolicy Local \/ (own node|external IP|balancer IP)/,
  },
  {
    name: "no local servers, so all",
    because:
      "where a Local policy finds no endpoint on the node, the virtual server has those of the cluster (kubernetes/kubernetes pull request 97081): meant for pods, but everybody gets there. The sources that change are flannel's work.",
    only: both("ipvs"),
    where:
      /(TrafficPolicy Local|another node only) \/ (own node|other node|external IP|balancer IP)|^internalTrafficPolicy Local \/ cluster IP/,
  },
  {
    name: "an empty server refuses",
    because:
      "a Service that nothing from outside can be meant for has no endpoints of the cluster to fall back on: the virtual server stays empty, and the kernel refuses what iptables mode drops.",
    only: both("ipvs"),
    where: /^The same, internalTrafficPolicy Local \/ cluster IP/,
  },
  {
    name: "Service as source",
    because:
      "what a node sends to an address that it has itself begins with that address as its source, so that masquerading always changes it.",
    only: both("ipvs"),
    where: /^(Endpoints on the host's network|Three endpoints) /,
  },
  {
    name: "the node's own are told too",
    because:
      "iptables mode asks KUBE-EXTERNAL-SERVICES of what comes in and what is forwarded, not of what the node itself sends; nftables mode asks in all three places, and ipvs mode has an empty virtual server.",
    only: [...both("nftables"), ...both("ipvs")],
    where: /^The same, nobody behind it \/ (external|balancer) IP/,
  },
  {
    name: "every ready endpoint",
    because:
      "the userspace proxy is older than traffic policies, hints, source ranges and terminating endpoints: it takes turns among all that are ready (pkg/proxy/userspace, v1.25).",
    only: ["userspace"],
    where:
      /TrafficPolicy Local \/ (own|other) node|TrafficPolicy Local \/ (external|balancer) IP|^internalTrafficPolicy Local \/ cluster|^The same, internalTrafficPolicy Local|another node only \/ (own|other|external|balancer)|^Source ranges .* \/ balancer|^Hints by /,
  },
  {
    name: "not for those inside",
    because:
      "external IPs are led to the proxy only where they come in by no bridge's port, or are the node's own: pods and nodes are not.",
    only: ["userspace"],
    where: / \/ external IP, tcp 80$/,
  },
  {
    name: "hangs up",
    because: "kube-proxy itself accepts, then finds that there is nobody to pass the connection on to, and closes it.",
    only: ["userspace"],
    where: /obody (behind it|ready) \/ (cluster|own|other|balancer|external)|^All terminate/,
  },
  {
    name: "no SCTP",
    because: "the userspace proxy speaks TCP and UDP only.",
    only: ["userspace"],
    where: /^SCTP/,
  },
];
