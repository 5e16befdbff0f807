/**
 * Owns the cluster put together. START READING HERE.
 *
 * ```
 * kubectl ─► api ─► store ─► control/* ─► store ─► kubelet, kube-proxy ─► Netns        objects
 * curl ─► socket ─► Netns ─► link ─► Netns ─► socket                                     packets
 * ```
 *
 * Time is virtual: it stands still until a command, `settle` or `advance` lets it pass.
 */

import { defaultPace, runController } from "../api/controller";
import type { Kinds } from "../api/kinds";
import { type Key, keyFor } from "../api/meta";
import { type Api, createApi } from "../api/rest";
import { Store } from "../api/store";
import type { App } from "../apps/app";
import type { BgpRouter } from "../apps/bgp/router";
import { Files } from "../apps/files";
import { createRegistry } from "../apps/images";
import { bootstrap, type NetworkAddon } from "../control/bootstrap";
import { startControllers } from "../control/index";
import { parseIp } from "../net/address";
import type { Segment } from "../net/device";
import type { Netns } from "../net/netns";
import { Network } from "../net/network";
import { createCni, podCidrsOf } from "../node/cni/design";
import type { Container } from "../node/container";
import { Kubelet } from "../node/kubelet";
import { createNode, type NodeNet, type NodeOptions } from "../node/node";
import { kubeProxy } from "../node/proxy/daemon";
import type { ModeName, Scheduler } from "../node/proxy/mode";
import type { KubeProxy } from "../node/proxy/proxy";
import { minute, type Time } from "../sim/clock";
import { formatDuration } from "../sim/duration";
import { createSim, type Sim } from "../sim/sim";
import { type Capture, type CaptureAt, capture } from "./capture";
import { displayable } from "./display";
import { type DnsQueries, dnsQueries } from "./dnsqueries";
import { Driver, parseDuration } from "./driver";
import { type ExplainQuestion, type Explanation, explain } from "./explain";
import { type LanHost, serveLanDns } from "./landns";
import { type LifelineOptions, type LifelineRecord, recordLifeline } from "./lifeline";
import { type Load, type LoadOptions, load } from "./load";
import { externalIpOf, firstPool, installLoadBalancer, metallbApps } from "./loadbalancer";
import { ipv6Of, type Machine, machinesOf, nodesPrefix } from "./machines";
import { type CheckedOptions, type ClusterOptions, checkOptions } from "./options";
import { createOutside, createWorkstation, outsideAddresses, outsideAddresses6 } from "./outside";
import { overview } from "./overview";
import { clientPlace, nodePlace, workstationPlace } from "./places";
import { Power } from "./power";
import { containerExec, processRunner } from "./processes";
import { delaysOf } from "./propagation";
import { checkNetwork, type NetworkCheck } from "./requirements";
import { setMode } from "./setmode";
import { Session } from "./shell/session";
import { Shell } from "./shell/shell";
import type { Place, Tool } from "./shell/tool";
import { toolNames, tools } from "./tools";
import { type Topology, type TopologyOptions, topology } from "./topology";
import { type Trace, type TraceQuestion, trace } from "./trace";
import { startTraffic, type Traffic, type TrafficOptions } from "./traffic";

const serviceCidrs = { IPv4: "10.96.0.0/12", IPv6: "fd00:10:96::/112" } as const;
const apiServerIp = "10.96.0.1";
const dnsIp = "10.96.0.10";

/** A node: its machine and what runs on it. */
export interface ClusterNode {
  readonly name: string;
  readonly net: NodeNet;
  readonly kubelet: Kubelet;
  /** Undefined while its pod does not run. */
  proxy: KubeProxy | undefined;
  readonly place: Place;
}

/** A small Kubernetes cluster in this process: a control plane, some nodes, and a workstation outside. */
export class Cluster {
  readonly options: CheckedOptions;
  readonly sim: Sim;
  readonly store: Store;
  readonly api: Api;
  readonly network: Network;
  readonly driver: Driver;
  readonly nodes: ReadonlyMap<string, ClusterNode>;
  /** The default gateway of the nodes and of the workstation. */
  readonly router: Netns;
  /** What is no node, and is logged in to by ssh: `router`, and `client`, somebody outside the nodes' network. */
  readonly machines: readonly { readonly name: string; readonly place: Place }[];
  /** BGP on the router, with MetalLB. */
  readonly bgp: BgpRouter | undefined;
  /** The learner's own machine, outside the cluster. */
  readonly workstation: Netns;
  readonly prompt: Place;
  readonly tools: ReadonlyMap<string, Tool> = tools;
  /** First processes that wait for what is typed, and how to end each. */
  readonly attachable = new Map<Container, (exitCode: number) => void>();
  readonly #power: Power;
  #shells = 0;

