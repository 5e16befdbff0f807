import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { askWorld, type StaticAnswer } from "../../kernel-lib/cluster/world/ask";
import { readObjects } from "../../kernel-lib/cluster/world/objects";
import { answerText } from "../../kernel-lib/cluster/world/print";
import type { ProxySayings } from "../../kernel-lib/cluster/world/proxy";
import { withoutUnseen } from "../../kernel-lib/cluster/world/unseen";
import { staticWorld } from "../../kernel-lib/cluster/world/world";
import { modeNames } from "../../kernel-lib/node/proxy/mode";

const root = resolve(import.meta.dirname, "..", "..");
const folder = join(root, "test", "cli", "manifests");

function text(file: string) {
  return { file, text: readFileSync(join(folder, file), "utf8") };
}

type Asked = Parameters<typeof askWorld>[1];

function ask(question: Asked, said: ProxySayings = {}, file = "eks.yaml"): StaticAnswer {
  return askWorld(staticWorld(readObjects([text(file)]), said), question);
}

/** `50.00 pod/web/shop-1 from 10.0.1.21`, sorted. */
function ends({ outcomes }: StaticAnswer): readonly string[] {
  return outcomes
    .map(({ probability, fate, name, source, entry, why }) => {
      const who = fate === "delivered" ? `${name} from ${source}` : `${fate}: ${why}`;
      return `${(probability * 100).toFixed(0)} ${entry === undefined ? "" : `${entry}: `}${who}`;
    })
    .sort();
}

