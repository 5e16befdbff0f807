/** Owns conntrack: the connections of a namespace listed, counted, deleted and watched, as conntrack-tools do it. */
import { contains, type Ip, tryParseCidr } from "../../net/address";
import type { Connection } from "../../net/conntrack";
import { connectionText } from "../../net/conntracktext";
import { type Call, Failed, type Tool } from "../shell/tool";
import { type Flags, readFlags } from "./flags";
import { mayAdministrate } from "./ip/words";
import { protocolNumbers } from "./tcpdump/services";

const banner = "conntrack v1.4.8 (conntrack-tools)";
const hint = "Try `conntrack -h' or 'conntrack --help' for more information.";

const usage = `Command line interface for the connection tracking system. Version 1.4.8
Usage: conntrack [commands] [options]

Commands:
  -L [table] [options]		List conntrack or expectation table
  -D [table] parameters		Delete conntrack or expectation
  -E [table] [options]		Show events
  -F [table]			Flush table
  -C [table]			Show counter
  -S				Show statistics

Common parameters and options:
  -s, --src, --orig-src ip		Source address from original direction
  -d, --dst, --orig-dst ip		Destination address from original direction
  -r, --reply-src ip		Source addres from reply direction
  -q, --reply-dst ip		Destination address from reply direction
  -p, --protonum proto		Layer 4 Protocol, eg. 'tcp'
  -f, --family proto		Layer 3 Protocol, eg. 'ipv6'
  -n, --src-nat ip			source NAT ip
  -g, --dst-nat ip			destination NAT ip
  -o, --output type[,...]		Output format, eg. xml
`;

const rules = {
  tool: banner,
  letters: "LDEFCSGIUhVs:d:r:q:p:f:n:g:j:o:m:u:t:e:",
  long: {
    dump: "L",
    delete: "D",
    event: "E",
    flush: "F",
    count: "C",
    stats: "S",
    help: "h",
    version: "V",
    src: "s",
    "orig-src": "s",
    dst: "d",
    "orig-dst": "d",
    "reply-src": "r",
    "reply-dst": "q",
    proto: "p",
    protonum: "p",
    family: "f",
    "src-nat": "n",
    "dst-nat": "g",
    output: "o",
    sport: "sport:",
    "orig-port-src": "sport:",
    dport: "dport:",
    "orig-port-dst": "dport:",
    "reply-port-src": "rsport:",
    "reply-port-dst": "rdport:",
    state: "state:",
    "any-nat": "j",
  },
  usage: hint,
  exitCode: 2,
  unknown: (option: string) => `${banner}: unknown option \`${option.length > 1 ? `--${option}` : `-${option}`}'`,
  missing: (option: string) =>
    `${banner}: option \`${option.length > 1 ? `--${option}` : `-${option}`}' requires an argument`,
};

type Matches = (connection: Connection) => boolean;

export const conntrack: Tool = (call) => {
  const flags = readFlags(call.args, rules);
  if (flags.has("V")) {
    call.out(`${banner}\n`);
    return 0;
  }
  const command = "LDEFCS".split("").find((letter) => flags.has(letter));
  if (command === undefined || flags.has("h")) {
    call.out(`${usage}\n`);
    return 0;
  }
  if (!mayAdministrate(call)) throw new Failed(`${banner}: Operation failed: Operation not permitted`, 1);
  const matches = matcher(flags);
  const { conntrack: table } = call.place.netns;
  switch (command) {
    case "L":
      return list(call, flags, matches);
    case "D":
      return remove(call, flags, matches);
    case "E":
      return watch(call, flags, matches);
    case "F":
      table.delete(() => true);
      call.err(`${banner}: connection tracking table has been emptied.\n`);
      return 0;
    case "C":
      call.out(`${table.list().length}\n`);
      return 0;
    default:
      call.out(
        "cpu=0   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n",
      );
      return 0;
  }
};

