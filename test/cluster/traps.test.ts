/** Tests what signals do to shells in containers: as process 1, in scripts that trap them (against the real bash), and to jobs. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { quote } from "../../kernel-lib/cluster/shell/shell";
import { requireOrSkip } from "../judges";

interface Bench {
  readonly cluster: Cluster;
  run(line: string): Promise<string>;
}

/** One pod per script, each as its container's first process. */
async function bench(scripts: { readonly [name: string]: string }, image = "busybox"): Promise<Bench> {
  const cluster = new Cluster({ nodes: 1, seed: 3 });
  await cluster.start();
  const session = cluster.session();
  const run = async (line: string): Promise<string> => {
    let text = "";
    await session.type(line, (_stream, part) => {
      text += part;
    });
    return text;
  };
  const pods = Object.entries(scripts).map(([name, script]) => {
    const containers = [{ name: "main", image, command: ["sh", "-c", script] }];
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: { terminationGracePeriodSeconds: 20, containers },
    };
  });
  cluster.prompt.files.write("/home/learner/it.json", JSON.stringify({ apiVersion: "v1", kind: "List", items: pods }));
  await run("kubectl apply -f it.json");
  await cluster.settle();
  await cluster.advance("10s");
  return { cluster, run };
}

/** How long a deletion takes, in whole seconds. */
async function deletion({ cluster, run }: Bench, pod: string): Promise<number> {
  const { clock } = cluster.sim;
  const begin = clock.now;
  await run(`kubectl delete pod ${pod}`);
  return Math.round((clock.now - begin) / 1e6);
}

test("a shell as process 1: a trap runs when the command in the foreground ends, at once in wait, and never without a trap", async () => {
  const it = await bench({
    deaf: "sleep 1d",
    ignoring: "trap '' TERM; while :; do sleep 1; done",
    classic: "trap 'echo got it; exit 3' TERM; sleep 15; sleep 15; echo never",
    waiting: "trap 'echo bye; exit 0' TERM; sleep 1d & wait; echo never",
    replaced: "trap 'echo never; exit 0' TERM; exec sleep 1d",
  });
  const took: { [name: string]: number } = {};
  for (const name of ["deaf", "ignoring", "classic", "waiting", "replaced"]) {
    took[name] = await deletion(it, name);
  }
  // Grace, SIGKILL, and what a deletion costs beside them.
  for (const name of ["deaf", "ignoring", "replaced"])
    expect(took[name], name).toSatisfy((s: number) => s >= 21 && s <= 22);
  // The sleep that runs when the signal comes goes on to its end.
  expect(took.classic).toBeGreaterThan(5);
  expect(took.classic).toBeLessThan(17);
  expect(took.waiting).toBeLessThanOrEqual(2);
});

test("what a trap does is seen: its output in its place, its exit code in the status, and a script that goes on goes on", async () => {
  const it = await bench({
    codes: "trap 'echo got $?; exit 3' TERM; while :; do sleep 2; done",
    reloads: "n=0; trap 'n=$((n+1)); echo reload $n' HUP; sleep 1d & while :; do wait $!; echo code $?; done",
  });
  await it.run("kubectl exec reloads -- kill -HUP 1; kubectl exec reloads -- kill -s HUP 1");
  expect(await it.run("kubectl logs reloads")).toBe("reload 1\ncode 129\nreload 2\ncode 129\n");
  expect(await it.run("kubectl exec reloads -- sh -c 'kill -0 1 && echo there; kill -KILL 1; kill 99'")).toMatch(
    /^there\n.*kill: \(99\) - No such process\n/,
  );
  await it.run("kubectl exec codes -- kill 1");
  await it.cluster.advance("4s");
  const state = "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}";
  expect(await it.run(`kubectl get pod codes -o ${state}`)).toBe("3");
  expect(await it.run("kubectl logs codes --previous")).toBe("got 0\n");
});

test("kill 1 ends nginx well, does nothing to a shell or to sleep, and is no program of a slim image", async () => {
  const it = await bench({ server: "exec nginx -g 'daemon off;'", sleeper: "exec sleep 1d" }, "nginx");
  expect(await it.run("kubectl exec server -- kill 1")).toMatch(/exec: "kill": executable file not found in \$PATH/);
  await it.run("kubectl exec sleeper -- sh -c 'kill 1'; kubectl exec server -- sh -c 'kill 1'");
  await it.cluster.advance("5s");
  const ends = `jsonpath='{range .items[*]}{.metadata.name} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode}{"\\n"}{end}'`;
  expect(await it.run(`kubectl get pods -o ${ends}`)).toBe("server 1 0\nsleeper 0 \n");
});

const scripts: readonly string[] = [
  "trap 'echo hup' HUP; kill -HUP $$; echo after $?",
  "trap 'echo one' TERM; trap 'echo two' TERM; kill $$; trap - TERM; trap; echo end",
  "trap '' INT; kill -INT $$; echo alive; trap -p INT",
  "f() { kill -USR1 $$; echo in f; return 4; }; trap 'echo usr1 $?' USR1; f; echo $?",
  "trap 'echo bye; exit 7' TERM; trap 'echo end $?' EXIT; kill $$; echo never",
  "trap 'echo out' EXIT TERM; kill $$; echo on",
  "x=1; trap \"echo was $x\" TERM; trap 'echo is $x' HUP; x=2; kill $$; kill -1 $$",
  "set -e; trap 'false || echo ok' TERM; kill $$; test 1 = 2 && echo no; ! true; echo here; false; echo never",
  "sleep 5 & kill $!; wait $!; echo $?; sleep 5 & kill -9 $!; wait $!; echo $?",
  "trap 'echo t' TERM; if kill $$; then echo yes; fi; for i in 1 2; do kill $$; echo $i; done",
  "trap 'x=changed' TERM; kill $$; echo $x; (trap - TERM; echo sub); kill -0 $$ && echo self",
  "echo a; exec echo b; echo never",
  "trap 'echo never' EXIT; exec true",
  "trap 'exit' TERM; (exit 5); kill $$; echo never",
];

test("scripts with traps print what the real bash prints, and end with its code", async (context) => {
  let there = true;
  try {
    execFileSync("bash", ["-c", ":"]);
  } catch {
    there = false;
  }
  requireOrSkip(context, there, "no bash on this machine");
  const it = await bench({ main: "sleep 1d" }, "nginx");
  for (const script of scripts) {
    const real = execFileSync("bash", ["-c", `bash -c ${quote(script)} 2>/dev/null; echo "[$?]"`], {
      encoding: "utf8",
    });
    const ours = await it.run(`kubectl exec main -- bash -c ${quote(script)} 2>/dev/null; echo "[$?]"`);
    expect({ script, printed: ours }).toEqual({ script, printed: real });
  }
});
