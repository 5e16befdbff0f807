import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requireOrSkip } from "../judges";
import { type Duel, duel, kubectlVersion, type Printed } from "./kubectljudge";

const version = kubectlVersion();
const missing = "kubectl is not installed";

const web = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: my-nginx
spec:
  selector:
    matchLabels:
      run: my-nginx
  replicas: 2
  template:
    metadata:
      labels:
        run: my-nginx
    spec:
      containers:
      - name: my-nginx
        image: nginx
        ports:
        - containerPort: 80
---
apiVersion: v1
kind: Service
metadata:
  name: my-nginx
  labels:
    run: my-nginx
spec:
  ports:
  - port: 80
    protocol: TCP
  selector:
    run: my-nginx
`;
const one = `apiVersion: v1
kind: Pod
metadata:
  name: p
  labels: {app: x}
spec:
  containers:
  - name: c
    image: nginx
`;

const db = `apiVersion: v1
kind: Service
metadata:
  name: db
spec:
  clusterIP: None
  ports: [{port: 80}]
  selector: {app: db}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
spec:
  serviceName: db
  replicas: 2
  selector:
    matchLabels: {app: db}
  template:
    metadata:
      labels: {app: db}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: nginx
        image: nginx
        ports: [{containerPort: 80}]
`;
const indexed = `apiVersion: batch/v1
kind: Job
metadata:
  name: idx
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  activeDeadlineSeconds: 600
  ttlSecondsAfterFinished: 600
  template:
    spec:
      restartPolicy: OnFailure
      containers:
      - {name: w, image: busybox, command: [sh, -c, "echo $JOB_COMPLETION_INDEX"]}
`;

const probed = `apiVersion: v1
kind: Pod
metadata: {name: probed, labels: {app: probed}}
spec:
  readinessGates: [{conditionType: example.com/lb}]
  initContainers:
  - {name: setup, image: busybox, command: [sh, -c, "true\\nexit 0"]}
  - name: side
    image: nginx
    restartPolicy: Always
    startupProbe: {httpGet: {port: 80, path: "/?up#1"}, periodSeconds: 2}
  containers:
  - name: main
    image: busybox
    command: [sleep, "36000"]
    envFrom: [{configMapRef: {name: none, optional: true}}, {prefix: P_, secretRef: {name: none, optional: true}}]
    env:
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: KEY, valueFrom: {secretKeyRef: {name: none, key: k, optional: true}}}
    readinessProbe: {exec: {command: [sh, -c, "exit 0"]}, periodSeconds: 3, successThreshold: 2}
    livenessProbe: {grpc: {port: 9090}, initialDelaySeconds: 600}
---
apiVersion: v1
kind: Pod
metadata: {name: failing}
spec:
  containers:
  - name: web
    image: nginx
    ports: [{containerPort: 80}]
    livenessProbe: {httpGet: {port: 80, path: /none, host: ""}, periodSeconds: 1, failureThreshold: 2}
    readinessProbe: {tcpSocket: {port: 80}, timeoutSeconds: 2}
`;

const head = "apiVersion: v1\nkind: ConfigMap\n";
const files = {
  "web.yaml": web,
  "one.yaml": one,
  "db.yaml": db,
  "idx.yaml": indexed,
  "probed.yaml": probed,
  "three.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: nginx, image: nginx}]
`,
  "a.conf": "x: 1\n",
  "six.yaml": `apiVersion: v1
kind: Service
metadata: {name: six}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: six-1, labels: {kubernetes.io/service-name: six}}
addressType: IPv6
ports: [{port: 80}]
endpoints: [{addresses: ["fd00::6"]}]
---
apiVersion: v1
kind: Endpoints
metadata: {name: six, labels: {endpointslice.kubernetes.io/skip-mirror: "true"}}
subsets: [{addresses: [{ip: 10.0.0.9}]}]
`,
  "number.yaml": `${head}metadata: {name: 5}\n`,
  "nameless.yaml": `${head}data: {a: b}\n`,
  "scalars.yaml": `${head}metadata: {name: e1}
data:
  a: [e1, E2, ., "-", -1, 0x1f, 0X1f, 0o17, 017, 08, 0b11, 1_000, .5, 1e3, 1.e3, +1, ~, y, No, off, yEs, 12:30, 2001-01-01]
`,
};

