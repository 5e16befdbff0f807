/** Owns the table of cases: what is done and asked on the network of each design, and what a real kernel says to it. */

import { contains, parseCidr, parseIp } from "../../kernel-lib/net/address";
import { type Design, servicePort } from "./clusters";
import { hostEnd, isFor, isVersion, machineOf, namesOf, type Topology, type Version } from "./topology";
import type { Ask, Case, Expectation, Group, Part, Step } from "./world";

/** What differs from design to design, as a reader of the design would say it. */
export interface DesignFacts {
  /** The machines that a packet of a1 to b1 is seen by, as traceroute shows them. */
  readonly hops: string;
  /** What is left of 64 at b1. */
  readonly ttl: number;
  /** Whom b1 sees when node-1 itself asks. */
  readonly nodeSource: string;
  /** What is left of 64 at a2 of a packet of a1. */
  readonly nearTtl: number;
}

const serve = (...machines: readonly string[]): readonly Step[] => machines.map((at) => ({ step: "serve", at }));
const says = (ask: Ask, gives?: string): Expectation => ({ ask, ...(gives === undefined ? {} : { gives }) });
const together = (...questions: readonly Expectation[]): Part => ({ together: questions });

interface More {
  readonly port?: number;
  readonly size?: number;
  readonly dontFragment?: boolean;
}
const tcp = (from: string, to: string, gives?: string, more: Pick<More, "port"> = {}): Expectation =>
  says({ ask: "tcp", from, to, ...more }, gives);
const udp = (from: string, to: string, gives?: string, more: Pick<More, "port" | "size"> = {}): Expectation =>
  says({ ask: "udp", from, to, ...more }, gives);
const ping = (from: string, to: string, gives?: string, more: Omit<More, "port"> = {}): Expectation =>
  says({ ask: "ping", from, to, ...more }, gives);
const hops = (from: string, to: string, gives?: string): Expectation => says({ ask: "hops", from, to }, gives);
const route = (at: string, to: string, gives?: string): Expectation => says({ ask: "route", at, to }, gives);
const neighbours = (at: string, device: string): Expectation => says({ ask: "neighbours", at, device });

/** All cases for one design and address family, with those that share a network together. */
export function groupsFor(topology: Topology, facts: DesignFacts, version: Version): readonly Group[] {
  const group = (name: string, cases: readonly Case[], rules = false): Group => ({ name, version, rules, cases });
  const bare: readonly Case[] = [
    reach(topology, facts),
    nobody(facts),
    routes(topology, version),
    fits(topology, facts, version),
    neighbourStates(facts),
    ...learning(topology, facts),
    {
      name: "every device has the MTU that it was given",
      script: topology.machines.flatMap(({ name, devices }) =>
        devices
          .filter((device) => isFor(device, version))
          .map(({ name: device, mtu }) => says({ ask: "mtu", at: name, device }, String(mtu))),
      ),
    },
  ];
  return [
    group("as it is", bare),
    group("with something missing", [...missing(topology, version), cardDown]),
    group("the tunnel", tunnel(topology, version)),
    group("too big", tooBig(topology, facts, version)),
    group("with the cluster's rules", services(topology, facts, version), true),
  ].filter(({ cases }) => cases.length > 0);
}

/** Pods reach pods and nodes, by every means. Servers stay for the cases after it. */
function reach(topology: Topology, facts: DesignFacts): Case {
  const machines = topology.machines.map(({ name }) => name);
  const { ttl } = facts;
  return {
    name: "pods reach pods and nodes as themselves, and the time to live counts the hops",
    script: [
      ...serve("a1", "a2", "b1", "node-1", "node-2"),
      // One after the other: which address asks for a neighbour is the first packet's.
      ping("workstation", "outside"),
      tcp("a1", "a2", "a2 saw a1"),
      tcp("a1", "b1", "b1 saw a1"),
      tcp("b1", "a2", "a2 saw b1"),
      tcp("a1", "a1", "a1 saw a1"),
      tcp("node-1", "b1", `b1 saw ${facts.nodeSource}`),
      tcp("a1", "node-1"),
      tcp("node-1", "a1"),
      tcp("node-2", "a1"),
      tcp("a1", "node-2"),
      udp("a1", "b1", `b1 saw a1, ttl ${ttl}, 3 octets`),
      udp("b1", "a1", `a1 saw b1, ttl ${ttl}, 3 octets`),
      udp("a1", "a2"),
      udp("a1", "node-2"),
      udp("a1", "b1", `b1 saw a1, ttl ${ttl}, 4000 octets`, { size: 4000 }),
      ping("a1", "b1", `b1, ttl ${ttl}`),
      ...["a2", "node-1", "node-2", "router", "workstation"].map((to) => ping("a1", to)),
      hops("a1", "b1", facts.hops),
      hops("a1", "a2"),
      hops("a1", "node-2"),
      hops("node-2", "a1"),
      ...machines.map((at) => neighbours(at, "eth0")),
      ...topology.machines.flatMap(({ name, devices }) =>
        devices.flatMap(({ name: device, link }) => (link.type === "bridge" ? [neighbours(name, device)] : [])),
      ),
    ],
  };
}