describe("a cluster without podCIDRs, as EKS has it", () => {
  test.each(modeNames)("%s: a pod reaches both endpoints of a Service; itself only as somebody else", (mode) => {
    const answer = ask({ from: "pod/web/shop-1", to: "svc/web/shop" }, { mode });
    const other = mode === "userspace" ? "10.0.1.10" : "10.0.1.21";
    expect(ends(answer)).toEqual(["50 pod/web/shop-1 from 10.0.1.10", `50 pod/web/shop-2 from ${other}`]);
    expect(answer).toMatchObject({ delivered: true, target: "172.20.7.7:80", protocol: "tcp" });
    const [first] = answer.outcomes;
    expect(first?.chosenBy).not.toBe("");
    expect(first?.rules.length).toBeGreaterThan(1);
    expect(first?.walked.rules).toBeGreaterThan(0);
    const places = answer.outcomes.find(({ name }) => name === "pod/web/shop-2")?.hops.map(({ where }) => where);
    expect(places).toEqual(["pod/web/shop-1", "node/ip-10-0-1-10", "network", "node/ip-10-0-2-10", "pod/web/shop-2"]);
  });

  test.each(["iptables", "nftables", "ipvs"] as const)(
    "%s: a balancer with a Local policy goes where the pod is, and its source stays",
    (mode) => {
      expect(ends(ask({ from: "198.51.100.7", to: "svc/web/local" }, { mode }))).toEqual([
        "100 ip-10-0-1-10: pod/web/shop-1 from 198.51.100.7",
      ]);
      const stranger = ask({ from: "203.0.113.9", to: "svc/web/local" }, { mode });
      expect(stranger).toMatchObject({ delivered: false, outcomes: [{ fate: "dropped" }] });
      expect(stranger.advice[0]).toContain("203.0.113.9 is in none of service web/local's loadBalancerSourceRanges");
      // IPVS sends on to other nodes' pods all the same (kubernetes/kubernetes PR 97081, so that local pods are served).
      const elsewhere = ask({ from: "198.51.100.7", to: "svc/web/local", node: "ip-10-0-2-10" }, { mode });
      expect(elsewhere.outcomes.map(({ fate }) => fate)).toEqual([mode === "ipvs" ? "delivered" : "dropped"]);
    },
  );

  test("a balancer with a host name goes to the node ports, of any node, and the source is lost", () => {
    const answer = ask({ from: "198.51.100.7", to: "svc/web/shop" });
    expect(ends(answer)).toEqual(
      ["1", "2"].flatMap((node) => {
        return ["1", "2"].map((pod) => `25 ip-10-0-${node}-10: pod/web/shop-${pod} from 10.0.${node}.10`);
      }),
    );
    expect(answer.notes[0]).toContain("a1b2.elb.eu-west-1.amazonaws.com");
  });

  test("a node's ExternalIP is its InternalIP behind the cloud's translation", () => {
    const answer = ask({ from: "198.51.100.7", to: "198.51.100.10:31080" });
    expect(answer.target).toBe("10.0.1.10:31080");
    expect(answer.delivered).toBe(true);
  });

  test("a pod of the node's own network is found by its port, and sends from the node's address", () => {
    expect(ends(ask({ from: "pod/web/shop-1", to: "svc/web/exporter" }))).toEqual([
      "100 pod/web/exporter-1 from 10.0.1.21",
    ]);
    expect(ask({ from: "pod/web/exporter-1", to: "svc/web/shop" }).source).toBe("10.0.2.10");
  });

  test("what leaves the cluster is delivered to somebody outside, and said to be", () => {
    const answer = ask({ from: "pod/web/shop-1", to: "svc/kubernetes" });
    expect(answer).toMatchObject({ delivered: true, outcomes: [{ netns: "outside", endpoint: "10.0.200.5:443" }] });
    expect(answer.advice[0]).toContain("nobody in these objects has 10.0.200.5");
  });

  test.each(["iptables", "nftables", "ipvs"] as const)(
    "%s: no endpoints: rejected, with the selector's typo",
    (mode) => {
      const answer = ask({ from: "pod/web/shop-1", to: "svc/web/typo" }, { mode });
      expect(answer).toMatchObject({ delivered: false, outcomes: [{ fate: "rejected", probability: 1 }] });
      expect(answer.advice).toEqual([
        "service web/typo has no endpoints",
        "its selector app=shpo matches no pod of namespace web",
      ]);
    },
  );

  test("userspace: no endpoints: kube-proxy takes the connection, and closes it", () => {
    const answer = ask({ from: "pod/web/shop-1", to: "svc/web/typo" }, { mode: "userspace" });
    expect(ends(answer)).toEqual(["100 refused: kube-proxy finds no endpoint, and closes the connection"]);
  });

  test("a pod that is not ready, a port that no pod declares, and a port that the Service has not are named", () => {
    expect(ask({ from: "pod/web/shop-2", to: "svc/web/unready" }).advice).toEqual([
      "none of the 1 endpoints of service web/unready is ready",
      "pod web/slow-1 is Running and not Ready (ContainersNotReady: containers with unready status: [slow])",
    ]);
    expect(ask({ from: "pod/web/shop-1", to: "svc/web/shop" }).advice).toEqual([
      "pod web/shop-2 declares port 80, not 8080: is the targetPort right?",
    ]);
    const wrong = ask({ from: "pod/web/shop-1", to: "172.20.7.7:81" });
    expect(wrong.advice).toEqual(["service web/shop has no port 81: its ports are 80/TCP"]);
    expect(wrong.outcomes).toMatchObject([{ fate: "unreachable" }]);
  });

  test("a node takes only what something known listens for", () => {
    expect(ask({ from: "pod/web/shop-1", to: "10.0.2.10:9100" }).delivered).toBe(true);
    expect(ends(ask({ from: "pod/web/shop-1", to: "10.0.2.10:22" }))[0]).toMatch(
      /^100 refused: no rule of ip-10-0-2-10/,
    );
    expect(ends(ask({ from: "pod/web/shop-1", to: "10.0.1.99:80" }))[0]).toMatch(/^100 10\.0\.1\.99:80 from/);
  });

  test.each([
    [{ from: "pod/web/shop-9", to: "svc/web/shop" }, 'pods "web/shop-9" not found'],
    [{ from: "pod/web/shop-1", to: "svc/web/shp" }, 'services "web/shp" not found'],
    [
      { from: "pod/web/shop-1", to: "svc/web/shop:http2" },
      'service web/shop has no port "http2"; its ports are 80 (http)',
    ],
    [{ from: "pod/web/shop-1", to: "web" }, 'to: "web" is none of svc/[namespace/]name:port'],
    [{ from: "web/shop-1", to: "svc/web/shop" }, 'from: "web/shop-1" is none of pod/[namespace/]name, node/name'],
    [
      { from: "pod/web/shop-1", to: "svc/web/legacy:80" },
      "is an ExternalName: it has no address, DNS answers its name with a CNAME, db.example.com",
    ],
    [{ from: "pod/web/shop-1", to: "svc/web/peers:8080" }, "service web/peers is headless: it has no cluster IP"],
    [{ from: "pod/web/pending", to: "svc/web/shop" }, "its phase is Pending"],
    [{ from: "pod/web/done", to: "svc/web/shop" }, "has ended"],
    [{ from: "pod/web/shop-1", to: "svc/web/shop", node: "ip-10-0-1-10" }, "--node is said of an address outside"],
    [{ from: "198.51.100.7", to: "svc/web/typo" }, "is a cluster IP, which nobody outside routes: say by which node"],
    [{ from: "198.51.100.7", to: "svc/web/shop", node: "node-9" }, 'nodes "node-9" not found'],
    [{ from: "pod/web/shop-1", to: "svc/web/shop", family: "IPv6" as const }, "service web/shop has no IPv6 address"],
    [{ from: "fd00::1", to: "10.0.1.21:80" }, "an address of each family cannot speak to each other"],
  ])("%j is answered with what is wrong", (question, words) => {
    expect(() => ask(question)).toThrow(words);
  });
});

