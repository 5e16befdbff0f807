/** Owns what the picture of a cluster promises, for every design of its network: what the devices say, folded where it is much. */
import { beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { bundleOf } from "../../kernel-lib/cluster/display";
import { textsOf } from "../../kernel-lib/cluster/drawing";
import type { Topology } from "../../kernel-lib/cluster/topology";
import { drawTopology } from "../../kernel-lib/cluster/topologydiagram";
import { clashes, namesIn } from "./pictures";
import { designs, withPods } from "./withpods";

const devices: { readonly [D in (typeof designs)[number]]: readonly string[] } = {
  bridge: ["eth0", "br0", "kube-bridge"],
  routes: ["eth0", "kube-bridge"],
  "host-gw": ["eth0", "cni0"],
  vxlan: ["eth0", "flannel.1", "cni0"],
  vpc: ["eth0"],
};

describe.each(designs)("the topology of design %s", (cni) => {
  let found: Topology;
  beforeAll(async () => {
    found = (await withPods({ seed: 5, cni })).topology();
  });

  it("has the nodes' devices, and each pod where its wire ends", () => {
    const node = found.nodes.find(({ name }) => name === "node-1");
    expect(new Set(node?.devices.map(({ name }) => name))).toEqual(new Set(devices[cni]));
    const client = node?.pods.find(({ key }) => key === "default/client");
    const bridges: readonly string[] = ["kube-bridge", "cni0"];
    expect(client?.bridge).toBe(devices[cni].find((name) => bridges.includes(name)));
    const web = found.nodes.flatMap(({ pods }) => pods).find(({ name }) => name === "web-1");
    expect(web?.services).toEqual(["web"]);
    expect(found.services.find(({ name }) => name === "web")).toMatchObject({ pods: 1, ports: ["80"] });
    expect(found.machines.map(({ kind }) => kind)).toEqual(["workstation", "router"]);
  });

  it("is drawn with every node and Service, and no text on another", () => {
    const drawing = drawTopology(found, "title", "words");
    expect(clashes(drawing)).toEqual([]);
    const names = namesIn(drawing.marks);
    for (const { name } of found.nodes) expect(names).toContain(`node ${name}`);
    expect(names.filter((name) => name === "service")).toHaveLength(found.services.length);
    const shown = textsOf(drawing.marks).map(({ text }) => text);
    for (const { ips, namespace } of found.nodes.flatMap(({ pods }) => pods)) {
      if (namespace === "default") expect(shown).toContain(ips[0]);
    }
  });
});

describe("a cluster that is more than a picture holds", () => {
  it("is folded, and says how much is not drawn", async () => {
    const cluster = new Cluster({ seed: 1, nodes: 9 });
    await cluster.start();
    await cluster.session().type("kubectl create deployment web --image=nginx --replicas=60", () => undefined);
    await cluster.settle();
    const found = cluster.topology();
    const drawing = drawTopology(found, "title", "words");
    const texts = textsOf(drawing.marks).map(({ text }) => text);
    expect(texts).toContain("+ 4 more nodes");
    expect(texts.some((text) => /^\+ \d+ more pods$/.test(text))).toBe(true);
    expect(clashes(drawing)).toEqual([]);
    const rows = String((await bundleOf(found))["text/plain"]).split("\n");
    expect(rows.filter((row) => row.includes("web-"))).toHaveLength(60);
  });

  it("shows one namespace alone, if it is asked for", async () => {
    const found = (await withPods({ seed: 5 })).topology({ namespace: "default" });
    expect(found.nodes.flatMap(({ pods }) => pods.map(({ name }) => name))).toEqual(["client", "web-1"]);
    expect(found.services.map(({ name }) => name)).toEqual(["nobody", "web", "kubernetes"]);
  });

  it("shows itself as a picture with its story, a table and a text, and the same bytes for the same seed", async () => {
    const bundles = [];
    for (let run = 0; run < 2; run++) bundles.push(await bundleOf((await withPods({ seed: 3 })).topology()));
    const [one, other] = bundles;
    expect(Object.keys(one ?? {})).toEqual(["image/svg+xml", "text/html", "text/plain"]);
    expect(one?.["image/svg+xml"]).toMatch(/role="img".*<desc>.*Node node-1 has physical eth0 192\.168\.1\.11\/24/);
    expect(one).toEqual(other);
  });
});
