/** Tests `kubebook shell`: the compiled command with lines from standard input, and its prompt in this process. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runPrompt } from "../../kernel-lib/cli/shell/prompt";
import { Cluster } from "../../kernel-lib/cluster/cluster";
import { complete } from "../../kernel-lib/cluster/shell/completion";

const command = join(__dirname, "..", "..", "kernel-lib", "dist", "cli", "main.js");

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kubebook-shell-"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

function shell(lines: string, ...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [command, "shell", ...args], { cwd: folder }, (error, stdout, stderr) => {
      const exitCode = typeof error?.code === "number" ? error.code : 0;
      resolve({ stdout, stderr, exitCode });
    });
    child.stdin?.end(lines);
  });
}

function pod(name: string, image: string): string {
  return `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {containers: [{name: c, image: ${image}}]}\n`;
}

describe("lines from standard input", () => {
  test("print what they print, apart, without prompt or echo; a failing one stops nothing; the last one's code is the end's", async () => {
    const lines = [
      "x=5; false",
      'echo "status $?"',
      "for i in 1 2",
      "do echo $i $x",
      "done",
      "cat <<END",
      "a",
      "END",
      "nosuch",
      "echo err >&2; sleep 1 &",
      "wait",
      "read word",
      "typed for read",
      "echo got $word",
      "trap 'echo goodbye' EXIT",
      "exit 7",
      "echo never",
    ];
    expect(await shell(lines.join("\n"), "--nodes", "1")).toEqual({
      stdout: "status 1\n1 5\n2 5\na\ngot typed for read\ngoodbye\n",
      stderr: "bash: nosuch: command not found\nerr\n",
      exitCode: 7,
    });
  });

  test("begin once manifests have been applied and the cluster has come to rest; the same seed gives the same run", async () => {
    writeFileSync(join(folder, "a.yaml"), pod("web", "nginx"));
    writeFileSync(join(folder, "b.yaml"), pod("two", "busybox"));
    const lines = "kubectl get pod web -o wide --no-headers\nls *.yaml\necho $RANDOM\n";
    const args = [
      "-f",
      "a.yaml",
      "-f",
      "b.yaml",
      "--nodes",
      "1",
      "--seed",
      "9",
      "--cni",
      "host-gw",
      "--mode",
      "iptables",
    ];
    const [first, second] = await Promise.all([shell(lines, ...args), shell(lines, ...args)]);
    expect(first.stdout).toMatch(/^web +1\/1 +Running .* node-1 .*\na\.yaml\nb\.yaml\n\d+\n$/);
    expect(first).toMatchObject({ stderr: "", exitCode: 0 });
    expect(second).toEqual(first);
  });

  test.each([
    [["--nope"], /unknown option '--nope'/],
    [["--cni", "carrier-pigeon"], /cni must be .*, not "carrier-pigeon"/],
    [["--mode", "magic"], /mode must be .*, not "magic"/],
    [["--propagation", "{slices: soon}"], /propagation.slices must be a time .*, not "soon"/],
    [["--propagation", "{slices: 1s"], /--propagation is no YAML: /],
    [["--nodes", "many"], /--nodes must be a whole number, not "many"/],
    [["-f", "nowhere.yaml"], /the path "nowhere.yaml" does not exist/],
  ])("are not run when it is asked wrongly: %s", async (args, words) => {
    const { stdout, stderr, exitCode } = await shell("echo ran\n", ...args);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
    expect(stderr).toMatch(words);
    expect(stderr).not.toMatch(/\n {4}at /);
  });

  test("are not run when a manifest is wrong, and kubectl says why", async () => {
    writeFileSync(
      join(folder, "wrong.yaml"),
      "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {container: []}\n",
    );
    const ran = await shell("echo ran\n", "-f", "wrong.yaml", "--nodes", "1");
    expect(ran).toMatchObject({ stdout: "", exitCode: 1 });
    expect(ran.stderr).toMatch(/unknown field "spec.container"/);
  });
});

/** Somebody at a terminal: waits for a text on the screen, then types. */
class Somebody {
  readonly input = new PassThrough();
  readonly screen = new PassThrough();
  #shown = "";
  #read = 0;
  readonly ended: Promise<number>;

