/** IPv6 and dual stack: link-local addresses, routes, all protocols, ip6tables, connection tracking. */
import { expect, test } from "vitest";
import { routeText } from "../../kernel-lib/cluster/linux/ip/route";
import { formatCidr, formatIp, linkLocalOf, parseCidr, parseIp } from "../../kernel-lib/net/address";
import { connectionText } from "../../kernel-lib/net/conntracktext";
import type { Netns } from "../../kernel-lib/net/netns";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import { jump } from "../../kernel-lib/net/rule";
import { parseRules } from "../../kernel-lib/net/ruleparse";
import { ask, type Lab, overlay, pod, serve } from "./topology";

/** The overlay's nodes and pods with IPv6 beside IPv4: pods fd00:N::H, and plain routes between the nodes. */
function dualStack(): Lab {
  const lab = overlay(2);
  for (const [index, node] of lab.nodes.entries()) {
    const number = index + 1;
    const other = 2 - index;
    node.addAddress("eth0", parseCidr(`fd00:192::${10 + number}/64`));
    node.addAddress("cni0", parseCidr(`fd00:${number}::1/64`));
    node.sysctl.ipv6Forward = true;
    node.sysctl.bridgeNfCallIp6tables = true;
    node.routes.add({ to: parseCidr(`fd00:${other}::/64`), via: parseIp(`fd00:192::${10 + other}`) });
    for (const host of [2, 3]) {
      const one = pod(lab, `pod-${number}-${host}`);
      one.addAddress("eth0", parseCidr(`fd00:${number}::${host}/64`));
      one.routes.add({ to: parseCidr("::/0"), via: parseIp(`fd00:${number}::1`) });
    }
  }
  return lab;
}

test("a device gives itself the link-local address of its MAC, once IPv6 is looked at, and neighbours answer on it", () => {
  expect(formatIp(linkLocalOf("02:42:00:00:01:01"))).toBe("fe80::42:ff:fe00:101");
  const lab = overlay(1);
  const eth0 = pod(lab, "pod-1-2").device("eth0");
  expect(eth0.writtenAddresses).toHaveLength(1);
  expect(eth0.addresses.map(formatCidr)).toEqual(["10.244.1.2/24", `${formatIp(linkLocalOf(eth0.mac))}/64`]);
  expect(
    pod(lab, "pod-1-2")
      .routes.list("IPv6")
      .map((route) => routeText(route).trim()),
  ).toEqual(["fe80::/64 dev eth0 proto kernel metric 256 pref medium"]);
  const heard: string[] = [];
  const target = linkLocalOf(pod(lab, "pod-1-3").device("eth0").mac);
  const socket = pod(lab, "pod-1-2").sockets.openEcho(target, ({ result }) => heard.push(result), { device: "eth0" });
  socket.send(1);
  lab.sim.clock.settle();
  expect(heard).toEqual(["reply"]);
});

test("pods reach pods over IPv6 and IPv4 side by side, with their own addresses, one hop a node", () => {
  const lab = dualStack();
  serve(pod(lab, "pod-1-3"), 80);
  serve(pod(lab, "pod-2-2"), 80);
  expect(ask(lab, pod(lab, "pod-1-2"), "fd00:1::3", 80)).toBe("pod-1-3 saw fd00:1::2: hello");
  const entries = lab.sim.journal.during(() =>
    expect(ask(lab, pod(lab, "pod-1-2"), "fd00:2::2", 80)).toBe("pod-2-2 saw fd00:1::2: hello"),
  );
  const delivered = entries.map(({ detail }) => detail as PacketEvent).filter(({ kind }) => kind === "deliver");
  expect(delivered[0]?.packet).toMatchObject({ ttl: 62, size: 60 });
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80)).toBe("pod-2-2 saw 10.244.1.2: hello");
});

