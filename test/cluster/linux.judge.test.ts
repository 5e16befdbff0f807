import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { Session } from "../../kernel-lib/cluster/shell/session";
import { Shell } from "../../kernel-lib/cluster/shell/shell";
import { parseCidr, parseIp } from "../../kernel-lib/net/address";
import { requireOrSkip } from "../judges";

/** Two nodes on one link, a bridge and a tunnel on each, a pod on each bridge: once of the kernel, once of ours. */
const topology = `
set -e
mount -t tmpfs t /run; mkdir /run/netns
for n in n1 n2 p1 p2; do ip netns add $n; ip -n $n link set lo up; done
ip link add v1 netns n1 type veth peer name v2 netns n2
for i in 1 2; do
  I="ip -n n$i"; j=$((3 - i))
  $I link set v$i name eth0; $I addr add 192.168.1.1$i/24 brd + dev eth0; $I link set eth0 up
done
for i in 1 2; do
  I="ip -n n$i"; j=$((3 - i))
  $I link add flannel.1 address 02:42:00:00:0$i:01 type vxlan id 1 local 192.168.1.1$i dev eth0 dstport 8472 nolearning
  $I addr add 10.244.$i.0/32 dev flannel.1; $I link set flannel.1 up
  $I link add cni0 type bridge; $I link set cni0 mtu 1450; $I addr add 10.244.$i.1/24 brd + dev cni0; $I link set cni0 up
  $I link add veth$i type veth peer name eth0 netns p$i
  $I link set veth$i mtu 1450; $I link set veth$i master cni0 up
  ip -n p$i link set eth0 mtu 1450; ip -n p$i link set eth0 up
  ip -n p$i addr add 10.244.$i.2/24 brd + dev eth0; ip -n p$i route add default via 10.244.$i.1
  $I route add 10.244.$j.0/24 via 10.244.$j.0 dev flannel.1 onlink
  $I neigh replace 10.244.$j.0 lladdr 02:42:00:00:0$j:01 dev flannel.1 nud permanent
  bridge -n n$i fdb append 02:42:00:00:0$j:01 dev flannel.1 dst 192.168.1.1$j self permanent
  nsenter --net=/run/netns/n$i sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0
done
ip -n n1 link set veth1 type bridge_slave hairpin on; ip -n n2 link set veth2 type bridge_slave hairpin on
for i in 1 2; do nsenter --net=/run/netns/p$i sysctl -qw net.ipv4.icmp_ratelimit=0; done
sleep 1.5
set +e
`;

