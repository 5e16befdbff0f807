/** kube-proxy's configuration: defaults, and its own words for what is wrong (kube-proxy's unit tests state them). */
import { expect, test } from "vitest";
import { cidrOf, type KubeProxyConfig, readConfig, syncConfig } from "../../../kernel-lib/node/proxy/config";
import { aggregate, validateConfig } from "../../../kernel-lib/node/proxy/configvalidation";
import { modeOptions } from "../../../kernel-lib/node/proxy/modes";
import { millisecond, second } from "../../../kernel-lib/sim/clock";

const head = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

function config(text: string): KubeProxyConfig {
  return readConfig(head + text).config;
}

test("what is left out, null, empty or 0s is kube-proxy's default", () => {
  for (const text of ["", 'mode: ""\niptables:\n  syncPeriod: 0s\n  masqueradeBit: null\nnodePortAddresses: null\n']) {
    expect(config(text)).toMatchObject({
      mode: "",
      healthzBindAddress: "0.0.0.0:10256",
      metricsBindAddress: "127.0.0.1:10249",
      nodePortAddresses: [],
      iptables: { syncPeriod: 30 * second, minSyncPeriod: second, masqueradeBit: 14, localhostNodePorts: true },
      ipvs: { syncPeriod: 30 * second, minSyncPeriod: 0 },
      conntrack: { tcpEstablishedTimeout: 86_400 * second },
    });
  }
  expect(config("bindAddress: '::'\n").metricsBindAddress).toBe("[::1]:10249");
  expect(config("healthzBindAddress: 10.0.0.1\n").healthzBindAddress).toBe("10.0.0.1:10256");
});

test("each mode has sync periods of its own", () => {
  const text =
    "iptables: {syncPeriod: 1m}\nnftables: {syncPeriod: 1h30m}\nipvs: {syncPeriod: 5s, minSyncPeriod: 250ms}\n";
  const periods = (mode: string) => syncConfig(config(`mode: ${mode}\n${text}`));
  expect(periods("iptables")).toMatchObject({ syncPeriod: 60 * second, minSyncPeriod: second });
  expect(periods("nftables")).toMatchObject({ syncPeriod: 5400 * second, minSyncPeriod: second });
  expect(periods("ipvs")).toMatchObject({ syncPeriod: 5 * second, minSyncPeriod: 250 * millisecond });
});

test("an unknown field is passed over, and named", () => {
  const { strict } = readConfig(`${head}mode: ipvs\nmodes: ipvs\nipvs:\n  schedular: rr\n__proto__: 1\n`);
  expect(strict).toEqual(['unknown field "modes"', 'unknown field "ipvs.schedular"', 'unknown field "__proto__"']);
});

test.each([
  ["", "couldn't get version/kind; json parse error: "],
  ["a: [1", "couldn't get version/kind; json parse error: error converting YAML to JSON: yaml: line 1: "],
  ["mode: ipvs\n", `Object 'Kind' is missing in '{"mode":"ipvs"}'`],
  [
    "apiVersion: kubeproxy.config.k8s.io/v1\nkind: KubeProxyConfiguration\n",
    'no kind "KubeProxyConfiguration" is registered for version "kubeproxy.config.k8s.io/v1" in scheme "',
  ],
  [`${head}mode: 7\n`, "json: cannot unmarshal number into Go struct field KubeProxyConfiguration.mode of type string"],
  [
    `${head}iptables: nft\n`,
    "json: cannot unmarshal string into Go struct field KubeProxyConfiguration.iptables of type v1alpha1.KubeProxyIPTablesConfiguration",
  ],
  [`${head}iptables: {syncPeriod: 30}\n`, "json: cannot unmarshal number into Go value of type string"],
  [`${head}iptables: {syncPeriod: 30x}\n`, 'time: unknown unit "x" in duration "30x"'],
  [`${head}iptables: {syncPeriod: "30"}\n`, 'time: missing unit in duration "30"'],
])("%j is no configuration", (text, words) => {
  let message = "";
  try {
    readConfig(text);
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message.slice(0, words.length)).toBe(words);
});

