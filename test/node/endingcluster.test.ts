/** Tests the end of pods through a whole cluster, by its shell: the tutorial's flow, kubectl delete's words, force, lost nodes. */
import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";

const tutorial = `apiVersion: apps/v1
kind: Deployment
metadata: {name: nginx-deployment, labels: {app: nginx}}
spec:
  replicas: 1
  selector: {matchLabels: {app: nginx}}
  template:
    metadata: {labels: {app: nginx}}
    spec:
      terminationGracePeriodSeconds: 120
      containers:
      - name: nginx
        image: nginx:latest
        ports: [{containerPort: 80}]
        lifecycle: {preStop: {exec: {command: ["/bin/sh", "-c", "sleep 180"]}}}
---
apiVersion: v1
kind: Service
metadata: {name: nginx-service}
spec: {selector: {app: nginx}, ports: [{protocol: TCP, port: 80, targetPort: 80}]}
`;

const stubborn = `apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  nodeName: node-1
  containers: [{name: main, image: busybox, command: [sleep, "86400"]}]
`;

interface Bench {
  readonly cluster: Cluster;
  /** What a line prints. */
  run(line: string): Promise<string>;
}

async function bench(manifest: string): Promise<Bench> {
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

const endpoints = `kubectl get endpointslices -l kubernetes.io/service-name=nginx-service -o jsonpath='{range .items[*].endpoints[*]}{.targetRef.name} {.conditions.ready} {.conditions.serving} {.conditions.terminating}{"\\n"}{end}'`;

test("the tutorial: Terminating beside the new pod, both in the slice with their conditions, until 120 s are over", async () => {
  const { cluster, run } = await bench(tutorial);
  const old = (await run("kubectl get pods -o name")).trim().replace("pod/", "");
  const address = cluster.pod(old)?.status.podIP ?? "";
  expect(await run(endpoints)).toBe(`${old} true true false\n`);
  const begun = cluster.sim.clock.now;
  await run(`kubectl delete pod ${old} > gone.txt &`);
  await cluster.advance("8s");
  const pods = await run("kubectl get pods --no-headers");
  const rows = pods
    .trim()
    .split("\n")
    .map((row) => row.split(/ +/).slice(0, 4).join(" "));
  expect(rows).toContain(`${old} 1/1 Terminating 0`);
  const young = rows.find((row) => !row.startsWith(old))?.split(" ")[0] ?? "";
  expect(rows).toContain(`${young} 1/1 Running 0`);
  expect((await run(endpoints)).trim().split("\n").sort()).toEqual(
    [`${old} false true true`, `${young} true true false`].sort(),
  );
  const described = await run(`kubectl describe pod ${old}`);
  expect(described).toMatch(/Status: +Terminating \(lasts <invalid>\)\nTermination Grace Period: +120s\n/);
  expect(described).toMatch(/Normal +Killing +\S+ +kubelet +Stopping container nginx/);
  // All the time it serves whoever asks for it.
  expect(await run(`ssh node-1 curl -s ${address}`)).toContain("Welcome to nginx!");
  while (cluster.pod(old) && cluster.sim.clock.now < begun + 200_000_000) await cluster.advance("200ms");
  const took = (cluster.sim.clock.now - begun) / 1_000_000;
  expect(took).toBeGreaterThan(120);
  expect(took).toBeLessThan(122);
  await cluster.advance("2s");
  // The command has waited for it.
  expect(await run("cat gone.txt")).toContain(`pod "${old}" deleted from default namespace\n`);
  expect(await run(endpoints)).toBe(`${young} true true false\n`);
  expect(await run("kubectl get events --no-headers")).toMatch(
    /Warning +FailedPreStopHook +pod\/\S+ +PreStopHook failed/,
  );
});

test.each([
  ["--now --grace-period=5", "error: --now and --grace-period cannot be specified together\n"],
  ["--force --grace-period=5", "error: --force and --grace-period greater than 0 cannot be specified together\n"],
  ["--wait=false", 'pod "stubborn" deleted from default namespace\n'],
  [
    "--timeout=3s",
    'pod "stubborn" deleted from default namespace\nerror: timed out waiting for the condition on pods/stubborn\n',
  ],
])("kubectl delete pod %s does not wait for its end", async (flags, words) => {
  const { cluster, run } = await bench(stubborn);
  expect(await run(`kubectl delete pod stubborn ${flags}`)).toBe(words);
  expect(cluster.pod("stubborn")).toBeDefined();
});

test.each([
  ["", 30.95],
  ["--now", 2.95],
  ["--grace-period=0", 2.95],
  ["--grace-period=7", 7.95],
])("kubectl delete pod %s of a program that hears no signal takes %d s", async (flags, seconds) => {
  const { cluster, run } = await bench(stubborn);
  const begun = cluster.sim.clock.now;
  expect(await run(`kubectl delete pod stubborn ${flags}`)).toBe('pod "stubborn" deleted from default namespace\n');
  const took = (cluster.sim.clock.now - begun) / 1_000_000;
  // A typed line takes whole seconds.
  expect(took).toBeGreaterThan(seconds);
  expect(took).toBeLessThan(seconds + 1.1);
  expect(cluster.pod("stubborn")).toBeUndefined();
});

test("deleted by force it is gone from the API at once, with a warning, and from its node a moment later", async () => {
  const { cluster, run } = await bench(stubborn);
  expect(await run("kubectl delete pod stubborn --force --grace-period=0")).toBe(
    'Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\npod "stubborn" force deleted from default namespace\n',
  );
  expect(cluster.pod("stubborn")).toBeUndefined();
  expect(await run("ssh node-1 crictl ps --name main -q")).not.toBe("");
  await cluster.advance("4s");
  expect(await run("ssh node-1 crictl ps --name main -q")).toBe("");
});

test("a pod on a machine that is off stays Terminating until that is on again, or until somebody forces it", async () => {
  const { cluster, run } = await bench(`${stubborn}---\n${stubborn.replaceAll("stubborn", "other")}`);
  cluster.powerOff("node-1");
  await run("kubectl delete pod stubborn other --wait=false");
  await cluster.advance("10m");
  expect(await run("kubectl get pods --no-headers")).toMatch(
    /other +1\/1 +Terminating[\s\S]*stubborn +1\/1 +Terminating/,
  );
  await run("kubectl delete pod other --force 2> /dev/null");
  expect(cluster.pod("other")).toBeUndefined();
  cluster.powerOn("node-1");
  await cluster.advance("30s");
  expect(cluster.pod("stubborn")).toBeUndefined();
  expect(await run("ssh node-1 crictl pods -q --name other")).toBe("");
});

const servers = (name: string, command: string, more = "") => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec:
  nodeName: node-1
  containers: [{name: main, image: nginx, command: ${command}${more}}]
`;

test("nginx below a shell: with exec it hears the stop signal, as the shell's child it does not", async () => {
  const quit = ', lifecycle: {preStop: {exec: {command: [sh, -c, "nginx -s quit; sleep 4"]}}}';
  const manifest = [
    servers("instead", `[sh, -c, "echo here; exec nginx -g 'daemon off;'"]`),
    servers("below", `[sh, -c, "echo here; nginx -g 'daemon off;'; echo never"]`),
    servers("scripted", "[sh, /scripts/start.sh]", `, volumeMounts: [{name: scripts, mountPath: /scripts}]`).replace(
      "  containers:",
      "  volumes: [{name: scripts, configMap: {name: scripts}}]\n  containers:",
    ),
    "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: scripts}\ndata: {start.sh: \"nginx -g 'daemon off;'\\n\"}\n",
    servers("told", `[sh, -c, "echo here; nginx -g 'daemon off;'; echo over"]`, quit),
  ].join("");
  const { cluster, run } = await bench(manifest);
  const log = (name: string): readonly string[] =>
    cluster.container(`default/${name}`)?.log.map(({ text }) => text) ?? [];
  for (const name of ["instead", "below"]) {
    expect(await run(`ssh node-1 curl -s ${cluster.pod(name)?.status.podIP}`)).toContain("Welcome");
    expect(log(name)[0]).toBe("here");
  }
  expect(await run("kubectl exec instead -- nginx -t")).toContain("syntax is ok");
  const first = (name: string) =>
    run(`kubectl exec ${name} -- cat /proc/1/cmdline | tr '\\0' '|'; kubectl exec ${name} -- cat /proc/1/comm`);
  expect(await first("instead")).toBe("nginx: master process nginx -g daemon off;|nginx\n");
  expect(await first("scripted")).toBe("sh|/scripts/start.sh|sh\n");
  expect(await first("below")).toBe("sh|-c|echo here; nginx -g 'daemon off;'; echo never|sh\n");
  const below = "ssh node-1 ps -eo args | grep -c 'nginx: master'";
  expect(await run(below)).toBe("4\n");
  await run("kubectl exec instead -- nginx -s reload");
  expect(log("instead").some((line) => line.endsWith("signal 1 (SIGHUP) received, reconfiguring"))).toBe(true);
  const ending = async (name: string) => {
    const container = cluster.container(`default/${name}`);
    const begun = cluster.sim.clock.now;
    await run(`kubectl delete pod ${name}`);
    const at = container?.ending?.at ?? Number.NaN;
    return { code: container?.ending?.exitCode, seconds: Math.round((at - begun) / 1_000_000), container };
  };
  expect(await ending("instead")).toMatchObject({ code: 0, seconds: 0 });
  expect(await ending("below")).toMatchObject({ code: 137, seconds: 30 });
  expect(await ending("scripted")).toMatchObject({ code: 137, seconds: 30 });
  const told = await ending("told");
  expect(told).toMatchObject({ code: 0, seconds: 0 });
  expect(told.container?.log.at(-1)?.text).toBe("over");
  // The hook dies with its container.
  expect(await run("kubectl get events --no-headers")).toMatch(/FailedPreStopHook +pod\/told/);
});

test("in a distroless image the server is the same, and a hook that runs sleep is over at once, with an event", async () => {
  const server = (name: string, tag: string): string => `apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec: {containers: [{name: web, image: "kubebook/web:${tag}", lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}}]}
---
`;
  const { cluster, run } = await bench(server("whole", "1.0") + server("bare", "1.0-distroless"));
  const seconds: Record<string, number> = {};
  for (const name of ["whole", "bare"]) {
    const answer = await run(`ssh node-1 curl -s ${cluster.pod(name)?.status.podIP}:8080`);
    expect(answer).toMatch(new RegExp(`Hello from ${name} at .*, version 1.0\n`));
    const container = cluster.container(`default/${name}`);
    const begun = cluster.sim.clock.now;
    await run(`kubectl delete pod ${name}`);
    seconds[name] = Math.floor(((container?.ending?.at ?? Number.NaN) - begun) / 1_000_000);
  }
  expect(seconds).toEqual({ whole: 5, bare: 0 });
  const warnings = await run("kubectl get events --field-selector type=Warning --no-headers");
  expect(warnings).toMatch(/FailedPreStopHook +pod\/bare +PreStopHook failed/);
  expect(warnings).not.toContain("pod/whole");
});
