import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { bundleOf, currentCluster, file, node, sh, startCluster, terminal } from "./face";

let printed = "";

beforeEach(() => {
  printed = "";
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, "write").mockImplementation((text) => {
      printed += text;
      return true;
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

function take(): string {
  const text = printed;
  printed = "";
  return text;
}

test("a line is printed as it runs, and its result shows as nothing", async () => {
  await startCluster({ seed: 2 });
  const result = await sh`echo out; echo err >&2; false`;
  expect(take()).toBe("out\nerr\n");
  expect(result).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 1 });
  expect(await bundleOf(result)).toEqual({});
  expect(await sh`echo quiet`.text()).toBe("quiet\n");
  expect(await sh`printf 'a\nb\n'`.lines()).toEqual(["a", "b"]);
  expect(take()).toBe("");
});

test("values are quoted for the shell, raw text is the shell's own, and variables last", async () => {
  await startCluster({ seed: 2 });
  await sh`x=${"it's; $HOME"}; y='\t'`;
  await sh`echo "$x $y"; echo ${["a b", "c"]} | wc -w; echo $(echo \$x) \`echo back\``;
  expect(take()).toBe("it's; $HOME \\t\n3\n$x back\n");
});

test("file writes a file beside the prompt, as it is, which kubectl can apply", async () => {
  await startCluster({ seed: 2 });
  await file("pod.yaml")`apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {cost: "$5"}}
spec:
  containers: [{name: web, image: ${"nginx"}}]`;
  await sh`kubectl apply -f pod.yaml; tail -c 1 pod.yaml | od -An -c; grep -c cost pod.yaml`;
  expect(take()).toBe("pod/web created\n  \\n\n1\n");
  await expect(file("/tmp")`x`).rejects.toThrow('file: "/tmp" is no name for a file');
});

test("another terminal goes on while the first one works, and its output is read as it comes", async () => {
  const cluster = await startCluster({ seed: 2 });
  const two = terminal("2");
  await two.start`kubectl get pods -w`;
  await sh`kubectl run web --image=nginx`;
  await sh`kubectl wait --for=condition=Ready pod/web`;
  const seen = two.output();
  expect(seen).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE\nweb +0\/1 +Pending/);
  expect(seen).toMatch(/web +0\/1 +ContainerCreating/);
  expect(seen).toMatch(/web +1\/1 +Running/);
  expect(two.output()).toBe("");
  await two.stop();
  await two.sh`kubectl delete pod web`;
  expect(cluster.pod("web")).toBeUndefined();
  expect(terminal("2").output()).toBe("");
});

test("logs -f shows requests as they are answered", async () => {
  await startCluster({ seed: 2 });
  await sh`kubectl run web --image=nginx; kubectl wait --for=condition=Ready pod/web`;
  const logs = terminal("logs");
  await logs.start`kubectl logs -f web --tail=0`;
  await sh`ssh node-1 curl -s -o /dev/null $(kubectl get pod web -o jsonpath='{.status.podIP}')/hello`;
  take();
  expect(logs.output()).toMatch(/"GET \/hello HTTP\/1\.1" 404/);
  await logs.stop();
});

test("the end of a cell's last line is no empty line at the prompt of a pod; bash says exit when what is typed ends", async () => {
  await startCluster({ seed: 2, lb: "none" });
  await sh`kubectl run u --image=ubuntu -- sleep 1d; kubectl wait --for=condition=Ready pod/u --timeout=60s`.text();
  await sh`
kubectl exec u -it -- bash
echo one
`;
  expect(take()).toBe("root@u:/# echo one\none\nroot@u:/# exit\n");
});

test("a node's prompt remembers, and an unknown node is named", async () => {
  await startCluster({ seed: 2 });
  await node("node-1").sh`cd /tmp; echo hi > x`;
  await node("node-1").sh`pwd; cat x; hostname`;
  expect(take()).toBe("/tmp\nhi\nnode-1\n");
  await expect(async () => node("node-7").sh`true`).rejects.toThrow(
    'there is no node "node-7": the nodes are control-plane, node-1, node-2, node-3',
  );
});

test("starting again gives a fresh cluster, and the cluster shows itself as an overview", async () => {
  await startCluster({ seed: 2 });
  await sh`x=1; kubectl create ns shop`;
  const cluster = await startCluster({ seed: 2, nodes: 1 });
  await sh`echo "[$x]"; kubectl get ns shop`;
  expect(take()).toContain('[]\nError from server (NotFound): namespaces "shop" not found\n');
  expect((await currentCluster()) === cluster).toBe(true);
  expect((await bundleOf(cluster))["text/plain"]).toMatch(
    /^Kubernetes v1\.36\.\d+: 2 nodes, network vxlan, kube-proxy iptables, seed 2\n/,
  );
  await cluster.advance("90s");
  await expect(startCluster({ nodes: -1 })).rejects.toThrow("nodes must be a whole number");
  expect((await currentCluster()) === cluster).toBe(true);
});
