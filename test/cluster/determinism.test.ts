import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { readScenario, runScenario, writeScenario } from "./scenario";

const text = readFileSync(join(import.meta.dirname, "..", "scenarios", "connecting-applications.txt"), "utf8");

test("another seed gives other names, addresses and picks, and again the same ones", async () => {
  const other = readScenario(text.replace("# seed: 5", "# seed: 6"));
  const one = writeScenario(await runScenario(other));
  expect(one).not.toBe(text.replace("# seed: 5", "# seed: 6"));
  expect(writeScenario(await runScenario(other))).toBe(one);
});

test("two clusters in one process do not disturb each other", async () => {
  const clusters = [new Cluster({ seed: 4 }), new Cluster({ seed: 4 })];
  await Promise.all(clusters.map((cluster) => cluster.start()));
  const printed = ["", ""];
  const lines =
    "kubectl run web --image=nginx\nkubectl wait --for=condition=Ready pod/web\necho $RANDOM\nkubectl get pod web -o yaml";
  await Promise.all(
    clusters.map((cluster, at) =>
      cluster.session().type(lines, (_stream, part) => {
        printed[at] += part;
      }),
    ),
  );
  expect(printed[0]).toBe(printed[1]);
  expect(printed[0]).toContain("podIP: 10.244.");
});

test("an unknown or wrong option says what may be given", () => {
  expect(() => new Cluster({ sed: 5 } as object)).toThrow(
    'there is no option "sed": the options are nodes, seed, cni, cniConfig, ipFamilies, zones, mode',
  );
  expect(() => new Cluster({ nodes: 0 })).toThrow("nodes must be a whole number from 1 to 5000, not 0");
  expect(() => new Cluster({ seed: 1.5 })).toThrow("seed must be a whole number, not 1.5");
  expect(() => new Cluster({ cni: "calico" } as object)).toThrow(
    'cni must be bridge or routes or host-gw or vxlan or vpc, not "calico"',
  );
});

test("the network may be host-gw, with more nodes or fewer", async () => {
  const cluster = new Cluster({ cni: "host-gw", nodes: 2 });
  await cluster.start();
  const session = cluster.session();
  let printed = "";
  await session.type(
    "kubectl create deployment web --image=nginx --replicas=4\nkubectl expose deployment web --port=80\nkubectl wait --for=condition=Available deploy/web\nfor i in 1 2 3 4 5 6; do ssh node-1 curl -s -o /dev/null -w '%{http_code}' $(kubectl get svc web -o jsonpath={.spec.clusterIP}); done",
    (_stream, part) => {
      printed += part;
    },
  );
  expect(printed).toContain("200".repeat(6));
});

const bothWays = { ipFamilies: ["IPv4", "IPv6"] } as const;

/** All that a mode shows on a node, and whom it picks, while Services, pods and the mode itself come and go. */
const everything = `kubectl create deployment web --image=nginx --replicas=3
kubectl expose deployment web --port=80 --type=NodePort
kubectl create service clusterip nobody --tcp=80:80
kubectl run client --image=curlimages/curl -- sleep 1d
kubectl wait --for=condition=Ready pod --all --timeout=60s
for i in 1 2 3 4 5 6; do kubectl exec client -- curl -s -o /dev/null -w '%{http_code} %{local_port}\\n' web; done
kubectl patch svc web -p '{"spec":{"sessionAffinity":"ClientIP"}}'
kubectl scale deployment web --replicas=2; sleep 3
for i in 1 2 3; do kubectl exec client -- curl -s -o /dev/null web; done
kubectl logs -l app=web --prefix | cut -c1-80
ssh node-1 iptables-save -c; ssh node-1 ip6tables-save; ssh node-1 nft list ruleset
ssh node-1 ipvsadm -Ln --stats; ssh node-1 ipvsadm -Lnc; ssh node-1 ipset list; ssh node-1 conntrack -L; ssh node-1 ss -tan
kubectl get pods,svc,endpointslices -A -o yaml`;

test.each(["iptables", "nftables", "ipvs", "userspace"] as const)("%s: the same seed, the same bytes", async (mode) => {
  const run = async (seed: number): Promise<string> => {
    const cluster = new Cluster({ seed, mode, nodes: 2, ...(mode === "userspace" ? {} : bothWays) });
    await cluster.start();
    let printed = "";
    const type = (lines: string): Promise<number> =>
      cluster.session().type(lines, (_stream, part) => {
        printed += part;
      });
    await type(everything);
    const load = await cluster.load({ from: "pod/client", to: "svc/nobody:80", connections: 20 });
    const question = { from: "pod/client", to: "svc/web:80" } as const;
    const { steps } = await cluster.trace(question);
    printed += JSON.stringify([load, steps, cluster.explain(question).outcomes]);
    await cluster.setMode(mode === "iptables" ? "nftables" : "iptables");
    await type(
      "ssh node-1 iptables-save -c; ssh node-1 nft list ruleset; kubectl logs -n kube-system -l k8s-app=kube-proxy",
    );
    return printed;
  };
  const first = await run(7);
  expect(await run(7)).toBe(first);
  expect(await run(8)).not.toBe(first);
});
