import { expect, test } from "vitest";
import { second } from "../../kernel-lib/sim/clock";
import { type Wired, wire } from "./wired";

const sleeper = { containers: [{ name: "main", image: "busybox:1.28", command: ["sh", "-c", "sleep 3600"] }] };

function waiting(cluster: Wired, name: string) {
  return cluster.podNow(name)?.status.containerStatuses?.[0]?.state?.waiting;
}

function stateWord(cluster: Wired, name: string): string {
  const state = cluster.podNow(name)?.status.containerStatuses?.[0]?.state;
  return state?.waiting?.reason ?? state?.terminated?.reason ?? (state?.running ? "Running" : "none");
}

test("a pod goes from ContainerCreating to Ready, and its events say so in the kubelet's words", () => {
  const cluster = wire();
  cluster.pod("web", "node-1");
  cluster.sim.clock.advance(second / 10);
  expect(waiting(cluster, "web")?.reason).toBe("ContainerCreating");
  expect(cluster.podNow("web")?.status.phase).toBe("Pending");
  // The sandbox has its address by now, and the worker is in the pull: nobody is told yet.
  cluster.sim.clock.advance(second);
  expect(cluster.netnsOf("web").devices.has("eth0")).toBe(true);
  expect(waiting(cluster, "web")?.reason).toBe("ContainerCreating");
  expect(cluster.podNow("web")?.status.podIP).toBeUndefined();
  cluster.sim.clock.settle();
  const status = cluster.podNow("web")?.status;
  expect(status?.phase).toBe("Running");
  expect(status).toMatchObject({
    podIP: "10.244.1.2",
    podIPs: [{ ip: "10.244.1.2" }],
    hostIP: "192.168.1.11",
    containerStatuses: [{ name: "main", ready: true, restartCount: 0, image: "docker.io/library/nginx:latest" }],
  });
  const conditions = status?.conditions?.map((condition) => `${condition.type}=${condition.status}`);
  expect(conditions).toEqual([
    "PodReadyToStartContainers=True",
    "Initialized=True",
    "Ready=True",
    "ContainersReady=True",
    "PodScheduled=True",
  ]);
  expect(cluster.events("web")).toEqual([
    'Normal Pulling Pulling image "nginx"',
    expect.stringMatching(
      /^Normal Pulled Successfully pulled image "nginx" in [\d.]+m?s \([\d.]+m?s including waiting\)\. Image size: 59774010 bytes\.$/,
    ),
    "Normal Created Container created",
    "Normal Started Container started",
  ]);
});

test("an image that is there is asked for again only with pull policy Always, and then costs one question", () => {
  const cluster = wire();
  const start = (name: string, policy: string): number => {
    const before = cluster.sim.clock.now;
    const containers = [{ name: "main", image: "nginx:1.28", imagePullPolicy: policy }];
    cluster.pod(name, "node-1", { containers });
    cluster.sim.clock.settle();
    return cluster.sim.clock.now - before;
  };
  const [first, present, again] = [start("a", "IfNotPresent"), start("b", "IfNotPresent"), start("c", "Always")];
  expect(cluster.events("b")[0]).toBe(
    'Normal Pulled Container image "nginx:1.28" already present on machine and can be accessed by the pod',
  );
  expect(present).toBeLessThan(again);
  expect(again).toBeLessThan(first);
});

