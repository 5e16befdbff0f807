/** Owns sysctl: the kernel settings of a network namespace that decide about packets, read and written. */
import type { Sysctl } from "../../net/sysctl";
import { type Call, Failed, type Tool } from "../shell/tool";
import { readFlags } from "./flags";
import { mayAdministrate } from "./ip/words";

/** By their names, sorted as `sysctl -a` prints them. */
const settings: Readonly<
  Record<string, keyof { [Name in keyof Sysctl as Sysctl[Name] extends boolean | number ? Name : never]: true }>
> = {
  "net.bridge.bridge-nf-call-ip6tables": "bridgeNfCallIp6tables",
  "net.bridge.bridge-nf-call-iptables": "bridgeNfCallIptables",
  "net.ipv4.conf.all.arp_ignore": "arpIgnore",
  "net.ipv4.conf.all.forwarding": "ipForward",
  "net.ipv4.conf.all.route_localnet": "routeLocalnet",
  "net.ipv4.fib_multipath_hash_policy": "fibMultipathHashPolicy",
  "net.ipv4.ip_forward": "ipForward",
  "net.ipv4.vs.conn_reuse_mode": "vsConnReuse",
  "net.ipv4.vs.conntrack": "vsConntrack",
  "net.ipv4.vs.expire_nodest_conn": "vsExpireNodestConn",
  "net.ipv4.vs.expire_quiescent_template": "vsExpireQuiescentTemplate",
  "net.ipv6.conf.all.disable_ipv6": "disableIpv6",
  "net.ipv6.conf.all.forwarding": "ipv6Forward",
};

export const sysctl: Tool = (call) => {
  const flags = readFlags(call.args, {
    tool: "sysctl",
    letters: "anNewqpbr:",
    long: { all: "a", write: "w", quiet: "q", values: "n" },
    usage: "\nUsage:\n sysctl [options] [variable[=value] ...]\n\nFor more details see sysctl(8).",
  });
  const { words } = flags;
  if (flags.has("a")) {
    for (const name of Object.keys(settings)) show(call, name, flags.has("n"));
    return 0;
  }
  if (words.length === 0)
    throw new Failed("\nUsage:\n sysctl [options] [variable[=value] ...]\n\nFor more details see sysctl(8).");
  let exitCode = 0;
  for (const word of words) {
    const [given = "", value] = word.split(/=(.*)/s);
    const name = given.trim().replaceAll("/", ".");
    if (!Object.hasOwn(settings, name)) {
      call.err(`sysctl: cannot stat /proc/sys/${name.replaceAll(".", "/")}: No such file or directory\n`);
      exitCode = 1;
      continue;
    }
    if (value === undefined) show(call, name, flags.has("n"));
    else if (!write(call, name, value.trim(), flags.has("q"))) exitCode = 1;
  }
  return exitCode;
};

function show(call: Call, name: string, bare: boolean): void {
  const setting = settings[name];
  const value = setting ? Number(call.place.netns.sysctl[setting]) : 0;
  call.out(bare ? `${value}\n` : `${name} = ${value}\n`);
}

function write(call: Call, name: string, value: string, quiet: boolean): boolean {
  if (call.place.kind === "container") {
    call.err(`sysctl: setting key "${name}": Read-only file system\n`);
    return false;
  }
  if (!mayAdministrate(call)) {
    call.err(`sysctl: permission denied on key "${name}"\n`);
    return false;
  }
  if (!/^-?\d+$/.test(value)) {
    call.err(`sysctl: setting key "${name}": Invalid argument\n`);
    return false;
  }
  const setting = settings[name];
  const { sysctl } = call.place.netns;
  if (setting === "fibMultipathHashPolicy") {
    if (Number(value) !== 0 && Number(value) !== 1) {
      call.err(`sysctl: setting key "${name}": Invalid argument\n`);
      return false;
    }
    sysctl[setting] = Number(value) === 1 ? 1 : 0;
  } else if (setting) sysctl[setting] = Number(value) !== 0;
  if (!quiet) call.out(`${name} = ${value}\n`);
  return true;
}