describe("what the objects tell of kube-proxy", () => {
  const config = (mode: string, more = "") => ({
    file: "kube-proxy.yaml",
    text: JSON.stringify({
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: { name: "kube-proxy", namespace: "kube-system" },
      data: {
        "config.conf": `apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ${mode}\n${more}`,
      },
    }),
  });

  test("its ConfigMap says mode and where pods live; a word of ours says otherwise", () => {
    const objects = readObjects([
      text("eks.yaml"),
      config("ipvs", 'clusterCIDR: "10.0.1.0/24"\nipvs: { scheduler: sh }\n'),
    ]);
    const world = staticWorld(objects);
    expect(world.proxy.mode).toBe("ipvs");
    const { outcomes, notes } = askWorld(world, { from: "pod/web/shop-2", to: "svc/web/shop" });
    expect(outcomes).toMatchObject([{ probability: 1, chosenBy: "TCP 172.20.7.7:80 sh" }]);
    expect(outcomes[0]?.source).toBe("10.0.2.10");
    expect(notes).toEqual(["kube-proxy's mode is ipvs, as its ConfigMap says"]);
    expect(staticWorld(objects, { mode: "nftables" }).proxy.mode).toBe("nftables");
  });

  test("without it the nodes' podCIDRs tell where pods live, and the answer says so", () => {
    const { notes } = ask({ from: "pod/client", to: "svc/web:http" }, {}, "dualstack.json");
    expect(notes.join("\n")).toContain("pods are taken to live in 10.244.0.0/22,fd00:10:244::/62");
  });
});

describe("a dual-stack cluster, as kind prints it in JSON", () => {
  test.each(["iptables", "nftables", "ipvs"] as const)("%s: each family has its endpoints", (mode) => {
    const four = ask({ from: "pod/client", to: "svc/web:http" }, { mode }, "dualstack.json");
    expect(ends(four)).toEqual(["50 pod/web-1 from 10.244.1.9", "50 pod/web-2 from 10.244.1.9"]);
    const six = ask({ from: "pod/client", to: "svc/web:http", family: "IPv6" }, { mode }, "dualstack.json");
    expect(ends(six)).toEqual(["50 pod/web-1 from fd00:10:244:1::9", "50 pod/web-2 from fd00:10:244:1::9"]);
    expect(six.target).toBe("[fd00:10:96::50]:80");
    const outside = ask({ from: "2001:db8:9::9", to: "[fc00:f853::3]:30080" }, { mode }, "dualstack.json");
    expect(ends(outside)).toEqual([
      "50 worker-1: pod/web-1 from fc00:f853::3",
      "50 worker-1: pod/web-2 from fc00:f853::3",
    ]);
  });

  test("a UDP port is asked for in UDP without being told", () => {
    expect(ask({ from: "pod/client", to: "svc/web:dns" }, {}, "dualstack.json")).toMatchObject({
      protocol: "udp",
      delivered: true,
    });
  });
});

