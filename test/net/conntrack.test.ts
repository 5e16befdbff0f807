/** Connection tracking: what is remembered, for how long, what is told, and what a refusal leaves. */
import { expect, test } from "vitest";
import { parseIp } from "../../kernel-lib/net/address";
import { connectionText } from "../../kernel-lib/net/conntracktext";
import type { Netns } from "../../kernel-lib/net/netns";
import { ask, type Lab, overlay, pod, serve } from "./topology";

function tracking(): { lab: Lab; node: Netns; lines(): readonly string[] } {
  const lab = overlay(2);
  const [node] = lab.nodes as [Netns, Netns];
  node.iptables.append("filter", "FORWARD", {
    matches: [{ match: "conntrack", states: ["INVALID"] }],
    target: { target: "DROP" },
  });
  const lines = () =>
    node.conntrack
      .list()
      .filter(({ original }) => original.target === parseIp("10.244.2.2"))
      .map((connection) =>
        connectionText(connection, lab.sim.clock.now).replace(/(sport|dport|id)=(?!80 |9 )\d+/g, "$1=N"),
      );
  return { lab, node, lines };
}

test("a connection's states and timeouts, as conntrack -L shows them", () => {
  const { lab, lines } = tracking();
  const { clock } = lab.sim;
  const ends = "src=10.244.1.2 dst=10.244.2.2 sport=N dport=80";
  const back = "src=10.244.2.2 dst=10.244.1.2 sport=80 dport=N";
  pod(lab, "pod-2-2").sockets.listenTcp({ port: 80 }, () => ({ ended: () => {} }));
  lab.lan.cut = true;
  const socket = pod(lab, "pod-1-2").sockets.connectTcp({ ip: parseIp("10.244.2.2"), port: 80 }, {});
  clock.advance(500_000);
  expect(lines()).toEqual([`tcp      6 119 SYN_SENT ${ends} [UNREPLIED] ${back} mark=0 use=1`]);
  lab.lan.cut = false;
  clock.settle();
  clock.advance(1_000_000);
  expect(lines()).toEqual([`tcp      6 431998 ESTABLISHED ${ends} ${back} [ASSURED] mark=0 use=1`]);
  socket.end();
  clock.advance(1_000_000);
  expect(lines()).toEqual([`tcp      6 59 CLOSE_WAIT ${ends} ${back} [ASSURED] mark=0 use=1`]);
  socket.abort();
  clock.advance(1_000_000);
  expect(lines()).toEqual([`tcp      6 9 CLOSE ${ends} ${back} [ASSURED] mark=0 use=1`]);
  clock.advance(10_000_000);
  expect(lines()).toEqual([]);
});

test("a connection that is refused at once leaves nothing", () => {
  const { lab, lines } = tracking();
  expect(ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80)).toMatch(/^refused/);
  expect(lines()).toEqual([]);
});

test("ping and UDP are tracked by identifier and ports, and UDP becomes a stream after two seconds of answers", () => {
  const { lab, lines } = tracking();
  const { clock } = lab.sim;
  const echo = pod(lab, "pod-1-2").sockets.openEcho(parseIp("10.244.2.2"), () => {});
  echo.send(1);
  clock.settle();
  expect(lines()).toEqual([
    "icmp     1 29 src=10.244.1.2 dst=10.244.2.2 type=8 code=0 id=N " +
      "src=10.244.2.2 dst=10.244.1.2 type=0 code=0 id=N mark=0 use=1",
  ]);
  clock.advance(31_000_000);
  pod(lab, "pod-2-2").sockets.openUdp({ port: 9 }, { received: (socket, { source }) => socket.send("!", source) });
  const socket = pod(lab, "pod-1-2").sockets.openUdp({ peer: { ip: parseIp("10.244.2.2"), port: 9 } }, {});
  socket.send("?");
  clock.settle();
  const udp = "src=10.244.1.2 dst=10.244.2.2 sport=N dport=9 src=10.244.2.2 dst=10.244.1.2 sport=9 dport=N";
  expect(lines()).toEqual([`udp      17 29 ${udp} mark=0 use=1`]);
  clock.advance(2_500_000);
  socket.send("?");
  clock.settle();
  expect(lines()).toEqual([`udp      17 119 ${udp} [ASSURED] mark=0 use=1`]);
});

test("who listens is told of each beginning, change and end (conntrack -E)", () => {
  const { lab, node } = tracking();
  const told: string[] = [];
  const reader = node.conntrack.onEvent((event, { tcp, original }) => {
    if (original.protocol === "tcp") told.push(`${event} ${tcp}`);
  });
  serve(pod(lab, "pod-2-2"), 80);
  ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80);
  node.conntrack.delete(({ original }) => original.protocol === "tcp");
  reader.stop();
  ask(lab, pod(lab, "pod-1-2"), "10.244.2.2", 80);
  expect(told).toEqual([
    "NEW SYN_SENT",
    "UPDATE SYN_RECV",
    "UPDATE ESTABLISHED",
    "UPDATE FIN_WAIT",
    "UPDATE CLOSE_WAIT",
    "UPDATE LAST_ACK",
    "UPDATE TIME_WAIT",
    "DESTROY TIME_WAIT",
  ]);
});
