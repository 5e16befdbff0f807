/** Owns the little networks that the tests of `net` run on: nodes on one segment, pods behind bridges, an overlay. */
import { addToIp, formatIp, type Ip, parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Segment } from "../../kernel-lib/net/device";
import type { TableChains } from "../../kernel-lib/net/iptables";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import { comment, jump, type Match, orMark, type Rule, xorMark } from "../../kernel-lib/net/rule";
import { createSim, type Sim } from "../../kernel-lib/sim/sim";

export interface Lab {
  readonly sim: Sim;
  readonly network: Network;
  readonly lan: Segment;
  readonly nodes: readonly Netns[];
  /** Two pods a node: 10.244.N.2 and 10.244.N.3 on node N. */
  readonly pods: ReadonlyMap<string, Netns>;
}

/** How large an overlay is, and whether nodes learn of their peers only when they need to. */
interface OverlayOptions {
  readonly podsEach?: number;
  readonly deferred?: boolean;
}

/**
 * `count` nodes 192.168.1.11…, each with a bridge, two pods and a flannel.1 to the others, as flannel writes it. More
 * than 200 nodes are in 192.168.0.0/16, and their pods in 10.0.0.0/8.
 */
export function overlay(count: number, seed = 1, options: OverlayOptions = {}): Lab {
  const sim = createSim(seed);
  const network = new Network(sim);
  const lan = network.segment("lan");
  const pods = new Map<string, Netns>();
  const router = network.netns("router");
  const large = count > 200;
  router.addPhysical("eth0", lan);
  router.addAddress("eth0", parseCidr(large ? "192.168.0.1/16" : "192.168.1.1/24"));
  router.sysctl.ipForward = true;
  const plans = Array.from({ length: count }, (_, index): NodePlan => {
    const number = index + 1;
    const ip = large ? addToIp(parseIp("192.168.1.0"), number) : parseIp(`192.168.1.${10 + number}`);
    return { number, ip, prefix: large ? 16 : 24, pods: large ? index * 256 + 0x0a000000 : 0x0af40000 + number * 256 };
  });
  const nodes = plans.map((plan) => overlayNode(network, lan, plan, pods, options.podsEach ?? 2));
  for (const [here, node] of nodes.entries()) {
    const meet = (): void => {
      for (const [there, peer] of nodes.entries()) {
        const plan = plans[there];
        if (here !== there && plan) know(node, peer, plan);
      }
    };
    if (options.deferred) node.defer(meet);
    else meet();
  }
  return { sim, network, lan, nodes, pods };
}

interface NodePlan {
  readonly number: number;
  readonly ip: Ip;
  readonly prefix: number;
  /** The network of its pods, a /24. */
  readonly pods: number;
}

/** What flannel writes on a node about a peer. */
function know(node: Netns, peer: Netns, plan: NodePlan): void {
  const { mac } = peer.device("flannel.1");
  node.routes.add({ to: { ip: plan.pods, length: 24 }, via: plan.pods, device: "flannel.1", onlink: true });
  node.neighbors.set("flannel.1", plan.pods, mac);
  const { link } = node.device("flannel.1");
  if (link.type === "vxlan") link.fdb.set(mac, plan.ip);
}

function overlayNode(
  network: Network,
  lan: Segment,
  plan: NodePlan,
  pods: Map<string, Netns>,
  podsEach: number,
): Netns {
  const { number, ip, prefix } = plan;
  const node = network.netns(`node-${number}`);
  node.addPhysical("eth0", lan);
  node.addAddress("eth0", { ip, length: prefix });
  node.routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp(prefix === 24 ? "192.168.1.1" : "192.168.0.1") });
  node.sysctl.ipForward = true;
  node.sysctl.bridgeNfCallIptables = true;
  node.sysctl.routeLocalnet = true;
  node.addBridge("cni0", { mtu: 1450 });
  node.addAddress("cni0", { ip: plan.pods + 1, length: 24 });
  node.addVxlan("flannel.1", { vni: 1, local: ip, underlay: "eth0" });
  node.addAddress("flannel.1", { ip: plan.pods, length: 32 });
  for (let host = 2; host < 2 + podsEach; host++) {
    const name = `pod-${number}-${host}`;
    pods.set(name, addPod(network, node, name, plan.pods + host));
  }
  return node;
}

/** A pod on a node's `cni0`. */
export function addPod(network: Network, node: Netns, name: string, ip: Ip, hairpin = true): Netns {
  const pod = network.netns(name);
  const host = `veth-${name}`;
  network.vethPair({ netns: node, name: host, mtu: 1450 }, { netns: pod, name: "eth0", mtu: 1450 });
  node.attach(host, "cni0", { hairpin });
  pod.addAddress("eth0", { ip, length: 24 });
  const gateway = addToIp(ip, 1 - (Number(ip) & 255));
  pod.routes.add({ to: parseCidr("0.0.0.0/0"), via: gateway });
  return pod;
}