describe("manifests that lack something", () => {
  const service = {
    kind: "Service",
    apiVersion: "v1",
    metadata: { name: "web" },
    spec: { clusterIP: "10.96.0.9", ports: [{ port: 80 }], selector: { app: "web" } },
  };
  const pod = {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name: "web-0", labels: { app: "web" } },
    spec: { nodeName: "n1", containers: [{ name: "c" }] },
    status: { phase: "Running", podIP: "10.244.0.5", hostIP: "172.18.0.2" },
  };
  const world = (...objects: readonly object[]) =>
    staticWorld(
      readObjects([{ file: "x.json", text: JSON.stringify({ kind: "List", apiVersion: "v1", items: objects }) }]),
    );

  test("no EndpointSlices: it says that they are missing, and which pods the selector finds", () => {
    const { outcomes, advice } = askWorld(world(service, pod), { from: "pod/web-0", to: "svc/web" });
    expect(outcomes).toMatchObject([{ fate: "rejected" }]);
    expect(advice[0]).toMatch(/^no EndpointSlice of service default\/web is in these objects/);
    expect(advice[1]).toBe("pod default/web-0 is Running and not Ready");
  });

  test("Endpoints serve where no EndpointSlices are, and a node is known by its pods", () => {
    const endpoints = {
      kind: "Endpoints",
      apiVersion: "v1",
      metadata: { name: "web" },
      subsets: [{ addresses: [{ ip: "10.244.0.5", nodeName: "n1" }], ports: [{ port: 8080 }] }],
    };
    const made = world(service, pod, endpoints, { kind: "Gizmo", apiVersion: "x/v1", metadata: { name: "x" } });
    const { outcomes, notes } = askWorld(made, { from: "node/n1", to: "svc/web:80" });
    expect(outcomes).toMatchObject([{ fate: "delivered", endpoint: "10.244.0.5:8080", source: "172.18.0.2" }]);
    expect(notes.slice(0, 2)).toEqual([
      "1 Services have Endpoints but no EndpointSlices: read from Endpoints",
      "no Node object is there for n1 (172.18.0.2): taken from what names them",
    ]);
  });

  test.each([
    ["", "x.yaml: nothing in it"],
    ["- 1", "x.yaml:1: must be an object with apiVersion and kind"],
    ["apiVersion: v1\nmetadata: {name: x}", "x.yaml:1: has no kind"],
    ["kind: Pod\nmetadata: {}", "x.yaml:2: metadata.name: an object needs a name"],
    [
      "kind: List\nitems:\n  - kind: Pod\n    metadata: {name: x}\n    spec: {containers: 3}",
      "x.yaml:5: items[0].spec.containers: must be a list",
    ],
    [
      "kind: EndpointSlice\nmetadata: {name: x}\naddressType: IPv4\nendpoints:\n  - {addresses: 10.0.0.1}",
      "x.yaml:5: endpoints[0].addresses: must be a list of addresses",
    ],
    [
      '{"kind": "Service",\n "metadata": {"name": "x"},\n "spec": {"ports": [{"port": "80"}]}}',
      "x.yaml:3: spec.ports[0].port: must be a number",
    ],
    ['{"kind": "Service"', "x.yaml:1: "],
    ["kind: [", "x.yaml:1: "],
    ["kind: List\nitems: &a [*a]", "x.yaml:2: an alias within what it names"],
  ])("bad input is named by file, line and field: %j", (given, words) => {
    expect(() => readObjects([{ file: "x.yaml", text: given }])).toThrow(words);
  });
});

test("what nobody looks at is passed over in a large dump, line for line", () => {
  const dump = `items:
- kind: Pod
  metadata:
    annotations:
      a: |
        spec:

        x: y
    name: x
  spec:
    containers:
    - env:
      - name: A
        value: b
      image: i
      name: c
    - image: j
      volumeMounts:
      - mountPath: /x
        name: v
    nodeName: n
    volumes:
    - name: v
  status:
    podIP: 10.0.0.1
`;
  const short = withoutUnseen(dump);
  expect(short.split("\n")).toHaveLength(dump.split("\n").length);
  expect(parse(short)).toEqual({
    items: [
      {
        kind: "Pod",
        metadata: { annotations: null, name: "x" },
        spec: {
          containers: [
            { env: null, image: "i", name: "c" },
            { image: "j", volumeMounts: null },
          ],
          nodeName: "n",
          volumes: null,
        },
        status: { podIP: "10.0.0.1" },
      },
    ],
  });
});