/** Not where all pods are on one L2: there is always somebody else who speaks. */
function learning(topology: Topology, facts: DesignFacts): readonly Case[] {
  const { machine, device } = hostEnd(topology, "a1");
  const bridge = machineOf(topology, machine).devices.find(({ name }) => name === device)?.master;
  if (bridge === undefined || facts.hops === "b1") return [];
  return [
    {
      name: "a bridge learns behind which port a sender is",
      script: [
        { step: "clear fdb", at: machine, device: bridge },
        says({ ask: "learnt", at: machine, device: bridge }, ""),
        ping("a1", "b1", `b1, ttl ${facts.ttl}`),
        says({ ask: "learnt", at: machine, device: bridge }, `a1 behind ${device}`),
        ping("a1", "a2", "a2, ttl 64"),
        says({ ask: "learnt", at: machine, device: bridge }),
      ],
    },
  ];
}

function nobody({ ttl }: DesignFacts): Case {
  return {
    name: "a closed port refuses; an address that nobody has is unreachable after three requests",
    script: [
      together(
        tcp("a1", "b1", "refused", { port: 81 }),
        tcp("a1", "a2", "refused", { port: 81 }),
        udp("a1", "b1", "refused", { port: 81 }),
        ping("a1", "b1", `b1, ttl ${ttl}`),
        tcp("a1", "nobody near"),
        tcp("a1", "nobody far"),
        ping("b1", "nobody near"),
        ping("node-1", "nobody on lan"),
        tcp("node-1", "outside"),
        tcp("router", "outside"),
        ping("router", "outside"),
      ),
      neighbours("a1", "eth0"),
      neighbours("node-1", "eth0"),
    ],
  };
}

/** `ip route get` on every machine for every address. */
function routes(topology: Topology, version: Version): Case {
  return {
    name: "every machine's table gives the same device, next hop and source for every address",
    script: topology.machines.map(({ name }) => together(...namesOf(topology, version).map((to) => route(name, to)))),
  };
}

function fits(topology: Topology, { ttl }: DesignFacts, version: Version): Case {
  const mtu = machineOf(topology, "a1").devices.find(({ name }) => name === "eth0")?.mtu ?? 1500;
  const headers = version === 4 ? 28 : 48;
  return {
    name: "what fits into the MTU goes through, one octet more does not; in fragments it does",
    script: [
      ping("a1", "b1", `b1, ttl ${ttl}`, { size: mtu - headers, dontFragment: true }),
      ping("a1", "b1", `message too long, mtu ${mtu}`, { size: mtu - headers + 1, dontFragment: true }),
      ping("a1", "b1", `b1, ttl ${ttl}`, { size: mtu }),
      udp("a1", "b1", `b1 saw a1, ttl ${ttl}, ${mtu} octets`, { size: mtu }),
      udp("a1", "b1", `b1 saw a1, ttl ${ttl}, 20000 octets`, { size: 20_000 }),
    ],
  };
}

/** The one that asked knows that its neighbour is there; the one that was asked uses what it heard, and checks it soon. */
const neighbourStates = ({ nearTtl }: DesignFacts): Case => ({
  name: "straight after a ping the asker's neighbour is confirmed, and the answerer's is not yet",
  script: [
    ...["a1", "a2", "node-1"].map((at): Step => ({ step: "forget neighbours", at })),
    ping("a1", "a2", `a2, ttl ${nearTtl}`),
    says({ ask: "neighbours", at: "a1", device: "eth0", exact: true }),
    says({ ask: "neighbours", at: "a2", device: "eth0", exact: true }),
  ],
});