function matcher(flags: Flags): Matches {
  const tests: Matches[] = [];
  const six = flags.given.get("f");
  if (six !== undefined) tests.push(({ original }) => (six === "ipv6") === (typeof original.source === "bigint"));
  const protocol = flags.given.get("p");
  if (protocol !== undefined) {
    const name = Object.keys(protocolNumbers).find(
      (each) => each === protocol || String(protocolNumbers[each]) === protocol,
    );
    if (name === undefined) throw new Failed(`${banner}: \`${protocol}' unsupported protocol\n${hint}`, 2);
    const plain = name === "icmp6" || name === "ipv6-icmp" || protocol === "icmpv6" ? "icmp" : name;
    tests.push(({ original }) => original.protocol === plain);
  }
  const address = (letter: string, of: (connection: Connection) => Ip): void => {
    const text = flags.given.get(letter);
    if (text === undefined) return;
    const cidr = tryParseCidr(text);
    if (!cidr) throw new Failed(`${banner}: Invalid IP address '${text}'\n${hint}`, 2);
    tests.push((connection) => contains(cidr, of(connection)));
  };
  address("s", ({ original }) => original.source);
  address("d", ({ original }) => original.target);
  address("r", ({ reply }) => reply.source);
  address("q", ({ reply }) => reply.target);
  const translated = (letter: string, changed: Matches, of: (connection: Connection) => Ip): void => {
    if (!flags.has(letter)) return;
    tests.push(changed);
    const cidr = tryParseCidr(flags.given.get(letter) ?? "");
    if (cidr) tests.push((connection) => contains(cidr, of(connection)));
  };
  translated(
    "n",
    ({ original, reply }) => reply.target !== original.source,
    ({ reply }) => reply.target,
  );
  translated(
    "g",
    ({ original, reply }) => reply.source !== original.target,
    ({ reply }) => reply.source,
  );
  const port = (name: string, of: (connection: Connection) => number): void => {
    const text = flags.given.get(name);
    if (text === undefined) return;
    if (protocol === undefined) throw new Failed(`${banner}: unknown option \`--${name}'\n${hint}`, 2);
    if (!/^\d+$/.test(text)) throw new Failed(`${banner}: bad parameter \`${text}'\n${hint}`, 2);
    tests.push((connection) => of(connection) === Number(text));
  };
  port("sport", ({ original }) => original.sourcePort);
  port("dport", ({ original }) => original.targetPort);
  port("rsport", ({ reply }) => reply.sourcePort);
  port("rdport", ({ reply }) => reply.targetPort);
  const state = flags.given.get("state");
  if (state !== undefined) tests.push(({ tcp }) => tcp === state.toUpperCase());
  return (connection) => tests.every((test) => test(connection));
}

function line(connection: Connection, call: Call, flags: Flags): string {
  const text = connectionText(connection, call.cluster.sim.clock.now);
  if (!(flags.given.get("o") ?? "").split(",").includes("extended")) return text;
  return `${typeof connection.original.source === "number" ? "ipv4     2" : "ipv6     10"} ${text}`;
}

function list(call: Call, flags: Flags, matches: Matches): number {
  const found = call.place.netns.conntrack.list().filter(matches);
  for (const connection of found) call.out(`${line(connection, call, flags)}\n`);
  call.err(`${banner}: ${found.length} flow entries have been shown.\n`);
  return 0;
}

function remove(call: Call, flags: Flags, matches: Matches): number {
  const { conntrack: table } = call.place.netns;
  const found = table.list().filter(matches);
  for (const connection of found) call.out(`${line(connection, call, flags)}\n`);
  table.delete((connection) => found.includes(connection));
  call.err(`${banner}: ${found.length} flow entries have been deleted.\n`);
  return found.length > 0 ? 0 : 1;
}

/** Events as they come, until somebody stops it. */
async function watch(call: Call, flags: Flags, matches: Matches): Promise<number> {
  const { process, terminal, cluster, place } = call;
  const { clock } = cluster.sim;
  const lines: string[] = [];
  let shown = 0;
  let wakeUp: () => void = () => {};
  const wanted = flags.given.get("e")?.toUpperCase().split(",");
  const events = place.netns.conntrack.onEvent((event, connection) => {
    if (!matches(connection) || (wanted && !wanted.includes(event))) return;
    const text = connectionText(connection, clock.now).replace(/ mark=\d+ use=\d+$/, "");
    // What is destroyed has no time left to tell.
    const told = event === "DESTROY" ? text.replace(/^(\S+ +\d+) \d+/, "$1") : text;
    lines.push(`${`[${event}]`.padStart(9)} ${told}\n`);
    wakeUp();
  });
  const begin = clock.now;
  while (!process.stopped) {
    const left = terminal?.patience === undefined ? undefined : Math.max(0, begin + terminal.patience - clock.now);
    const end = await process.pause((wake) => {
      wakeUp = wake;
      return undefined;
    }, left);
    shown += lines.length;
    call.out(lines.splice(0).join(""));
    if (end === "timeout") break;
  }
  events.stop();
  if (!process.stopped)
    call.err(`^C (a minute has passed; to go on watching, start it in a second terminal: terminal("2").start)\n`);
  call.err(`${banner}: ${shown} flow events have been shown.\n`);
  return 0;
}
