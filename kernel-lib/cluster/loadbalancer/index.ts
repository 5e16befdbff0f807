/** Owns what `--lb` puts into and around a cluster: MetalLB's programs and its router, or a cloud with its balancer. */
import { runController } from "../../api/controller";
import type { HealthCheckFigures } from "../../api/propagation";
import type { Store } from "../../api/store";
import type { App, Program } from "../../apps/app";
import { BgpRouter } from "../../apps/bgp/router";
import { metallbController } from "../../apps/metallb/controller";
import { metallbSpeaker } from "../../apps/metallb/speaker";
import { type CloudBalancer, serviceControllerOf } from "../../control/loadbalancer/service";
import { anyIpv4, type Family, formatIp, type Ip, parseCidr, parseIp } from "../../net/address";
import type { Segment } from "../../net/device";
import type { Netns } from "../../net/netns";
import { parseRules } from "../../net/ruleparse";
import { millisecond } from "../../sim/clock";
import type { Sim } from "../../sim/sim";
import type { LanHost } from "../landns";
import type { Machine } from "../machines";
import type { LoadBalancerName } from "../options";
import { type Outside, routeUpstream } from "../outside";
import { PublicAddresses } from "./addresses";
import { Forwarder, type Ground } from "./forwarder";
import { ElasticProxy, type Names } from "./proxy";

/** The public addresses that the network upstream sends to the router: MetalLB's pools or a cloud have some of them. */
const publicRange = "203.0.113.0/24";
/** What MetalLB is given from the start: addresses of the nodes' network that nobody has, of each family. */
export function firstPool(families: readonly Family[]): readonly string[] {
  const pools = { IPv4: "192.168.1.240-192.168.1.250", IPv6: "fd00:192:168:1::240-fd00:192:168:1::250" };
  return families.map((family) => pools[family]);
}
/** The router's number, for BGP. */
const routerAsn = 64501;

export interface Surroundings {
  readonly sim: Sim;
  readonly store: Store;
  readonly lan: Segment;
  /** Length of the prefix of the nodes' network. */
  readonly prefix: number;
  readonly world: Outside;
  readonly machines: readonly Machine[];
  /** What of health checks is otherwise than a cloud's own figures. */
  readonly checks: Partial<HealthCheckFigures>;
  /** Names that DNS knows outside; what is pushed here is known. */
  readonly names: LanHost[];
}

/** What MetalLB's images run. @param isOff whether a node's machine is off, by name */
export function metallbApps(
  { sim, store }: Pick<Surroundings, "sim" | "store">,
  isOff: (node: string) => boolean,
): { readonly controller: App; readonly speaker: App } {
  const nodes = new WeakMap<Program, string>();
  const nodeOf = (program: Program): string => {
    const found = nodes.get(program) ?? store.get("Pod", program.netns.name)?.spec.nodeName ?? program.netns.name;
    nodes.set(program, found);
    return found;
  };
  const host = { sim, store, cutOff: (program: Program) => isOff(nodeOf(program)) };
  return { controller: metallbController(host), speaker: metallbSpeaker(host) };
}

/** The public address of a node in a cloud; there are enough for 80. */
export function externalIpOf(lb: LoadBalancerName, { address }: Machine): Ip | undefined {
  const [, , third, fourth = 0] = address.split(".").map(Number);
  return (lb === "cloud" || lb === "cloud-proxy") && third === 1 ? parseIp(`203.0.113.${fourth}`) : undefined;
}

/** Sets up what is outside. With `none` there is nothing: Services stay pending for ever. */
export function installLoadBalancer(lb: LoadBalancerName, around: Surroundings): BgpRouter | undefined {
  if (lb === "none") return undefined;
  routeUpstream(around.world, publicRange);
  if (lb === "metallb") {
    // Routers that are told several ways look at ports, too.
    around.world.router.sysctl.fibMultipathHashPolicy = 1;
    return new BgpRouter(around.world.router, { asn: routerAsn, hold: 90 });
  }
  const balancer = installCloud(lb, around);
  const pace = { hear: 10 * millisecond, work: 5 * millisecond };
  runController(around.sim, around.store, serviceControllerOf(around, balancer), pace);
  return undefined;
}

function installCloud(lb: "cloud" | "cloud-proxy", around: Surroundings): CloudBalancer {
  const { world, machines, names } = around;
  translateNodes(world.router, machines, lb);
  const netns = createMachine(around);
  const byName = new Map(machines.map(({ name, address }) => [name, parseIp(address)]));
  const ground: Ground = {
    netns,
    addresses: new PublicAddresses(),
    checks: around.checks,
    addressOf: (node) => byName.get(node) ?? anyIpv4,
    attract: (vip, on) => {
      const to = { ip: vip, length: 32 };
      if (on) world.router.routes.add({ to, via: parseIp(balancerAddress), device: "eth0" });
      else world.router.routes.delete(to);
    },
  };
  return lb === "cloud" ? new Forwarder(ground) : new ElasticProxy(ground, namesIn(names));
}

const balancerAddress = "192.168.1.2";

/** The balancer's machine, on the nodes' network. */
function createMachine({ world, lan, prefix }: Surroundings): Netns {
  const netns = world.router.network.netns("load-balancer");
  netns.addPhysical("eth0", lan);
  netns.addAddress("eth0", parseCidr(`${balancerAddress}/${prefix}`));
  netns.routes.add({ to: { ip: anyIpv4, length: 0 }, via: parseIp("192.168.1.1"), device: "eth0" });
  return netns;
}

/** Each node has a public address of its own, one to one: for what comes to it, and for what goes out from it. */
function translateNodes(router: Netns, machines: readonly Machine[], lb: LoadBalancerName): void {
  const pairs = machines.flatMap((machine) => {
    const ip = externalIpOf(lb, machine);
    return ip === undefined ? [] : [[machine.address, formatIp(ip)] as const];
  });
  const rules = [
    "*nat",
    ":PREROUTING ACCEPT [0:0]",
    ":POSTROUTING ACCEPT [0:0]",
    ...pairs.map(([own, ip]) => `-A PREROUTING -d ${ip}/32 -j DNAT --to-destination ${own}`),
    ...pairs.map(([own, ip]) => `-A POSTROUTING -s ${own}/32 -o eth1 -j SNAT --to-source ${ip}`),
    // Who asks from the nodes' own network would be answered past the router.
    "-A POSTROUTING -s 192.168.0.0/18 -d 192.168.0.0/18 -o eth0 -j MASQUERADE",
    "COMMIT",
  ];
  router.iptables.restore(parseRules(`${rules.join("\n")}\n`));
}

function namesIn(hosts: LanHost[]): Names {
  return {
    set(name, ip) {
      const at = hosts.findIndex((host) => host.name === name);
      if (at >= 0) hosts.splice(at, 1);
      if (ip !== undefined) hosts.push({ name, ips: [formatIp(ip)] });
    },
  };
}