  /** @throws Error if an option is unknown or wrong */
  constructor(options: ClusterOptions = {}) {
    this.options = checkOptions(options);
    this.sim = createSim(this.options.seed);
    this.store = new Store(this.sim);
    this.api = createApi(this.sim, this.store, {
      serviceCidrs: this.#serviceCidrs,
    });
    this.network = new Network(this.sim);
    this.#power = new Power(this.sim, this.store);
    this.driver = new Driver(this.sim);
    const lan = this.network.segment("lan");
    const machines = machinesOf(this.options.nodes);
    const hosts = `${machines.map(({ name, address }) => `${address} ${name}\n`).join("")}192.168.1.1 router\n`;
    const podCidrs = podCidrsOf(this.options.cni, this.options.ipFamilies, machines.length);
    const prefix = nodesPrefix(this.options.nodes);
    this.#bootstrap(podCidrs);
    startControllers(this.sim, this.store, { podCidrs, propagation: this.options.propagation });
    const dualStack = this.options.ipFamilies.includes("IPv6");
    const world = createOutside(this.network, lan, prefix, dualStack);
    this.router = world.router;
    const outside = { router: "192.168.1.1", workstation: "192.168.1.100" };
    const lanHosts = [...Object.entries(outside), ...machines.map(({ name, address }) => [name, address] as const)];
    const names = lanHosts.map(([name, ip]): LanHost => ({ name, ips: dualStack ? [ip, ipv6Of(ip)] : [ip] }));
    const clientIps = [outsideAddresses.client, ...(dualStack ? [outsideAddresses6.client] : [])];
    const publicNames: LanHost[] = [{ name: "client.example.net", ips: clientIps }];
    serveLanDns(world.upstream, publicNames);
    serveLanDns(this.router, names, publicNames);
    const routerPlace = nodePlace("router", { netns: this.router, files: new Files(this.sim.clock) }, hosts, toolNames);
    const client = clientPlace(this.sim, world.client, outsideAddresses.resolver, toolNames);
    this.machines = [
      { name: "router", place: routerPlace },
      { name: "client", place: client },
    ];
    this.nodes = this.#startNodes(lan, machines, hosts);
    const { sim, store } = this;
    const around = { ...{ sim, store, lan, prefix, world, machines }, names: publicNames };
    this.bgp = installLoadBalancer(this.options.lb, { ...around, checks: this.options.propagation.balancer });
    this.workstation = createWorkstation(this.network, lan, prefix, dualStack);
    this.prompt = workstationPlace(this.sim, this.workstation, "https://192.168.1.10:6443", hosts);
    displayable(
      this,
      () => ({ "text/plain": this.overview() }),
      () => this.overview(),
    );
  }

  /** The present moment, microseconds since 1970-01-01T00:00:00Z. */
  get now(): Time {
    return this.sim.clock.now;
  }

  /** Lets time pass until nothing is under way any more: pods run, rules are written, packets have arrived. */
  async settle(): Promise<void> {
    await this.driver.settle();
  }

  /** Lets exactly this much time pass: `30s`, `500ms`, `5m`, or seconds as a number. */
  async advance(duration: string | number): Promise<void> {
    await this.driver.advance(parseDuration(duration));
  }

  /** Lets the cluster come up as kubeadm leaves it; the clock then stands at a whole minute. */
  async start(): Promise<void> {
    await this.settle();
    await this.driver.advance(minute - (this.now % minute));
  }

  /** @throws Error if there is no such node */
  node(name: string): ClusterNode {
    const found = this.nodes.get(name);
    if (!found)
      throw new Error(`there is no node ${JSON.stringify(name)}: the nodes are ${[...this.nodes.keys()].join(", ")}`);
    return found;
  }

  /** Switches a node's machine off: nothing of it is heard any more, and what is left of the cluster finds out. */
  powerOff(node: string): void {
    this.#power.off(this.node(node));
  }

