/** Owns ss and netstat: the sockets of a place, as iproute2, net-tools and BusyBox list them. */
import { contains, formatIp, type Ip, type SocketAddress, tryParseCidr } from "../../net/address";
import type { SocketInfo } from "../../net/sockets";
import { processesOf } from "../runtime/processes";
import { type Call, Failed, type Tool, type Tools } from "../shell/tool";
import { readFlags } from "./flags";
import { isBusybox } from "./ip/words";
import { serviceName, servicePort } from "./tcpdump/services";

/** How long a queue of connections that wait to be accepted may be: net.core.somaxconn, unless a program asks for less. */
const longest = 4096;
const backlogs: Readonly<Record<string, number>> = { nginx: 511, nc: 1 };

interface Row {
  readonly socket: SocketInfo;
  readonly cells: readonly string[];
}

const ss: Tool = (call) => {
  const flags = readFlags(call.args, {
    tool: "ss",
    letters: "hVnraloemipbKs46tudwx0HOZEf:A:",
    long: {
      numeric: "n",
      all: "a",
      listening: "l",
      tcp: "t",
      udp: "u",
      processes: "p",
      summary: "s",
      ipv4: "4",
      ipv6: "6",
      "no-header": "H",
      extended: "e",
      memory: "m",
      options: "o",
      info: "i",
      resolve: "r",
    },
    usage: "Usage: ss [ OPTIONS ]\n       ss [ OPTIONS ] [ FILTER ]",
    exitCode: 255,
  });
  if (flags.has("s")) return summary(call);
  const wanted = filterOf(flags.words);
  const both = flags.has("t") === flags.has("u");
  const states = flags.words.includes("state")
    ? "any"
    : flags.has("a")
      ? "any"
      : flags.has("l")
        ? "listening"
        : "connected";
  const sockets = call.place.netns.sockets
    .list()
    .filter(
      (socket) =>
        (both || (socket.protocol === "tcp" ? flags.has("t") : flags.has("u"))) &&
        isOfState(socket, states) &&
        isOfFamily(socket, flags.has("4"), flags.has("6")) &&
        wanted(socket),
    );
  const port = (number: number, { protocol }: SocketInfo): string =>
    number === 0 ? "*" : flags.has("n") ? String(number) : serviceName(number, protocol);
  const rows = [...sockets].sort((one, other) =>
    one.protocol < other.protocol ? 1 : one.protocol > other.protocol ? -1 : 0,
  );
  const cells = rows.map((socket): Row => {
    const { local, remote, state } = socket;
    const listening = state === "LISTEN";
    const far = remote ?? { ip: typeof local.ip === "number" ? 0 : 0n, port: 0 };
    const process = flags.has("p") ? processWords(call, socket) : "";
    return {
      socket,
      cells: [
        ...(both ? [socket.protocol] : []),
        state,
        "0",
        listening ? String(backlogs[socket.owner] ?? longest) : "0",
        addressText(local.ip),
        port(local.port, socket),
        addressText(far.ip),
        remote ? port(far.port, socket) : "*",
        process,
      ],
    };
  });
  table(call, cells, both, !flags.has("H"));
  return 0;
};

/** `0.0.0.0`, `10.244.1.2`, `[fd00::1]`; `*` for both families at once. */
function addressText(ip: Ip): string {
  if (ip === 0n) return "*";
  return typeof ip === "number" ? formatIp(ip) : `[${formatIp(ip)}]`;
}

function isOfState({ state }: SocketInfo, wanted: "any" | "listening" | "connected"): boolean {
  const waits = state === "LISTEN" || state === "UNCONN";
  return wanted === "any" || (wanted === "listening") === waits;
}

function isOfFamily({ local }: SocketInfo, four: boolean, six: boolean): boolean {
  return four === six || (typeof local.ip === "number") === four;
}