test("an unknown image shows ErrImagePull, then ImagePullBackOff, with containerd's sentence, and is tried again later and later", () => {
  const cluster = wire();
  cluster.pod("typo", "node-1", { containers: [{ name: "main", image: "ngnix" }] });
  const seen: string[] = [];
  for (let step = 0; step < 700; step++) {
    cluster.sim.clock.advance(second / 10);
    const now = stateWord(cluster, "typo");
    if (seen.at(-1) !== now) seen.push(now);
  }
  expect(seen.slice(0, 6)).toEqual([
    "ContainerCreating",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImagePull",
  ]);
  const why =
    'failed to pull and unpack image "docker.io/library/ngnix:latest": failed to resolve reference "docker.io/library/ngnix:latest": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed';
  expect(cluster.events("typo")).toEqual([
    'Normal Pulling Pulling image "ngnix"',
    `Warning Failed Failed to pull image "ngnix": ${why}`,
    "Warning Failed Error: ErrImagePull",
    'Normal BackOff Back-off pulling image "ngnix"',
    "Warning Failed Error: ImagePullBackOff",
  ]);
  expect(waiting(cluster, "typo")?.message).toBe(`Back-off pulling image "ngnix": ErrImagePull: ${why}`);
  const pulls = cluster.store.list("Event").find((event) => event.reason === "Pulling");
  expect(pulls?.count).toBe(3);
  cluster.sim.clock.settle();
});

test.each([
  [
    "nginx:1.161",
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:1.161"',
    "ErrImagePull",
  ],
  ["Nginx", "repository name (library/Nginx) must be lowercase", "InvalidImageName"],
  ["registry.example.org/team/app:1", "lookup registry.example.org", "ErrImagePull"],
])("the image %s fails in the real tools' words", (image, words, reason) => {
  const cluster = wire();
  cluster.pod("typo", "node-1", { containers: [{ name: "main", image }] });
  cluster.sim.clock.advance(2 * second);
  expect(waiting(cluster, "typo")?.reason).toBe(reason);
  expect(waiting(cluster, "typo")?.message).toContain(words);
});

test("a container that keeps failing is restarted at once, then after 10 s, 20 s, …, and shows CrashLoopBackOff", () => {
  const cluster = wire();
  cluster.pod("crash", "node-1", {
    containers: [{ name: "main", image: "busybox:1.28", command: ["sh", "-c", "exit 3"] }],
  });
  cluster.sim.clock.advance(20 * second);
  expect(stateWord(cluster, "crash")).toBe("CrashLoopBackOff");
  const status = cluster.podNow("crash")?.status.containerStatuses?.[0];
  expect(status?.lastState?.terminated).toMatchObject({ exitCode: 3, reason: "Error" });
  expect(waiting(cluster, "crash")?.message).toMatch(
    /^back-off 20s restarting failed container=main pod=crash_default\(/,
  );
  expect(cluster.ran.length).toBe(3);
  cluster.sim.clock.advance(18 * second);
  expect(cluster.ran.length).toBe(4);
  expect(cluster.podNow("crash")?.status.phase).toBe("Running");
});

test("restart policies Never and OnFailure let a pod come to an end, and give its address back", () => {
  const cluster = wire();
  const command = (code: number) => [{ name: "main", image: "busybox:1.28", command: ["sh", "-c", `exit ${code}`] }];
  cluster.pod("done", "node-1", { restartPolicy: "OnFailure", containers: command(0) });
  cluster.pod("failed", "node-1", { restartPolicy: "Never", containers: command(1) });
  cluster.sim.clock.settle();
  expect([cluster.podNow("done")?.status.phase, cluster.podNow("failed")?.status.phase]).toEqual([
    "Succeeded",
    "Failed",
  ]);
  expect(cluster.podNow("done")?.status.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "False",
    reason: "PodCompleted",
  });
  expect([...cluster.network.namespaces.keys()].filter((name) => name.startsWith("default/"))).toEqual([]);
});

test("init containers run one after another before the others", () => {
  const cluster = wire();
  const init = (name: string) => ({ name, image: "busybox:1.28", command: ["sh", "-c", `exit 0 # ${name}`] });
  cluster.pod("web", "node-1", { initContainers: [init("one"), init("two")] });
  cluster.sim.clock.advance(second / 2);
  expect(cluster.podNow("web")?.status.conditions?.find(({ type }) => type === "Initialized")).toMatchObject({
    status: "False",
    message: "containers with incomplete status: [one two]",
  });
  cluster.sim.clock.settle();
  expect(cluster.ran.map((argv) => argv.at(-1))).toEqual(["exit 0 # one", "exit 0 # two"]);
  expect(cluster.podNow("web")?.status.phase).toBe("Running");
});

