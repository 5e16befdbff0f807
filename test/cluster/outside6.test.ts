/** Judges the world outside in IPv6: a client with an address of that family, and MetalLB's addresses answered by neighbour discovery. */
import { describe, expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import type { ClusterOptions } from "../../kernel-lib/cluster/options";
import { modeNames } from "../../kernel-lib/node/proxy/mode";
import { outcomes, run } from "./balanced";

const client = "2001:db8:198:51::10";
const dual = { ipFamilies: ["IPv4", "IPv6"] } as const;

const manifests = `
apiVersion: v1
kind: Pod
metadata: { name: web-1, labels: { app: web } }
spec: { nodeName: node-1, containers: [{ name: it, image: nginx }] }
---
apiVersion: v1
kind: Pod
metadata: { name: web-2, labels: { app: web } }
spec: { nodeName: node-2, containers: [{ name: it, image: nginx }] }
---
apiVersion: v1
kind: Pod
metadata: { name: curl-1 }
spec: { nodeName: node-1, containers: [{ name: it, image: curlimages/curl, command: [sleep, 1d] }] }
${["cluster", "local"]
  .map(
    (name, at) => `
---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  type: LoadBalancer
  externalTrafficPolicy: ${at === 0 ? "Cluster" : "Local"}
  ipFamilyPolicy: RequireDualStack
  selector: { app: web }
  ports: [{ port: 80, nodePort: ${30_001 + at} }]
`,
  )
  .join("")}`;

const pool = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: a-dual, namespace: metallb-system }
spec: { addresses: [192.168.1.230-192.168.1.235, "fd00:192:168:1::e0-fd00:192:168:1::ef"] }
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: { name: a-dual, namespace: metallb-system }
spec: { ipAddressPools: [a-dual] }
`;

async function made(options: ClusterOptions): Promise<Cluster> {
  const cluster = new Cluster({ seed: 7, ...dual, ...options });
  await cluster.start();
  cluster.prompt.files.write(`${cluster.prompt.folder}/all.yaml`, manifests);
  cluster.prompt.files.write(`${cluster.prompt.folder}/pool.yaml`, pool);
  if (options.lb === "metallb") await run(cluster, "kubectl apply -f pool.yaml");
  await run(cluster, "kubectl apply -f all.yaml");
  await cluster.advance("60s");
  return cluster;
}

const addressesOf = (cluster: Cluster, name: string): readonly (string | undefined)[] =>
  (cluster.store.get("Service", `default/${name}`)?.status.loadBalancer?.ingress ?? []).map(({ ip }) => ip);

describe("the client outside, in IPv6", () => {
  it("has an address, a way to nodes by the router, and none to pods; DNS knows it in both families", async () => {
    const cluster = await made({});
    expect(await run(cluster, "ssh client ip -6 route")).toBe(
      "2001:db8:198:51::/64 dev eth0 proto kernel metric 256 pref medium\n" +
        "fe80::/64 dev eth0 proto kernel metric 256 pref medium\n" +
        "default via 2001:db8:198:51::1 dev eth0 metric 1024 pref medium\n",
    );
    expect(await run(cluster, "ssh client ping -6 -c 1 fd00:192:168:1::11")).toContain("1 received");
    expect(await run(cluster, "ssh node-1 dig @192.168.1.1 +short AAAA client.example.net")).toBe(`${client}\n`);
    expect(await run(cluster, "ssh client traceroute -6 -n fd00:192:168:1::11")).toMatch(
      /1 +2001:db8:198:51::1 [\s\S]*2 +2001:db8:203::2 [\s\S]*3 +fd00:192:168:1::11 /,
    );
    const pod = cluster.pod("web-1")?.status.podIPs?.[1]?.ip;
    expect(outcomes(cluster, "client", `[${pod}]:80`)).toBe("100 % dropped");
    const one = new Cluster({ seed: 7 });
    await one.start();
    expect(await run(one, "ssh client ip -6 route show default")).toBe("");
  });

  it.each(modeNames.filter((mode) => mode !== "userspace"))(
    "%s: is seen by whom it reaches under Local, and a node is under Cluster",
    async (mode) => {
      const cluster = await made({ mode });
      const ask = (node: number, port: number): string =>
        outcomes(cluster, "client", `[fd00:192:168:1::${node}]:${port}`);
      const from3 = cluster.store.get("Node", "node-3")?.spec.podCIDRs?.[1]?.replace(/\/64$/, "");
      expect(ask(13, 30_001)).toBe(`50 % web-1 sees ${from3}, 50 % web-2 sees ${from3}`);
      expect(ask(11, 30_002)).toBe(`100 % web-1 sees ${client}`);
      if (mode !== "ipvs") expect(ask(13, 30_002)).toBe("100 % dropped");
      const { hops } = await cluster.trace({ from: "client", to: "[fd00:192:168:1::11]:30002" });
      expect(hops.map(({ where }) => where).slice(0, 4)).toEqual(["client", "internet", "router", "node/node-1"]);
    },
  );

  it("sees the node's address when a pod asks it something", async () => {
    const cluster = await made({});
    expect(outcomes(cluster, "pod/curl-1", `[${client}]:5000`)).toContain("refused");
    const way = cluster.explain({ from: "pod/curl-1", to: `[${client}]:5000` }).outcomes[0];
    expect(way?.source).toBe("fd00:192:168:1::11");
  });
});

describe("--lb metallb, in IPv6", () => {
  it("gives an address of each family, and the elected node answers neighbour discovery for its own", async () => {
    const cluster = await made({ lb: "metallb" });
    expect(addressesOf(cluster, "cluster")).toEqual(["192.168.1.230", "fd00:192:168:1::e0"]);
    expect(addressesOf(cluster, "local")).toEqual(["192.168.1.231", "fd00:192:168:1::e1"]);
    const [v4, v6] = ["192.168.1.231", "[fd00:192:168:1::e1]"];
    const seen = outcomes(cluster, "client", `${v6}:80`);
    expect(seen).toMatch(/^100 % web-[12] sees 2001:db8:198:51::10$/);
    // One node is elected for a Service, by the first of its addresses.
    expect(outcomes(cluster, "client", `${v4}:80`)).toBe(seen.replace(client, "198.51.100.10"));
    expect(await run(cluster, `ssh client curl -s -o /dev/null -w '%{http_code}' -g 'http://${v6}'`)).toBe("200");
    const leader = seen.includes("web-1") ? "node-1" : "node-2";
    const mac = cluster.node(leader).net.netns.device("eth0").mac;
    expect(await run(cluster, "ssh router ip -6 neigh show fd00:192:168:1::e1")).toContain(`lladdr ${mac} `);
  });

  it("fails over: who is elected then tells it to all", async () => {
    const cluster = await made({ lb: "metallb" });
    const answer = (): string => outcomes(cluster, "client", "[fd00:192:168:1::e1]:80");
    await run(cluster, "ssh client curl -s -o /dev/null -g 'http://[fd00:192:168:1::e1]'");
    const first = answer();
    const [leader, other] = first.includes("web-1") ? ["node-1", "web-2"] : ["node-2", "web-1"];
    cluster.powerOff(leader);
    await cluster.advance("12s");
    expect(answer()).toBe(`100 % ${other} sees ${client}`);
    expect(
      await run(cluster, "ssh client curl -s -o /dev/null -w '%{http_code}' -g 'http://[fd00:192:168:1::e1]'"),
    ).toBe("200");
  });

  it("announces no IPv6 address by BGP, as the native implementation says itself, and then nothing else either", async () => {
    const cluster = await made({ lb: "metallb" });
    const object = (kind: string, version: string, spec: object): string =>
      JSON.stringify({
        apiVersion: `metallb.io/${version}`,
        kind,
        metadata: { name: "x", namespace: "metallb-system" },
        spec,
      });
    for (const text of [
      object("BGPAdvertisement", "v1beta1", { ipAddressPools: ["a-dual"] }),
      object("BGPPeer", "v1beta2", { myASN: 64500, peerASN: 64501, peerAddress: "192.168.1.1" }),
    ]) {
      await run(cluster, `echo '${text}' | kubectl apply -f -`);
    }
    await cluster.advance("20s");
    expect(await run(cluster, "kubectl logs -n metallb-system -l component=speaker --tail=-1")).toContain(
      `cannot advertise non-v4 prefix \\"fd00:192:168:1::e0/128\\"`,
    );
    expect(await run(cluster, "ssh router ip route show proto bgp; ssh router ip -6 route show proto bgp")).toBe("");
  });
});