/** Something is taken away, and put back at the end of the case. */
function missing(topology: Topology, version: Version): readonly Case[] {
  const end = hostEnd(topology, "b1");
  const still = tcp("a1", "a2", "a2 saw a1");
  const well = tcp("a1", "b1", "b1 saw a1");
  const gone = machineOf(topology, "b1").routes.find(({ to }) => to === (version === 4 ? "0.0.0.0/0" : "::/0"));
  return [
    {
      name: "forwarding off: a node's own pods are neighbours still, other nodes' are not",
      script: [
        ...serve("a1", "a2", "b1"),
        { step: "forwarding", at: "node-1", on: false },
        together(tcp("a1", "b1"), tcp("a1", "a2"), hops("a1", "b1"), ping("node-1", "b1")),
        { step: "forwarding", at: "node-1", on: true },
        well,
      ],
    },
    {
      name: "a blackhole route swallows without a word, for that one address",
      script: [
        { step: "add route", at: "node-1", to: "b1", type: "blackhole" },
        route("node-1", "b1", "blackhole"),
        together(tcp("a1", "b1"), ping("a1", "b1"), ping("node-1", "b1"), still),
        { step: "delete route", at: "node-1", to: "b1" },
        well,
      ],
    },
    ...(gone
      ? [
          {
            name: "a pod without its default route",
            script: [
              { step: "delete route", at: "b1", to: gone.to } as const,
              tcp("b1", "outside", "network is unreachable"),
              together(tcp("b1", "a1"), tcp("a1", "b1"), tcp("node-2", "b1")),
              {
                step: "add route",
                at: "b1",
                to: gone.to,
                ...(gone.via === undefined ? {} : { via: gone.via }),
                ...(gone.device === undefined ? {} : { device: gone.device }),
              } as const,
              well,
            ],
          },
        ]
      : []),
    ...peerRoute(topology, version),
    // Where the cable was a route, as in a VPC, that is gone for good.
    {
      name: "a pod's cable pulled out of its node, and put in again",
      script: [
        { step: "link", at: end.machine, device: end.device, up: false },
        // Whether it still believes in the old entry depends on its age, to the second.
        { step: "wait", at: end.machine, seconds: 1.5 },
        { step: "forget neighbours", at: end.machine },
        together(ping("a1", "b1"), tcp("b1", "a1"), still),
        neighbours(end.machine, end.device),
        { step: "link", at: end.machine, device: end.device, up: true },
        tcp("a1", "b1"),
      ],
    },
  ];
}

/** Not put back: what goes with the card does not come back with it. */
const cardDown: Case = {
  name: "a node's network card down, and up again: the routes by it are gone, the connected one comes back",
  script: [
    { step: "link", at: "node-1", device: "eth0", up: false },
    together(tcp("a1", "b1"), tcp("a1", "a2")),
    together(route("node-1", "b1"), route("node-1", "node-2"), route("node-1", "outside")),
    { step: "link", at: "node-1", device: "eth0", up: true },
    together(route("node-1", "b1"), route("node-1", "node-2"), route("node-1", "outside")),
    together(tcp("a1", "b1"), tcp("b1", "a1")),
  ],
};

/** What the overlay alone has to lose. */
function tunnel(topology: Topology, version: Version): readonly Case[] {
  const node = machineOf(topology, "node-1");
  const tunnels = node.devices.flatMap(({ name, link }) => (link.type === "vxlan" ? [name] : []));
  const entries = node.neighbours.filter(({ device, ip }) => tunnels.includes(device) && isVersion(ip, version));
  const device = entries[0]?.device;
  if (device === undefined) return [];
  const well = tcp("a1", "b1", "b1 saw a1");
  const still = tcp("a1", "a2", "a2 saw a1");
  return [
    {
      name: "without the tunnel's forwarding entries nothing gets over, nor back",
      script: [
        ...serve("a1", "a2", "b1"),
        well,
        { step: "clear fdb", at: "node-1", device },
        together(tcp("a1", "b1", "timeout"), ping("a1", "b1", "nothing"), tcp("b1", "a1", "timeout"), still),
        neighbours("node-1", device),
        { step: "restore tunnel", at: "node-1", device },
        well,
      ],
    },
    {
      name: "without the tunnel's neighbour entries the next hop is asked for, and nobody hears it",
      script: [
        ...entries.map(({ ip }): Step => ({ step: "delete neighbour", at: "node-1", device, ip })),
        together(
          tcp("a1", "b1", "no route to host"),
          ping("a1", "b1", "node-1/cni0 says host-unreachable"),
          tcp("b1", "a1", "timeout"),
          still,
        ),
        neighbours("node-1", device),
        { step: "restore tunnel", at: "node-1", device },
        well,
      ],
    },
    {
      name: "the tunnel's device down takes its routes with it",
      script: [
        { step: "link", at: "node-1", device, up: false },
        route("node-1", "b1"),
        together(tcp("a1", "b1"), still),
        { step: "link", at: "node-1", device, up: true },
        route("node-1", "b1"),
        neighbours("node-1", device),
      ],
    },
  ];
}

