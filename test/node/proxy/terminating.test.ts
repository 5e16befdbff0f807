/** Judges what becomes of connections while endpoints end: new ones, old ones, and those to an address that is gone. */
import { describe, expect, it } from "vitest";
import { type ModeName, modeNames } from "../../../kernel-lib/node/proxy/mode";
import { connectionTo, Dialled, end, site, takers } from "./terminatinglab";

const kernelModes = modeNames.filter((mode) => mode !== "userspace");

describe.each(modeNames)("%s: one of two endpoints ends", (mode: ModeName) => {
  it("new connections go to the other; the old one is served until its server ends, and then closed", async () => {
    const cluster = await site({ mode });
    const old = await connectionTo(cluster, "c3", "web-1");
    expect(await old.ask()).toBe("200");
    end(cluster, "web-1");
    await cluster.advance("2s");
    expect(await takers(cluster, "c1")).toBe("web-2");
    expect(await takers(cluster, "c3")).toBe("web-2");
    expect(await old.ask()).toBe("200");
    // The hook is over at 10 s; nginx is asked to end gracefully then, and ends an idle connection.
    await cluster.advance("10s");
    expect(old.events.at(-1)).toBe("FIN");
    expect(await takers(cluster, "c3")).toBe("web-2");
  });
});

describe.each(modeNames)("%s: all endpoints end", (mode: ModeName) => {
  it("they are used as long as they serve, and nobody is when they are gone", async () => {
    const cluster = await site({ mode });
    end(cluster, "web-1", "web-2");
    await cluster.advance("2s");
    // Userspace mode was gone before terminating endpoints were used (KEP-1669).
    expect(await takers(cluster, "c3")).toBe(mode === "userspace" ? "FIN" : "web-1 web-2");
    await cluster.advance("20s");
    expect(await takers(cluster, "c3")).toBe(mode === "userspace" ? "FIN" : "refused");
  });

  it("one that becomes ready again takes over at once", async () => {
    const cluster = await site({ mode });
    end(cluster, "web-1", "web-2");
    const spec = { nodeName: "node-3", containers: [{ name: "web", image: "nginx" }] };
    cluster.api.create("Pod", { metadata: { name: "web-3", labels: { app: "web" } }, spec });
    await cluster.advance("7s");
    expect(await takers(cluster, "c1")).toBe("web-3");
  });
});

describe.each(kernelModes)("%s, internalTrafficPolicy Local", (mode: ModeName) => {
  it("falls back to its own ending endpoint while another node has a ready one, and drops when that is gone", async () => {
    const cluster = await site({ mode }, { internalTrafficPolicy: "Local" });
    end(cluster, "web-1");
    await cluster.advance("2s");
    expect(await takers(cluster, "c1")).toBe("web-1");
    await cluster.advance("20s");
    // An endpoint elsewhere: the packet is dropped, not refused. IPVS has no server for it, and says so.
    expect(await takers(cluster, "c1")).toBe(mode === "ipvs" ? "refused" : "timeout");
  });
});

describe.each(kernelModes)("%s, externalTrafficPolicy Local", (mode: ModeName) => {
  it("a node whose only endpoint ends fails its health check at once, while connections go on and late ones are taken", async () => {
    const cluster = await site(
      { mode },
      {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        healthCheckNodePort: 32000,
        ports: [{ port: 80, nodePort: 30080 }],
      },
    );
    const asked = async (node: number): Promise<string> => {
      const [words, says] = [[] as string[], cluster.session()];
      await says.type(`curl -s -w ' %{http_code}' 192.168.1.1${node}:32000/healthz`, (_, text) => words.push(text));
      const [, endpoints] = /"localEndpoints": (\d+)/.exec(words.join("")) ?? [];
      return `${words.join("").slice(-3)} ${endpoints}`;
    };
    const dial = (): Dialled => new Dialled(cluster, "client", "192.168.1.11", 30080);
    expect([await asked(1), await asked(2), await asked(3)]).toEqual(["200 1", "200 1", "503 0"]);
    const old = dial();
    await cluster.advance("100ms");
    expect(await old.ask()).toBe("200");
    end(cluster, "web-1");
    await cluster.advance("1s");
    expect([await asked(1), await asked(2)]).toEqual(["503 0", "200 1"]);
    // What a load balancer still sends until it has noticed is served by the endpoint that ends (KEP-1669).
    const late = dial();
    await cluster.advance("100ms");
    expect([await old.ask(), await late.ask()]).toEqual(["200", "200"]);
    await cluster.advance("15s");
    expect([old.events.at(-1), late.events.at(-1)]).toEqual(["FIN", "FIN"]);
    const lost = dial();
    await cluster.advance("6s");
    // IPVS sends it to another node's; that the answer comes back is flannel's masquerading.
    expect(lost.events).toEqual([mode === "ipvs" ? "connected" : "timeout"]);
  });
});

