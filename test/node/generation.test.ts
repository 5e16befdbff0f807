/** Tests a pod's generation: who counts it up, who says that it has seen it, and what a changed image does. */
import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";

const manifest = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: main, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec: {containers: [{name: main, image: nginx, resources: {requests: {cpu: "900"}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec: {terminationGracePeriodSeconds: 20, containers: [{name: main, image: busybox, command: [sleep, 1d]}]}
`;

async function bench(): Promise<{ cluster: Cluster; run(line: string): Promise<string> }> {
  const cluster = new Cluster({ nodes: 2, seed: 12 });
  await cluster.start();
  const session = cluster.session();
  const run = async (line: string): Promise<string> => {
    let text = "";
    await session.type(line, (_stream, part) => {
      text += part;
    });
    return text;
  };
  cluster.prompt.files.write("/home/learner/it.yaml", manifest);
  await run("kubectl apply -f it.yaml");
  await cluster.settle();
  return { cluster, run };
}

const generations = (pod: string): string =>
  `kubectl get pod ${pod} -o jsonpath='{.metadata.generation} {.status.observedGeneration} {.status.conditions[*].observedGeneration}'`;

test("binding counts nothing; a changed spec and the beginning of a deletion do, and the kubelet says what it has seen", async () => {
  const { cluster, run } = await bench();
  expect(await run(generations("web"))).toBe("1 1 1 1 1 1 1");
  // Nobody has it: only the scheduler has said something.
  expect(await run(generations("huge"))).toBe("1  1");
  await run("kubectl set image pod/web main=nginx:1.27");
  await cluster.advance("10s");
  expect(await run(generations("web"))).toBe("2 2 2 2 2 2 2");
  await run("kubectl label pod web tier=front");
  await cluster.advance("1s");
  expect(await run(generations("web"))).toBe("2 2 2 2 2 2 2");
  await run("kubectl delete pod stubborn --wait=false");
  await cluster.advance("1s");
  expect(await run(generations("stubborn"))).toBe("2 2 2 2 2 2 2");
  // A second delete with less grace is no new beginning.
  await run("kubectl delete pod stubborn --wait=false --grace-period=5");
  await cluster.advance("1s");
  expect(await run(generations("stubborn"))).toBe("2 2 2 2 2 2 2");
});

test("a kubelet that is gone has seen nothing of the deletion, and its node's pods say so", async () => {
  const { cluster, run } = await bench();
  const node = (await run("kubectl get pod stubborn -o jsonpath='{.spec.nodeName}'")).trim();
  cluster.powerOff(node);
  await run("kubectl delete pod stubborn --wait=false");
  await cluster.advance("5s");
  expect(await run(generations("stubborn"))).toBe("2 1 1 1 1 1 1");
});

test("a container that is given another image is killed and begun anew; one that could not be pulled is tried at once", async () => {
  const { cluster, run } = await bench();
  await run("kubectl set image pod/web main=nginx:nosuchtag");
  await cluster.advance("30s");
  expect(await run("kubectl get pod web --no-headers")).toMatch(/^web +0\/1 +ImagePullBackOff +0 /);
  await run("kubectl set image pod/web main=nginx:1.27");
  await cluster.advance("10s");
  expect(await run("kubectl get pod web --no-headers")).toMatch(/^web +1\/1 +Running +1 \(\d+s ago\) /);
  const told = await run(
    "kubectl get events --field-selector involvedObject.name=web -o custom-columns=:.reason,:.message",
  );
  expect(told).toMatch(/^Killing +Container main definition changed, will be restarted$/m);
  expect(told).toMatch(/^Pulled +Successfully pulled image "nginx:1.27" in /m);
});

const crashing = `apiVersion: v1
kind: Pod
metadata: {name: crash}
spec: {containers: [{name: main, image: busybox, command: [sh, -c, "sleep 3; exit 1"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: nowhere}
spec: {nodeName: node-1, containers: [{name: main, image: "nginx:nosuchtag"}]}
`;

/** Each column but the ages, of one pod. */
function watched(text: string, pod: string): readonly string[] {
  const lines = text.split("\n").filter((line) => line.startsWith(`${pod} `));
  return lines.map((line) => line.split(/\s+/).slice(1, 4).join(" "));
}

test("what a watch of pods shows that crash or cannot be pulled: why they wait stays until they run or fail again", async () => {
  const { cluster, run } = await bench();
  cluster.prompt.files.write("/home/learner/crashing.yaml", crashing);
  await run("kubectl apply -f crashing.yaml");
  let seen = "";
  cluster.session().start("kubectl get pods -w", (_stream, part) => {
    seen += part;
  });
  await cluster.advance("50s");
  expect(watched(seen, "crash").slice(-11, -1)).toEqual([
    ...["1/1 Running 0", "0/1 Error 0", "1/1 Running 1", "0/1 Error 1", "0/1 CrashLoopBackOff 1"],
    ...["1/1 Running 2", "0/1 Error 2", "0/1 CrashLoopBackOff 2", "1/1 Running 3", "0/1 Error 3"],
  ]);
  expect(watched(seen, "nowhere").slice(-4)).toEqual([
    ...["0/1 ErrImagePull 0", "0/1 ImagePullBackOff 0", "0/1 ErrImagePull 0", "0/1 ImagePullBackOff 0"],
  ]);
  await run("kubectl delete pod nowhere");
  expect(watched(seen, "nowhere").slice(-3)).toEqual([
    ...["0/1 Terminating 0", "0/1 ContainerStatusUnknown 0", "0/1 ContainerStatusUnknown 0"],
  ]);
});