/** The pod of that name. */
export function pod(lab: Lab, name: string): Netns {
  const found = lab.pods.get(name);
  if (!found) throw new Error(`no pod ${name}: ${[...lab.pods.keys()].join(" ")}`);
  return found;
}

/** A server that answers every request with its own name, the client's address and what was asked. */
export function serve(netns: Netns, port: number): void {
  netns.sockets.listenTcp({ port, owner: "server" }, () => ({
    data(socket, text) {
      socket.write(`${netns.name} saw ${formatIp(socket.remote.ip)}: ${text}`);
      socket.end();
    },
  }));
}

/** One request; gives what came back, or how it failed and after how many microseconds. */
export function ask(lab: Lab, from: Netns, ip: string, port: number, timeout?: number): string {
  const { clock } = lab.sim;
  const began = clock.now;
  let answer = "";
  let outcome = "nothing happened";
  from.sockets.connectTcp(
    { ip: parseIp(ip), port, ...(timeout === undefined ? {} : { timeout }) },
    {
      connected: (socket) => socket.write("hello"),
      data: (_, text) => {
        answer += text;
      },
      closed: () => {
        outcome = answer;
      },
      failed: (_, failure) => {
        outcome = `${failure.outcome} after ${(clock.now - began) / 1000} ms`;
      },
    },
  );
  clock.settle();
  return outcome;
}

/** The rules of kube-proxy's iptables mode for one Service, on every node: DNAT to an endpoint, masquerade where needed. */
export function addService(lab: Lab, ip: string, port: number, endpoints: readonly string[]): void {
  for (const node of lab.nodes) {
    node.iptables.restore(serviceRules(ip, port, endpoints));
    node.iptables.ensure("nat", "PREROUTING", { target: jump("KUBE-SERVICES") }, "prepend");
    node.iptables.ensure("nat", "OUTPUT", { target: jump("KUBE-SERVICES") }, "prepend");
    node.iptables.ensure("nat", "POSTROUTING", { target: jump("KUBE-POSTROUTING") }, "prepend");
    for (const chain of ["INPUT", "FORWARD", "OUTPUT"]) {
      node.iptables.ensure("filter", chain, { target: jump("KUBE-SERVICES") }, "prepend");
    }
  }
}

function serviceRules(ip: string, port: number, endpoints: readonly string[]): TableChains {
  const toService: Rule = {
    destination: parseCidr(ip),
    protocol: "tcp",
    matches: [comment("default/web cluster IP"), { match: "tcp", targetPort: port }],
  };
  const picks = endpoints.map((endpoint, index): Rule => {
    const left = endpoints.length - index;
    const chance: readonly Match[] = left > 1 ? [{ match: "statistic", mode: "random", probability: 1 / left }] : [];
    return { matches: [comment(`default/web -> ${endpoint}:${port}`), ...chance], target: jump(`KUBE-SEP-${index}`) };
  });
  const outside: Rule = { source: { not: parseCidr("10.244.0.0/16") }, target: jump("KUBE-MARK-MASQ") };
  const seps = endpoints.map((endpoint, index): [string, Rule[]] => [
    `KUBE-SEP-${index}`,
    [
      { source: parseCidr(endpoint), target: jump("KUBE-MARK-MASQ") },
      { protocol: "tcp", matches: [{ match: "tcp" }], target: { target: "DNAT", ip: parseIp(endpoint), port } },
    ],
  ]);
  const unmarked: Match = { match: "mark", value: 0x4000, mask: 0x4000, not: true };
  return {
    nat: {
      "KUBE-SERVICES": endpoints.length > 0 ? [{ ...toService, target: jump("KUBE-SVC-WEB") }] : [],
      "KUBE-SVC-WEB": [outside, ...picks],
      ...Object.fromEntries(seps),
      "KUBE-MARK-MASQ": [{ target: orMark(0x4000) }],
      "KUBE-POSTROUTING": [
        { matches: [unmarked], target: { target: "RETURN" } },
        { target: xorMark(0x4000) },
        {
          matches: [comment("kubernetes service traffic requiring SNAT")],
          target: { target: "MASQUERADE", randomFully: true },
        },
      ],
    },
    filter: { "KUBE-SERVICES": endpoints.length > 0 ? [] : [{ ...toService, target: { target: "REJECT" } }] },
  };
}
