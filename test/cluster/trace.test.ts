/** Owns what a trace tells: the story word for word, and each hop as data with its reason. */
import { describe, expect, it } from "vitest";
import { bundleOf } from "../../kernel-lib/cluster/display";
import type { Trace } from "../../kernel-lib/cluster/trace";
import { withPods } from "./withpods";

/** The story without what chance made: MAC addresses, names of veth pairs, ephemeral ports. */
async function story(trace: Trace): Promise<string> {
  return String((await bundleOf(trace))["text/plain"])
    .replace(/\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, "MAC")
    .replace(/veth[0-9a-f]{8}/g, "vethX")
    .replace(/(:)(3[2-9]|[4-6]\d)\d{3}\b/g, "$1PORT");
}

describe("the story of a ping to a pod on another node", () => {
  it("names each place, device, route, rule and FDB entry in order", async () => {
    const cluster = await withPods({ seed: 5 });
    await cluster.trace({ from: "pod/client", to: "pod/web-1", protocol: "icmp" });
    const trace = await cluster.trace({ from: "pod/client", to: "pod/web-1", protocol: "icmp" });
    expect(await story(trace)).toMatchInlineSnapshot(`
      "From pod/client to pod/web-1: answered by pod/web-1 (10.244.2.3) in 0.12 ms

      The way out
          0 µs  pod/client
                  sends 10.244.1.3 → 10.244.2.3 ICMP echo
                  route: 10.244.0.0/16 via 10.244.1.1 dev eth0
                  out by eth0 to 10.244.1.1
          5 µs  node/node-1
                  came in by vethX, a port of cni0
                  route: 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
                  filter: -A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
                  flannel.1: FDB says MAC is at 192.168.1.12; into a UDP packet to it
                  out by eth0 to 192.168.1.12
         55 µs  node/node-2
                  came in by eth0
                  flannel.1: taken out of the UDP packet
                  route: 10.244.2.0/24 dev cni0
                  filter: -A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
                  out by cni0 to 10.244.2.3
                  cni0: MAC is behind vethX
         60 µs  pod/web-1
                  came in by eth0
                  echo request: the kernel answers

      The way of the answer
         60 µs  pod/web-1
                  sends 10.244.2.3 → 10.244.1.3 ICMP echo-reply
                  route: 10.244.0.0/16 via 10.244.2.1 dev eth0
                  out by eth0 to 10.244.2.1
         65 µs  node/node-2
                  came in by vethX, a port of cni0
                  route: 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink
                  filter: -A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                  flannel.1: FDB says MAC is at 192.168.1.11; into a UDP packet to it
                  out by eth0 to 192.168.1.11
        115 µs  node/node-1
                  came in by eth0
                  flannel.1: taken out of the UDP packet
                  route: 10.244.1.0/24 dev cni0
                  filter: -A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
                  out by cni0 to 10.244.1.3
                  cni0: MAC is behind vethX
        120 µs  pod/client
                  came in by eth0
                  echo reply, to ping"
    `);
  });
});