/** The route by which a machine knows the pods of another, taken away on one side and then on the other. */
function peerRoute(topology: Topology, version: Version): readonly Case[] {
  return (["node-1/b1", "node-2/a1", "router/b1"] as const).flatMap((pair) => {
    const [at = "", pod = ""] = pair.split("/");
    const ip = topology.names[pod]?.[version];
    if (ip === undefined) return [];
    const found = machineOf(topology, at).routes.find(
      ({ to }) => isVersion(to, version) && !to.endsWith("/0") && contains(parseCidr(to), parseIp(ip)),
    );
    if (!found) return [];
    const back: Step = {
      step: "add route",
      at,
      to: found.to,
      ...(found.via === undefined ? {} : { via: found.via }),
      ...(found.device === undefined ? {} : { device: found.device }),
      ...(found.onlink ? { onlink: true } : {}),
    };
    return [
      {
        name: `without ${at}'s route to ${pod}`,
        script: [
          { step: "delete route", at, to: found.to },
          route(at, pod),
          together(tcp("a1", "b1"), ping("a1", "b1"), ping("b1", "a1"), tcp("a1", "a2", "a2 saw a1")),
          back,
          tcp("a1", "b1", "b1 saw a1"),
        ],
      } satisfies Case,
    ];
  });
}

/** What does not fit somewhere on the way. Each case asks another pod, for a sender remembers what it was told. */
function tooBig(topology: Topology, facts: DesignFacts, version: Version): readonly Case[] {
  const own = machineOf(topology, "a1").devices.find(({ name }) => name === "eth0")?.mtu ?? 1500;
  const headers = version === 4 ? 28 : 48;
  const wider = (pod: string): readonly Step[] => {
    const { machine, device } = hostEnd(topology, pod);
    return [
      { step: "mtu", at: pod, device: "eth0", mtu: own + 50 },
      { step: "mtu", at: machine, device, mtu: own + 50 },
    ];
  };
  const size = own + 50 - headers;
  // A tunnel over IPv6 remembers how wide its way is: see differences.ts.
  const remembers = version === 4 || !facts.hops.includes("flannel");
  const oneL2 = facts.hops === "b1";
  // On one L2 nobody routes, and nobody would say it: see differences.ts.
  if (oneL2 && version === 6) return [];
  const big = { size, dontFragment: true };
  return [
    {
      name: "pods that believe in a wider network than there is are told, and remember",
      script: [
        ...serve("b1"),
        ...wider("a1"),
        ping("a1", "b1", undefined, { size: 1200, dontFragment: true }),
        ping("a1", "b1", undefined, big),
        ping("a1", "b1", undefined, big),
        ...(oneL2 ? [] : [ping("a1", "b1", undefined, { size }), udp("a1", "b1", undefined, { size: 3000 })]),
      ],
    },
    {
      name: "a narrower card below: who is told what, and what goes over in pieces",
      script: [
        { step: "mtu", at: "node-2", device: "eth0", mtu: 1400 },
        together(
          ping("b1", "a2", undefined, { size: 1200, dontFragment: true }),
          udp("b1", "a2", undefined, { size: 10 }),
        ),
        ping("b1", "a2", undefined, { size: 1365, dontFragment: true }),
        ...(remembers ? [ping("b1", "a2", undefined, { size: 1365, dontFragment: true })] : []),
        ...(remembers ? [ping("b1", "a2", undefined, { size: 1365 })] : []),
        { step: "mtu", at: "node-2", device: "eth0", mtu: 1500 },
      ],
    },
    blackHole(wider("a2"), big, version === 4 ? "-p icmp -j DROP" : "-p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP"),
  ];
}

function blackHole(wider: readonly Step[], big: More, rule: string): Case {
  return {
    name: "a black hole: what is too big is dropped, and the word about it too",
    needs: "iptables",
    script: [
      ...wider,
      { step: "rule", at: "node-1", chain: "OUTPUT", rule },
      ping("a2", "b1", undefined, { size: 1200, dontFragment: true }),
      ping("a2", "b1", undefined, big),
      ping("a2", "b1", undefined, big),
    ],
  };
}

