/** Owns the list of what the simulator does otherwise than a real kernel, each with its reason: judged too, so that it is true. */
import { type Design, topologyOf } from "./clusters";
import { hostEnd, machineOf, type Topology, type Version } from "./topology";
import type { Case, Group, Step } from "./world";

export interface Difference {
  readonly design: Design;
  readonly version: Version;
  readonly because: string;
  readonly group: Group;
  readonly kernel: readonly string[];
  readonly simulator: readonly string[];
}

/**
 * Beside these, what the kernel's side does not ask for, because it is another thing each time: how old a neighbour is to
 * the second (REACHABLE, STALE, DELAY and PROBE count as KNOWN), link-local neighbours, ephemeral ports, times. Its namespaces
 * have no duplicate address detection, no router solicitations and no limit on the rate of ICMP errors.
 */
export async function differences(): Promise<readonly Difference[]> {
  return [
    reversePath(await topologyOf("vxlan")),
    redirects(await topologyOf("routes")),
    pieces(await topologyOf("bridge"), 4),
    pieces(await topologyOf("bridge"), 6),
    tunnelMtu,
  ];
}

function group(version: Version, rules: boolean, one: Case): Group {
  return { name: "differs", version, rules, cases: [one] };
}

const serve = (...machines: readonly string[]): readonly Step[] => machines.map((at) => ({ step: "serve", at }));

/** Node-2 sends around the tunnel: node-1 would answer through it. */
function reversePath(topology: Topology): Difference {
  const back = machineOf(topology, "node-2").routes.find(
    ({ to, device }) => device === "flannel.1" && to.startsWith((topology.names.a1?.[4] ?? "").replace(/\d+$/, "")),
  );
  if (!back) throw new Error("node-2 has no route to a1");
  const ask = { ask: { ask: "tcp", from: "b1", to: "a1" } } as const;
  return {
    design: "vxlan",
    version: 4,
    because: "reverse-path filtering is not simulated: every node is as with rp_filter=0",
    group: group(4, false, {
      name: "what comes in by another device than its answer would leave by, with strict rp_filter",
      script: [
        ...serve("a1"),
        { step: "delete route", at: "node-2", to: back.to },
        { step: "add route", at: "node-2", to: back.to, via: topology.names["node-1"]?.[4] ?? "", device: "eth0" },
        ask,
        { step: "rp_filter", at: "node-1", on: true },
        ask,
      ],
    }),
    kernel: ["tcp b1 a1: a1 saw b1", "tcp b1 a1: timeout"],
    simulator: ["tcp b1 a1: a1 saw b1", "tcp b1 a1: a1 saw b1"],
  };
}

/** The router sends back into the network that a packet came from, and says that there is a shorter way. */
function redirects(topology: Topology): Difference {
  if (topology.names.a1?.[4] === undefined) throw new Error("a1 has no address");
  const route = { ask: { ask: "route", at: "workstation", to: "a1" } } as const;
  return {
    design: "routes",
    version: 4,
    because: "ICMP redirects are neither sent nor believed: every host is as with send_redirects=0, accept_redirects=0",
    group: group(4, false, {
      name: "a router that sends back into the same network, with redirects on",
      script: [
        { step: "redirects", at: "router", on: true },
        { step: "redirects", at: "workstation", on: true },
        // A redirect to somebody whose MAC address is not known is not believed.
        { ask: { ask: "ping", from: "workstation", to: "node-1" } },
        route,
        { ask: { ask: "ping", from: "workstation", to: "a1" } },
        route,
      ],
    }),
    kernel: [
      "ping workstation node-1: node-1, ttl 64",
      "route workstation a1: via router dev eth0 src workstation",
      "ping workstation a1: a1, ttl 63",
      "route workstation a1: via node-1 dev eth0 src workstation",
    ],
    simulator: [
      "ping workstation node-1: node-1, ttl 64",
      "route workstation a1: via router dev eth0 src workstation",
      "ping workstation a1: a1, ttl 63",
      "route workstation a1: via router dev eth0 src workstation",
    ],
  };
}

/** A VXLAN over IPv6 cannot have its outer packets cut on the way. */
const tunnelMtu: Difference = {
  design: "vxlan",
  version: 6,
  because:
    "a tunnel over IPv6 does not remember that its own way is narrower: too big is dropped without a word each time",
  group: group(6, false, {
    name: "a narrower card below a tunnel over IPv6",
    script: [
      { step: "mtu", at: "node-2", device: "eth0", mtu: 1400 },
      { ask: { ask: "ping", from: "b1", to: "a1", size: 1365, dontFragment: true } },
      { ask: { ask: "ping", from: "b1", to: "a1", size: 1365, dontFragment: true } },
    ],
  }),
  kernel: ["ping b1 a1 1365 true: nothing", "ping b1 a1 1365 true: node-2/cni0 says too big, mtu 1330"],
  simulator: ["ping b1 a1 1365 true: nothing", "ping b1 a1 1365 true: nothing"],
};

/** A bridge that shows iptables its packets puts pieces together for it, and cuts anew for the port; or says what it cannot. */
function pieces(topology: Topology, version: Version): Difference {
  const { machine, device } = hostEnd(topology, "a1");
  const size = version === 4 ? 1522 : 1502;
  const ask = { ask: "ping", from: "a1", to: "b1", size } as const;
  const words = `ping a1 b1 ${size}`;
  return {
    design: "bridge",
    version,
    because:
      "with bridge-nf-call-iptables a bridge cuts what is too long for a port, and in IPv6 says so; here it drops it as a bridge without does",
    group: group(version, false, {
      name: `a packet that is longer than the next port of its bridge, IPv${version}`,
      script: [
        { step: "mtu", at: "a1", device: "eth0", mtu: 1550 },
        { step: "mtu", at: machine, device, mtu: 1550 },
        { ask },
        { ask: { ...ask, dontFragment: true } },
      ],
    }),
    kernel:
      version === 4
        ? [`${words}: b1, ttl 64`, `${words} true: nothing`]
        : [`${words}: node-1/kube-bridge says too big, mtu 1500`, `${words} true: message too long, mtu 1500`],
    simulator: [`${words}: nothing`, `${words} true: nothing`],
  };
}