/** Columns as wide as their widest cell: addresses to the right, ports to the left (misc/ss.c). */
function table(call: Call, rows: readonly Row[], netid: boolean, header: boolean): void {
  const titles = [
    ...(netid ? ["Netid"] : []),
    "State",
    "Recv-Q",
    "Send-Q",
    "Local Address",
    "Port",
    "Peer Address",
    "Port",
    "Process",
  ];
  const widths = titles.map((title, at) =>
    Math.max(title.length, ...rows.map(({ cells }) => (cells[at] ?? "").length)),
  );
  const first = netid ? 4 : 3;
  const text = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        if (at === first || at === first + 2) return `${cell.padStart(width)}:`;
        if (at === first + 1) return `${cell.padEnd(width)} `;
        return at < first ? `${cell.padEnd(width)} ` : cell.padEnd(width);
      })
      .join("");
  if (header) call.out(`${text(titles)}\n`);
  for (const { cells } of rows) call.out(`${text(cells)}\n`);
}

/** ` users:(("nginx",pid=29,fd=6))`. */
function processWords(call: Call, { owner }: SocketInfo): string {
  const found = owners(call, owner);
  return found.length === 0 ? "" : ` users:(${found.map(({ pid }) => `("${owner}",pid=${pid},fd=6)`).join(",")})`;
}

/** The processes of this place that may hold a socket: those of that program. */
function owners(call: Call, owner: string): readonly { readonly pid: number }[] {
  if (owner === "") return [];
  const program = new RegExp(`(^|[/ ])${owner.replace(/[^\w-]/g, "\\$&")}([: ]|$)`);
  return processesOf(call.cluster, call.place).filter(({ command }) => program.test(command));
}

type Wanted = (socket: SocketInfo) => boolean;

/** `state established`, `sport = :80`, `dst 10.244.0.0/16`, joined by `and`. */
function filterOf(words: readonly string[]): Wanted {
  const rest = words.flatMap((word) => word.split(/\s+/)).filter((word) => !["and", "(", ")", ""].includes(word));
  const tests: Wanted[] = [];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "state") {
      const state = rest.shift() ?? "";
      const name = stateNames[state];
      if (name === undefined) throw new Failed(`ss: wrong state name: ${state}`, 255);
      tests.push((socket) => name.includes(socket.state));
    } else if (word === "sport" || word === "dport") {
      if (["=", "==", "eq"].includes(rest[0] ?? "")) rest.shift();
      const text = rest.shift() ?? "";
      const port = servicePort(text.replace(/^.*:/, ""));
      if (port === undefined) throw new Failed(`Error: an inet prefix is expected rather than "${text}".`, 1);
      tests.push((socket) => (word === "sport" ? socket.local : socket.remote)?.port === port);
    } else if (word === "src" || word === "dst") {
      const text = rest.shift() ?? "";
      const [address = "", port] = text.split(":");
      const cidr = tryParseCidr(address);
      if (!cidr) throw new Failed(`Error: an inet prefix is expected rather than "${text}".`, 1);
      const number = port === undefined ? undefined : servicePort(port);
      tests.push((socket) => {
        const end: SocketAddress | undefined = word === "src" ? socket.local : socket.remote;
        return end !== undefined && contains(cidr, end.ip) && (number === undefined || end.port === number);
      });
    } else
      throw new Failed(
        `ss: bison bellows (while parsing filter): "syntax error!" Sorry.\nUsage: ss [ OPTIONS ]\n       ss [ OPTIONS ] [ FILTER ]`,
        255,
      );
  }
  return (socket) => tests.every((test) => test(socket));
}

const connected = [
  "ESTAB",
  "SYN-SENT",
  "SYN-RECV",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "CLOSE-WAIT",
  "LAST-ACK",
  "CLOSING",
  "TIME-WAIT",
];
const stateNames: Readonly<Record<string, readonly string[]>> = {
  established: ["ESTAB"],
  "syn-sent": ["SYN-SENT"],
  "syn-recv": ["SYN-RECV"],
  "fin-wait-1": ["FIN-WAIT-1"],
  "fin-wait-2": ["FIN-WAIT-2"],
  "time-wait": ["TIME-WAIT"],
  closed: ["UNCONN", "CLOSED"],
  "close-wait": ["CLOSE-WAIT"],
  "last-ack": ["LAST-ACK"],
  listening: ["LISTEN"],
  closing: ["CLOSING"],
  all: [...connected, "LISTEN", "UNCONN"],
  connected,
  synchronized: connected.filter((state) => state !== "SYN-SENT"),
};