  /** Switches it on again. */
  powerOn(node: string): void {
    this.#power.on(this.node(node));
  }

  /** A pod as it is now: `my-pod`, or `namespace/my-pod`. */
  pod(name: string): Kinds["Pod"] | undefined {
    return this.store.get("Pod", podKey(name));
  }

  /** The network namespace of a pod that runs. */
  podNetns(name: string): Netns | undefined {
    return this.#kubeletOf(podKey(name))?.podNet(podKey(name))?.netns;
  }

  /** A container of a pod: the one named, or the first. */
  container(pod: Key, name?: string): Container | undefined {
    return this.#kubeletOf(pod)?.container(pod, name);
  }

  /** The containers of a pod, each in its newest start. */
  containers(pod: Key): readonly Container[] {
    return this.#kubeletOf(pod)?.containers(pod) ?? [];
  }

  /** The start of a container before its newest one. */
  previousContainer(pod: Key, name: string): Container | undefined {
    return this.#kubeletOf(pod)?.previousContainer(pod, name);
  }

  /** The address of a pod that has one. */
  podIp(name: string): string | undefined {
    return this.pod(name)?.status.podIP;
  }

  /** A new prompt at a place. */
  session(place: Place = this.prompt): Session {
    return new Session(new Shell(this, place, `${place.name}/${this.nextShell()}`, this.tools));
  }

  /** A number of its own for each shell: each draws its own dice. */
  nextShell(): number {
    return ++this.#shells;
  }

  /**
   * Switches kube-proxy's mode as one does it: the ConfigMap is edited, the DaemonSet restarted. Lets time pass until all
   * pods of it run again.
   * @throws Error if the mode or the scheduler is unknown, or the pods do not come up
   */
  setMode(mode: ModeName, options: { readonly scheduler?: Scheduler } = {}): Promise<void> {
    return setMode(this, mode, options);
  }

  /**
   * Sends one real request (`protocol: "udp"` one datagram, `"icmp"` one ping), and shows the way of its first packet and
   * of the answer, with the rule, route or FDB entry that decided at each step.
   * @param question `from`: `pod/x`, `pod/ns/x`, `node/x`, `workstation`, `client`; `to`: `svc/x:80`, `pod/x:80`, `10.244.1.2:80`
   */
  trace(question: TraceQuestion): Promise<Trace> {
    return trace(this, question);
  }

  /** The network as it is now: nodes with their devices, pods where they hang, Services, and what is outside. */
  topology(options?: TopologyOptions): Topology {
    return topology(this, options);
  }

  /** Every frame at a device (`{ node: "node-1", device: "flannel.1" }`, `{ pod: "curl" }`) while `run` runs. */
  capture(at: CaptureAt, run: () => unknown): Promise<Capture> {
    return capture(this, at, run);
  }

  /** Every query that CoreDNS answers while `run` runs: who asked for which name, and what came back. */
  dnsQueries(run: () => unknown): Promise<DnsQueries> {
    return dnsQueries(this, run);
  }

  /** Every outcome that a new connection may have, with its probability, as the rules say it. */
  explain(question: ExplainQuestion): Explanation {
    return explain(this, question);
  }

  /** Really sends requests, each a connection of its own, and says who answered which. */
  load(options: LoadOptions): Promise<Load> {
    return load(this, options);
  }

  /**
   * Starts a client that sends requests at a steady rate, whatever becomes of them, while whatever else happens goes on:
   * `await traffic.finished()` gives every outcome.
   * @throws Error that says which option is wrong
   */
  traffic(options: TrafficOptions): Traffic {
    return startTraffic(this, options);
  }

  /** Writes down from now on how pods live and end: `selector: "app=web"`, `pod: "web-1"`; `stop()` gives the record. */
  lifeline(options: LifelineOptions = {}): LifelineRecord {
    return recordLifeline(this, options);
  }

  /**
   * Checks what Kubernetes asks of a network by really sending datagrams: every pod to every pod, nodes to pods, and back.
   * Who answered, and as whom the sender was seen; shows as a table.
   */
  checkNetwork(): Promise<NetworkCheck> {
    return checkNetwork(this);
  }

