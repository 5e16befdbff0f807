/** Owns a small cluster wired by hand: two nodes and a workstation on one network, kubelets and kube-proxies, no control plane. */
import { defaultPace, runController } from "../../kernel-lib/api/controller";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { Store } from "../../kernel-lib/api/store";
import type { ProcessRunner } from "../../kernel-lib/apps/app";
import { createRegistry } from "../../kernel-lib/apps/images";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import type { Segment } from "../../kernel-lib/net/device";
import type { Netns } from "../../kernel-lib/net/netns";
import { Network } from "../../kernel-lib/net/network";
import type { Cni } from "../../kernel-lib/node/cni/cni";
import { createHostGwCni } from "../../kernel-lib/node/cni/hostgw";
import { createVxlanCni } from "../../kernel-lib/node/cni/vxlan";
import type { ExecIn } from "../../kernel-lib/node/exec";
import { Kubelet } from "../../kernel-lib/node/kubelet";
import { createNode, type NodeNet } from "../../kernel-lib/node/node";
import { iptablesMode } from "../../kernel-lib/node/proxy/iptables";
import { KubeProxy } from "../../kernel-lib/node/proxy/proxy";
import { second } from "../../kernel-lib/sim/clock";
import { createSim, type Sim } from "../../kernel-lib/sim/sim";

export interface WiredNode {
  readonly net: NodeNet;
  readonly kubelet: Kubelet;
}

export interface Wired {
  readonly sim: Sim;
  readonly store: Store;
  readonly network: Network;
  readonly lan: Segment;
  readonly workstation: Netns;
  readonly nodes: { readonly [name: string]: WiredNode };
  readonly ran: readonly (readonly string[])[];
  pod(name: string, node: string, spec?: object): Kinds["Pod"];
  service(name: string, clusterIp: string, port: number, spec?: object): void;
  slice(service: string, port: number, pods: readonly string[], protocol?: string): void;
  podNow(name: string): Kinds["Pod"] | undefined;
  netnsOf(pod: string): Netns;
  events(pod: string): readonly string[];
}

/**
 * Commands that are no functions of ours run for ever, whatever they are sent, unless they are `exit N`, which ends at once,
 * or `term N`, which ends N seconds after SIGTERM.
 */
function recordingRunner(ran: (readonly string[])[]): ProcessRunner {
  return {
    run(program, argv) {
      ran.push(argv);
      const [, how, count] = /(exit|term) ([\d.]+)/.exec(argv.join(" ")) ?? [];
      if (how === "exit") program.clock.after(1000, () => program.exit(Number(count)));
      const end = (): unknown => program.clock.after(Number(count) * second, () => program.exit(0));
      return { signal: (signal) => void (signal === "SIGTERM" && how === "term" && end()) };
    },
  };
}

/**
 * Hooks and probes run in containers: `sleep N` ends well after N seconds, `exit N` ends so after 1 ms, `say TEXT exit N` with
 * that output; what has a slash in front is not there.
 */
function recordingExec(sim: Sim, ran: (readonly string[])[]): ExecIn {
  return (container, argv, told) => {
    ran.push(argv);
    const [, how, count] = /(sleep|exit) ([\d.]+)/.exec(argv.join(" ")) ?? [];
    const output = argv[0] === "say" ? `${argv[1]}\n` : "";
    const code = how === "exit" ? Number(count) : 0;
    const problem = `exec: "${argv[0]}": stat ${argv[0]}: no such file or directory`;
    const wait = how === "sleep" ? Number(count) * second : 1000;
    const timer = sim.clock.after(wait, () => tell(code));
    let over = false;
    const tell = (exitCode: number): void => {
      if (!over) told(argv[0]?.startsWith("/") ? { problem } : { exitCode, output });
      over = true;
      timer.cancel();
    };
    container.whenEnded(() => tell(137));
    return {
      stop() {
        over = true;
        timer.cancel();
      },
    };
  };
}

