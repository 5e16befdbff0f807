/** Owns the tools that look at namespaces: `lsns` lists them, `nsenter` runs a command in another process's. */
import { hostNamespaces, type Namespaces } from "../../node/kernelnumbers";
import { Shell } from "../shell/shell";
import { type Call, Failed, type Tool } from "../shell/tool";
import { smartColumns } from "./columns";
import { netnsName, type ProcessInfo, processesOf } from "./processes";

const kinds = ["cgroup", "pid", "user", "uts", "ipc", "net", "mnt"] as const;

/** `lsns [-t TYPE] [-p PID] [-n]` of util-linux. */
export const lsns: Tool = (call) => {
  let wanted: readonly (keyof Namespaces)[] = kinds;
  let pid: string | undefined;
  let headings = true;
  const args = [...call.args];
  while (args.length > 0) {
    const arg = args.shift() ?? "";
    const [, inline] = /^--(?:type|task)=(.*)$/.exec(arg) ?? [];
    if (arg === "-t" || arg.startsWith("--type")) wanted = [typeOf(inline ?? args.shift() ?? "")];
    else if (arg === "-p" || arg.startsWith("--task")) pid = inline ?? args.shift() ?? "";
    else if (arg === "-n" || arg === "--noheadings") headings = false;
    else if (!/^(-l|--list|-u|--notruncate)$/.test(arg))
      throw new Failed(`lsns: invalid option -- '${arg.replace(/^-+/, "")}'\nTry 'lsns --help' for more information.`);
  }
  const list = processesOf(call.cluster, call.place);
  const one = list.find((process) => String(process.pid) === pid);
  if (pid !== undefined && !one)
    throw new Failed(`lsns: failed to get namespaces for process ${pid}: No such file or directory`);
  const rows = wanted
    .flatMap((kind) => namespacesIn(list, kind))
    .filter(({ inode, kind }) => one === undefined || one.namespaces[kind] === inode)
    .sort((left, right) => left.inode - right.inode);
  const names = new Map(
    (call.cluster.nodes.get(call.place.name)?.kubelet.pods ?? []).map((pod) => [pod, netnsName(pod)]),
  );
  const network = wanted.length === 1 && wanted[0] === "net";
  let netnsId = 0;
  const text = smartColumns(
    [
      ...[{ title: "NS", align: "right" as const }, { title: "TYPE" }, { title: "NPROCS", align: "right" as const }],
      ...[{ title: "PID", align: "right" as const }, { title: "USER" }],
      ...(network ? [{ title: "NETNSID", align: "right" as const }, { title: "NSFS" }] : []),
      { title: "COMMAND" },
    ],
    rows.map(({ inode, kind, members }) => {
      const [first] = members;
      const cells = [String(inode), kind, String(members.length), String(first.pid), first.user];
      if (network) {
        const name = first.sandboxOf && names.get(first.sandboxOf);
        cells.push(
          inode === hostNamespaces.net || !name ? "unassigned" : String(netnsId++),
          name ? `/run/netns/${name}` : "",
        );
      }
      return [...cells, first.command];
    }),
  );
  call.out(headings ? text : text.slice(text.indexOf("\n") + 1));
  return 0;
};

function typeOf(text: string): keyof Namespaces {
  const found = kinds.find((kind) => kind === text);
  if (!found) throw new Failed(`lsns: unknown namespace type: ${text}`);
  return found;
}

interface Group {
  readonly inode: number;
  readonly kind: keyof Namespaces;
  /** By process id, so the first is who made it. */
  readonly members: readonly [ProcessInfo, ...ProcessInfo[]];
}

function namespacesIn(list: readonly ProcessInfo[], kind: keyof Namespaces): readonly Group[] {
  const groups = new Map<number, [ProcessInfo, ...ProcessInfo[]]>();
  for (const process of list) {
    const inode = process.namespaces[kind];
    const members = groups.get(inode);
    if (members) members.push(process);
    else groups.set(inode, [process]);
  }
  return [...groups].map(([inode, members]) => ({ inode, kind, members }));
}

/** `nsenter -t PID -n COMMAND`: only the network namespace can be another's here; files stay the node's. */
export const nsenter: Tool = async (call) => {
  const { cluster, place, process } = call;
  const args = [...call.args];
  let target: string | undefined;
  let network = false;
  for (let option = args[0]; option?.startsWith("-"); option = args[0]) {
    args.shift();
    if (option === "--") break;
    const [, inline] = /^(?:--target=|-t)(\d+)$/.exec(option) ?? [];
    if (inline !== undefined || option === "-t" || option === "--target") target = inline ?? args.shift();
    else if (option === "-n" || option === "--net") network = true;
    else if (option.startsWith("-n=") || option.startsWith("--net=")) {
      network = true;
      target = /^\/proc\/(\d+)\/ns\/net$/.exec(option.slice(option.indexOf("=") + 1))?.[1];
    } else if (!/^(-u|--uts|-i|--ipc)$/.test(option)) {
      throw new Failed(
        `nsenter: ${option}: only -n (and -u, -i, which change nothing here) can be entered in this cluster`,
      );
    }
  }
  if (target === undefined) throw new Failed("nsenter: no target PID specified");
  const found = processesOf(cluster, place).find(({ pid }) => String(pid) === target);
  if (!found) throw new Failed(`nsenter: cannot open /proc/${target}/ns/net: No such file or directory`);
  const netns = network ? netnsOf(call, found) : place.netns;
  const shell = new Shell(cluster, { ...place, netns }, `nsenter/${cluster.nextShell()}`, cluster.tools);
  return shell.runDirectly(args.length > 0 ? args : ["bash"], {
    process,
    output: (stream, text) => (stream === "stdout" ? call.out(text) : call.err(text)),
    env: call.env,
    folder: call.folder,
    ...(call.terminal && { terminal: call.terminal }),
    ...(!call.terminal && { stdin: call.stdin }),
  });
};

function netnsOf({ cluster, place }: Call, process: ProcessInfo): typeof place.netns {
  const pods = cluster.nodes.get(place.name)?.kubelet.pods ?? [];
  const inode = process.namespaces.net;
  const pod = pods.find(
    ({ sandboxes }) => sandboxes[0]?.stopped === undefined && sandboxes[0]?.pause?.namespaces.net === inode,
  );
  return pod?.net?.netns ?? place.netns;
}
