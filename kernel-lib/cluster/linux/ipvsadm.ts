/** Owns ipvsadm: virtual and real servers listed, saved, and changed by hand, as version 1.31 does it. */
import { type Family, family, formatSocketAddress, type Ip, tryParseIp } from "../../net/address";
import { type Ipvs, IpvsError } from "../../net/ipvs/ipvs";
import { type SchedulerName, schedulerNames } from "../../net/ipvs/scheduler";
import type { IpvsProtocol, RealServer, SchedulerFlag, VirtualAddress, VirtualServer } from "../../net/ipvs/server";
import { byIp, flagNames, serverRule, sortedServers, virtualRule } from "../../net/ipvs/text";
import { second } from "../../sim/clock";
import { type Call, Failed, type Tool } from "../shell/tool";
import { type Flags, readFlags } from "./flags";
import { mayAdministrate } from "./ip/words";
import { connectionsText } from "./ipvsconnections";
import { servicePort } from "./tcpdump/services";

const version = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)";

const rules = {
  tool: "ipvsadm",
  letters: "AEDCLlSRaedZt:u:f:s:pM:r:migw:x:y:cnb:oX6hv",
  long: {
    "add-service": "A",
    "edit-service": "E",
    "delete-service": "D",
    clear: "C",
    list: "L",
    save: "S",
    restore: "R",
    "add-server": "a",
    "edit-server": "e",
    "delete-server": "d",
    zero: "Z",
    set: "set",
    "tcp-service": "t",
    "udp-service": "u",
    "sctp-service": "sctp:",
    scheduler: "s",
    persistent: "p",
    "real-server": "r",
    masquerading: "m",
    ipip: "i",
    gatewaying: "g",
    weight: "w",
    connection: "c",
    numeric: "n",
    "sched-flags": "b",
    stats: "stats",
    rate: "rate",
    exact: "X",
    timeout: "timeout",
    "persistent-conn": "persistent-conn",
    sort: "sort",
    nosort: "nosort",
    help: "h",
    version: "v",
  },
  exitCode: 255,
  unknown: (option: string) => `ipvsadm: invalid option \`${option.length > 1 ? `--${option}` : `-${option}`}'`,
} as const;

const commands = {
  A: "add-service",
  E: "edit-service",
  D: "delete-service",
  C: "clear",
  L: "list",
  l: "list",
  S: "save",
  R: "restore",
  a: "add-server",
  e: "edit-server",
  d: "delete-server",
  Z: "zero",
  set: "set",
} as const;
type Command = (typeof commands)[keyof typeof commands];

export const ipvsadm: Tool = (call) => {
  const args = call.args.length === 0 ? ["-L"] : spreadPersistent(call.args);
  const flags = readFlags(args, rules);
  if (flags.has("h")) {
    call.out(`${version}\nUsage:\n${usage}`);
    return 0;
  }
  if (flags.has("v")) {
    call.out(`${version}\n`);
    return 0;
  }
  if (!mayAdministrate(call)) throw new Failed("Can't initialize ipvs: Permission denied (you must be root)", 255);
  return run(call, flags);
};

/** `-p` has a value where a number follows, and may stand alone (popt: POPT_ARGFLAG_OPTIONAL). */
function spreadPersistent(args: readonly string[]): readonly string[] {
  return args.flatMap((arg, at) => {
    if (/^\d+$/.test(arg) && ["-p", "--persistent"].includes(args[at - 1] ?? "")) return [];
    if (arg !== "-p" && arg !== "--persistent") return [arg];
    const value = args[at + 1];
    return ["-p", ...(value && /^\d+$/.test(value) ? [`${persistentMark}${value}`] : [])];
  });
}
const persistentMark = "persistent=";

function run(call: Call, flags: Flags): number {
  const given = Object.entries(commands).filter(([letter]) => flags.has(letter));
  if (given.length > 1) throw new Failed("multiple commands specified", 2);
  const command: Command | undefined = given[0]?.[1];
  if (!command) throw new Failed("Try `ipvsadm -h' or 'ipvsadm --help' for more information.", 255);
  const { ipvs } = call.place.netns;
  try {
    switch (command) {
      case "list":
        call.out(listing(call, flags));
        return 0;
      case "save":
        call.out(services(ipvs).flatMap(saved).join(""));
        return 0;
      case "restore":
        return restore(call);
      case "clear":
        ipvs.clear();
        return 0;
      case "set":
        setTimeouts(ipvs, flags.words);
        return 0;
      default:
        change(ipvs, command, flags);
        return 0;
    }
  } catch (error) {
    if (error instanceof IpvsError) throw new Failed(error.message, 255);
    throw error;
  }
}