test("each family forwards by its own setting, and says what went wrong in its own words", () => {
  const lab = dualStack();
  const heard: string[] = [];
  const ping = (ip: string, ttl = 64): void => {
    const socket = pod(lab, "pod-1-2").sockets.openEcho(parseIp(ip), (answer) => {
      heard.push(answer.result === "reply" ? `reply ttl=${answer.ttl}` : `${formatIp(answer.from)} ${answer.error}`);
    });
    socket.send(1, { ttl });
    lab.sim.clock.settle();
    socket.close();
  };
  ping("fd00:2::2");
  ping("fd00:2::2", 1);
  ping("fd00:2::99");
  ping("fd00:3::1");
  expect(heard.splice(0)).toEqual([
    "reply ttl=62",
    "fd00:1::1 Time exceeded: Hop limit",
    "fd00:192::12 Destination unreachable: Address unreachable",
    "fd00:1::1 Destination unreachable: No route",
  ]);
  for (const node of lab.nodes) node.sysctl.ipv6Forward = false;
  ping("fd00:2::2");
  ping("10.244.2.2");
  expect(heard).toEqual(["reply ttl=62"]);
});

const text = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:GUARD - [0:0]
-A FORWARD -j GUARD
-A GUARD -d fd00:2::3/128 -p tcp -j REJECT --reject-with icmp6-adm-prohibited
-A GUARD -s fd00:1::/64 -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d fd00:96::10/128 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00:2::2]:80
-A PREROUTING -d fd00:96::11/128 -j DNAT --to-destination fd00:2::2
COMMIT
`;

test("ip6tables: the same rules for the other family, read and printed in its own words, and counted apart", () => {
  const lab = dualStack();
  const [node] = lab.nodes as [Netns, Netns];
  for (const name of ["pod-2-2", "pod-2-3"]) serve(pod(lab, name), 80);
  node.ip6tables.restore(parseRules(text));
  expect(node.ip6tables.save()).toBe(text);
  const client = pod(lab, "pod-1-2");
  expect(ask(lab, client, "fd00:96::10", 80)).toBe("pod-2-2 saw fd00:1::2: hello");
  expect(ask(lab, client, "fd00:2::3", 80)).toMatch(/^unreachable after 0/);
  expect(ask(lab, client, "10.244.2.3", 80)).toBe("pod-2-3 saw 10.244.1.2: hello");
  expect(node.iptables.save()).toBe("");
  expect(node.ip6tables.counters("nat", "PREROUTING")[0]?.packets).toBe(1);
  const [connection] = node.conntrack.list();
  const line = connection && connectionText(connection, lab.sim.clock.now).replace(/port=(?!80)\d+/g, "port=P");
  expect(line).toBe(
    "tcp      6 119 TIME_WAIT src=fd00:1::2 dst=fd00:96::10 sport=P dport=80 " +
      "src=fd00:2::2 dst=fd00:1::2 sport=80 dport=P [ASSURED] mark=0 use=1",
  );
  node.ip6tables.append("filter", "INPUT", { target: jump("GUARD") });
  expect(() => node.ip6tables.deleteChain("filter", "GUARD")).toThrow("ip6tables: Directory not empty.");
});

test("a device that goes down loses its IPv6 addresses, and gets only the link-local one back", () => {
  const lab = dualStack();
  const eth0 = pod(lab, "pod-1-2").device("eth0");
  eth0.up = false;
  expect(eth0.addresses.map(formatCidr)).toEqual(["10.244.1.2/24"]);
  eth0.up = true;
  expect(eth0.addresses.map(formatCidr)).toEqual(["10.244.1.2/24", `${formatIp(linkLocalOf(eth0.mac))}/64`]);
});

test("routes are listed as a kernel walks them: a prefix after all that are within it, the default last", () => {
  const netns = pod(overlay(1), "pod-1-2");
  const prefixes = [
    "::/0",
    "2001:db8::/32",
    "2001::/16",
    "2001:db8:f000::/48",
    "2001:db8:1::/48",
    "fd00::/8",
    "fd00:1::5/128",
  ];
  for (const prefix of prefixes) netns.routes.add({ to: parseCidr(prefix), device: "eth0" });
  const listed = netns.routes.list("IPv6").map(({ to }) => formatCidr(to));
  // As ip -6 route of Linux 6 gave them, which had been told them in this order.
  expect(listed.filter((prefix) => prefixes.includes(prefix))).toEqual([
    ...["2001:db8:1::/48", "2001:db8:f000::/48", "2001:db8::/32", "2001::/16"],
    ...["fd00:1::5/128", "fd00::/8", "::/0"],
  ]);
});