/** What the judge prints of its own age and build: each line is a change of kubectl's, or of how this one was built. */
function asOfToday(text: string): string {
  return (
    text
      // Since 1.34 a creationTimestamp that there is none of is left out.
      .replace(/^ *"?creationTimestamp"?: null,?\n/gm, "")
      .replace(/,\n( *\})/g, "\n$1")
      .replace(/^ *metadata: \{\}\n/gm, "")
      .replace(/^( *)metadata:\n(?=\1\S)/gm, "")
      .replace(/"metadata": \{\n *\}/g, '"metadata": {}')
      // A restart is written down by the real clock.
      .replace(/(restartedAt: )\S+/g, "$1<now>")
      // Since 1.33 `delete` says from which namespace.
      .replace(/^(\S+ "[^"]+" (?:force )?deleted)(?= \(|$)/gm, "$1 from default namespace")
      // Since 1.33 describe shows whether a projected ConfigMap is optional, ports by name, and the namespace of a DaemonSet.
      .replace(/ConfigMapOptional: {7}<nil>/g, "Optional:                false")
      // A DaemonSet's namespace is told since 1.33, too; a node's pods have their ages by the real clock.
      .replace(/^(Name: +kube-proxy\n)Namespace: .*\n(?=Selector:)/gm, "$1")
      .replace(/^( {2}\S+ +\S+(?: +\S+ \(\d+%\)){4}) +\S+$/gm, "$1")
      // A drain said twice what it cannot do.
      .replace(/cannot delete cannot delete/g, "cannot delete")
      // What it says of the loopback server, which has no Leases and answers no watches.
      .replace(/^Lease: .*\n/gm, "")
      .replace(/^W\d{4} .*reflector\.go.*\n/gm, "")
      // RunNoErrOutput, as kubectl's own main has it, lets kubectl word what cobra found.
      .replace(/^Error: /gm, "error: ")
      .replace(
        /^E\d{4} .*"command failed" err="(.*)"$/gm,
        (_, words: string) => `error: ${words.replaceAll('\\"', '"')}`,
      )
  );
}

function today({ stdout, stderr, status }: Printed): Printed {
  return { stdout: asOfToday(stdout), stderr: asOfToday(stderr), status };
}

/** What only ours says: the server's deprecation, which the loopback server sends no header for. */
function comparable({ stdout, stderr, status }: Printed): Printed {
  return {
    stdout: asOfToday(stdout),
    stderr: stderr.replace(/^Warning: v1 Endpoints is deprecated.*\n/gm, ""),
    status,
  };
}

