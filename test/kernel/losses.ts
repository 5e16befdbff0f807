/** Owns the cases in which something is taken away: a route, a cable, a card, what a tunnel needs. */
import { contains, parseCidr, parseIp } from "../../kernel-lib/net/address";
import { hostEnd, isVersion, machineOf, type Topology, type Version } from "./topology";
import { hops, neighbours, ping, route, serve, tcp, together } from "./words";
import type { Case, Step } from "./world";

/** Something is taken away, and put back at the end of the case. */
export function missing(topology: Topology, version: Version): readonly Case[] {
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
export const cardDown: Case = {
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
export function tunnel(topology: Topology, version: Version): readonly Case[] {
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