test.each([
  [
    "mode: ebpf\n",
    'KubeProxyConfiguration.Mode.ProxyMode: Invalid value: "ebpf": must be iptables, ipvs, nftables or blank (blank means the best-available proxy [currently iptables])',
  ],
  [
    "bindAddress: 10.10.12.11:2000\n",
    'KubeProxyConfiguration.BindAddress: Invalid value: "10.10.12.11:2000": not a valid textual representation of an IP address',
  ],
  [
    "healthzBindAddress: 0.0.0.0:http\n",
    'KubeProxyConfiguration.HealthzBindAddress: Invalid value: "http": must be a valid port',
  ],
  [
    "metricsBindAddress: localhost:1\n",
    'KubeProxyConfiguration.MetricsBindAddress: Invalid value: "localhost": must be a valid IP',
  ],
  [
    "clusterCIDR: 192.168.59.0\n",
    'KubeProxyConfiguration.DetectLocalConfiguration.ClusterCIDRs[0]: Invalid value: "192.168.59.0": must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)',
  ],
  [
    "nodePortAddresses: [primary, 10.0.0.0/8]\n",
    `KubeProxyConfiguration.NodePortAddresses[0]: Invalid value: "primary": can't use both 'primary' and CIDRs`,
  ],
  [
    "nodePortAddresses: [10.0.0.1]\n",
    'KubeProxyConfiguration.NodePortAddresses[0]: Invalid value: "10.0.0.1": must be a valid CIDR',
  ],
  [
    "iptables: {masqueradeBit: 32}\n",
    "KubeProxyConfiguration.KubeProxyIPTablesConfiguration.MasqueradeBit: Invalid value: 32: must be within the range [0, 31]",
  ],
  [
    "iptables: {syncPeriod: -1s}\n",
    "[KubeProxyConfiguration.SyncPeriod: Invalid value: -1s: must be greater than 0, KubeProxyConfiguration.SyncPeriod: Invalid value: 1s: must be greater than or equal to KubeProxyConfiguration.MinSyncPeriod]",
  ],
  [
    "mode: ipvs\nipvs: {excludeCIDRs: [x]}\n",
    'KubeProxyConfiguration.KubeProxyIPVSConfiguration.ExcludeCidrs[0]: Invalid value: "x": must be a valid CIDR',
  ],
  [
    "detectLocalMode: BridgeInterface\n",
    'KubeProxyConfiguration.DetectLocalConfiguration.InterfaceName: Invalid value: "": must not be empty',
  ],
  [
    "detectLocalMode: Guess\n",
    'KubeProxyConfiguration.DetectLocalMode: Unsupported value: "Guess": supported values: "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix", ""',
  ],
])("%j is refused", (text, words) => {
  expect(aggregate(validateConfig(config(text)))).toBe(words);
});

test("userspace is let through, and every error is reported", () => {
  expect(validateConfig(config("mode: userspace\n"))).toEqual([]);
  expect(validateConfig(config("mode: x\nbindAddress: a\nnodePortAddresses: [b]\n"))).toHaveLength(3);
});

test("what is local is told by prefix, by the node's own prefixes or by a device", () => {
  const node = { ips: [0xc0a8010b, 0xfd00n << 112n], podCidrs: [{ ip: 0x0af40100, length: 24 }] };
  const options = (text: string) => modeOptions(config(text), node);
  expect(options("clusterCIDR: 10.244.0.0/16,fd00::/48\n").clusterCidr).toBe("10.244.0.0/16,fd00::/48");
  expect(cidrOf("10.244.0.0/16,fd00::/48", "IPv6")).toBe("fd00::/48");
  expect(options("detectLocalMode: NodeCIDR\n").clusterCidr).toBe("10.244.1.0/24");
  expect(
    options("detectLocalMode: InterfaceNamePrefix\ndetectLocal: {interfaceNamePrefix: veth}\n").localInterface,
  ).toBe("veth+");
  expect(options("").nodePortAddresses).toBeUndefined();
  expect(options("nodePortAddresses: [primary]\n").nodePortAddresses).toEqual(["192.168.1.11/32", "fd00::/128"]);
});