/** With the rules that the cluster's daemons have written. */
function services(topology: Topology, { nodeSource }: DesignFacts, version: Version): readonly Case[] {
  const port = servicePort;
  if (topology.names.far?.[version] === undefined) return [];
  const own = hostEnd(topology, "a1");
  const bridged = machineOf(topology, own.machine).devices.find(({ name }) => name === own.device)?.master;
  const reflect = (on: boolean): Step => ({ step: "hairpin", at: own.machine, device: own.device, on });
  const block = (how: string): Step => ({
    step: "rule",
    at: "node-2",
    chain: "FORWARD",
    rule: `-p tcp --dport 80 -j ${how}`,
  });
  const reset = "REJECT --reject-with tcp-reset";
  return [
    {
      name: "through a Service the source stays, unless the pod reaches itself; nobody behind it refuses",
      needs: "conntrack",
      script: [
        ...serve("a1", "a2", "b1", "node-2", "workstation"),
        tcp("a1", "far", "b1 saw a1", { port }),
        tcp("a1", "near", "a2 saw a1", { port }),
        tcp("b1", "near", "a2 saw b1", { port }),
        tcp("a1", "self", undefined, { port }),
        tcp("a1", "none", "refused", { port }),
        tcp("node-1", "none", "refused", { port }),
        tcp("node-1", "far", `b1 saw ${nodeSource}`, { port }),
        tcp("node-1", "near", undefined, { port }),
        together(
          tcp("workstation", "far", undefined, { port }),
          ping("a1", "far"),
          tcp("a1", "far", undefined, { port: 81 }),
        ),
        ...["node-1", "node-2"].map((at) => says({ ask: "connections", at, port })),
      ],
    },
    {
      name: "pods keep their address among pods, and have their node's outside",
      needs: "iptables",
      script: [
        tcp("a1", "b1", "b1 saw a1"),
        tcp("a1", "a2", "a2 saw a1"),
        together(tcp("a1", "node-2"), tcp("a1", "workstation"), tcp("workstation", "b1"), tcp("workstation", "a1")),
        together(hops("a1", "b1"), hops("a1", "workstation"), udp("a1", "b1", undefined, { size: 4000 })),
      ],
    },
    {
      name: "rules that drop, refuse and reset",
      needs: "iptables",
      script: [
        block("DROP"),
        tcp("a1", "b1", "timeout"),
        block("REJECT"),
        tcp("a1", "b1"),
        block(reset),
        tcp("a1", "b1"),
        ...["DROP", "REJECT", reset].map((how) => ({ ...block(how), step: "delete rule" }) as Step),
        tcp("a1", "b1", "b1 saw a1"),
      ],
    },
    ...(bridged === undefined
      ? []
      : ([
          {
            name: "a pod that reaches itself through its Service needs its bridge to send back",
            needs: "iptables",
            script: [
              reflect(false),
              tcp("a1", "self", "timeout", { port }),
              reflect(true),
              tcp("a1", "self", undefined, { port }),
            ],
          },
          {
            name: "without bridge-nf-call-iptables an answer of the same node comes back from a stranger",
            needs: "iptables",
            script: [
              { step: "bridge-nf-call-iptables", at: "node-1", on: false },
              tcp("a1", "near", undefined, { port }),
              tcp("a1", "far", undefined, { port }),
            ],
          },
        ] satisfies readonly Case[])),
  ];
}

/** By design, as its author would tell it. */
export function factsOf(design: Design, version: Version): DesignFacts {
  switch (design) {
    case "bridge":
      return { hops: "b1", ttl: 64, nearTtl: 64, nodeSource: "node-1/kube-bridge" };
    case "routes":
      return { hops: "node-1/kube-bridge > router > node-2 > b1", ttl: 61, nearTtl: 64, nodeSource: "node-1" };
    case "host-gw":
      return { hops: "node-1/cni0 > node-2 > b1", ttl: 62, nearTtl: 64, nodeSource: "node-1" };
    case "vxlan": {
      const tunnel = version === 4 ? "flannel.1" : "flannel-v6.1";
      return { hops: `node-1/cni0 > node-2/${tunnel} > b1`, ttl: 62, nearTtl: 64, nodeSource: `node-1/${tunnel}` };
    }
    case "vpc":
      return { hops: "node-1 > router > node-2 > b1", ttl: 61, nearTtl: 63, nodeSource: "node-1" };
  }
}