test("nginx leaves at once when its pod is deleted; a shell as PID 1 hears no SIGTERM and takes the whole grace period", () => {
  const cluster = wire();
  cluster.pod("web", "node-1");
  cluster.pod("shell", "node-1", sleeper);
  cluster.sim.clock.settle();
  const lasts = (name: string): number => {
    const before = cluster.sim.clock.now;
    cluster.store.delete("Pod", `default/${name}`, "test");
    cluster.sim.clock.settle();
    expect(cluster.podNow(name)).toBeUndefined();
    return cluster.sim.clock.now - before;
  };
  expect(lasts("web")).toBeLessThan(2 * second);
  expect(lasts("shell")).toBeGreaterThanOrEqual(30 * second);
  expect(cluster.events("web").at(-1)).toBe("Normal Killing Stopping container main");
  expect(cluster.network.namespaces.has("default/web")).toBe(false);
});

test("a pod of the same name waits until the one before it is gone from the node", () => {
  const cluster = wire();
  cluster.pod("shell", "node-1", sleeper);
  cluster.sim.clock.settle();
  cluster.store.delete("Pod", "default/shell", "test", { grace: 0 });
  cluster.pod("shell", "node-1", sleeper);
  cluster.sim.clock.settle();
  expect(cluster.podNow("shell")?.status).toMatchObject({ phase: "Running", podIP: "10.244.1.3" });
});

test("a range that is used up is told in the plugin's words, and the pod runs once an address is free", () => {
  const cluster = wire({ prefix: 29 });
  for (let pod = 1; pod <= 6; pod++) cluster.pod(`web-${pod}`, "node-1");
  cluster.sim.clock.settle();
  expect(cluster.podNow("web-6")?.status.phase).toBe("Pending");
  expect(cluster.events("web-6")[0]).toMatch(
    /^Warning FailedCreatePodSandBox Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "[0-9a-f]{64}": plugin type="flannel" failed \(add\): failed to delegate add: failed to allocate for range 0: no IP addresses available in range set: 10\.244\.1\.1-10\.244\.1\.6$/,
  );
  cluster.store.delete("Pod", "default/web-2", "test");
  cluster.sim.clock.advance(25 * second);
  expect(cluster.podNow("web-6")?.status).toMatchObject({ phase: "Running", podIP: "10.244.1.3" });
});

test("environment variables know the Services that were there when the container began, and no others", () => {
  const cluster = wire();
  cluster.service("kubernetes", "10.96.0.1", 443, { ports: [{ name: "https", port: 443, protocol: "TCP" }] });
  cluster.pod("early", "node-1", sleeper);
  cluster.sim.clock.settle();
  cluster.service("my-nginx", "10.96.0.50", 80);
  cluster.pod("late", "node-2", sleeper);
  cluster.pod("without", "node-2", { ...sleeper, enableServiceLinks: false });
  cluster.sim.clock.settle();
  const env = (node: string, pod: string): readonly string[] => {
    const container = cluster.nodes[node]?.kubelet.container(`default/${pod}`);
    return [...(container?.spec.env ?? [])].map(([name, value]) => `${name}=${value}`);
  };
  expect(env("node-1", "early")).toEqual([
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOSTNAME=early",
    "KUBERNETES_SERVICE_HOST=10.96.0.1",
    "KUBERNETES_SERVICE_PORT=443",
    "KUBERNETES_SERVICE_PORT_HTTPS=443",
    "KUBERNETES_PORT=tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP_PROTO=tcp",
    "KUBERNETES_PORT_443_TCP_PORT=443",
    "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
    "HOME=/root",
  ]);
  const late = env("node-2", "late");
  expect(late.filter((line) => line.startsWith("MY_NGINX_"))).toEqual([
    "MY_NGINX_SERVICE_HOST=10.96.0.50",
    "MY_NGINX_SERVICE_PORT=80",
    "MY_NGINX_PORT=tcp://10.96.0.50:80",
    "MY_NGINX_PORT_80_TCP=tcp://10.96.0.50:80",
    "MY_NGINX_PORT_80_TCP_PROTO=tcp",
    "MY_NGINX_PORT_80_TCP_PORT=80",
    "MY_NGINX_PORT_80_TCP_ADDR=10.96.0.50",
  ]);
  expect(env("node-2", "without")).toEqual(
    [...env("node-1", "early")].map((line) => line.replace("=early", "=without")),
  );
});

