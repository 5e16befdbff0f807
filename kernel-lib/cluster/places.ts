/** Owns where commands run: the workstation outside, the nodes, and the containers. */
import { Files } from "../apps/files";
import type { Netns } from "../net/netns";
import type { Container } from "../node/container";
import type { Sim } from "../sim/sim";
import { homeCharts } from "./helm/charts";
import { httpsExample } from "./httpsexample";
import type { Place } from "./shell/tool";

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const osRelease = `PRETTY_NAME="Ubuntu 24.04.3 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
ID=ubuntu
`;

/** The learner's own machine, outside the cluster, with a kubeconfig. */
export function workstationPlace(sim: Sim, netns: Netns, server: string, hosts: string): Place {
  const home = "/home/learner";
  const files = new Files(sim.clock, {
    "/etc/hostname": "workstation\n",
    "/etc/hosts": `127.0.0.1 localhost\n${hosts}`,
    "/etc/os-release": osRelease,
    "/etc/resolv.conf": "nameserver 192.168.1.1\n",
    [`${home}/.kube/config`]: kubeconfig(server),
    ...Object.fromEntries(
      Object.entries({ ...homeCharts, ...httpsExample }).map(([path, text]) => [`${home}/${path}`, text]),
    ),
  });
  files.makeFolder("/tmp");
  const env = new Map([
    ["USER", "learner"],
    ["HOME", home],
    ["PATH", path],
    ["PWD", home],
    ["LANG", "C.UTF-8"],
    ["TERM", "xterm"],
  ]);
  return {
    name: "workstation",
    kind: "workstation",
    hostname: "workstation",
    user: "learner",
    files,
    netns,
    env,
    folder: home,
    tools: undefined,
  };
}

function kubeconfig(server: string): string {
  return `apiVersion: v1
clusters:
- cluster:
    server: ${server}
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
users:
- name: kubernetes-admin
  user: {}
`;
}

/** What a node has not: it is no place to run kubectl from, and one comes to it by ssh. */
const notOnNodes = new Set(["kubectl", "helm"]);

let onEveryNode: { readonly of: readonly string[]; readonly tools: readonly string[] } = { of: [], tools: [] };

/** The same list for all nodes. */
function onNodes(tools: readonly string[]): readonly string[] {
  if (onEveryNode.of !== tools) onEveryNode = { of: tools, tools: tools.filter((tool) => !notOnNodes.has(tool)) };
  return onEveryNode.tools;
}

/** A node, or the router, as one that logs in by ssh finds it. */
export function nodePlace(
  name: string,
  machine: { readonly netns: Netns; readonly files: Files },
  hosts: string,
  tools: readonly string[],
): Place {
  const { files } = machine;
  files.write("/etc/hostname", `${name}\n`);
  files.write("/etc/hosts", `127.0.0.1 localhost\n${hosts}`);
  files.write("/etc/os-release", osRelease);
  files.write("/etc/resolv.conf", "nameserver 192.168.1.1\n");
  files.makeFolder("/root");
  files.makeFolder("/tmp");
  const env = new Map([
    ["USER", "root"],
    ["HOME", "/root"],
    ["PATH", path],
    ["PWD", "/root"],
    ["LANG", "C.UTF-8"],
  ]);
  return {
    name,
    kind: "node",
    hostname: name,
    user: "root",
    files,
    get netns() {
      const { netns } = machine;
      // Who logs in finds what kube-proxy does there, also if nobody came before.
      netns.netfilter.fill();
      return netns;
    },
    env,
    folder: "/root",
    tools: onNodes(tools),
  };
}

/** A machine outside, which knows nothing of the cluster: no kubectl, no names of its nodes. */
export function clientPlace(sim: Sim, netns: Netns, resolver: string, tools: readonly string[]): Place {
  const home = "/root";
  const files = new Files(sim.clock, {
    "/etc/hostname": "client\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/os-release": osRelease,
    "/etc/resolv.conf": `nameserver ${resolver}\n`,
  });
  for (const folder of [home, "/tmp"]) files.makeFolder(folder);
  const env = new Map([
    ["USER", "root"],
    ["HOME", home],
    ["PATH", path],
    ["PWD", home],
    ["LANG", "C.UTF-8"],
  ]);
  const about = { name: "client", kind: "workstation", hostname: "client", user: "root" } as const;
  return { ...about, files, netns, env, folder: home, tools: onNodes(tools) };
}

/** A container, as `kubectl exec` finds it. */
export function containerPlace(container: Container): Place {
  const { spec } = container;
  // Every image has these two, though no file of ours is in them.
  for (const folder of ["/tmp", spec.env.get("HOME") ?? "/root"]) spec.files.makeFolder(folder);
  return {
    name: spec.pod,
    kind: "container",
    hostname: spec.hostname,
    user: "root",
    files: spec.files,
    netns: spec.netns,
    env: spec.env,
    folder: spec.folder === "" ? "/" : spec.folder,
    tools: spec.image.tools,
    container,
  };
}