/** Where each command runs, and the command. Each is judged by what it prints and its exit code. */
const commands = `
n1 ip addr
n1 ip link
n1 ip -br link
n1 ip -br addr
n1 ip -4 addr show dev cni0
n1 ip -o -4 addr
n1 ip -d link show flannel.1
n1 ip route
p1 ip route
n1 ip route show table local dev cni0
n1 ip -j route
n1 ip route show dev cni0
n1 ip route get 10.244.2.81
n1 ip route get 192.168.1.12
n1 ip route get 192.168.1.11
n1 ip route get 8.8.8.8
p1 ip route get 8.8.8.8
n1 ip neigh show dev flannel.1
n1 bridge link
n1 bridge fdb show dev flannel.1
p1 ping -c 2 10.244.2.2
p1 ping -c 1 -q 10.244.2.2
p1 ping -c 1 -s 1422 -M do 10.244.2.2
p1 ping -c 1 -s 1472 -M do 10.244.2.2
p1 ping -c 1 -s 4000 10.244.2.2
p1 ping -c 2 -t 1 10.244.2.2
p1 ping -c 1 -t 2 10.244.2.2
p1 ping -c 2 -I eth0 10.244.2.2
p1 ping -c 1 -I 10.244.1.2 10.244.2.2
p1 ping -c 1 -I nosuch 10.244.2.2
p1 ping -c 1 9.9.9.9
n1 ping -c 1 9.9.9.9
n1 ping -c 3 192.168.1.77
p1 ping
p1 ping -c x 10.244.2.2
p1 ping -c 0 10.244.2.2
p1 ping -c 1 -M bla 10.244.2.2
p1 ping -c 1 -6 ::1
p1 traceroute -n 10.244.2.2
p1 traceroute -n -q 1 10.244.2.2
p1 traceroute -n -m 3 -w 1 -f 2 10.244.2.77
n1 traceroute -n 9.9.9.9
p1 tracepath -n 10.244.2.2
p1 arping -c 2 -I eth0 10.244.1.1
p1 arping -c 2 -w 2 -I eth0 10.244.1.77
p1 arping -c 1 -I nosuch 10.244.1.1
p1 nc -zv 10.244.2.2 81
p1 nc -z 10.244.2.2 81
p1 nc -zv 9.9.9.9 80
n1 nc -zv 9.9.9.9 80
p1 nc -zvu 10.244.2.2 99
p1 nc 10.244.2.2
p1 nc -l
p2 ss -tln
p2 ss -uan
p2 netstat -tln
n1 ip route add 10.50.0.0/16 via 10.60.0.1
n1 ip route add 10.50.0.0/16 via 192.168.1.12
n1 ip route add 10.50.0.0/16 via 192.168.1.12
n1 ip route replace 10.50.0.0/16 via 192.168.1.13
n1 ip route show 10.50.0.0/16
n1 ip route del 10.50.0.0/16
n1 ip route del 10.50.0.0/16
n1 ip route add blackhole 10.51.0.0/16
n1 ip route add unreachable 10.52.0.0/16
n1 ip route add prohibit 10.53.0.0/16
n1 ip route
n1 ip route get 10.51.0.1
n1 ip route get 10.52.0.1
n1 ip route get 10.53.0.1
n1 ping -c 1 10.51.0.1
p1 ping -c 1 10.52.0.1
p1 ping -c 1 10.53.0.1
p1 ping -c 1 -W 1 10.51.0.1
n1 ip route flush type blackhole
n1 ip route add 10.54.0.0/16 dev nosuch
n1 ip route add 10.54.0.1/16 dev eth0
n1 ip route add 10.54.0.0/16
n1 ip route get
n1 ip route get foo
n1 ip route bla
n1 ip bla
n1 ip link show nosuch
n1 ip link set nosuch up
n1 ip link set eth0 bla
n1 ip link set eth0 mtu 10
n1 ip addr add 10.244.1.1/24 dev cni0
n1 ip addr add 10.9.9.9/24 dev nosuch
n1 ip addr add foo dev cni0
n1 ip addr add 10.9.9.9
n1 ip addr del 10.9.9.9/24 dev cni0
n1 ip addr add 10.9.9.9/24 dev cni0
n1 ip -4 addr show dev cni0
n1 ip addr del 10.9.9.9/24 dev cni0
n1 ip neigh del 1.2.3.4 dev eth0
n1 ip neigh replace 192.168.1.77 lladdr 02:42:00:00:0a:01 dev eth0
n1 ip neigh add 192.168.1.77 lladdr 02:42:00:00:0a:01 dev eth0
n1 ip neigh show 192.168.1.77
n1 ip neigh del 192.168.1.77 dev eth0
n1 ip neigh add 192.168.1.78 lladdr zz dev eth0
n1 ip neigh add 192.168.1.78 dev eth0
n1 ip neigh add 192.168.1.78 lladdr 02:42:00:00:0a:01
n1 ip neigh flush
n1 bridge fdb del 02:42:00:00:02:01 dev flannel.1 dst 192.168.1.12
p1 ping -c 1 -W 1 10.244.2.2
n1 bridge fdb del 02:42:00:00:02:01 dev flannel.1
n1 bridge fdb del 02:42:00:00:02:01 dev nosuch
n1 bridge fdb add 02:42:00:00:02:01 dev flannel.1 dst 192.168.1.12
n1 bridge fdb add 02:42:00:00:02:01 dev flannel.1 dst 192.168.1.12
n1 bridge fdb append 02:42:00:00:02:01 dev flannel.1 dst 192.168.1.13
n1 bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 192.168.1.14
n1 bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 192.168.1.15
n1 bridge fdb show dev flannel.1
n1 bridge fdb add zz dev veth1 master static
n1 bridge bla
n1 bridge fdb bla
n1 ip link set eth0 down
n1 ip link show eth0
n2 ip link show eth0
n1 ip route
n1 ip route get 192.168.1.12
n1 ip link set eth0 up
n1 ip route
n1 ip link set cni0 mtu 1400
p1 ping -c 2 -s 1422 -M do 10.244.2.2
n1 sysctl net.ipv4.ip_forward
n1 sysctl -w net.ipv4.ip_forward=0
p1 ping -c 1 -W 1 10.244.2.2
n1 sysctl net.ipv4.nosuch
`
  .trim()
  .split("\n");