test("values come from the pod's own fields and from other variables; a ConfigMap that is missing is said by name", () => {
  const cluster = wire();
  const env = [
    { name: "POD_IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
    { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
    { name: "GREETING", value: "from $(POD_IP) on $(NODE), $$(NODE), $(NOBODY)" },
  ];
  const container = { ...sleeper.containers[0], env, args: ["$(NODE)"] };
  cluster.pod("who", "node-1", { containers: [container] });
  cluster.pod("lost", "node-1", {
    containers: [{ ...sleeper.containers[0], envFrom: [{ configMapRef: { name: "settings" } }] }],
  });
  cluster.sim.clock.advance(3 * second);
  const spec = cluster.nodes["node-1"]?.kubelet.container("default/who")?.spec;
  expect(spec?.env.get("GREETING")).toBe("from 10.244.1.2 on node-1, $(NODE), $(NOBODY)");
  expect(spec?.argv.at(-1)).toBe("node-1");
  expect(waiting(cluster, "lost")).toEqual({
    reason: "CreateContainerConfigError",
    message: 'configmap "settings" not found',
  });
});

test("a container finds its hosts file and resolver as the kubelet writes them", () => {
  const cluster = wire();
  cluster.pod("web", "node-1");
  cluster.sim.clock.settle();
  const files = cluster.nodes["node-1"]?.kubelet.container("default/web")?.spec.files;
  expect(files?.read("/etc/resolv.conf")).toBe(
    "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
  );
  expect(files?.read("/etc/hosts")).toContain("10.244.1.2\tweb\n");
  expect(files?.read("/etc/hostname")).toBe("web\n");
});

test("a command that the image has not is a StartError in runc's words", () => {
  const cluster = wire();
  cluster.pod("bad", "node-1", { containers: [{ name: "main", image: "busybox:1.28", command: ["curl"] }] });
  cluster.sim.clock.advance(8 * second);
  const status = cluster.podNow("bad")?.status.containerStatuses?.[0];
  expect(status?.lastState?.terminated).toMatchObject({ exitCode: 128, reason: "StartError" });
  expect(status?.lastState?.terminated?.message).toContain('exec: "curl": executable file not found in $PATH');
});

test("nodes say they are ready once their network is, and the same seed gives the same cluster, byte for byte", () => {
  const run = (): string => {
    const cluster = wire({ seed: 7 });
    cluster.pod("a", "node-1");
    cluster.pod("b", "node-2", sleeper);
    cluster.sim.clock.settle();
    const rules = Object.values(cluster.nodes).map(({ net }) => net.netns.iptables.save());
    return JSON.stringify([cluster.store.list("Node"), cluster.store.list("Pod"), cluster.store.list("Event"), rules]);
  };
  const first = run();
  expect(first).toContain('"reason":"KubeletReady"');
  expect(run()).toBe(first);
});

test("two containers of a pod share its network: the second on port 80 cannot have it, says so, and is restarted", () => {
  const cluster = wire();
  const containers = ["one", "two"].map((name) => ({ name, image: "nginx" }));
  cluster.pod("twins", "node-1", { containers });
  cluster.sim.clock.advance(10 * second);
  const log = cluster.nodes["node-1"]?.kubelet.container("default/twins", "two")?.log.map((line) => line.text) ?? [];
  expect(log[0]).toMatch(/\[emerg\] 1#1: bind\(\) to 0\.0\.0\.0:80 failed \(98: Address already in use\)$/);
  // It tries five times, half a second apart, as nginx does.
  expect(log.filter((line) => line.endsWith("try again to bind() after 500ms"))).toHaveLength(5);
  expect(log.at(-1)).toBe("nginx: [emerg] still could not bind()");
  const statuses = cluster.podNow("twins")?.status.containerStatuses ?? [];
  expect(statuses.map(({ ready }) => ready)).toEqual([true, false]);
  expect(statuses[1]?.restartCount).toBeGreaterThan(0);
  expect(cluster.podNow("twins")?.status.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
    status: "False",
    message: "containers with unready status: [two]",
  });
});

test("a pod that is deleted before it runs goes away without ever having run", () => {
  const cluster = wire();
  cluster.pod("brief", "node-1");
  cluster.sim.clock.advance(second / 2);
  expect(cluster.podNow("brief")?.status.phase).toBe("Pending");
  cluster.store.delete("Pod", "default/brief", "test");
  const before = cluster.sim.clock.now;
  cluster.sim.clock.settle();
  expect(cluster.podNow("brief")).toBeUndefined();
  expect(cluster.sim.clock.now - before).toBeLessThan(2 * second);
  expect(cluster.events("brief").some((event) => event.includes("Started"))).toBe(false);
});

test("a pod that was deleted by force and comes back on another node does not meet the one that still ends", () => {
  const cluster = wire();
  cluster.pod("shell", "node-1", sleeper);
  cluster.sim.clock.settle();
  cluster.store.delete("Pod", "default/shell", "test", { grace: 0 });
  cluster.pod("shell", "node-2", sleeper);
  cluster.sim.clock.settle();
  expect(cluster.podNow("shell")?.status).toMatchObject({ phase: "Running", podIP: "10.244.2.2" });
  expect([...cluster.network.namespaces.keys()].filter((name) => name.startsWith("default/"))).toHaveLength(1);
});

test("ConfigMaps and Secrets are files in the container; one that is missing keeps the pod waiting, and says so", () => {
  const cluster = wire();
  const volumes = [
    { name: "pages", configMap: { name: "pages" } },
    { name: "keys", secret: { secretName: "keys", items: [{ key: "tls.crt", path: "web.crt" }] } },
  ];
  const mounts = [
    { name: "pages", mountPath: "/usr/share/nginx/html" },
    { name: "keys", mountPath: "/etc/nginx/ssl/" },
  ];
  cluster.store.create(
    "Secret",
    { kind: "Secret", metadata: { name: "keys" }, data: { "tls.crt": "Z3LDvMOfZQ==" } },
    "test",
  );
  cluster.pod("web", "node-1", { volumes, containers: [{ name: "main", image: "nginx", volumeMounts: mounts }] });
  cluster.sim.clock.advance(5 * second);
  expect(stateWord(cluster, "web")).toBe("ContainerCreating");
  expect(cluster.events("web").at(-1)).toBe(
    'Warning FailedMount MountVolume.SetUp failed for volume "pages" : configmap "pages" not found',
  );
  cluster.store.create(
    "ConfigMap",
    { kind: "ConfigMap", metadata: { name: "pages" }, data: { "index.html": "hello" } },
    "test",
  );
  cluster.sim.clock.advance(20 * second);
  expect(stateWord(cluster, "web")).toBe("Running");
  const files = cluster.nodes["node-1"]?.kubelet.container("default/web")?.spec.files;
  expect([files?.read("/usr/share/nginx/html/index.html"), files?.read("/etc/nginx/ssl/web.crt")]).toEqual([
    "hello",
    "grüße",
  ]);
});