describe("the hops of a connection to a Service", () => {
  it("hold the header before and after, what changed, and why", async () => {
    const cluster = await withPods({ seed: 5 });
    const { hops, service } = await cluster.trace({ from: "pod/client", to: "svc/web:80" });
    const ip = cluster.podIp("web-1");
    expect(service).toEqual({ name: "svc/web:80", address: expect.stringMatching(/^10\.\d+\.\d+\.\d+$/) });
    const out = hops.filter(({ way }) => way === "out");
    expect(out.map(({ kind, where, device }) => `${kind} ${where} ${device}`)).toEqual([
      "pod pod/client eth0",
      "bridge node/node-1 cni0",
      "tunnel node/node-1 flannel.1",
      "tunnel node/node-2 flannel.1",
      "bridge node/node-2 cni0",
      "pod pod/web-1 eth0",
    ]);
    const [, bridge, into, outOf] = out;
    expect(bridge?.before.target).toBe(`${service?.address}:80`);
    expect(bridge?.after).toMatchObject({ target: `${ip}:80`, word: "TCP SYN", ttl: 63 });
    expect(bridge?.changes).toEqual([
      { kind: "dnat", field: "target", from: `${service?.address}:80`, to: `${ip}:80`, text: expect.any(String) },
    ]);
    expect(bridge?.reasons.at(-1)).toMatchObject({ kind: "rule" });
    const route = bridge?.reasons.find(({ kind }) => kind === "route");
    expect(route?.text).toBe("10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink");
    expect(bridge?.reasons.some(({ rule }) => rule?.text.endsWith(`-j DNAT --to-destination ${ip}:80`))).toBe(true);
    expect(into?.after).toMatchObject({ word: "VXLAN", vni: 1, source: expect.stringMatching(/^192\.168\.1\.11:/) });
    expect((into?.after.size ?? 0) - (into?.before.size ?? 0)).toBe(50);
    expect(into?.after.inner).toMatchObject({ target: `${ip}:80`, size: into?.before.size });
    expect(outOf?.before.vni).toBe(1);
    expect(outOf?.after.vni).toBeUndefined();
    expect(out.at(-1)?.end).toEqual({ fate: "deliver", why: "to TCP port 80 (nginx)" });
  });

  it("come back through the same places, and get the Service's address back", async () => {
    const cluster = await withPods({ seed: 5 });
    const { hops } = await cluster.trace({ from: "pod/client", to: "svc/web:80" });
    const places = (way: string): readonly string[] =>
      hops.filter((hop) => hop.way === way).map(({ where, device }) => `${where} ${device}`);
    expect([...places("back")].reverse()).toEqual(places("out"));
    const undone = hops.flatMap(({ changes }) => changes.filter(({ kind }) => kind === "untranslated"));
    expect(undone.map(({ field, to }) => `${field} ${to}`)).toEqual([`source ${hops[0]?.before.target}`]);
    const times = hops.map(({ time }) => time);
    expect(times).toEqual([...times].sort((one, other) => one - other));
  });
});

describe("what a Service's mode does to a connection", () => {
  it.each([
    ["iptables", ["dnat", "untranslated"], /^nat: -A KUBE-SEP-\w+ .* -j DNAT --to-destination 10\./m],
    ["nftables", ["dnat", "untranslated"], /^ip kube-proxy service-\S+: .*dnat ip to numgen random mod 1 /m],
    ["ipvs", ["dnat", "untranslated"], /^ipvs: -a -t 10\.\S+:80 -r 10\.\S+ -m -w 1$/m],
    [
      "userspace",
      ["dnat", "proxied", "untranslated"],
      /^nat: -A KUBE-PORTALS-CONTAINER .* -j REDIRECT --to-ports \d+$/m,
    ],
  ] as const)(
    "%s: there and back, with the rule that decided, in words and in the picture",
    async (mode, kinds, rule) => {
      const cluster = await withPods({ seed: 5, mode });
      const trace = await cluster.trace({ from: "pod/client", to: "svc/web:80" });
      const changes = trace.hops.flatMap((hop) => hop.changes).filter(({ kind }) => !kind.endsWith("capsulated"));
      expect(changes.map(({ kind }) => kind)).toEqual(kinds);
      const bundle = await bundleOf(trace);
      expect(String(bundle["text/plain"]).replace(/^ +/gm, "")).toMatch(rule);
      const picture = String(bundle["image/svg+xml"]);
      expect(picture).toContain("NAT back");
      expect(picture.includes("PROXY")).toBe(mode === "userspace");
      expect(picture).toMatch(/rule \d+ of/);
    },
  );
});

describe("a trace of a datagram", () => {
  it("to port 53 is a DNS query, which CoreDNS answers under the Service's address", async () => {
    const cluster = await withPods({ seed: 5 });
    const { outcome, hops } = await cluster.trace({
      from: "pod/client",
      to: "svc/kube-system/kube-dns:53",
      protocol: "udp",
    });
    expect(outcome).toMatchObject({ result: "answered", name: expect.stringMatching(/^pod\/kube-system\/coredns-/) });
    expect(hops.at(-1)?.end?.why).toBe(`to UDP port ${hops[0]?.before.source.split(":")[1]} (client)`);
  });

  it("to a port where nobody listens comes back as an ICMP error", async () => {
    const cluster = await withPods({ seed: 5 });
    const { outcome, hops } = await cluster.trace({ from: "pod/client", to: "pod/web-1:9", protocol: "udp" });
    expect(outcome.result).toBe("refused");
    const refused = hops.find(({ end }) => end?.fate === "reject");
    expect(refused?.where).toBe("pod/web-1");
    expect(hops.find(({ way }) => way === "back")?.before.word).toBe("ICMP port-unreachable");
  });
});

