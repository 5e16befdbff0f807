/** Owns the sandbox: namespaces of users, networks, mounts and processes, in which a real kernel is asked and nothing else is touched. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** How a command ended. */
export interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** The network namespace to run it in; default: the sandbox's own, which has nothing in it. */
  readonly netns?: string;
  readonly input?: string;
  /** End it as soon as it has printed a line. */
  readonly first?: boolean;
}

interface Request extends Omit<CommandOptions, "netns"> {
  readonly argv: readonly string[];
  readonly port?: string;
}

/** What the machine lacks, each with its reason; `base` missing means that no sandbox can be made. */
export type Abilities = { readonly [Ability in "base" | "iptables" | "legacy" | "conntrack" | "nft"]?: string };

/** As an ordinary user if that is allowed, else as root. */
const ways = [
  ["-Urnmpf", "--mount-proc", "--kill-child"],
  ["-nmpf", "--mount-proc", "--kill-child"],
] as const;

const begin = 'mount -t tmpfs t /run && mkdir /run/netns && exec "$@"';
/** From the checkout's root, where tests and measurements are run. */
const agent = join(process.cwd(), "test", "kernel", "agent.mjs");

/** One sandbox: dies with the process that made it, and everything in it too. */
export class Sandbox {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, (result: Result) => void>();
  #last = 0;
  #stderr = "";

  constructor(way: readonly string[]) {
    const words = [...way, "sh", "-c", begin, "sh", process.execPath, agent];
    this.#process = spawn("unshare", words, { stdio: ["pipe", "pipe", "pipe"] });
    const { stdin, stdout, stderr } = this.#process;
    if (!stdin || !stdout || !stderr) throw new Error("the sandbox has no pipes");
    stdin.on("error", () => {});
    stderr.on("data", (text) => {
      this.#stderr += String(text);
    });
    createInterface({ input: stdout }).on("line", (line) => {
      const { id, ...result } = JSON.parse(line) as Result & { id: number };
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
    this.#process.on("error", (error) => this.#end(String(error)));
    this.#process.on("close", () => this.#end(this.#stderr.trim()));
  }

  /** Runs a command in the sandbox. */
  run(argv: readonly string[], { netns, ...rest }: CommandOptions = {}): Promise<Result> {
    return this.#request({ argv: inside(netns, argv), ...rest });
  }

  /** The same, for a command that must go well. @throws Error with what it printed */
  async must(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.run(argv, options);
    if (result.status === 0) return result.stdout;
    const said = result.stderr.trim() || result.stdout.trim();
    throw new Error(`${argv.join(" ")} (${options.netns ?? "sandbox"}): ${said}\n${options.input ?? ""}`);
  }

  /** Starts a server and waits until its port is open: `tcp 80`, `tcp6 80`, `udp 80`, `udp6 80`. */
  async serve(netns: string, argv: readonly string[], port: string): Promise<void> {
    const { status, stderr } = await this.#request({ argv: inside(netns, argv), port });
    if (status !== 0) throw new Error(`${argv.join(" ")} does not listen on ${port}: ${stderr}`);
  }

  stop(): void {
    this.#process.kill("SIGKILL");
  }

  #request(request: Request): Promise<Result> {
    const id = ++this.#last;
    return new Promise<Result>((resolve) => {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
        resolve({ status: 126, stdout: "", stderr: this.#stderr });
        return;
      }
      this.#waiting.set(id, resolve);
      this.#process.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  #end(why: string): void {
    for (const resolve of this.#waiting.values()) resolve({ status: 126, stdout: "", stderr: why });
    this.#waiting.clear();
  }
}

function inside(netns: string | undefined, argv: readonly string[]): readonly string[] {
  return netns === undefined ? argv : ["nsenter", `--net=/run/netns/${netns}`, "--", ...argv];
}

/** Why rules of that tool cannot be judged; undefined: they can. */
export function lacksFor(
  { base, iptables, nft, legacy }: Abilities,
  tool: "iptables-legacy" | "iptables-nft" | "nft",
): string | undefined {
  return base ?? (tool === "iptables-legacy" ? legacy : tool === "nft" ? (nft ?? iptables) : iptables);
}

/** What the judge needs beside the kernel. */
const tools = ["ip", "bridge", "nsenter", "ping", "traceroute", "socat"] as const;

interface Machine {
  readonly way: readonly string[];
  readonly missing: Abilities;
}

let known: Promise<Machine> | undefined;

/** Finds out, once, how a sandbox can be made on this machine and what is missing in it. */
export function probe(): Promise<Machine> {
  known ??= look();
  return known;
}

async function look(): Promise<Machine> {
  if (process.platform !== "linux") return { way: [], missing: { base: "only Linux can judge a small Linux" } };
  const reasons: string[] = [];
  for (const way of ways) {
    const sandbox = new Sandbox(way);
    try {
      const missing = await lacking(sandbox);
      if (missing.base === undefined) return { way, missing };
      reasons.push(`unshare ${way[0]}: ${missing.base}`);
    } finally {
      sandbox.stop();
    }
  }
  return { way: [], missing: { base: reasons.join("; ") } };
}

async function lacking(sandbox: Sandbox): Promise<Abilities> {
  const try_ = async (command: string, input = ""): Promise<string | undefined> => {
    const { status, stderr, stdout } = await sandbox.run(["sh", "-ec", command], { input });
    return status === 0 ? undefined : stderr.trim() || stdout.trim() || `${command}: exit code ${status}`;
  };
  const base = await try_(
    [
      ...tools.map((tool) => `command -v ${tool} >/dev/null || { echo "no ${tool}" >&2; exit 1; }`),
      "ip netns add a",
      "ip -n a link add br0 type bridge",
      "ip -n a link add v0 type veth peer name v1",
      "ip -n a link add x0 type vxlan id 1 dev v0 dstport 8472",
      "nsenter --net=/run/netns/a -- ip link set lo up",
      "nsenter --net=/run/netns/a -- ping -c1 -W1 127.0.0.1",
    ].join("\n"),
  );
  if (base !== undefined) return { base };
  const iptables = await try_(
    "nsenter --net=/run/netns/a -- iptables-nft-restore && cat /proc/sys/net/bridge/bridge-nf-call-iptables",
    "*nat\n:A - [0:0]\n-A A -m statistic --mode random --probability 0.5 -j MASQUERADE\nCOMMIT\n",
  );
  const legacy = await try_("ip netns add b && nsenter --net=/run/netns/b -- iptables-legacy -t nat -N A");
  const nft = await try_(
    "nsenter --net=/run/netns/a -- nft -f -",
    "table ip a { chain b { meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.0.0.1 . 80 }\n }\n }\n",
  );
  const conntrack = iptables ?? (await try_("nsenter --net=/run/netns/a -- conntrack -L"));
  return {
    ...(iptables === undefined ? {} : { iptables }),
    ...(legacy === undefined ? {} : { legacy }),
    ...(conntrack === undefined ? {} : { conntrack }),
    ...(nft === undefined ? {} : { nft }),
  };
}