/** What differs between two machines that are alike: addresses that are drawn, numbers of devices, times, what groups a kernel joins. */
function alike(text: string): string {
  const lines = text.split("\n");
  // The kernel lists a forwarding database by hash, we in order.
  const listed = lines.every((line) => line === "" || /^(([0-9a-f]{2}:){5}|\[exit)/.test(line));
  return (listed ? lines.sort() : lines)
    .filter((line) => !/^\s*inet6 |^(33:33|01:00:5e):|^\s+valid_lft/.test(line))
    .join("\n")
    .replace(/ fe80::[0-9a-f:]+\/64/g, "")
    .replace(/\b(?!02:42|00:00:00|ff:ff)([0-9a-f]{2}:){5}[0-9a-f]{2}\b/gi, "MAC")
    .replace(/^\d+: /gm, "N: ")
    .replace(/@if\d+/g, "@ifN")
    .replace(/ link-netns(id)? \S+/g, "")
    .replace(/\d+\.\d+ ?ms/g, "T ms")
    .replace(/ +T ms/g, " T ms")
    .replace(/time \d+ms/g, "time T")
    .replace(/(mdev = )\S+/, "$1T")
    .replace(/ +$/gm, "");
}

const marker = "----";

function asked(real: boolean): string {
  const quoted = commands.map((line) => {
    const [where = "", ...words] = line.split(" ");
    return `timeout 20 nsenter --net=/run/netns/${where} -- ${words.join(" ")} 2>&1; echo "[exit $?]"; echo ${marker}`;
  });
  return real ? `${topology}\n${quoted.join("\n")}` : "";
}

test("the tools print what the real ones print of a kernel with the same topology", async (context) => {
  const options = process.getuid?.() === 0 ? "-nmpf" : "-Urnmpf";
  const wanted = ["ip", "ping", "traceroute", "tracepath", "arping", "nc", "ss", "netstat", "sysctl"];
  const missing = wanted.filter((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  const sandbox = [options, "--mount-proc", "--kill-child", "sh", "-c"];
  const probe = spawnSync("unshare", [...sandbox, topology], { encoding: "utf8", timeout: 30_000 });
  requireOrSkip(context, missing.length === 0, `not installed: ${missing.join(", ")}`);
  requireOrSkip(
    context,
    probe.status === 0,
    `no namespaces with bridge and vxlan here: ${probe.stderr.split("\n")[0]}`,
  );
  const real = spawnSync("unshare", [...sandbox, asked(true)], { encoding: "utf8", timeout: 120_000 });
  const theirs = real.stdout.split(`${marker}\n`);
  const ours = await simulated();
  for (const [at, line] of commands.entries()) {
    expect.soft(alike(ours[at] ?? ""), line).toBe(alike(theirs[at] ?? ""));
  }
}, 180_000);

/** The same of our kernel, typed at shells in its namespaces. */
async function simulated(): Promise<readonly string[]> {
  const cluster = new Cluster({ seed: 1, nodes: 1 });
  await cluster.start();
  const { network } = cluster;
  const places = new Map<string, Session>();
  for (const name of ["n1", "n2", "p1", "p2"]) {
    const netns = network.netns(name);
    const place = { ...cluster.node("node-1").place, netns };
    places.set(name, new Session(new Shell(cluster, place, name, cluster.tools)));
  }
  const of = (name: string) => network.namespaces.get(name) ?? network.netns(name);
  network.vethPair({ netns: of("n1"), name: "eth0" }, { netns: of("n2"), name: "eth0" });
  for (const i of [1, 2]) {
    const node = of(`n${i}`);
    node.addAddress("eth0", parseCidr(`192.168.1.1${i}/24`));
    node.addVxlan("flannel.1", {
      vni: 1,
      local: parseIp(`192.168.1.1${i}`),
      underlay: "eth0",
      mac: `02:42:00:00:0${i}:01`,
    });
    node.addAddress("flannel.1", parseCidr(`10.244.${i}.0/32`));
    node.addBridge("cni0", { mtu: 1450 });
    node.addAddress("cni0", parseCidr(`10.244.${i}.1/24`));
    network.vethPair({ netns: node, name: `veth${i}`, mtu: 1450 }, { netns: of(`p${i}`), name: "eth0", mtu: 1450 });
    node.attach(`veth${i}`, "cni0", { hairpin: true });
    of(`p${i}`).addAddress("eth0", parseCidr(`10.244.${i}.2/24`));
    of(`p${i}`).routes.add({ to: parseCidr("0.0.0.0/0"), via: parseIp(`10.244.${i}.1`), device: "eth0" });
    const other = 3 - i;
    node.routes.add({
      to: parseCidr(`10.244.${other}.0/24`),
      via: parseIp(`10.244.${other}.0`),
      device: "flannel.1",
      onlink: true,
    });
    node.neighbors.set("flannel.1", parseIp(`10.244.${other}.0`), `02:42:00:00:0${other}:01`);
    const { link } = node.device("flannel.1");
    if (link.type === "vxlan") link.fdb.set(`02:42:00:00:0${other}:01`, parseIp(`192.168.1.1${other}`));
    node.sysctl.ipForward = true;
  }
  const printed: string[] = [];
  for (const line of commands) {
    const [where = "", ...words] = line.split(" ");
    let text = "";
    const exitCode = await places.get(where)?.type(words.join(" "), (_stream, part) => {
      text += part;
    });
    printed.push(`${text}[exit ${exitCode}]\n`);
  }
  return printed;
}
