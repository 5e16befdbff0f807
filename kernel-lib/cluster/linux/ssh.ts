/** Owns ssh: a shell, or one line, on a node. */
import { isLoopback, tryParseIp } from "../../net/address";
import type { Netns } from "../../net/netns";
import { typeAt } from "../shell/inside";
import { Shell } from "../shell/shell";
import { Failed, type Tool } from "../shell/tool";

export const ssh: Tool = async (call) => {
  const args = [...call.args];
  let user = "root";
  while (args[0]?.startsWith("-")) {
    const option = args.shift() ?? "";
    if (option === "-l") user = args.shift() ?? user;
    else if (/^-[ipoF]$/.test(option)) args.shift();
  }
  const target = args.shift();
  if (target === undefined)
    throw new Failed("usage: ssh [-46AaCfGgKkMNnqsTtVvXxYy] destination [command [argument ...]]", 255);
  const [, host = ""] = /^(?:[^@]*@)?(.+)$/.exec(target) ?? [];
  const { cluster, process, place } = call;
  const node =
    [...cluster.nodes.values()].find(({ name, net }) => name === host || net.name === host) ??
    byAddress(call, host) ??
    cluster.machines.find(({ name, place }) => name === host || isAddressOf(place.netns, host));
  if (!node || place.kind === "container") {
    throw new Failed(`ssh: Could not resolve hostname ${host}: Name or service not known`, 255);
  }
  if (cluster.nodes.get(node.name)?.kubelet.off) {
    throw new Failed(`ssh: connect to host ${host} port 22: No route to host`, 255);
  }
  const shell = new Shell(cluster, node.place, `ssh/${node.name}/${cluster.nextShell()}`, cluster.tools);
  const output = (stream: "stdout" | "stderr", text: string): void =>
    stream === "stdout" ? call.out(text) : call.err(text);
  if (args.length > 0) {
    return shell.run(args.join(" "), {
      process,
      output,
      ...(call.terminal && { terminal: call.terminal }),
      ...(!call.terminal && call.stdin !== "" && { stdin: call.stdin }),
    });
  }
  if (!call.terminal) return shell.run(call.stdin, { process, output });
  const exitCode = await typeAt(shell, "bash", call.terminal, { process, output, tty: true, login: true });
  call.err(`Connection to ${host} closed.\n`);
  return exitCode;
};

function isAddressOf(netns: Netns, host: string): boolean {
  const ip = tryParseIp(host);
  return ip !== undefined && !isLoopback(ip) && netns.routes.isLocal(ip);
}

function byAddress({ cluster }: Parameters<Tool>[0], host: string): ReturnType<typeof cluster.node> | undefined {
  const found = cluster.store
    .list("Node")
    .find((node) => node.status.addresses?.some(({ address }) => address === host));
  return found && cluster.nodes.get(found.metadata.name);
}