test("an answer is drawn as a table, and place by place with rules and changes", () => {
  const drawn = answerText(ask({ from: "pod/web/shop-1", to: "svc/web/exporter" }), { mode: "iptables", all: false });
  expect(drawn.split("\n").filter((line) => !line.includes("nat: "))).toEqual([
    "pod/web/shop-1 (10.0.1.21) → svc/web/exporter (172.20.7.10:9100), TCP, kube-proxy iptables",
    "",
    "probability  what happens  endpoint        who it is           source it sees  chosen by",
    "   100.00 %  delivered     10.0.2.10:9100  pod/web/exporter-1  10.0.1.21       KUBE-SVC-EVNA4HMK4YV747EQ: the last rule takes the rest",
    "",
    "Delivered.",
    "",
    expect.stringMatching(/^The way to pod\/web\/exporter-1 {2}\(100\.00 %; a kernel tests \d+ rules\)$/),
    "",
    "  ● pod/web/shop-1   10.0.1.21:61000 → 172.20.7.10:9100  TCP SYN",
    "  │",
    "  ● node/ip-10-0-1-10   10.0.1.21:61000 → 172.20.7.10:9100  TCP SYN",
    "  │  ▸ destination 172.20.7.10:9100 → 10.0.2.10:9100",
    "  │",
    "  ● the network between the nodes   10.0.1.21:61000 → 10.0.2.10:9100  TCP SYN",
    "  │",
    "  ● node/ip-10-0-2-10   10.0.1.21:61000 → 10.0.2.10:9100  TCP SYN",
    "     ■ delivered: it comes from 10.0.1.21:61000",
    "",
    "Taken as given:",
    "  - kube-proxy's mode is assumed to be iptables (--mode says otherwise)",
    "  - no node has a podCIDR, so kube-proxy is taken not to know pods by their addresses (kube-proxy's ConfigMap or --cluster-cidr would tell)",
    "",
  ]);
});

describe("the command", () => {
  const trace = (args: readonly string[], input = "") => {
    const command = join(root, "kernel-lib", "dist", "cli", "main.js");
    return spawnSync(process.execPath, [command, "trace", ...args], {
      cwd: folder,
      input,
      encoding: "utf8",
      timeout: 30_000,
    });
  };
  const shop = ["--from", "pod/web/shop-1", "--to", "svc/web/shop"];

  test("ends with 0 when all is delivered, with 1 when not, with 2 for bad input", () => {
    expect(trace(["-f", "eks.yaml", ...shop]).status).toBe(0);
    const none = trace(["-f", "eks.yaml", "--from", "pod/web/shop-1", "--to", "svc/web/typo"]);
    expect(none.stdout).toContain("Not delivered.");
    expect(none.status).toBe(1);
    const bad = trace(["-f", "-", ...shop], "kind: Pod\n");
    expect([bad.stdout, bad.stderr, bad.status]).toEqual([
      "",
      "error: standard input:1: metadata.name: an object needs a name\n",
      2,
    ]);
    expect(trace(["-f", "eks.yaml", ...shop, "--mode", "ebpf"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--mode must be one of"),
    });
    expect(trace(["-f", "eks.yaml", "--from", "pod/x"]).status).toBe(2);
  });

  test("prints JSON with every outcome and its path", () => {
    const { stdout, status } = trace(["-f", "eks.yaml", ...shop, "--mode", "nftables", "-o", "json"]);
    expect(status).toBe(0);
    const answer = JSON.parse(stdout);
    expect(answer).toMatchObject({ mode: "nftables", delivered: true, target: "172.20.7.7:80" });
    expect(answer.outcomes).toHaveLength(2);
    expect(answer.outcomes[0]).toMatchObject({ probability: 0.5, fate: "delivered" });
    expect(answer.outcomes[0].path[1].rules.join("\n")).toContain("ip kube-proxy");
  });
});