describe("a trace of a ping", () => {
  it.each([
    ["pod/client", "node/node-2", "node/node-2"],
    ["node/node-1", "pod/web-1", "pod/web-1"],
    ["workstation", "node/node-1", "node/node-1"],
    ["pod/client", "workstation", "workstation"],
  ])("from %s reaches %s, and the answer comes back", async (from, to, where) => {
    const cluster = await withPods({ seed: 5 });
    const { outcome, hops } = await cluster.trace({ from, to, protocol: "icmp" });
    expect(outcome).toMatchObject({ result: "answered" });
    expect(hops.filter(({ end }) => end !== undefined).map((hop) => hop.where)).toEqual([where, from]);
  });

  it("to an address that nobody has ends where nobody answered, and its sender is told", async () => {
    const cluster = await withPods({ seed: 5 });
    const trace = await cluster.trace({ from: "pod/client", to: "10.244.2.77", protocol: "icmp" });
    expect(trace.outcome).toMatchObject({ result: "unreachable", error: "Destination Host Unreachable" });
    expect(trace.hops.find(({ end }) => end?.fate === "drop")).toMatchObject({ where: "node/node-2", device: "cni0" });
    expect(trace.hops.at(-1)?.where).toBe("pod/client");
  });
});

describe("a rule that drops the tunnel's packets", () => {
  it("is the end of the way, and is named", async () => {
    const cluster = await withPods({ seed: 5 });
    const matches = [{ match: "udp", targetPort: 8472 }] as const;
    const drop = { protocol: "udp", matches, target: { target: "DROP" } } as const;
    cluster.node("node-2").net.netns.iptables.ensure("filter", "INPUT", drop, "prepend");
    const trace = await cluster.trace({ from: "pod/client", to: "pod/web-1", protocol: "icmp" });
    expect(trace.outcome.result).toBe("timeout");
    const last = trace.hops.at(-1);
    expect({ where: last?.where, fate: last?.end?.fate, vni: last?.before.vni }).toEqual({
      where: "node/node-2",
      fate: "drop",
      vni: 1,
    });
    expect(last?.end?.why).toContain("--dport 8472 -j DROP");
  });
});

describe("a question that cannot be asked", () => {
  it("is answered with the word that is wrong", async () => {
    const cluster = await withPods({ seed: 5 });
    const asks = (question: object): Promise<unknown> => cluster.trace(question as never);
    await expect(asks({ from: "pod/client", to: "pod/web-1:80", protocol: "icmp" })).rejects.toThrow(
      'to: "pod/web-1:80" has a port, and ICMP knows none: write pod/web-1',
    );
    await expect(asks({ from: "pod/client", to: "pod/web-1:80", protocol: "sctp" })).rejects.toThrow(
      'protocol: "sctp" is none of tcp, udp, icmp',
    );
    await expect(asks({ from: "pod/client", to: "web:80" })).rejects.toThrow(
      'to: "web" is no IP address (a Service is svc/web:80)',
    );
    await expect(asks({ from: "pod/client", to: "node/node-7:80" })).rejects.toThrow('nodes "node-7" not found');
    await expect(asks({ from: "pod/ghost", to: "svc/web:80" })).rejects.toThrow('pods "ghost" not found');
    await expect(asks({ from: "pod/client", to: "pod/web-1" })).rejects.toThrow("is none of svc/[namespace/]name:port");
  });
});

describe("the story of a request to a server that speaks no HTTP", () => {
  it("says that it was answered all the same, and by whom", async () => {
    const cluster = await withPods({ seed: 5 });
    const said: string[] = [];
    const type = (line: string): Promise<number> => cluster.session().type(line, (_, part) => void said.push(part));
    await type(
      "kubectl run store --image=redis; kubectl wait --for=condition=Ready pod/store; kubectl expose pod store --port=6379",
    );
    await cluster.settle();
    const trace = await cluster.trace({ from: "pod/client", to: "svc/store:6379" });
    expect(trace.outcome).toMatchObject({ result: "answered", name: "pod/store" });
    expect(trace.outcome.status).toBeUndefined();
    expect(await story(trace)).toContain("svc/store:6379: answered, not in HTTP, by pod/store");
  });
});
