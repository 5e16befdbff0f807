/** Judges the world outside: a client with an address of its own, what it sees of the cluster, and what it is reached by. */
import { describe, expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { balanced, outcomes, run } from "./balanced";

describe("the client outside", () => {
  it("reaches nodes by their addresses and node ports, and neither pods nor cluster IPs", async () => {
    const cluster = await balanced({});
    expect(await run(cluster, "ssh client curl -s 192.168.1.11:30002")).toContain("client_address=198.51.100.10\n");
    const pod = cluster.pod("web-1")?.status.podIP ?? "";
    const service = cluster.store.get("Service", "default/cluster")?.spec.clusterIP ?? "";
    for (const ip of [`${pod}:8080`, `${service}:80`]) expect(outcomes(cluster, "client", ip)).toBe("100 % dropped");
    expect(await run(cluster, "ssh 198.51.100.10 hostname")).toBe("client\n");
    expect(await run(cluster, "ssh client kubectl get nodes", true)).toContain("kubectl: command not found");
  });

  it("is a place in a trace, beyond the router and the network upstream", async () => {
    const cluster = await balanced({});
    const { hops, outcome, steps } = await cluster.trace({ from: "client", to: "node/node-3:30001" });
    expect(outcome.result).toBe("answered");
    const out = hops.filter(({ way }) => way === "out").map(({ where }) => where);
    expect(out.slice(0, 4)).toEqual(["client", "internet", "router", "node/node-3"]);
    expect(steps[0]?.packet).toMatch(/^198\.51\.100\.10:\d+ → 192\.168\.1\.13:30001 TCP SYN$/);
    const load = await cluster.load({ from: "client", to: "192.168.1.11:30002", connections: 3 });
    expect(load.outcomes.map(({ source }) => source)).toEqual(Array(3).fill("198.51.100.10"));
    const capture = await cluster.capture({ machine: "client" }, () =>
      run(cluster, "ssh client curl -s 192.168.1.11:30002"),
    );
    expect(capture.frames.length).toBeGreaterThan(5);
  });

  it("sees the node's address when a pod asks it something, and a pod's own where nobody masquerades", async () => {
    const seenBy = async (cluster: Cluster): Promise<string> => {
      const seen: string[] = [];
      cluster.network.namespaces
        .get("client")
        ?.sockets.openUdp({ port: 5000 }, { received: (_, { source }) => void seen.push(String(source.ip)) });
      await run(cluster, "kubectl exec curl-1 -- sh -c 'echo hi | nc -u -w 1 198.51.100.10 5000'", true);
      return seen.join();
    };
    expect(await seenBy(await balanced({}))).toBe(String(0xc0a8010b));
    const cloud = await balanced({ lb: "cloud" });
    // In a cloud the node's address is translated once more, to its public one.
    expect(await seenBy(cloud)).toBe(String(0xcb00710b));
    const bare = new Cluster({ seed: 1, cni: "routes" });
    await bare.start();
    await run(bare, "kubectl run curl-1 --image=curlimages/curl -- sleep 1d");
    await bare.advance("30s");
    const way = bare.explain({ from: "pod/curl-1", to: "198.51.100.10:5000", protocol: "udp" }).outcomes[0];
    // Nobody masquerades for this design: the client would see an address to which it knows no way back.
    expect(way?.source).toBe(bare.pod("curl-1")?.status.podIP);
    expect(bare.explain({ from: "client", to: "pod/curl-1:80" }).outcomes[0]?.end).toBe("dropped");
  });

  it("is asked for in the words of a question, and wrong words are told what there is", async () => {
    const cluster = new Cluster({ seed: 1 });
    await cluster.start();
    expect(() => cluster.explain({ from: "clients", to: "192.168.1.11:80" })).toThrow(
      `from: "clients" is none of pod/[namespace/]name, node/name, workstation, client`,
    );
    expect(() => new Cluster({ lb: "f5" as "none" })).toThrow(
      `lb must be none or metallb or cloud or cloud-proxy, not "f5"`,
    );
  });
});

describe("a node's machine", () => {
  it("is told dead after its grace period, its pods get no traffic, and are evicted after five minutes", async () => {
    const cluster = await balanced({});
    await run(cluster, "kubectl create deployment kept --image=nginx --replicas=3");
    await cluster.advance("30s");
    const on = (node: string): number =>
      cluster.store.list("Pod", { node }).filter(({ metadata }) => metadata.name.startsWith("kept")).length;
    expect(on("node-2")).toBe(1);
    const off = cluster.now;
    cluster.powerOff("node-2");
    expect(await run(cluster, "ssh node-2 hostname", true)).toBe(
      "ssh: connect to host node-2 port 22: No route to host\n",
    );
    await cluster.advance("40s");
    expect(outcomes(cluster, "node/node-1", "svc/cluster:80")).toContain("50 % dropped");
    await cluster.advance("15s");
    expect(outcomes(cluster, "node/node-1", "svc/cluster:80")).toBe("100 % web-1 sees 10.244.1.1");
    expect(await run(cluster, "kubectl describe node node-2")).toContain("Kubelet stopped posting node status.");
    await cluster.advance("4m");
    expect(cluster.store.list("Pod").filter(({ metadata }) => metadata.deletionTimestamp)).toEqual([]);
    await cluster.advance("90s");
    expect(cluster.now - off).toBeLessThan(400_000_000);
    const pods = await run(cluster, "kubectl get pods");
    expect(pods).toMatch(/kept-\S+ +1\/1 +Terminating/);
    expect(pods.match(/kept-\S+ +1\/1 +Running/g)).toHaveLength(3);
    cluster.powerOn("node-2");
    await cluster.advance("30s");
    expect(await run(cluster, "kubectl get pods")).not.toContain("Terminating");
    expect(await run(cluster, "kubectl get nodes")).toMatch(/node-2 +Ready /);
    expect(cluster.store.get("Node", "node-2")?.spec.taints).toBeUndefined();
    // The pod that nobody controls was evicted for good; the node's daemons run again.
    expect(cluster.pod("web-2")).toBeUndefined();
    expect(await run(cluster, "kubectl get pods -n kube-system -o wide")).toMatch(
      /kube-proxy-\S+ +1\/1 +Running +1 .* node-2 /,
    );
    await run(cluster, 'kubectl run again --image=nginx --overrides=\'{"spec":{"nodeName":"node-2"}}\'');
    await run(cluster, "kubectl wait --for=condition=Ready pod/again --timeout=60s");
  });
});