/** One after the other at two equal clusters: what one line does, the next one sees. */
function judged(name: string, lines: readonly string[]): void {
  describe(name, () => {
    let both: Duel | undefined;
    beforeAll(async () => {
      if (version !== undefined) both = await duel({ seed: 3, nodes: 3 }, files);
    }, 60_000);
    afterAll(() => both?.close());
    test.each(lines)("%s", async (line) => {
      const typed = `kubectl ${line}`.replace(/^kubectl (KUBE_EDITOR=(?:"[^"]*"|\S*)) /, "$1 kubectl ");
      const [mine, real] = [await (both as Duel).ours(typed), await (both as Duel).theirs(typed)];
      expect(comparable(mine)).toEqual(today(real));
    });
  });
}

test("the judge is here", (context) => requireOrSkip(context, version !== undefined, missing));

describe.skipIf(version === undefined)("our kubectl prints what a real one prints", () => {
  judged("probes, sidecars and readiness gates", [
    "apply -f probed.yaml",
    "get pods",
    "describe pod probed",
    "get pods -o wide",
    "get pods --no-headers",
    "get pods -o name",
    "get pod failing -o jsonpath='{.status.containerStatuses[0].started}'",
    "get pods --show-labels",
    "get pods -l app=probed",
    "describe pod probed",
    "describe pod failing",
    "get pod probed -o jsonpath='{.status.conditions}'",
  ]);
  judged("what is made without a server", [
    "create deployment web --image=nginx --dry-run=client -o yaml",
    "create deployment web --image=registry.k8s.io/echoserver:1.10 --replicas=3 --port=8080 --dry-run=client -o yaml",
    "create deployment web --image=busybox -n shop --dry-run=client -o yaml -- sh -c 'sleep 5; echo \"a: b\"'",
    "create deployment web --image=nginx -r 2 --dry-run=client",
    "create deployment web --image=nginx --dry-run=client -o name",
    "create deployment web --image=nginx --dry-run=client -o json",
    "create deployment web --image=nginx --dry-run=client -o jsonpath='{.spec.replicas}'",
    "create deployment web --image=nginx --dry-run=client -o go-template='{{.metadata.name}}'",
    "create deployment w --image=a --image=d --dry-run=client -o yaml -- sh",
    "create deployment --image=nginx",
    "create deployment web --image=nginx --replicas=many",
    "create deployment web --image=nginx --nope",
    "create deployment web --image=nginx -z",
    "create deployment web --image",
    "create deployment web --image=nginx --dry-run=nope",
    "create deployment web --image=nginx --dry-run=client -o nope",
    "create deployment web --image=nginx --dry-run=client -o wide",
    "create service clusterip db --tcp=5432 --tcp=80:http --dry-run=client -o yaml",
    "create service clusterip db --clusterip=None --dry-run=client -o yaml",
    "create service clusterip db --clusterip=None --tcp=80 --dry-run=client -o yaml",
    "create service clusterip db --tcp=80 --dry-run=client -o json",
    "create service clusterip db",
    "create svc clusterip e --tcp=99999 --dry-run=client",
    "create svc clusterip e --tcp=x --dry-run=client",
    "create svc clusterip e --tcp=80:htTp --dry-run=client -o yaml",
    "create service nodeport db --tcp=80:8080 --node-port=30080 --dry-run=client -oyaml",
    "create service loadbalancer db --tcp=80:8080 --dry-run=client --output yaml",
    "create service externalname e --external-name=db.example.com --dry-run=client -o yaml",
    "create service externalname e --external-name=db.example.com --tcp=5432 --dry-run=client -o yaml",
    "create service externalname e --dry-run=client",
    "create configmap c --from-literal=a=1 --from-literal=b='x: y' --dry-run=client -o yaml",
    "create configmap c --from-file=web.yaml --dry-run=client -o yaml",
    "create configmap c --from-file=k=a.conf --from-literal=a=1 --dry-run=client -o json",
    "create configmap c --from-file=nope --dry-run=client",
    "create configmap c --from-literal=a --dry-run=client",
    "create configmap c --from-literal='a b=1' --dry-run=client",
    "create configmap c --from-literal=a=1 --from-literal=a=2 --dry-run=client",
    "create configmap --dry-run=client",
    "create secret generic s --from-literal=a=b --from-literal=k='x y' --dry-run=client -o yaml",
    "create secret generic s --from-literal=a=b --type=my/type --dry-run=client -o yaml -n x",
    "create secret generic s --from-literal=a=b --dry-run=client -o json",
    "create secret docker-registry r --docker-username=u --docker-password=p --docker-email=e@x --dry-run=client -o yaml",
    "create secret docker-registry r --docker-username=u --dry-run=client",
    "create secret tls t --cert=nope --key=web.yaml --dry-run=client",
    "create secret tls t --cert=web.yaml --key=web.yaml --dry-run=client",
    "create secret tls t --cert=web.yaml --dry-run=client",
    "create secret generic --dry-run=client",
    "create secret nope x",
    "create nope",
    "create",
    "create sa s --dry-run=client -o yaml",
    "create namespace shop --dry-run=client -o name",
    "create namespace shop --dry-run=client -o yaml",
    "create -f nope.yaml",
    "create -f web.yaml --dry-run=client",
    "create -f web.yaml --dry-run=client -o name",
    "create -f web.yaml --dry-run=client -o yaml",
    "label --local -f one.yaml a=b",
    "label --local -f one.yaml a=b -o yaml",
    "label --local -f web.yaml x=y -o yaml",
    "label --local -f one.yaml app- -o yaml",
    "label --local -f one.yaml app=y -o yaml",
    "label --local -f one.yaml app=y --overwrite -o json",
    "label --local -f one.yaml 'a=b c'",
    "annotate --local -f one.yaml note='a: b' -o yaml",
    "annotate --local -f web.yaml x=y -o yaml",
    'patch --local -f one.yaml -p \'{"metadata":{"labels":{"q":"r"}}}\' -o yaml',
    'patch --local -f one.yaml -p \'{"spec":{"containers":[{"name":"c","image":"i"},{"name":"d"}]}}\' -o yaml',
    'patch --local -f one.yaml --type=merge -p \'{"spec":{"containers":[{"name":"d"}]}}\' -o yaml',
    'patch --local -f one.yaml --type=json -p \'[{"op":"replace","path":"/metadata/name","value":"n"}]\' -o json',
    "patch --local -f one.yaml --type=nope -p '{}'",
    "patch --local -f one.yaml",
    "set image --local -f one.yaml c=i:2 -o yaml",
    "set image --local -f one.yaml '*=i:2' -o yaml",
    "set image --local -f one.yaml nope=i:2 -o yaml",
    "set image --local -f web.yaml my-nginx=nginx:2 -o yaml",
    "set image --local -f one.yaml",
    "set env --local -f one.yaml A=b C=d -o yaml",
    "run p --image=nginx --dry-run=client -o yaml",
    "run p --image=nginx --dry-run=client -o json",
    "run p --image=nginx --port=80 --env=A=b --labels=a=b,c=d --command --dry-run=client -o yaml -- sleep 1",
    "run p --image=nginx --restart=Never --dry-run=client -o yaml -- a b",
    `run p --image=nginx --overrides='{"spec":{"nodeName":"node-1"}}' --dry-run=client -o yaml`,
    "run p --image=nginx --restart=nope",
    "run p --image=nginx --expose",
    "run p --image='bad image'",
    "run --image=nginx",
    "run p",
    "config current-context",
    "config get-contexts",
    "config get-contexts -o name",
    "config use-context nope",
    "config use-context kubernetes-admin@kubernetes",
    "config nope",
  ]);

  judged("what there is", [
    "apply -f web.yaml",
    "get pods",
    "get all",
    "get pods -o wide",
    "get svc,ep,endpointslices",
    "get svc my-nginx -o yaml",
    "get deploy my-nginx -o json",
    "get nodes --show-labels",
    "get nodes -L kubernetes.io/os -o wide",
    "get ns,sa",
    "get rs -o wide",
    "get ds -A -o wide",
    "get svc -A -o wide",
    "get all -A",
    "get cm -n kube-system",
    "get pods -A --no-headers",
    "get pods --sort-by=.status.podIP",
    "get pods --field-selector=status.phase=Running -o name",
    "get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIPs",
    "get pods -o custom-columns=A:.spec.nodeName,B:.nope --no-headers",
    'get pods -o jsonpath=\'{range .items[*]}{.metadata.name}{"\\t"}{.status.podIP}{"\\n"}{end}\'',
    "get pods -o jsonpath-as-json='{.items[*].spec.nodeName}'",
    "get pods -o go-template='{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}'",
    "get pods -o go-template='{{.items.x.y}}'",
    "get pods -o go-template='{{nope}}'",
    "get pods -o jsonpath='{.items[9].x}'",
    "get pods -o jsonpath='{.x'",
    "get pods -o jsonpath",
    "get pods -o nope",
    "get pods -o custom-columns=x",
    "get events",
    "get svc nope my-nginx",
    "get svc my-nginx nope --ignore-not-found",
    "get all my-nginx",
    "get svc,deploy,ds my-nginx",
    "get deployments.nope",
    "get pods -n kube-system --sort-by=.status.podIPs[0].ip -o name",
    "get pods --sort-by=.nope -o name",
    "get svc -o jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}'",
    "get svc -o jsonpath=\"{.items[*]['metadata.name','spec.type']}\"",
    "get svc kube-dns -n kube-system -o jsonpath=\"{.metadata.annotations['prometheus\\.io/port']}\"",
    "get svc kube-dns -n kube-system -o jsonpath=\"{.metadata.annotations['prometheus.io/port']}\"",
    "get svc -o jsonpath='{.items[?(@.port==80 && @.x)].y}'",
    "get svc -o jsonpath='{.items['",
    "get svc -o custom-columns=N:",
    "get pods nope",
    "get nope",
    "get pods,nope",
    "get pod/a svc",
    "get",
    "get pods --nope",
    "get pods -l 'a in b'",
    "get pods --field-selector=spec.nope=1",
    "get pods -n nope",
    "describe svc my-nginx",
    "describe deployment my-nginx",
    "describe rs",
    "describe pods -l run=my-nginx",
    "describe endpoints my-nginx",
    "create -f six.yaml",
    "describe svc six",
    "describe endpoints six",
    "delete -f six.yaml",
    "describe endpointslices -l kubernetes.io/service-name=my-nginx",
    "describe ns default",
    "describe sa default",
    "describe node node-1",
    "describe ds kube-proxy -n kube-system",
    "describe pods -n kube-system -l k8s-app=kube-proxy",
    "describe cm coredns -n kube-system",
    "describe svc -A",
    "describe pod nope",
    "describe svc nope my-nginx",
    "describe nope",
    "describe",
    "expose deployment my-nginx --name=c --port=80,443 --dry-run=client -o yaml",
    "expose deployment my-nginx --name=c --port=80 --target-port=http --protocol=UDP --external-ip=1.2.3.4 --session-affinity=ClientIP --cluster-ip=None --dry-run=client -o yaml",
    "expose svc my-nginx --name=d --dry-run=client -o yaml",
    "expose svc kubernetes --name=d --dry-run=client",
    "expose ds kube-proxy -n kube-system",
    "expose node node-1",
    "expose",
    "expose deployment",
    "expose deployment nope",
    "expose deployment my-nginx",
    "rollout status deployment my-nginx",
    "rollout history deployment my-nginx",
    "rollout history deployment my-nginx --revision=1",
    "rollout history deployment my-nginx --revision=7",
    "rollout history svc/my-nginx",
    "rollout status svc my-nginx",
    "rollout nope",
    "api-resources",
    "api-resources -o wide",
    "api-resources -o name",
    "api-resources --namespaced=false",
    "api-versions",
  ]);

  judged("how a node is emptied", [
    "create pdb web --selector=run=my-nginx --min-available=1 --dry-run=client -o yaml",
    "create pdb web --selector='app in (a,b),!c,d=e' --max-unavailable=20% --dry-run=client -o yaml",
    "create pdb web --min-available=1 --dry-run=client",
    "create pdb web --selector=a=b --dry-run=client",
    "create pdb web --selector=a=b --min-available=1 --max-unavailable=1 --dry-run=client",
    "create pdb web --selector=a=b --min-available=x --dry-run=client",
    "create pdb web --selector=a=b --max-unavailable=-1 --dry-run=client",
    "create pdb --selector=a=b",
    "create poddisruptionbudget web --selector=a=b --min-available=200%",
    "get pdb",
    "apply -f web.yaml",
    "get pods -o wide",
    "create pdb web --selector=run=my-nginx --min-available=2",
    "create pdb web --selector=run=my-nginx --min-available=2",
    "create pdb other --selector=run=other --max-unavailable=50%",
    "get pdb",
    "get pdb -A -o wide",
    "describe pdb web",
    "describe pdb",
    "get pdb web -o yaml",
    'patch pdb web -p \'{"spec":{"maxUnavailable":1}}\'',
    'patch pdb web -p \'{"spec":{"unhealthyPodEvictionPolicy":"Never"}}\'',
    "drain",
    "drain nope",
    "drain node-1 nope",
    "drain node-1 -l a=b",
    "drain svc/my-nginx",
    "drain node-1 --pod-selector='a in'",
    "drain node-1 --timeout=5",
    "drain node-1",
    "drain node-1 node-2",
    "get nodes",
    "uncordon node-1 node-2",
    "drain node/node-1 --dry-run=client --ignore-daemonsets",
    "drain node-1 --dry-run=server --ignore-daemonsets --pod-selector=run=nope",
    "drain node-3 --ignore-daemonsets --dry-run=server --timeout=1s --pod-selector=run=my-nginx",
    "drain node-3 --ignore-daemonsets --timeout=7s --pod-selector=run=my-nginx",
    "delete pdb web",
    "drain node-3 --ignore-daemonsets --pod-selector=run=my-nginx",
    "get pods -o custom-columns=POD:.metadata.name,NODE:.spec.nodeName",
    "uncordon node-3",
    "uncordon node-3",
    "cordon node-3 --dry-run=client",
    "cordon node-3 --dry-run=server",
    "cordon",
    "cordon node-1 -l a=b",
    "cordon svc/x",
    "cordon -l kubernetes.io/os=linux",
    "uncordon -l kubernetes.io/os=linux",
    'run p --image=nginx --overrides=\'{"spec":{"nodeName":"node-2"}}\'',
    "get pod p -o name",
    "drain node-2 --ignore-daemonsets --pod-selector=run=p",
    "drain node-2 --ignore-daemonsets --pod-selector=run=p --force --disable-eviction",
    "drain -l nope=nope",
  ]);

  judged("pods with names", [
    "apply -f db.yaml",
    "get pods",
    "get sts",
    "get sts,pods -o wide",
    "get statefulsets.apps db -o yaml",
    "rollout status sts/db",
    "describe sts db",
    "describe pod db-1",
    "get pod db-0 -o json",
    "get all",
    "get controllerrevisions",
    "get sts -l app=db",
    "scale sts db --replicas=1 --current-replicas=9",
    "scale sts db --replicas=3",
    "scale statefulset db --replicas=-1",
    "get events",
    "get sts db -o jsonpath='{.status.replicas}/{.spec.replicas}'",
    "set image sts/db nginx=nginx:1.28",
    "set image sts/db nope=nginx:1.28",
    "set env sts/db A=b --dry-run=server",
    "set image --local -f db.yaml nginx=i:2 -o yaml",
    "get pods",
    "get pods -o custom-columns=N:.metadata.name,I:.spec.containers[0].image",
    "get pods",
    "get pods",
    "get pods",
    "get pods",
    "get pods",
    "get sts db -o jsonpath='{.status}'",
    "rollout status sts/db",
    "rollout history sts/db",
    "rollout history sts/db --revision=1",
    "rollout history sts/db --revision=2 -o name",
    "rollout history sts/db --revision=7",
    "rollout undo sts/db --dry-run=client",
    "rollout undo sts/db --to-revision=9",
    "rollout undo sts/db",
    "rollout pause sts/db",
    "rollout resume sts/db",
    "rollout restart sts/db",
    "rollout history sts/db",
    'patch sts db -p \'{"spec":{"updateStrategy":{"type":"OnDelete"}}}\'',
    'patch sts db -p \'{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null}}}\'',
    "rollout status sts/db",
    'patch sts db -p \'{"spec":{"serviceName":"other"}}\'',
    'patch sts db -p \'{"spec":{"replicas":1}}\'',
    'patch sts db -p \'{"spec":{"podManagementPolicy":"Parallel"}}\'',
    "label sts db a=b",
    "KUBE_EDITOR=true edit sts db",
    "expose sts db --name=e --port=80",
    "describe sts",
    "delete -f db.yaml --wait=false",
    "get pods",
    "rollout history sts/db",
    "rollout status sts nope",
  ]);

  judged("taints", [
    "taint",
    "taint nodes",
    "taint nodes node-1",
    "taint nodes node-1 a",
    "taint nodes node-1 a=b",
    "taint nodes node-1 a:b:c",
    "taint nodes node-1 a=b=c:NoSchedule",
    "taint nodes node-1 a=b:No",
    "taint nodes node-1 -a=b:NoSchedule",
    "taint nodes node-1 a=b:NoSchedule node-2",
    "taint nodes a=b:NoSchedule",
    "taint pods p a=b:NoSchedule",
    "taint nodes nope a=b:NoSchedule",
    "taint nodes node-1 a=b:NoSchedule a=c:NoSchedule",
    "taint nodes node-1 a=b:NoSchedule a:NoSchedule-",
    "taint nodes node-1 a=b:NoSchedule a-",
    "taint nodes --all -l x=y a=b:NoSchedule",
    "taint nodes node-1 a=b:NoSchedule --dry-run=client",
    "taint nodes node-1 a=b:NoSchedule --dry-run=server",
    "taint nodes node-1 a=b:NoSchedule",
    "taint nodes node-1 a=b:NoSchedule",
    "taint nodes node-1 a=c:NoSchedule c:NoExecute",
    "taint nodes node-1 a=c:NoSchedule --overwrite",
    "taint nodes node-1 a=c:NoExecute d:PreferNoSchedule",
    "get node node-1 -o jsonpath='{.spec.taints}'",
    "describe node node-1 | grep -A3 Taints",
    "taint node node-1 a:NoSchedule- z=z:NoSchedule",
    "taint node node-1 nope-",
    "taint node node-1 nope:NoSchedule- other-",
    "taint node node-1 a-",
    "taint node node-1 d- z- -o name",
    "taint nodes -l kubernetes.io/hostname=node-2 q:NoSchedule",
    "taint nodes --all q2:PreferNoSchedule -o jsonpath='{.metadata.name}'",
    "taint nodes node-1 node-2 q2-",
    "get nodes -o jsonpath='{.items[*].spec.taints}'",
  ]);

  judged("a rollout that is paused", [
    "apply -f web.yaml",
    "set image deployment/my-nginx my-nginx=nginx:1.28",
    ...Array<string>(4).fill("get nodes"),
    "describe deployment my-nginx",
    "rollout pause deployment/my-nginx",
    "set image deployment/my-nginx my-nginx=nginx:1.27",
    "describe deployment my-nginx",
    "rollout status deployment/my-nginx --watch=false",
    "rollout undo deployment/my-nginx",
    "rollout history deployment/my-nginx",
    "scale deployment my-nginx --replicas=3",
    "get nodes",
    "describe deployment my-nginx",
    "rollout resume deployment/my-nginx",
    ...Array<string>(4).fill("get nodes"),
    "describe deployment my-nginx",
    "delete deployment my-nginx",
  ]);

  judged("daemons", [
    "get ds -n kube-system",
    "rollout history ds/kube-proxy -n kube-system",
    "rollout undo ds/kube-proxy -n kube-system",
    "set env ds/kube-proxy A=b -n kube-system",
    "rollout status ds/kube-proxy -n kube-system --watch=false",
    ...Array<string>(9).fill("get ds -n kube-flannel"),
    "rollout status ds/kube-proxy -n kube-system",
    "get ds kube-proxy -n kube-system -o jsonpath='{.status}'",
    "rollout history ds/kube-proxy -n kube-system",
    "rollout history ds/kube-proxy -n kube-system --revision=1",
    "rollout history ds/kube-proxy -n kube-system --revision=2 -o name",
    "rollout history ds/kube-proxy -n kube-system --revision=7",
    "get controllerrevisions -n kube-system",
    "get controllerrevisions -n kube-system -l k8s-app=kube-proxy -o jsonpath='{.items[*].data}'",
    "rollout undo ds/kube-proxy -n kube-system --dry-run=client",
    "rollout undo ds/kube-proxy -n kube-system --dry-run=server",
    "rollout undo ds/kube-proxy -n kube-system --to-revision=9",
    "rollout undo ds/kube-proxy -n kube-system",
    ...Array<string>(9).fill("get ds -n kube-flannel"),
    "rollout status ds/kube-proxy -n kube-system",
    "rollout history daemonsets -n kube-system",
    "rollout pause ds/kube-proxy -n kube-system",
    "annotate ds kube-proxy -n kube-system kubernetes.io/change-cause=because",
    "rollout restart ds/kube-proxy -n kube-system",
    "rollout history ds/kube-proxy -n kube-system",
  ]);

  judged("work that ends", [
    "create job x --image=busybox --dry-run=client -o yaml",
    "create job x --image=busybox --dry-run=client -o json -- sh -c 'echo \"a: b\"'",
    "create job x --image=busybox -n shop --dry-run=client -o yaml -- date",
    "create job x",
    "create job --image=busybox",
    "create job x y --image=busybox",
    "create job x --image=a --from=cronjob/b",
    "create job X_ --image=busybox",
    "create job pi --image=busybox -- sh -c 'sleep 2; echo 3.14'",
    "create job pi --image=busybox -- true",
    "get jobs",
    "get job,pods -o wide",
    "describe job pi",
    "get pods",
    "get pods",
    "get pods",
    "get jobs",
    "get job pi -o yaml",
    "describe job pi",
    "describe pods -l job-name=pi",
    "get all",
    "get jobs --field-selector=status.successful=1",
    'patch job pi -p \'{"spec":{"completions":3}}\'',
    "set image job/pi pi=busybox:2 2>&1 | cut -c-100",
    "rollout status job/pi",
    "rollout history job/pi",
    "rollout undo job/pi",
    "rollout history pod -l job-name=pi",
    "rollout restart job/pi",
    "create job bad --image=busybox -- sh -c 'exit 3'",
    "get pods",
    "get pods",
    "get pods",
    "get jobs",
    "describe job bad",
    "delete job bad --wait=false",
    "apply -f idx.yaml",
    "get pods",
    "get jobs -o wide",
    "get pods",
    "describe job idx",
    "get pods",
    "get pods",
    "get pods",
    "describe job idx",
    "get events",
    "events | sort",
    "events --for job/idx",
    "events --for pod/nope",
    "events --for nope/x",
    "events --for pod",
    "events --for a/b/c",
    "events --types=Warning",
    "events --types=Normal,warning --no-headers | sort",
    "events --types=x",
    "events -A --no-headers | sort",
    "events -n nope",
    "events --for job/pi -o jsonpath='{.items[*].reason}'",
    "get events --field-selector=involvedObject.name=pi",
    "get events --sort-by=.lastTimestamp -o custom-columns=R:.reason,O:.involvedObject.name | sort",
    "delete job pi idx --wait=false",
    "get pods",
  ]);

  judged("how a template is rolled out", [
    "apply -f three.yaml",
    "get deployment web -o name",
    "rollout status deployment web --watch=false",
    "rollout status deploy/web -w=false --revision=1",
    "rollout status deployment web --revision=7",
    "rollout status deployment",
    "rollout status deployment web --timeout=x",
    "rollout status pod x",
    "rollout status",
    "rollout status deployment nope",
    "set image deployment/web nginx=nope.example/x:1",
    "get deployment web -o jsonpath='{.spec.replicas}'",
    "rollout status deployment web --watch=false",
    "rollout history deployment web",
    "rollout history deployment",
    "rollout history deployment web --revision=2",
    "rollout history deployment web --revision=2 -o jsonpath='{.metadata.annotations}'",
    "rollout history deployment web -o jsonpath='{.metadata.annotations}'",
    "rollout history deployment web --revision=-1",
    "rollout history deployment web --revision=9",
    "rollout history",
    "get deployment web -o jsonpath='{.status}'",
    "get rs -o custom-columns=N:.metadata.name,A:.metadata.annotations,S:.status",
    "describe deployment web",
    "rollout undo deployment web --to-revision=-1",
    "rollout undo deployment web --to-revision=2",
    "rollout undo deployment web --dry-run=server",
    "rollout undo deployment web --to-revision=1 -o name",
    "rollout undo",
    "rollout undo deployment web -o jsonpath='{.metadata}' --dry-run=client",
    "get rs -o wide",
    "annotate deployment web kubernetes.io/change-cause='back to nginx'",
    "rollout history deployment web",
    "rollout history deployment/web --revision=3",
    "get events --field-selector=reason=ScalingReplicaSet -o custom-columns=M:.message",
    "rollout restart deployment web",
    "rollout restart",
    "rollout restart svc kubernetes",
    "rollout restart deployment nope",
    "rollout restart deployment -l app=nope",
    "rollout pause deployment -l app=nope",
    "rollout pause deployment/web -o name",
    "rollout restart deployment web",
    "rollout undo deployment web",
    "rollout pause svc kubernetes",
    "rollout pause",
    "rollout resume deployment/web -o jsonpath='{.spec.paused}'",
    "rollout resume svc/kubernetes",
    "rollout history ds",
    "rollout restart ds/kube-proxy -n kube-system -o name",
    "rollout status ds kube-proxy -n kube-system --watch=false",
    "scale deployment web --replicas=5",
    "delete deployment web",
  ]);

  judged("what changes it", [
    "create -f web.yaml --dry-run=server",
    "create -f web.yaml --save-config",
    "create -f web.yaml",
    "apply -f web.yaml",
    "apply -f web.yaml --dry-run=client",
    "apply -f web.yaml --dry-run=server",
    "apply -f web.yaml -o name",
    "apply -f nope.yaml",
    "apply",
    "replace -f web.yaml",
    "label pods -l run=my-nginx tier=front",
    "label pods -l run=my-nginx tier=back",
    "label pods -l run=my-nginx tier=back --overwrite",
    "label pods -l run=my-nginx tier-",
    "label pods -l run=my-nginx tier-",
    "label deployment my-nginx a=b --list",
    "label deployment my-nginx a=b c=d --dry-run=server",
    "label deployment my-nginx",
    "label deployment a=b",
    "label deployment my-nginx a=b a-",
    "label",
    "label deployment my-nginx a=b=c",
    "label deployment my-nginx =c",
    "label deployment my-nginx q=r --resource-version=1",
    "annotate deployment my-nginx nope-",
    "annotate deployments,svc --all --list",
    "annotate deployment my-nginx note='hello there'",
    "annotate deployment my-nginx note='other'",
    "annotate deployment my-nginx note-",
    `patch deployment my-nginx -p '{"spec":{"replicas":3}}'`,
    `patch deployment my-nginx -p '{"spec":{"replicas":3}}'`,
    `patch deployment my-nginx --type=json -p '[{"op":"replace","path":"/spec/replicas","value":2}]'`,
    `patch svc my-nginx -p '{"spec":{"type":"NodePort"}}' --dry-run=client`,
    "patch deployment -p '{}'",
    "patch deployment nope -p '{}'",
    "set image deployment/my-nginx my-nginx=nginx:1.28",
    "set image deployment/my-nginx nope=nginx:1.28",
    "set env deployment/my-nginx A=b C=d",
    "set env deployment/my-nginx --list",
    "set selector svc my-nginx 'run=other,x=y'",
    "set selector svc my-nginx bad",
    "set selector deployment my-nginx a=b",
    "set nope",
    "rollout pause deployment my-nginx",
    "rollout pause deployment my-nginx",
    "rollout undo deployment my-nginx",
    "rollout resume deployment my-nginx",
    "rollout resume deployment my-nginx",
    "rollout undo deployment nope",
    "rollout undo deployment my-nginx --dry-run=client",
    "rollout undo deployment my-nginx --to-revision=9",
    "rollout undo deployment my-nginx",
    "rollout history deployment my-nginx",
    "cordon node-1",
    "cordon node-1",
    "get nodes",
    "uncordon node-1",
    "cordon nope",
    "get pods -l nope=nope",
    "get pods -l nope=nope -o yaml",
    "get pods -l nope=nope -o custom-columns=A:.x",
    "get pods -A -o custom-columns=NS:.metadata.namespace,IP:.status.podIP --sort-by=.metadata.name",
    "get -f web.yaml",
    "get svc/my-nginx deploy/my-nginx",
    "get pods x/y/z",
    "get /x",
    "get svc my-nginx --template='{{.spec.clusterIP}}'",
    `get deploy my-nginx -o go-template='{{.spec.replicas}} {{.nope}} {{if exists .spec "paused"}}p{{else}}n{{end}}'`,
    "label nodes --all zone=a",
    "label node node-1 node-2 zone=b --overwrite",
    "create ns a b",
    "run Bad --image=nginx",
    "scale rs nope --replicas=1",
    "rollout pause ds kube-proxy -n kube-system",
    "scale deployment my-nginx --replicas=3",
    "scale deployment my-nginx",
    "scale deployment my-nginx --replicas=-1",
    "scale deployment nope --replicas=1",
    "scale deployment my-nginx --replicas=2 --current-replicas=9",
    "expose deployment my-nginx --name=b --port=80 --type=LoadBalancer -l x=y",
    "run p --image=nginx -n nope",
    "run p --image=nginx",
    "KUBE_EDITOR=true edit svc kubernetes",
    "KUBE_EDITOR=nope edit svc kubernetes",
    'KUBE_EDITOR="sed -i s/sessionAffinity:.None/sessionAffinity:\\ ClientIP/" edit svc kubernetes',
    "edit deployment nope",
    "delete svc nope",
    "delete svc nope --ignore-not-found",
    "delete svc",
    "delete",
    "delete svc --all x",
    "delete svc --all -l a=b",
    "delete --all",
    "delete svc nope -o yaml",
    "delete svc -l no=such",
    "delete svc -l no=such --ignore-not-found",
    "delete svc nope --cascade=nope",
    "delete svc nope --now --grace-period=5",
    "delete svc nope --force --grace-period=5",
    "delete svc nope --force",
    "delete svc nope --grace-period=x",
    "delete svc --all --field-selector=metadata.name=x",
    "create -f number.yaml",
    "create -f scalars.yaml --dry-run=client --validate=false -o json",
    "apply -f nameless.yaml",
    "apply -f web.yaml -l no=such",
    "run p --image=nginx --port=x",
    "run p --image=nginx -l a --dry-run=client",
    "run p --image=nginx -it --dry-run=client -- sh",
    "run p --image=nginx --annotations=a=b --dry-run=client -o yaml",
    "wait --for=jsonpath=.spec.type=ClusterIP svc/kubernetes",
    "KUBE_EDITOR=cat edit svc kubernetes -o json",
    "delete -f nope.yaml",
    "delete pod p --grace-period=0 --force --wait=false",
    "delete -f web.yaml --dry-run=client",
    "delete -f web.yaml --wait=false",
    "delete -f web.yaml --wait=false",
    "delete pods -l a=b",
    "wait --for=condition=Ready node/nope",
    "wait node/node-1",
  ]);
});