/** Each line is a call of its own; those that fail say so, and the others are done. */
function restore(call: Call): number {
  let exitCode = 0;
  for (const line of call.stdin.split("\n")) {
    const words = line
      .trim()
      .split(/\s+/)
      .filter((word) => word !== "");
    if (words.length === 0 || words[0]?.startsWith("#")) continue;
    try {
      run(call, readFlags(spreadPersistent(words), rules));
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      call.err(`${error.message}\n`);
      exitCode = error.exitCode;
    }
  }
  return exitCode;
}

// ── Changes ────────────────────────────────────────────────────────────────────────────────────────────────────────

function change(ipvs: Ipvs, command: Command, flags: Flags): void {
  const address = virtualAddress(flags, command !== "zero", command);
  if (command === "zero") {
    const zeroed = address ? [ipvs.get(address)] : ipvs.list();
    for (const service of zeroed) {
      if (!service) throw new IpvsError("No such service");
      for (const { stats } of [service, ...service.servers]) stats.zero();
    }
    return;
  }
  if (!address) return;
  if (command === "add-service" || command === "edit-service") {
    const { scheduler, schedulerFlags } = schedulerOf(flags);
    if (address.port === 0 && !flags.has("p")) throw new Failed("Zero port specified for non-persistent service", 2);
    const persistence = persistenceOf(flags);
    const options = { ...address, scheduler, persistence, flags: schedulerFlags };
    if (command === "add-service") ipvs.add(options);
    else ipvs.edit(options);
    return;
  }
  if (command === "delete-service") {
    ipvs.delete(address);
    return;
  }
  if (!flags.has("r")) throw new Failed(`You need to supply the 'real-server' option for the '${command}' command`, 2);
  const server = serviceAddress(flags.given.get("r") ?? "", address.port);
  if (!server) throw new Failed("illegal real server address[:port] specified", 2);
  if (!ipvs.get(address)) throw new IpvsError("Service not defined");
  if (command === "delete-server") {
    ipvs.deleteServer(address, server.ip, server.port);
    return;
  }
  if (!flags.has("m")) throw new Failed("Only masquerading (-m) is simulated: packets go to real servers by NAT", 2);
  const weight = numberIn(flags.given.get("w") ?? "1", 65_535);
  if (weight === undefined) throw new Failed("illegal weight specified", 2);
  if (command === "add-server") ipvs.addServer(address, server.ip, server.port, weight);
  else ipvs.editServer(address, server.ip, server.port, weight);
}

function virtualAddress(flags: Flags, needed: boolean, command: string): VirtualAddress | undefined {
  const kinds: readonly (readonly [string, IpvsProtocol])[] = [
    ["t", "tcp"],
    ["u", "udp"],
    ["sctp", "sctp"],
  ];
  const given = kinds.filter(([letter]) => flags.has(letter));
  if (given.length > 1) throw new Failed("multiple 'service-address' options specified", 2);
  const [found] = given;
  if (!found) {
    if (!needed) return undefined;
    throw new Failed(`You need to supply the 'service-address' option for the '${command}' command`, 2);
  }
  const address = serviceAddress(flags.given.get(found[0]) ?? "", 0);
  if (!address) throw new Failed("illegal virtual server address[:port] specified", 2);
  return { protocol: found[1], ...address };
}

/** `10.96.0.1:443`, `[fd00::1]:443`, `10.96.0.1`: a port may be a name. */
function serviceAddress(text: string, defaultPort: number): { readonly ip: Ip; readonly port: number } | undefined {
  const [, inner, after] = /^\[([^\]]+)\]:(.+)$/.exec(text) ?? [];
  const [, v4, v4Port] = /^([^:]+)(?::(.+))?$/.exec(text) ?? [];
  const ip = tryParseIp(inner ?? v4 ?? text);
  const portText = inner === undefined ? v4Port : after;
  if (ip === undefined) return undefined;
  if (portText === undefined) return { ip, port: defaultPort };
  const port = numberIn(portText, 65_535) ?? servicePort(portText);
  return port === undefined ? undefined : { ip, port };
}

