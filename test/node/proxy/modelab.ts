/** Owns two nodes with pods where a mode of kube-proxy does its work on Services given as manifests, for the modes' tests. */
import type { Kinds } from "../../../kernel-lib/api/kinds";
import { Files } from "../../../kernel-lib/apps/files";
import { formatIp, parseCidr, parseIp } from "../../../kernel-lib/net/address";
import type { Netns } from "../../../kernel-lib/net/netns";
import type { NodeNet } from "../../../kernel-lib/node/node";
import type { ProxyMode } from "../../../kernel-lib/node/proxy/mode";
import { viewOf } from "../../../kernel-lib/node/proxy/view";
import { ask, type Lab, overlay, pod, serve } from "../../net/topology";

/** An endpoint, with what its slice says of it. */
export interface TestEndpoint {
  readonly ip: string;
  readonly node: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

/** Endpoint of the lab's pod `pod-N-H`. */
export function at(name: string, more: Partial<TestEndpoint> = {}): TestEndpoint {
  const [, node, host] = name.split("-");
  return { ip: `10.244.${node}.${host}`, node: `node-${node}`, ...more };
}

export function service(name: string, spec: object, status: object = {}): Kinds["Service"] {
  const filled = { ports: [{ port: 80, protocol: "TCP" }], type: "ClusterIP", ...spec };
  return {
    kind: "Service",
    metadata: { namespace: "default", name },
    spec: filled,
    status,
  } as unknown as Kinds["Service"];
}

export function slice(name: string, endpoints: readonly TestEndpoint[], port: object = {}): Kinds["EndpointSlice"] {
  return {
    kind: "EndpointSlice",
    metadata: { namespace: "default", name: `${name}-1`, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: "", port: 80, protocol: "TCP", ...port }],
    endpoints: endpoints.map(({ ip, node, ready = true, serving = ready, terminating = false }) => ({
      addresses: [ip],
      nodeName: node,
      conditions: { ready, serving, terminating },
    })),
  } as unknown as Kinds["EndpointSlice"];
}

export interface ModeLab extends Lab {
  readonly nodeNets: readonly NodeNet[];
  readonly workstation: Netns;
  sync(services: readonly Kinds["Service"][], slices: readonly Kinds["EndpointSlice"][]): void;
}

/** Two nodes of two pods each, every pod a server on port 80, and a workstation beside them that knows the way to Services. */
export function modeLab(mode: ProxyMode, seed = 1): ModeLab {
  const lab = overlay(2, seed);
  for (const name of lab.pods.keys()) serve(pod(lab, name), 80);
  const workstation = lab.network.netns("workstation");
  workstation.addPhysical("eth0", lab.lan);
  workstation.addAddress("eth0", parseCidr("192.168.1.100/24"));
  for (const to of ["10.96.0.0/12", "203.0.113.0/24"]) {
    workstation.routes.add({ to: parseCidr(to), via: parseIp("192.168.1.11"), device: "eth0" });
  }
  const nodeNets = lab.nodes.map((netns, index): NodeNet => {
    const ip = parseIp(`192.168.1.${11 + index}`);
    const { sim, network } = lab;
    const files = new Files(sim.clock);
    return { sim, network, name: netns.name, ip, ips: [ip], netns, files, podCidrs: [] } as unknown as NodeNet;
  });
  return {
    ...lab,
    nodeNets,
    workstation,
    sync(services, slices) {
      for (const node of nodeNets) mode.sync(viewOf(services, slices, { node: node.name }), node, "IPv4");
    },
  };
}

/** The cluster IP of the Service `web`. */
export const ip = "10.96.0.10";

/** A lab with the Service `web`, and what was told of it. */
export interface WebLab {
  readonly lab: ModeLab;
  readonly services: readonly Kinds["Service"][];
  readonly slices: readonly Kinds["EndpointSlice"][];
}

/** A lab in which a Service `web` has the lab's pods of these names as its endpoints. */
export function webLab(
  mode: ProxyMode,
  endpoints: readonly string[],
  spec: object = {},
  status: object = {},
  seed = 1,
): WebLab {
  const lab = modeLab(mode, seed);
  const services = [service("web", { clusterIP: ip, clusterIPs: [ip], ...spec }, status)];
  const slices = [
    slice(
      "web",
      endpoints.map((name) => at(name)),
    ),
  ];
  lab.sync(services, slices);
  return { lab, services, slices };
}

/** Somebody of the lab, by name. */
export function who(lab: ModeLab, name: string): Netns {
  const found = lab.network.namespaces.get(name);
  if (!found) throw new Error(`nobody is called ${name}`);
  return found;
}

/** Asks `times` times: who answered, and whom they saw. */
export function askMany(lab: ModeLab, from: string, ip: string, port: number, times: number): readonly string[] {
  return Array.from({ length: times }, () => ask(lab, who(lab, from), ip, port, 20_000_000));
}

/** The answerers only. */
export function answerers(answers: readonly string[]): readonly string[] {
  return answers.map((answer) => answer.split(" saw ")[0] ?? "");
}

/** One datagram, and its answer. */
export function askUdp(lab: ModeLab, from: string, ip: string, port: number): string {
  let answer = "no answer";
  const peer = { ip: parseIp(ip), port };
  const socket = who(lab, from).sockets.openUdp(
    { peer },
    {
      received: (_, { payload, source }) => {
        answer = `${String(payload)} from ${formatIp(source.ip)}`;
      },
      failed: (_, { outcome }) => {
        answer = outcome;
      },
    },
  );
  socket.send("hello");
  lab.sim.clock.settle();
  socket.close();
  return answer;
}

/** Every pod answers datagrams too. */
export function serveUdp(lab: ModeLab, port: number): void {
  for (const [name, netns] of lab.pods) {
    netns.sockets.openUdp(
      { port, owner: "server" },
      { received: (socket, { source }) => socket.send(`${name} saw ${formatIp(source.ip)}`, source) },
    );
  }
}