describe("ipvs", () => {
  it("keeps an ended endpoint at weight 0 as long as it has connections, and takes it away at the next look", async () => {
    const cluster = await site({ mode: "ipvs" });
    const old = await connectionTo(cluster, "c3", "web-1");
    const weights = (): string => {
      const { ipvs } = cluster.node("node-3").net.netns;
      const [service] = ipvs.list().filter(({ port, servers }) => port === 80 && servers.length > 0);
      return (
        service?.servers
          .map(({ weight, active }) => `${weight}/${active}`)
          .sort()
          .join(" ") ?? ""
      );
    };
    expect(weights()).toMatch(/^1\/\d+ 1\/\d+$/);
    end(cluster, "web-1");
    await cluster.advance("3s");
    expect(weights()).toMatch(/^0\/1 1\/\d+$/);
    expect(await old.ask()).toBe("200");
    await cluster.advance("30s");
    old.close();
    // Its connection is inactive (FIN_WAIT, CLOSE) for a while yet; a look comes every minute.
    await cluster.advance("4m");
    expect(weights()).toMatch(/^1\/\d+$/);
  });
});

describe("force", () => {
  it.each(modeNames)(
    "%s: a pod that is deleted by force takes nothing new at once, its connections end with it",
    async (mode) => {
      const cluster = await site({ mode });
      const old = await connectionTo(cluster, "c3", "web-1");
      cluster.api.delete("Pod", "default", "web-1", { grace: 0 });
      await cluster.advance("1s");
      expect(await takers(cluster, "c3")).toBe("web-2");
      await cluster.advance("10s");
      expect(old.events.at(-1)).toMatch(/FIN|reset/);
    },
  );
});

describe("an address whose pod ends", () => {
  /**
   * Its node asks for the address in vain (ARP) and says so after three seconds. A VPC's router drops what a node sends back.
   * With "bridge" a RST crosses two bridges of one kernel: the first lets connection tracking forget the connection, at the
   * second the RST belongs to none, and kube-proxy's rule against INVALID drops it (nf_conntrack_proto_tcp.c, KUBE-FORWARD).
   */
  const cnis = [
    ["vxlan", "refused", "unreachable 3.0"],
    ["host-gw", "refused", "unreachable 3.0"],
    ["routes", "refused", "unreachable 3.0"],
    ["bridge", "nothing", "unreachable 3.0"],
    ["vpc", "refused", "timeout 60.0"],
  ] as const;

  it.each(cnis)(
    "%s: %s while its namespace stands without a process; then silence; then %s",
    async (cni, now, later) => {
      const cluster = await site({ cni });
      const ip = cluster.podIp("web-1") ?? "";
      const old = new Dialled(cluster, "c3", ip, 80);
      await cluster.advance("1s");
      expect(await old.ask()).toBe("200");
      end(cluster, "web-1");
      await cluster.advance("10100ms");
      const refused = new Dialled(cluster, "c3", ip, 80);
      await cluster.advance("100ms");
      expect(refused.events.join() || "nothing").toBe(now);
      await cluster.advance("2s");
      expect(cluster.network.namespaces.has("default/web-1")).toBe(false);
      // Neighbours still know the address for some time: what they send to it is lost without a word.
      const silent = new Dialled(cluster, "c3", ip, 80, 60);
      await cluster.advance("2500ms");
      expect(silent.events).toEqual([]);
      await cluster.advance("90s");
      const late = new Dialled(cluster, "c3", ip, 80, 60);
      await cluster.advance("61s");
      expect(`${late.events} ${late.took.toFixed(1)}`).toBe(later);
      expect(old.events.at(-1)).toBe("FIN");
    },
  );
});
