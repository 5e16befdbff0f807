/** Owns the files that the kubelet writes for every container: /etc/hosts, /etc/resolv.conf, /etc/hostname. */
import type { Kinds } from "../api/kinds";

type Pod = Kinds["Pod"];

/** What the files are made from. */
export interface PodFilesSource {
  readonly pod: Pod;
  readonly podIps: readonly string[];
  readonly nodeName: string;
  readonly clusterDomain: string;
  readonly dnsIp: string;
  /** The node's own /etc/resolv.conf. */
  readonly nodeResolver: string;
}

/** The host name that the pod's programs see: spec.hostname or the pod's name, at most 63 letters; the node's on its network. */
export function hostnameOf(pod: Pod, nodeName: string): string {
  if (pod.spec.hostNetwork) return nodeName;
  return (pod.spec.hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, "");
}

/** Path → text (pkg/kubelet/kubelet_pods.go and pkg/kubelet/network/dns/dns.go). */
export function podFiles(source: PodFilesSource): { readonly [path: string]: string } {
  return {
    "/etc/hosts": hosts(source),
    "/etc/hostname": `${hostnameOf(source.pod, source.nodeName)}\n`,
    "/etc/resolv.conf": resolvConf(source),
  };
}

function hosts({ pod, podIps, nodeName, clusterDomain }: PodFilesSource): string {
  const host = hostnameOf(pod, nodeName);
  const { subdomain } = pod.spec;
  const names = subdomain ? `${host}.${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}\t${host}` : host;
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    ...podIps.map((ip) => `${ip}\t${names}`),
  ];
  const aliases = pod.spec.hostAliases ?? [];
  if (aliases.length > 0) {
    lines.push("", "# Entries added by HostAliases.");
    for (const alias of aliases) lines.push([alias.ip, ...(alias.hostnames ?? [])].join("\t"));
  }
  return `${lines.join("\n")}\n`;
}

/** The most that a resolv.conf may have (validation of dnsConfig; the C library looks at no more than three servers). */
const mostServers = 3;
const mostSearches = 32;

/** `nodeResolver` is the node's own resolv.conf: with dnsPolicy Default the pod has what it has. */
function resolvConf({ pod, clusterDomain, dnsIp, nodeResolver }: PodFilesSource): string {
  const policy = pod.spec.dnsPolicy ?? "ClusterFirst";
  const asCluster = policy === "ClusterFirstWithHostNet" || (policy === "ClusterFirst" && !pod.spec.hostNetwork);
  const node = policy === "None" ? { servers: [], search: [], options: [] } : nodeConf(nodeResolver);
  const zone = `svc.${clusterDomain}`;
  const own = [`${pod.metadata.namespace}.${zone}`, zone, clusterDomain];
  const search = asCluster ? [...own, ...node.search] : node.search;
  const servers = asCluster ? [dnsIp] : node.servers;
  const options = new Map<string, string>(asCluster ? [["ndots", "5"]] : node.options);

  const extra = pod.spec.dnsConfig;
  for (const option of extra?.options ?? []) options.set(option.name ?? "", option.value ?? "");
  const allSearch = [...new Set([...search, ...(extra?.searches ?? [])])].slice(0, mostSearches);
  const allServers = [...new Set([...servers, ...(extra?.nameservers ?? [])])].slice(0, mostServers);
  const words = [...options].map(([name, value]) => (value === "" ? name : `${name}:${value}`));
  return [
    ...(allSearch.length > 0 ? [`search ${allSearch.join(" ")}`] : []),
    ...allServers.map((server) => `nameserver ${server}`),
    ...(words.length > 0 ? [`options ${words.join(" ")}`] : []),
    "",
  ].join("\n");
}

interface NodeConf {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly (readonly [string, string])[];
}

/** The one that was read last: nearly always all nodes have the same. */
let newest: { readonly text: string; readonly conf: NodeConf } | undefined;

function nodeConf(text: string): NodeConf {
  if (newest?.text !== text) newest = { text, conf: readConf(text) };
  return newest.conf;
}

function readConf(text: string): NodeConf {
  const lines = text.split("\n").map((line) =>
    line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/),
  );
  const search =
    lines
      .filter(([word]) => word === "search")
      .at(-1)
      ?.slice(1) ?? [];
  const options = lines.filter(([word]) => word === "options").flatMap((line) => line.slice(1));
  return {
    servers: lines.filter(([word]) => word === "nameserver").flatMap(([, server]) => server ?? []),
    search: search.filter((domain) => domain !== "."),
    options: options.map((option) => {
      const [name = "", value = ""] = option.split(/:(.*)/);
      return [name, value] as const;
    }),
  };
}