function summary(call: Call): number {
  const all = call.place.netns.sockets.list();
  const tcp = all.filter(({ protocol }) => protocol === "tcp");
  const udp = all.filter(({ protocol }) => protocol === "udp");
  const count = (state: string): number => tcp.filter((socket) => socket.state === state).length;
  const line = (name: string, sockets: readonly SocketInfo[]): string => {
    const four = sockets.filter(({ local }) => typeof local.ip === "number").length;
    return `${name}\t  ${String(sockets.length).padEnd(9)} ${String(four).padEnd(9)} ${String(sockets.length - four).padEnd(9)}\n`;
  };
  const waiting = count("TIME-WAIT");
  call.out(
    `Total: ${all.length}\nTCP:   ${tcp.length} (estab ${count("ESTAB")}, closed ${waiting}, orphaned 0, timewait ${waiting})\n\nTransport Total     IP        IPv6\n`,
  );
  const open = tcp.filter(({ state }) => state !== "TIME-WAIT");
  call.out(
    `${line("RAW", [])}${line("UDP", udp)}${line("TCP", open)}${line("INET", [...udp, ...open])}${line("FRAG", [])}\n`,
  );
  return 0;
}

const netstatStates: Readonly<Record<string, string>> = {
  ESTAB: "ESTABLISHED",
  "SYN-SENT": "SYN_SENT",
  "SYN-RECV": "SYN_RECV",
  "FIN-WAIT-1": "FIN_WAIT1",
  "FIN-WAIT-2": "FIN_WAIT2",
  "TIME-WAIT": "TIME_WAIT",
  "CLOSE-WAIT": "CLOSE_WAIT",
  "LAST-ACK": "LAST_ACK",
  UNCONN: "",
};

const netstat: Tool = (call) => {
  const flags = readFlags(call.args, {
    tool: "netstat",
    letters: "atulnprieW46w",
    long: { tcp: "t", udp: "u", listening: "l", numeric: "n", all: "a", programs: "p", route: "r" },
    usage: "usage: netstat [-vWeenNcCF] [<Af>] -r         netstat {-V|--version|-h|--help}",
    exitCode: isBusybox(call) ? 1 : 4,
  });
  const both = flags.has("t") === flags.has("u");
  const states = flags.has("a") ? "any" : flags.has("l") ? "listening" : "connected";
  const about = flags.has("a") ? "servers and established" : flags.has("l") ? "only servers" : "w/o servers";
  const programs = flags.has("p") ? "PID/Program name    " : "";
  call.out(`Active Internet connections (${about})\n`);
  call.out(
    `${`Proto Recv-Q Send-Q Local Address           Foreign Address         State       ${programs}`.replace(
      /State {7}$/,
      isBusybox(call) ? "State       " : "State      ",
    )}\n`,
  );
  const port = (number: number, protocol: string): string =>
    number === 0 ? "*" : flags.has("n") ? String(number) : serviceName(number, protocol);
  for (const { protocol, state, local, remote, owner } of call.place.netns.sockets.list()) {
    if (!both && (protocol === "tcp" ? !flags.has("t") : !flags.has("u"))) continue;
    if (!isOfState({ protocol, state, local, owner }, states)) continue;
    const six = typeof local.ip === "bigint" ? "6" : "";
    const end = ({ ip, port: number }: SocketAddress): string => `${formatIp(ip)}:${port(number, protocol)}`.padEnd(23);
    const far = remote ?? { ip: typeof local.ip === "number" ? 0 : 0n, port: 0 };
    const [first] = owners(call, owner);
    const program = programs === "" ? "" : (first ? `${first.pid}/${owner}` : "-").padEnd(20);
    const shown = (netstatStates[state] ?? state).padEnd(11);
    call.out(
      `${`${protocol}${six}`.padEnd(5)} ${"0".padStart(6)} ${"0".padStart(6)} ${end(local)} ${end(far)} ${shown}${program === "" ? "" : ` ${program}`}\n`,
    );
  }
  if (!isBusybox(call) && !flags.has("t") && !flags.has("u")) {
    call.out(
      `Active UNIX domain sockets (${about})\nProto RefCnt Flags       Type       State         I-Node   Path\n`,
    );
  }
  return 0;
};

export const socketTools: Tools = { ss, netstat };