function numberIn(text: string, most: number): number | undefined {
  return /^\d+$/.test(text) && Number(text) <= most ? Number(text) : undefined;
}

function schedulerOf(flags: Flags): {
  readonly scheduler: SchedulerName;
  readonly schedulerFlags: readonly SchedulerFlag[];
} {
  const name = flags.given.get("s") ?? "wlc";
  const scheduler = schedulerNames.find((each) => each === name);
  if (!scheduler) throw new IpvsError("Scheduler or persistence engine not found");
  const words = (flags.given.get("b") ?? "").split(",").filter((word) => word !== "");
  const schedulerFlags = words.map((word): SchedulerFlag => {
    if (word === "flag-1" || word === `${scheduler}-fallback`) return "fallback";
    if (word === "flag-2" || word === `${scheduler}-port`) return "port";
    if (/^(sh|mh)-(fallback|port)$/.test(word)) throw new Failed(`incompatible scheduler flag \`${word}'`, 2);
    throw new Failed(`invalid scheduler flag \`${word}'`, 2);
  });
  return { scheduler, schedulerFlags };
}

/** 360 seconds unless a number stands behind `-p`. */
function persistenceOf(flags: Flags): number | undefined {
  if (!flags.has("p")) return undefined;
  const value = flags.words.find((word) => word.startsWith(persistentMark))?.slice(persistentMark.length) ?? "360";
  const seconds = numberIn(value, 31 * 24 * 3600);
  if (!seconds) throw new Failed(`invalid timeout value \`${value}' specified`, 2);
  return seconds * second;
}

function setTimeouts({ connections: { timeouts } }: Ipvs, words: readonly string[]): void {
  if (words.length < 3) throw new Failed("--set option requires 3 timeout values", 2);
  const [tcp = 0, tcpFin = 0, udp = 0] = words.slice(0, 3).map((word) => {
    const value = numberIn(word, 31 * 24 * 3600);
    if (value === undefined) throw new Failed(`invalid timeout value \`${word}' specified`, 2);
    return value * second;
  });
  // 0 leaves a value as it is.
  timeouts.tcp = tcp || timeouts.tcp;
  timeouts.tcpFin = tcpFin || timeouts.tcpFin;
  timeouts.udp = udp || timeouts.udp;
}

// ── Listings ───────────────────────────────────────────────────────────────────────────────────────────────────────

const protocolOrder: readonly IpvsProtocol[] = ["tcp", "udp", "sctp"];
const familyOrder: readonly Family[] = ["IPv4", "IPv6"];

/** Sorted as ipvs_cmp_services does: by family, protocol, address, port. */
function services(ipvs: Ipvs): readonly VirtualServer[] {
  return [...ipvs.list()].sort(
    (one, other) =>
      familyOrder.indexOf(family(one.ip)) - familyOrder.indexOf(family(other.ip)) ||
      protocolOrder.indexOf(one.protocol) - protocolOrder.indexOf(other.protocol) ||
      byIp(one.ip, other.ip) ||
      one.port - other.port,
  );
}

function saved(service: VirtualServer): readonly string[] {
  return [virtualRule(service), ...sortedServers(service).map((server) => serverRule(service, server))].map(
    (line) => `${line}\n`,
  );
}

type Format = "plain" | "stats" | "rate" | "persistent";

function listing(call: Call, flags: Flags): string {
  const { ipvs, network } = call.place.netns;
  if (flags.has("c")) return connectionsText(ipvs, network.sim.clock.now);
  if (flags.has("timeout")) {
    const { tcp, tcpFin, udp } = ipvs.connections.timeouts;
    return `Timeout (tcp tcpfin udp): ${tcp / second} ${tcpFin / second} ${udp / second}\n`;
  }
  const format: Format = flags.has("stats")
    ? "stats"
    : flags.has("rate")
      ? "rate"
      : flags.has("persistent-conn")
        ? "persistent"
        : "plain";
  const address = virtualAddress(flags, false, "list");
  const wanted = address ? ipvs.get(address) : undefined;
  if (address && !wanted) throw new IpvsError("No such service");
  const exact = flags.has("X");
  const lines = (wanted ? [wanted] : services(ipvs)).flatMap((service) => [
    serviceLine(service, format, network.sim.clock.now, exact),
    ...sortedServers(service).map((server) => serverLine(server, format, network.sim.clock.now, exact)),
  ]);
  const banner = wanted ? "" : "IP Virtual Server version 1.2.1 (size=4096)\n";
  return `${banner}${titles(format)}${lines.map((line) => `${line}\n`).join("")}`;
}

