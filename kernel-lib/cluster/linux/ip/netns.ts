/** Owns `ip netns`: the network namespaces of a machine by name, and a command run in one of them. */
import { Shell } from "../../shell/shell";
import { type Call, Failed } from "../../shell/tool";
import { namedNetns } from "./names";
import { type IpCommand, needPrivilege } from "./words";

export async function netns({ call, netns: here, words }: IpCommand): Promise<number> {
  const known = namedNetns(call.cluster, here);
  const verb = words.take();
  switch (verb) {
    case undefined:
    case "list":
    case "ls":
    case "show":
      // The kernel lists the folder; the newest first.
      for (const [id, { name }] of [...known.entries()].reverse()) call.out(`${name} (id: ${id})\n`);
      return 0;
    case "exec": {
      const name = words.value();
      const found = known.find((each) => each.name === name);
      if (!found) throw new Failed(`Cannot open network namespace "${name}": No such file or directory`, 255);
      needPrivilege(call);
      const argv: string[] = [];
      while (!words.empty) argv.push(words.value());
      if (argv.length === 0) throw new Failed("No command specified", 255);
      return runIn(call, found.netns, argv);
    }
    case "identify":
      call.out("\n");
      return 0;
    case "add":
    case "delete":
    case "del":
      throw new Failed(`ip netns ${verb}: namespaces here are those of the nodes and pods`, 1);
    default:
      throw new Failed(`Command "${verb}" is unknown, try "ip netns help".`, 255);
  }
}

/** A command with this machine's programs and files, in another network namespace. */
export function runIn(call: Call, netns: IpCommand["netns"], argv: readonly string[]): Promise<number> {
  const { cluster, place, process, env, folder, terminal } = call;
  const shell = new Shell(cluster, { ...place, netns }, `netns/${cluster.nextShell()}`, cluster.tools);
  return shell.runDirectly(argv, {
    process,
    output: (stream, text) => (stream === "stdout" ? call.out(text) : call.err(text)),
    env,
    folder,
    ...(terminal ? { terminal } : { stdin: call.stdin }),
  });
}
