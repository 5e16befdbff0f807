/** Owns `kubebook shell`: the mini-cluster at a prompt without a notebook, or with lines from standard input. */
import type { Command } from "commander";
import type { Cluster } from "../cluster/cluster";
import type { ClusterOptions } from "../cluster/options";
import type { Output } from "../cluster/shell/filesystem";
import { CliError } from "./error";

interface ShellFlags {
  readonly nodes?: number;
  readonly cni?: string;
  readonly mode?: string;
  readonly scheduler?: string;
  readonly lb?: string;
  readonly seed?: number;
  readonly propagation?: string;
  readonly filename?: readonly string[];
}

/** What is said when a command that only watches is ended: here nothing else could happen meanwhile. */
export const watchAdvice = "the cluster's time passes only while a command runs";

/** Adds the verb. */
export function register(program: Command): void {
  program
    .command("shell")
    .description("a cluster of your own at a prompt; lines from standard input if that is not a terminal")
    .option("--nodes <number>", "worker nodes (default: 3)", wholeNumber("nodes"))
    .option("--cni <design>", "the network between the nodes (default: vxlan)")
    .option("--mode <mode>", "how kube-proxy does it: iptables, nftables, ipvs, userspace (default: iptables)")
    .option("--scheduler <name>", "how ipvs chooses, with --mode ipvs (default: rr)")
    .option("--lb <kind>", "load balancers: none, metallb, cloud, cloud-proxy (default: metallb)")
    .option("--seed <number>", "decides all chance: the same seed gives the same run (default: 1)", wholeNumber("seed"))
    .option("--propagation <delays>", "how long news takes, hop by hop: '{nodes: {node-2: {proxy: {watch: 8s}}}}'")
    .option("-f, --filename <file>", "a manifest, or a folder of them, to apply first; may be repeated", another)
    .allowExcessArguments(false)
    // Commander has said what is wrong; being asked wrongly is 2 here, as in bash.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .action(shell);
}

function wholeNumber(name: string): (text: string) => number {
  return (text) => {
    if (!/^-?\d+$/.test(text))
      throw new CliError(`error: --${name} must be a whole number, not ${JSON.stringify(text)}`, 2);
    return Number(text);
  };
}

/** The words of the option, YAML in one line; the cluster checks what they say. */
async function delays(text: string): Promise<unknown> {
  const { parse } = await import("yaml");
  try {
    return parse(text);
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new CliError(`error: --propagation is no YAML: ${why}`, 2);
  }
}

function another(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

async function shell(flags: ShellFlags): Promise<void> {
  const { readManifests, applyManifests } = await import("./shell/manifests.js");
  const manifests = readManifests(flags.filename ?? []);
  const cluster = await startCluster(flags);
  await applyManifests(cluster, manifests);
  process.stdout.on("error", endWithReader);
  const output: Output = (stream, text) => void process[stream].write(text);
  if (process.stdin.isTTY) {
    const { runPrompt } = await import("./shell/prompt.js");
    process.exitCode = await runPrompt(cluster, { input: process.stdin, screen: process.stdout, output });
    return;
  }
  process.exitCode = await runLines(cluster, await textOf(process.stdin), output);
}

/** Who read our output has gone (`kubebook shell | head`): nothing is left to do, as for any command. */
function endWithReader(error: Error & { readonly code?: string }): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(141);
}

async function startCluster({ nodes, cni, mode, scheduler, lb, seed, propagation }: ShellFlags): Promise<Cluster> {
  const { Cluster } = await import("../cluster/cluster.js");
  const given = { ...(nodes !== undefined && { nodes }), ...(seed !== undefined && { seed }) };
  // The words are checked by the cluster, which knows them all.
  const words = {
    ...(cni !== undefined && { cni }),
    ...(mode !== undefined && { mode }),
    ...(scheduler !== undefined && { scheduler }),
    ...(lb !== undefined && { lb }),
    ...(propagation !== undefined && { propagation: await delays(propagation) }),
  } as ClusterOptions;
  let cluster: Cluster;
  try {
    cluster = new Cluster({ ...given, ...words });
  } catch (error) {
    throw new CliError(`error: ${error instanceof Error ? error.message : String(error)}`, 2);
  }
  await cluster.start();
  return cluster;
}

async function textOf(input: AsyncIterable<string | Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of input) parts.push(typeof part === "string" ? Buffer.from(part) : part);
  return Buffer.concat(parts).toString("utf8");
}

/** Runs lines as `bash < file` does; gives the exit code of the last command. */
export async function runLines(cluster: Cluster, text: string, output: Output): Promise<number> {
  const lines = text.replaceAll("\r\n", "\n").replace(/^\uFEFF/, "");
  const session = cluster.session();
  const exitCode = await session.type(lines, output, { exits: true, advice: watchAdvice, notices: false });
  await session.end(output);
  return exitCode;
}