const place = "Prot LocalAddress:Port";

function titles(format: Format): string {
  const columns = (words: readonly string[]): string => words.map((word) => ` ${word.padStart(8)}`).join("");
  const below = "  -> RemoteAddress:Port\n";
  switch (format) {
    case "stats":
      return `${place.padEnd(33)}${columns(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"])}\n${below}`;
    case "rate":
      return `${place.padEnd(33)}${columns(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"])}\n${below}`;
    case "persistent":
      return `${place.padEnd(33)} ${"Weight".padEnd(9)} ${"PersistConn".padEnd(11)} ${"ActiveConn".padEnd(10)} ${"InActConn".padEnd(10)}\n${below}`;
    case "plain":
      return `${place} Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n`;
  }
}

function serviceLine(service: VirtualServer, format: Format, now: number, exact: boolean): string {
  const { protocol, ip, port, scheduler, persistence } = service;
  const name = `${protocol.toUpperCase().padEnd(4)} ${formatSocketAddress(ip, port)}`;
  const cut = typeof ip === "number" ? name.slice(0, 33) : name;
  if (format === "stats" || format === "rate") return cut.padEnd(33) + figures(service, format, now, exact);
  const flags = flagNames(service);
  const options = `${flags.length > 0 ? ` (${flags.join(",")})` : ""}${persistence === undefined ? "" : ` persistent ${persistence / second}`}`;
  return `${cut} ${scheduler}${options}`;
}

function serverLine(server: RealServer, format: Format, now: number, exact: boolean): string {
  const { ip, port, weight, active, inactive, persistent } = server;
  const full = formatSocketAddress(ip, port);
  const name = `  -> ${(typeof ip === "number" ? full.slice(0, 28) : full).padEnd(28)}`;
  const left = (value: number, width: number): string => String(value).padEnd(width);
  switch (format) {
    case "plain":
      return `${name} ${isLocalName} ${left(weight, 6)} ${left(active, 10)} ${left(inactive, 10)}`;
    case "persistent":
      return `${name} ${left(weight, 9)} ${left(persistent, 11)} ${left(active, 10)} ${left(inactive, 10)}`;
    default:
      return name + figures(server, format, now, exact);
  }
}
const isLocalName = "Masq".padEnd(7);

function figures({ stats }: VirtualServer | RealServer, format: "stats" | "rate", now: number, exact: boolean): string {
  const counts = format === "stats" ? stats.counts : stats.rates(now);
  const { connections, inPackets, outPackets, inBytes, outBytes } = counts;
  return [connections, inPackets, outPackets, inBytes, outBytes].map((value) => large(value, exact)).join("");
}

/** print_largenum: nine columns, in thousands or millions where that does not do. */
function large(value: number, exact: boolean): string {
  const text = String(value);
  if (exact) return text.padStart(text.length <= 8 ? 9 : text.length + 1);
  if (value < 100_000_000) return text.padStart(9);
  if (value < 1_000_000_000) return `${Math.floor(value / 1000)}K`.padStart(9);
  if (value < 100_000_000_000) return `${Math.floor(value / 1_000_000)}M`.padStart(9);
  return `${Math.floor(value / 1_000_000_000)}G`.padStart(9);
}

const usage = `  ipvsadm -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [--pe persistence_engine] [-b sched-flags]
  ipvsadm -D virtual-service
  ipvsadm -C
  ipvsadm -R
  ipvsadm -S [-n]
  ipvsadm -a|e virtual-service -r server-address [options]
  ipvsadm -d virtual-service -r server-address
  ipvsadm -L|l [virtual-service] [options]
  ipvsadm -Z [virtual-service]
  ipvsadm --set tcp tcpfin udp
  ipvsadm -h
`;
