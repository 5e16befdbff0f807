/** Judges multipath routes: the same flow takes the same way, many flows spread by weight, and explain sees all ways. */
import { describe, expect, it } from "vitest";
import { routeText } from "../../kernel-lib/cluster/linux/ip/route";
import { formatIp, parseCidr, parseIp } from "../../kernel-lib/net/address";
import { explainFlow, runFlow } from "../../kernel-lib/net/flow";
import { flowHash } from "../../kernel-lib/net/multipath";
import { Network } from "../../kernel-lib/net/network";
import { createSim } from "../../kernel-lib/sim/sim";

/** A router with three servers behind it, which all have 10.9.9.9 on lo and listen there. */
function setUp(weights: readonly number[] = [1, 1, 1]) {
  const network = new Network(createSim(3));
  const [inside, outside] = [network.segment("inside"), network.segment("outside")];
  const router = network.netns("router");
  router.addPhysical("eth0", inside);
  router.addPhysical("eth1", outside);
  router.addAddress("eth0", parseCidr("10.0.0.1/24"));
  router.addAddress("eth1", parseCidr("10.1.0.1/16"));
  router.sysctl.ipForward = true;
  for (const at of weights.keys()) {
    const server = network.netns(`server-${at}`);
    server.addPhysical("eth0", inside);
    server.addAddress("eth0", parseCidr(`10.0.0.1${at}/24`));
    server.addAddress("lo", parseCidr("10.9.9.9/32"));
    server.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp("10.0.0.1"), device: "eth0" });
    server.sockets.listenTcp({ port: 80 }, () => ({}));
  }
  const client = network.netns("client");
  client.addPhysical("eth0", outside);
  client.addAddress("eth0", parseCidr("10.1.0.2/16"));
  client.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp("10.1.0.1"), device: "eth0" });
  const nexthops = weights.map((weight, at) => ({ via: parseIp(`10.0.0.1${at}`), weight }));
  const route = router.routes.add({ to: parseCidr("10.9.9.9/32"), nexthops, protocol: "bgp" });
  return { network, router, client, route };
}

const target = { protocol: "tcp", target: parseIp("10.9.9.9"), targetPort: 80 } as const;

function counts({ client }: ReturnType<typeof setUp>, sources: readonly { source?: number; sourcePort: number }[]) {
  const found: Record<string, number> = {};
  for (const each of sources) {
    const { netns, end } = runFlow(client, { ...target, ...each });
    expect(end).toBe("delivered");
    found[netns] = (found[netns] ?? 0) + 1;
  }
  return found;
}

const ports = Array.from({ length: 3000 }, (_, at) => ({ sourcePort: 32768 + at }));

describe("a multipath route", () => {
  it("is printed as iproute2 prints it, and loses the ways of a device that goes", () => {
    const { router, route } = setUp([1, 2]);
    expect(routeText(route)).toBe(
      "10.9.9.9 proto bgp \n\tnexthop via 10.0.0.10 dev eth0 weight 1 \n\tnexthop via 10.0.0.11 dev eth0 weight 2 ",
    );
    expect(router.routes.lookup(target.target)).toMatchObject({ device: "eth0", nextHop: parseIp("10.0.0.10") });
    router.deleteDevice("eth0");
    expect(router.routes.lookup(target.target)).toBeUndefined();
  });

  it("is a plain route with one next hop only", () => {
    const { router } = setUp();
    const nexthops = [{ via: parseIp("10.0.0.11") }];
    expect(routeText(router.routes.add({ to: parseCidr("10.8.0.0/16"), nexthops }))).toBe(
      "10.8.0.0/16 via 10.0.0.11 dev eth0 ",
    );
  });

  it("sends all connections of one client one way (policy 0), and many clients all ways", () => {
    const world = setUp();
    expect(Object.values(counts(world, ports.slice(0, 50)))).toEqual([50]);
    const clients = Array.from({ length: 3000 }, (_, at) => ({
      source: parseIp("10.1.1.0") as number,
      sourcePort: at,
    }));
    const spread = counts(
      world,
      clients.map(({ source }, at) => ({ source: source + at, sourcePort: 40000 })),
    );
    for (const count of Object.values(spread)) expect(Math.abs(count - 1000)).toBeLessThan(130);
    expect(Object.keys(spread)).toHaveLength(3);
  });

  it("spreads the connections of one client by their ports (policy 1), by weight", () => {
    const world = setUp([1, 1, 2]);
    world.router.sysctl.fibMultipathHashPolicy = 1;
    const spread = counts(world, ports);
    for (const [at, expected] of [750, 750, 1500].entries())
      expect(Math.abs((spread[`server-${at}`] ?? 0) - expected)).toBeLessThan(130);
    expect(counts(world, ports)).toEqual(spread);
  });

  it("shows explain every way with its share where the ports decide, and the one way where they do not", () => {
    const world = setUp([1, 3]);
    const ask = () => explainFlow(world.client, target).map(({ outcome, probability }) => [outcome.netns, probability]);
    expect(ask()).toHaveLength(1);
    world.router.sysctl.fibMultipathHashPolicy = 1;
    expect(ask()).toEqual([
      ["server-0", 0.25],
      ["server-1", 0.75],
    ]);
  });

  it("hashes both directions of a flow alike, and different seeds differently", () => {
    const { network } = setUp();
    const [one, other] = [parseIp("10.1.0.2"), parseIp("10.9.9.9")];
    const tcp = { protocol: "tcp", flags: "S", sequence: 0, acknowledgement: 0, payload: "" } as const;
    const out = network.packet(one, other, { ...tcp, sourcePort: 5, targetPort: 80 });
    const back = network.packet(other, one, { ...tcp, sourcePort: 80, targetPort: 5 });
    expect(flowHash(out, true, 7)).toBe(flowHash(back, true, 7));
    expect(flowHash(out, true, 7)).not.toBe(flowHash(out, true, 8));
    expect(formatIp(out.target)).toBe("10.9.9.9");
  });
});