/** @param options `podCidrs` per node, default 10.244.1.0/24 and 10.244.2.0/24; `cni` default VXLAN */
export function wire(
  options: {
    readonly cni?: "vxlan" | "host-gw";
    readonly prefix?: number;
    readonly seed?: number;
    /** Nodes as there are in a cluster of very many. */
    readonly lazy?: boolean;
  } = {},
): Wired {
  const sim = createSim(options.seed ?? 1);
  const store = new Store(sim);
  const network = new Network(sim);
  const lan = network.segment("lan");
  const ran: (readonly string[])[] = [];
  const cni: Cni = options.cni === "host-gw" ? createHostGwCni() : createVxlanCni({ store });
  const registry = createRegistry({ dns: { store } });
  const mode = iptablesMode({ clusterCidr: "10.244.0.0/16" });
  store.create("Namespace", { kind: "Namespace", metadata: { name: "default" }, spec: {} }, "test");
  const nodes: Record<string, WiredNode> = {};
  for (const [index, name] of ["node-1", "node-2"].entries()) {
    const about = { name, ip: parseIp(`192.168.1.1${index + 1}`), lazy: options.lazy ?? false };
    const net = createNode(sim, network, lan, about);
    const kubelet = new Kubelet(sim, {
      store,
      node: net,
      cni,
      registry,
      runner: recordingRunner(ran),
      exec: recordingExec(sim, ran),
    });
    kubelet.register(about);
    const podCIDR = `10.244.${index + 1}.0/${options.prefix ?? 24}`;
    store.update("Node", name, (node) => ({ ...node, spec: { ...node.spec, podCIDR, podCIDRs: [podCIDR] } }), "test");
    runController(sim, store, kubelet);
    const proxy = new KubeProxy(sim, { store, node: net, mode });
    if (!options.lazy) runController(sim, store, proxy);
    else {
      net.netns.netfilter.defer("kube-proxy", () => {
        proxy.catchUp();
        runController(sim, store, proxy, defaultPace, "changes");
      });
    }
    nodes[name] = { net, kubelet };
  }
  const workstation = network.netns("workstation");
  workstation.addPhysical("eth0", lan);
  workstation.addAddress("eth0", parseCidr("192.168.1.100/24"));
  sim.clock.settle();
  const podNow = (name: string) => store.get("Pod", `default/${name}`);
  return {
    sim,
    store,
    network,
    lan,
    workstation,
    nodes,
    ran,
    podNow,
    pod(name, node, spec = {}) {
      const containers = [{ name: "main", image: "nginx" }];
      const body = { nodeName: node, restartPolicy: "Always", terminationGracePeriodSeconds: 30, containers, ...spec };
      return store.create(
        "Pod",
        { kind: "Pod", metadata: { name, namespace: "default" }, spec: body, status: { phase: "Pending" } },
        "test",
      );
    },
    service(name, clusterIp, port, spec = {}) {
      const ports = [{ port, protocol: "TCP", targetPort: port }];
      const body = {
        type: "ClusterIP",
        clusterIP: clusterIp,
        clusterIPs: [clusterIp],
        ports,
        ...spec,
      } as Kinds["Service"]["spec"];
      store.create("Service", { kind: "Service", metadata: { name, namespace: "default" }, spec: body }, "test");
    },
    slice(service, port, pods, protocol = "TCP") {
      const endpoints = pods.map((name) => {
        const pod = podNow(name);
        return {
          addresses: [pod?.status.podIP ?? ""],
          nodeName: pod?.spec.nodeName ?? "",
          conditions: { ready: true },
        };
      });
      const labels = { "kubernetes.io/service-name": service };
      const metadata = { name: `${service}-1`, namespace: "default", labels };
      const ports = [{ name: "", port, protocol }];
      store.apply("EndpointSlice", { kind: "EndpointSlice", metadata, addressType: "IPv4", ports, endpoints }, "test");
    },
    netnsOf(pod) {
      const found = Object.values(nodes).map(({ kubelet }) => kubelet.podNet(`default/${pod}`)?.netns);
      const netns = found.find((one) => one !== undefined);
      if (!netns) throw new Error(`no network for ${pod}`);
      return netns;
    },
    events(pod) {
      const about = store.list("Event").filter((event) => event.involvedObject.name === pod);
      return about.map((event) => `${event.type} ${event.reason} ${event.message}`);
    },
  };
}

/** What one GET by address comes to: the body, or the outcome of a connection that failed. */
export function get(cluster: Wired, from: Netns, ip: string, port: number, target = "/"): string {
  let result = "nothing";
  from.sockets.connectTcp(
    { ip: parseIp(ip), port },
    {
      connected: (socket) => socket.write(`GET ${target} HTTP/1.1\r\nHost: ${ip}\r\nConnection: close\r\n\r\n`),
      data: (_socket, text) => {
        result = result === "nothing" ? text : result + text;
      },
      failed: (_socket, failure) => {
        result = failure.outcome;
      },
    },
  );
  cluster.sim.clock.settle();
  return result;
}
