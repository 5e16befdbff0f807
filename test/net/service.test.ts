/** A Service's address through the rules of kube-proxy's iptables mode: NAT and its reply, hairpin, reject, drop, clashes. */
import { expect, test } from "vitest";
import { formatIp, parseIp } from "../../kernel-lib/net/address";
import type { Netns } from "../../kernel-lib/net/netns";
import type { PacketEvent } from "../../kernel-lib/net/passage";
import type { Rule } from "../../kernel-lib/net/rule";
import { describeConnection } from "../../kernel-lib/net/tracking";
import { addService, ask, type Lab, overlay, pod, serve } from "./topology";

const service = "10.96.0.10";

function lab(endpoints: readonly string[]): Lab {
  const made = overlay(2);
  for (const name of made.pods.keys()) serve(pod(made, name), 80);
  addService(made, service, 80, endpoints);
  return made;
}

function first(made: Lab): Netns {
  const [node] = made.nodes;
  if (!node) throw new Error("no node");
  return node;
}

/** Who asks, whom the Service leads to, what the server sees: REAL-KERNEL's table. */
const seen: readonly (readonly [string, string, string])[] = [
  ["pod-1-2", "10.244.1.3", "pod-1-3 saw 10.244.1.2: hello"],
  ["pod-1-2", "10.244.2.2", "pod-2-2 saw 10.244.1.2: hello"],
  ["pod-1-2", "10.244.1.2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", "10.244.1.2", "pod-1-2 saw 10.244.1.1: hello"],
  ["node-1", "10.244.2.2", "pod-2-2 saw 10.244.1.0: hello"],
];
for (const [from, endpoint, answer] of seen) {
  test(`${from} asks the Service and is led to ${endpoint}: ${answer}`, () => {
    const made = lab([endpoint]);
    const client = made.network.namespaces.get(from);
    expect(client && ask(made, client, service, 80)).toBe(answer);
  });
}

test("a pod that reaches itself needs its port in hairpin mode, as with a real bridge", () => {
  const made = lab(["10.244.1.2"]);
  first(made).device("veth-pod-1-2").hairpin = false;
  expect(ask(made, pod(made, "pod-1-2"), service, 80, 5_000_000)).toBe("timeout after 5000 ms");
});

test("same node, and the bridge shows nothing to iptables: the answer comes from a stranger, and it times out", () => {
  const made = lab(["10.244.1.3"]);
  first(made).sysctl.bridgeNfCallIptables = false;
  expect(ask(made, pod(made, "pod-1-2"), service, 80, 5_000_000)).toBe("timeout after 5000 ms");
  expect(ask(made, pod(made, "pod-2-2"), service, 80)).toBe("pod-1-3 saw 10.244.2.2: hello");
});

test("the client sees the Service's address only, the server the pod's only, and conntrack knows both", () => {
  const made = lab(["10.244.2.2"]);
  const entries = made.sim.journal.during(() => ask(made, pod(made, "pod-1-2"), service, 80));
  const events = entries.map(({ detail }) => detail as PacketEvent).filter(({ type }) => type === "packet");
  const at = (netns: string) => events.filter((event) => event.netns === netns && event.kind === "deliver");
  expect(new Set(at("pod-1-2").map(({ packet }) => `${packet.source}:${packet.sourcePort}`))).toEqual(
    new Set(["10.96.0.10:80"]),
  );
  expect(new Set(at("pod-2-2").map(({ packet }) => packet.target))).toEqual(new Set(["10.244.2.2"]));
  const nat = events.filter(({ kind }) => kind === "nat");
  expect(nat[0]).toMatchObject({ netns: "node-1", hook: "prerouting", before: { target: service } });
  const connection = first(made)
    .conntrack.list()
    .find(({ targetNat }) => targetNat === "changed");
  expect(connection && describeConnection(connection)).toMatch(
    /^10\.244\.1\.2:\d+ → 10\.96\.0\.10:80, answered by 10\.244\.2\.2:80$/,
  );
  expect(connection?.tcp).toBe("TIME_WAIT");
});