  /** A few lines about the cluster: what a notebook shows of it. */
  overview(): string {
    return overview(this, { services: this.#serviceCidrs, dns: dnsIp });
  }

  get #serviceCidrs(): readonly string[] {
    return this.options.ipFamilies.map((family) => serviceCidrs[family]);
  }

  #kubeletOf(pod: Key): Kubelet | undefined {
    const node = this.store.get("Pod", pod)?.spec.nodeName;
    return node === undefined ? undefined : this.nodes.get(node)?.kubelet;
  }

  /** What there is from the start. The kubelets make their own Node objects. */
  #bootstrap(podCidrs: readonly string[]): void {
    const { mode, scheduler, propagation } = this.options;
    bootstrap(this.api, {
      ...{ mode, podCidrs, apiServerIp, dnsIp },
      // As it would be written: what is the default stays empty.
      scheduler: scheduler === "rr" ? "" : scheduler,
      minSyncPeriod: formatDuration(propagation.minSyncPeriod),
      apiServer: "192.168.1.10",
      network: addonOf(this.options),
      ...(this.options.lb === "metallb" && { metallb: firstPool(this.options.ipFamilies) }),
    });
  }

  /** What runs in the pods of the DaemonSet kube-proxy: it works on the machine that it is on. */
  #kubeProxy(): App {
    const { sim, store } = this;
    return kubeProxy({
      ...{ sim, store },
      serviceCidrs: this.#serviceCidrs,
      delaysOf: (node) => delaysOf(this.options.propagation, node).proxy,
      nodeOf: ({ netns, env }) => this.nodes.get(env.get("NODE_NAME") ?? netns.name)?.net,
      changed: (node, proxy) => {
        const known = this.nodes.get(node.name);
        if (known) known.proxy = proxy;
      },
    });
  }

  #startNodes(lan: Segment, machines: readonly Machine[], hosts: string): ReadonlyMap<string, ClusterNode> {
    const { sim, store, network } = this;
    const { cniConfig, ipFamilies, zones, propagation } = this.options;
    const parts = { sim, store, router: this.router, families: ipFamilies, nodes: machines.length, config: cniConfig };
    const cni = createCni(this.options.cni, parts);
    for (const controller of cni.beside ?? []) runController(sim, store, controller);
    const prefix = nodesPrefix(this.options.nodes);
    const metallb = metallbApps({ sim, store }, (node) => this.#power.isOff(node));
    const registry = createRegistry({ dns: { store }, kubeProxy: this.#kubeProxy(), metallb });
    const [runner, exec] = [processRunner(this), containerExec(this)];
    const nodes = new Map<string, ClusterNode>();
    for (const [at, machine] of machines.entries()) {
      const { name, address, controlPlane } = machine;
      const externalIp = externalIpOf(this.options.lb, machine);
      // The control plane stands in the first zone, beside the first worker.
      const zone = zones.length > 0 ? zones[Math.max(0, at - 1) % zones.length] : undefined;
      const ipv6 = ipFamilies.includes("IPv6") ? { ipv6: parseIp(ipv6Of(address)) } : {};
      const about: NodeOptions = {
        name,
        ip: parseIp(address),
        prefix,
        gateway: parseIp("192.168.1.1"),
        ...ipv6,
        controlPlane,
        ...(zone !== undefined && { zone }),
        ...(externalIp !== undefined && { externalIp }),
        lazy: machines.length > fewMachines,
      };
      const net = createNode(sim, network, lan, about);
      const kubelet = new Kubelet(sim, { store, node: net, cni, registry, runner, exec, dnsIp });
      kubelet.register(about);
      const { kubelet: hear } = delaysOf(propagation, name);
      runController(sim, store, kubelet, { ...defaultPace, hear });
      const proxy = undefined;
      nodes.set(name, { name, net, kubelet, proxy, place: nodePlace(name, net, hosts, toolNames) });
    }
    return nodes;
  }
}

/** With more machines than these, what nobody looks at is put off; up to these, all is done at once. */
const fewMachines = 81;

/** The network add-on that a design brings; the plain ones have none. */
function addonOf({ cni, cniConfig }: CheckedOptions): NetworkAddon {
  if (cni === "vpc") return { addon: "aws" };
  if (cni !== "vxlan" && cni !== "host-gw") return { addon: "none" };
  return { addon: "flannel", backend: cni, ...(typeof cniConfig === "string" && { config: cniConfig }) };
}

/** `x` → `default/x`; `ns/x` as it is. */
export function podKey(name: string): Key {
  return name.includes("/") ? name : keyFor("default", name);
}
