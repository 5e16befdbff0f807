/** Owns the table of cases: what is done and asked on the network of each design, and what a real kernel says to it. */
import type { DesignFacts } from "./facts";
import { cardDown, missing, tunnel } from "./losses";
import { services } from "./services";
import { hostEnd, isFor, machineOf, namesOf, type Topology, type Version } from "./topology";
import { hops, type More, neighbours, ping, route, says, serve, tcp, together, udp } from "./words";
import type { Case, Group, Step } from "./world";

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
