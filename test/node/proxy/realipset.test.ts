/** What the ipvs and userspace modes write, judged by the real ipset and iptables in a namespace of their own. */
import { spawnSync } from "node:child_process";
import { expect, type TestContext, test } from "vitest";
import { ipSetTypes } from "../../../kernel-lib/net/ipset";
import { entryText, readEntry, saveText } from "../../../kernel-lib/net/ipsettext";
import { ipvsMode } from "../../../kernel-lib/node/proxy/ipvs";
import type { ProxyMode } from "../../../kernel-lib/node/proxy/mode";
import { userspaceMode } from "../../../kernel-lib/node/proxy/userspace";
import { requireOrSkip } from "../../judges";
import { at, modeLab, service, slice, who } from "./modelab";

function sandbox(command: string, text: string) {
  return spawnSync("unshare", ["-Urn", "sh", "-c", command], { input: text, encoding: "utf8", timeout: 30_000 });
}

/** The tools have to be there; whether the kernel has ip_set is the machine's business. */
function needIpset(context: TestContext): void {
  const tool = spawnSync("ipset", ["--version"], { encoding: "utf8" });
  requireOrSkip(context, tool.status !== null, "there is no ipset (package ipset)");
  const probe = sandbox(
    "ipset create PROBE hash:ip,port && iptables-nft -A INPUT -m set --match-set PROBE dst,dst",
    "",
  );
  if (probe.status !== 0) context.skip(`this kernel has no ipsets for a namespace of one's own: ${probe.stderr}`);
}

/** A node with all kinds of Services. */
function node(mode: ProxyMode) {
  const lab = modeLab(mode);
  const ports = (nodePort: number, protocol = "TCP") => [{ port: 80, nodePort, protocol }];
  const balanced = { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } };
  const range = { loadBalancerSourceRanges: ["192.168.1.0/24", "198.51.100.0/25"] };
  const names = ["plain", "local", "udp", "sctp", "balanced", "outside"];
  lab.sync(
    [
      service("plain", { clusterIP: "10.96.0.10" }),
      service("local", {
        clusterIP: "10.96.0.11",
        type: "NodePort",
        externalTrafficPolicy: "Local",
        ports: ports(30001),
      }),
      service("udp", { clusterIP: "10.96.0.12", type: "NodePort", ports: ports(30002, "UDP") }),
      service("sctp", { clusterIP: "10.96.0.13", type: "NodePort", ports: ports(30003, "SCTP") }),
      service("balanced", { clusterIP: "10.96.0.14", type: "LoadBalancer", ...range, ports: ports(30004) }, balanced),
      service("outside", { clusterIP: "10.96.0.15", externalIPs: ["198.51.100.7"] }),
    ],
    names.map((name) =>
      slice(name, [at("pod-1-2"), at("pod-2-2")], {
        protocol: name === "udp" || name === "sctp" ? name.toUpperCase() : "TCP",
      }),
    ),
  );
  return who(lab, "node-1");
}

/** Lines sorted, without comments and counters: sets have no order, and tables each their own. */
function lines(text: string): readonly string[] {
  return text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.replace(/\[\d+:\d+\]/, "[0:0]"))
    .sort();
}

const judged: readonly (readonly [string, ProxyMode])[] = [
  ["ipvs", ipvsMode({ clusterCidr: "10.244.0.0/16" })],
  ["ipvs without a cluster CIDR", ipvsMode()],
  ["userspace", userspaceMode()],
];
for (const [name, mode] of judged) {
  test(`${name}: sets and rules are taken by the real tools, and printed the same`, (context) => {
    needIpset(context);
    const netns = node(mode);
    const sets = netns.ipsets
      .list()
      .map((set) => saveText(set))
      .join("");
    const rules = netns.iptables.save();
    const command = `ipset restore <<END && iptables-nft-restore && ipset save && echo ---- && iptables-nft-save\n${sets}END\n`;
    const { stdout, stderr } = sandbox(command, rules);
    const [savedSets = "", savedRules = ""] = stdout.split("----\n");
    expect(stderr).toBe("");
    expect(lines(savedSets)).toEqual(lines(sets));
    expect(lines(savedRules)).toEqual(lines(rules));
    const chains = (text: string) => text.split("\n").filter((line) => line.startsWith("-A KUBE-"));
    const perChain = (text: string) => chains(text).sort((one, other) => byChain(one) - byChain(other));
    const names = [...new Set(chains(rules).map((line) => line.split(" ")[1]))].sort();
    const byChain = (line: string): number => names.indexOf(line.split(" ")[1]);
    expect(perChain(savedRules)).toEqual(perChain(rules));
  });
}

test("entries are read and refused as the real ipset reads and refuses them", (context) => {
  needIpset(context);
  const texts: readonly string[] = [
    "10.96.0.10,tcp:53",
    "10.96.0.10,udp:53",
    "10.96.0.1,443",
    "10.96.0.9",
    "10.96.0.1,foo:1",
    "10.96.0.1,tcp:http",
    "10.1.1.1,tcp:80,10.0.0.0/8",
    "10.1.1.1,tcp:80,10.0.0.1/32",
    "10.1.1.1,tcp:80,10.1.2.3/8",
    "10.1.1.1,tcp:80,10.1.1.1",
    "30080",
    "10.0.0.0/8",
    "10.1.2.3/16",
    "1.2.3.4",
  ];
  for (const type of ipSetTypes) {
    // An old way to write an address, and a network for all its addresses one by one: neither is simulated.
    const odd = (text: string): boolean =>
      (text === "30080" && type !== "bitmap:port") || (text.includes("/") && type === "hash:ip");
    const wanted = texts.filter((text) => !odd(text));
    const range = type === "bitmap:port" ? " range 0-65535" : "";
    const script = wanted.map(
      (text) =>
        `ipset flush T; if ipset add T '${text}' 2>/dev/null; then ipset save T | sed -n 's/^add T //p'; else echo refused; fi`,
    );
    const real = sandbox(`ipset create T ${type}${range}\n${script.join("\n")}`, "")
      .stdout.trim()
      .split("\n");
    const ours = wanted.map((text) => {
      try {
        return entryText(type, readEntry({ type, family: "IPv4" }, text));
      } catch {
        return "refused";
      }
    });
    const named = (answers: readonly string[]) => wanted.map((text, index) => `${text} → ${answers[index]}`);
    expect(named(ours), type).toEqual(named(real));
  }
});