  constructor(cluster: Cluster) {
    this.screen.on("data", (part: Buffer) => {
      this.#shown += part.toString();
    });
    const output = (_stream: string, text: string): void => void this.screen.write(text);
    this.ended = runPrompt(cluster, { input: this.input, screen: this.screen, output });
  }

  async sees(text: string): Promise<string> {
    for (let turn = 0; turn < 2_000; turn++) {
      const at = this.#shown.indexOf(text, this.#read);
      if (at >= 0) {
        const seen = this.#shown.slice(this.#read, at);
        this.#read = at + text.length;
        return seen;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error(`never saw ${JSON.stringify(text)} after ${JSON.stringify(this.#shown.slice(this.#read))}`);
  }

  /** Keys come one by one, as from a keyboard. */
  types(text: string): void {
    for (const key of text) this.input.write(key);
  }
}

async function cluster(): Promise<Cluster> {
  const made = new Cluster({ nodes: 1, seed: 2 });
  await made.start();
  return made;
}

const prompt = "learner@workstation:~$ ";

describe("the prompt", () => {
  test("takes lines, waits for the rest of a command, asks again in a shell within, and ends at exit", async () => {
    const she = new Somebody(await cluster());
    await she.sees(prompt);
    she.types("for i in 1 2\r");
    await she.sees("> ");
    she.types("do echo no$i; done\r");
    await she.sees("no1\nno2\n");
    await she.sees(prompt);
    she.types("ssh node-1\r");
    await she.sees("root@node-1:~# ");
    she.types("hostname\r");
    await she.sees("node-1\n");
    await she.sees("root@node-1:~# ");
    she.types("\u0004");
    await she.sees("logout\nConnection to node-1 closed.\n");
    await she.sees(prompt);
    she.types("read x\r");
    she.types("typed\r");
    await she.sees(prompt);
    she.types("echo [$x]; exit 4\r");
    await she.sees("[typed]\n");
    expect(await she.ended).toBe(4);
  });

  test("Ctrl-C ends a command that goes on and on, and gives up a line; the arrow brings an old line back", async () => {
    const she = new Somebody(await cluster());
    await she.sees(prompt);
    she.types("kubectl get nodes; while true; do sleep 1; done\r");
    await she.sees("NAME");
    she.types("\u0003");
    await she.sees("^C");
    await she.sees(prompt);
    she.types("echo nonsense\u0003");
    await she.sees(prompt);
    she.types("echo ok-$?\r");
    await she.sees("ok-130\n");
    await she.sees(prompt);
    she.types("\u001b[A\r");
    await she.sees("ok-0\n");
    await she.sees(prompt);
    she.types("\u0004");
    await she.sees("exit\n");
    expect(await she.ended).toBe(0);
  });

  test("Tab completes commands, kubectl's words, names in the cluster, and files", async () => {
    const made = await cluster();
    const { shell } = made.session();
    shell.place.files.write("/home/learner/web/pod.yaml", "");
    await made.session().type("kubectl create ns shop; kubectl run web --image=nginx", () => {});
    const words = (line: string): readonly string[] => complete(line, shell)[0];
    expect(words("kube")).toEqual(["kubectl "]);
    expect(words("kubectl des")).toEqual(["describe "]);
    expect(words("kubectl get endpoints")).toEqual(["endpoints ", "endpointslices "]);
    expect(words("echo a | kubectl get pods -n kube-system kube-proxy-")).toHaveLength(2);
    expect(words("kubectl logs w")).toEqual(["web "]);
    expect(words("kubectl -n sh")).toEqual(["shop "]);
    expect(words("kubectl delete pod/w")).toEqual(["pod/web "]);
    expect(words("kubectl apply --fo")).toEqual(["--force "]);
    expect(words("kubectl apply -f we")).toEqual(["web/"]);
    expect(words("cat web/")).toEqual(["web/pod.yaml "]);
    expect(words("ssh node")).toEqual(["node-1 "]);
  });
});