test("only a connection's first packet meets the nat rules, and the counters say so", () => {
  const made = lab(["10.244.2.2"]);
  const { iptables } = first(made);
  for (let request = 1; request <= 3; request++) {
    ask(made, pod(made, "pod-1-2"), service, 80);
    expect(iptables.counters("nat", "KUBE-SERVICES")[0]?.packets).toBe(request);
  }
  expect(iptables.save({ counters: true })).toContain("[3:120] -A KUBE-SERVICES -d 10.96.0.10/32 -p tcp");
});

test("a Service without endpoints refuses at once; a dropped packet is sent again after 1, 2, 3, 4, 5, 7, 11 … s", () => {
  const made = lab([]);
  expect(ask(made, pod(made, "pod-1-2"), service, 80)).toMatch(/^refused after 0\./);
  expect(first(made).conntrack.list()).toEqual([]);
  const drop: Rule = { destination: { ip: parseIp("10.244.2.2"), length: 32 }, target: { target: "DROP" } };
  first(made).iptables.append("filter", "FORWARD", drop);
  const began = made.sim.clock.now;
  const entries = made.sim.journal.during(() => {
    expect(ask(made, pod(made, "pod-1-2"), "10.244.2.2", 80)).toBe("timeout after 131000 ms");
  });
  const drops = entries.filter(({ detail }) => (detail as PacketEvent).kind === "drop");
  expect(drops.map(({ at }) => Math.round((at - began) / 1e6))).toEqual([0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]);
  expect(drops[0]?.what).toBe("dropped by filter/FORWARD: -A FORWARD -d 10.244.2.2/32 -j DROP");
});

test("two connections that would look the same after DNAT are told apart by another source port", () => {
  const made = lab(["10.244.2.2"]);
  const client = pod(made, "pod-1-2");
  const answers: string[] = [];
  for (const ip of [service, "10.244.2.2"]) {
    client.sockets.connectTcp(
      { ip: parseIp(ip), port: 80, sourcePort: 40000 },
      {
        connected: (socket) => socket.write(ip),
        data: (_, text) => answers.push(text),
      },
    );
  }
  made.sim.clock.settle();
  expect(answers.sort()).toEqual(["pod-2-2 saw 10.244.1.2: 10.244.2.2", "pod-2-2 saw 10.244.1.2: 10.96.0.10"]);
  const ports = first(made)
    .conntrack.list()
    .filter(({ original }) => original.protocol === "tcp")
    .map(({ reply }) => reply.targetPort);
  expect(ports[0]).toBe(40000);
  expect(ports[1]).not.toBe(40000);
});

test("UDP keeps going where conntrack once sent it, until its entry is deleted", () => {
  const made = overlay(2);
  const node = first(made);
  const heard: string[] = [];
  for (const name of ["pod-1-3", "pod-2-2"]) {
    pod(made, name).sockets.openUdp({ port: 53 }, { received: () => heard.push(name) });
  }
  const lead = (to: string): void =>
    node.iptables.restore({
      nat: {
        PREROUTING: [
          {
            destination: { ip: parseIp(service), length: 32 },
            protocol: "udp",
            target: { target: "DNAT", ip: parseIp(to), port: 53 },
          },
        ],
      },
    });
  const socket = pod(made, "pod-1-2").sockets.openUdp({ port: 5353 }, {});
  const query = (): void => {
    socket.send("?", { ip: parseIp(service), port: 53 });
    made.sim.clock.settle();
  };
  lead("10.244.1.3");
  query();
  lead("10.244.2.2");
  query();
  expect(node.conntrack.delete(({ original }) => original.target === parseIp(service))).toBe(1);
  query();
  expect(heard).toEqual(["pod-1-3", "pod-1-3", "pod-2-2"]);
});

test("an ICMP error from behind DNAT names the address that the client asked", () => {
  const made = overlay(2);
  const node = first(made);
  node.iptables.restore({
    nat: {
      PREROUTING: [
        {
          destination: { ip: parseIp(service), length: 32 },
          target: { target: "DNAT", ip: parseIp("10.244.2.2"), port: 53 },
        },
      ],
    },
  });
  const outcomes: string[] = [];
  const peer = { ip: parseIp(service), port: 53 };
  const socket = pod(made, "pod-1-2").sockets.openUdp({ peer }, { failed: (_, { errno }) => outcomes.push(errno) });
  socket.send("?");
  made.sim.clock.settle();
  expect(outcomes).toEqual(["ECONNREFUSED"]);
  expect(formatIp(socket.local.ip)).toBe("10.244.1.2");
});
