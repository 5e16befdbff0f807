/** Tests that containers of a pod share what a pod's sandbox holds, and that the rest is their own. */
import { expect, test } from "vitest";
import { Files } from "../../kernel-lib/apps/files";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { Clock } from "../../kernel-lib/sim/clock";

const two = `apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  nodeName: node-1
  initContainers:
  - {name: setup, image: busybox, command: [sh, -c, "echo made by init > /work/note"], volumeMounts: [{name: v, mountPath: /work}]}
  containers:
  - {name: web, image: nginx, volumeMounts: [{name: v, mountPath: /v/part, subPath: part}]}
  - {name: side, image: busybox, command: [sleep, "36000"], volumeMounts: [{name: v, mountPath: /v}]}
  volumes: [{name: v, emptyDir: {}}]
`;

interface Bench {
  readonly cluster: Cluster;
  run(line: string): Promise<string>;
}

async function bench(manifest: string): Promise<Bench> {
  const cluster = new Cluster({ nodes: 1, seed: 4 });
  await cluster.start();
  const session = cluster.session();
  const run = async (line: string): Promise<string> => {
    let text = "";
    await session.type(line, (_stream, part) => {
      text += part;
    });
    return text;
  };
  cluster.prompt.files.write("/home/learner/pod.yaml", manifest);
  await run("kubectl apply -f pod.yaml");
  await cluster.settle();
  return { cluster, run };
}

test("a container that ends comes back in the same namespace; a sandbox that is stopped is another one", async () => {
  const { cluster, run } = await bench(two);
  const netns = cluster.podNetns("two");
  const ip = cluster.pod("two")?.status.podIP;
  expect(ip).toMatch(/^10\.244\.1\.\d+$/);
  const first = cluster.container("default/two", "web");
  await run("ssh node-1 'crictl stop $(crictl ps -q --name web)'");
  await cluster.advance("5s");
  expect(cluster.container("default/two", "web")).not.toBe(first);
  expect(first?.ending).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  expect(cluster.podNetns("two")).toBe(netns);
  expect(cluster.pod("two")?.status.podIP).toBe(ip);

  await run("ssh node-1 'crictl stopp $(crictl pods -q --name two)'");
  // It is noticed a moment later; until then its addresses are free and nobody answers there.
  expect(cluster.podNetns("two")).toBeUndefined();
  await cluster.advance("10s");
  const status = cluster.pod("two")?.status;
  expect(cluster.podNetns("two")).not.toBe(netns);
  expect(status?.podIP).toMatch(/^10\.244\.1\.\d+$/);
  expect(status?.podIP).not.toBe(ip);
  expect(status?.containerStatuses?.map(({ name, ready, restartCount }) => [name, ready, restartCount])).toEqual([
    ["side", true, 1],
    ["web", true, 2],
  ]);
  expect(status?.initContainerStatuses?.map(({ restartCount, ready }) => [restartCount, ready])).toEqual([[1, true]]);
});

test("an emptyDir is one tree for all who mount it, outlives its containers, and goes with the pod", async () => {
  const { cluster, run } = await bench(two);
  expect(await run("kubectl exec two -c side -- cat /v/note")).toBe("made by init\n");
  await run("kubectl exec two -c web -- sh -c 'echo from web > /v/part/x; echo own > /tmp/own'");
  expect(await run("kubectl exec two -c side -- sh -c 'cat /v/part/x; ls /v /tmp'")).toBe(
    "from web\n/v:\nnote\npart\n\n/tmp:\n",
  );
  await run("ssh node-1 'crictl stop $(crictl ps -q --name web)'");
  await cluster.advance("5s");
  expect(await run("kubectl exec two -c web -- sh -c 'cat /v/part/x; ls /tmp'")).toBe("from web\n");
  await run("kubectl delete pod two --now; kubectl apply -f pod.yaml");
  await cluster.settle();
  expect(await run("kubectl exec two -c side -- ls /v")).toBe("note\npart\n");
  expect(await run("kubectl exec two -c side -- ls /v/part")).toBe("");
});

test("the dice of pods are the same whether or not somebody looks at sandboxes and processes", async () => {
  const ids = async (look: boolean): Promise<readonly (string | undefined)[]> => {
    const { cluster, run } = await bench(two);
    if (look) await run("ssh node-1 'crictl pods; crictl ps; lsns; ps aux'");
    else await run("true");
    await run("kubectl delete pod two --now; kubectl apply -f pod.yaml");
    await cluster.settle();
    return cluster.pod("two")?.status.containerStatuses?.map(({ containerID }) => containerID) ?? [];
  };
  expect(await ids(true)).toEqual(await ids(false));
});

test("what is mounted at a folder hides what was there, is listed, and cannot be removed", () => {
  const clock = new Clock();
  const volume = new Files(clock, { "/sub/deep/a": "A" });
  const files = new Files(clock, { "/m/hidden": "h", "/other": "o" });
  files.mount("/m", volume, "/sub");
  expect(files.read("/m/hidden")).toBeUndefined();
  expect(files.read("/m/deep/a")).toBe("A");
  files.write("/m/new", "n");
  expect(volume.read("/sub/new")).toBe("n");
  expect(files.list("/")).toEqual(["m", "other"]);
  expect(files.list("/m")).toEqual(["deep", "new"]);
  expect(files.paths()).toEqual(["/m/deep/a", "/m/new", "/other"]);
  expect(files.remove("/m")).toBe(false);
  expect(files.remove("/m/deep")).toBe(true);
  expect(volume.paths()).toEqual(["/sub/new"]);
});

test("what ends as soon as it starts was never ready: a rollout of it stops, and what was there before goes on", async () => {
  const ends = `{"spec":{"template":{"spec":{"containers":[{"name":"nginx","command":["sh","-c","exit 1"]}]}}}}`;
  const { run } = await bench(two);
  await run("kubectl create deployment web --image=nginx --replicas=3; kubectl rollout status deployment web");
  await run(`kubectl patch deployment web -p '${ends}'; sleep 60`);
  expect((await run("kubectl get pods -l app=web --no-headers | awk '{print $2, $3}' | sort")).split("\n")).toEqual([
    ...["0/1 CrashLoopBackOff", "1/1 Running", "1/1 Running", "1/1 Running", ""],
  ]);
  await run(
    "kubectl -n kube-system get cm kube-proxy -o yaml | sed 's/mode: iptables/mode: ebpf/' | kubectl replace -f -",
  );
  await run("kubectl -n kube-system rollout restart daemonset kube-proxy; sleep 60");
  const proxies = await run("kubectl -n kube-system get pods -l k8s-app=kube-proxy --no-headers");
  expect(proxies.match(/1\/1 +Running/g)).toHaveLength(1);
  expect(proxies.match(/CrashLoopBackOff/g)).toHaveLength(1);
});
