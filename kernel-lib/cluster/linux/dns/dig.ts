/** Owns dig (BIND 9.20): what of an answer is shown, and in which columns. */
import { type DnsMessage, type DnsRecord, type RecordType, recordTypes, reverseName } from "../../../apps/dns";
import { tryParseIp } from "../../../net/address";
import { unixDate } from "../../calendar";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { bindAsk, configOf, serverAddress } from "./ask";

/** What is shown; `+all` and `+noall` set or clear it. */
const shown = ["cmd", "comments", "question", "answer", "authority", "additional", "stats"] as const;
type Part = (typeof shown)[number];

interface Lookup {
  readonly name: string;
  readonly type: RecordType;
  readonly server: string | undefined;
  readonly port: number;
  readonly flags: ReadonlyMap<string, string | boolean>;
}

export const dig: Tool = async (call) => {
  const lookups = readArguments(call);
  let exitCode = 0;
  for (const lookup of lookups) exitCode = Math.max(exitCode, await lookUp(call, lookup));
  return exitCode;
};

/** `dig [@server] [-t type] [-x address] [-p port] [+flag…] name [type] …`: what comes before the first name is for all. */
function readArguments(call: Call): readonly Lookup[] {
  let server: string | undefined;
  let port = 53;
  const common = new Map<string, string | boolean>();
  const lookups: { name: string; type: RecordType | undefined; flags: Map<string, string | boolean> }[] = [];
  let type: RecordType | undefined;
  const args = [...call.args];
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    const last = lookups.at(-1);
    const value = (): string => {
      const next = (arg ?? "").length > 2 ? (arg ?? "").slice(2) : args.shift();
      if (next === undefined) throw new Failed(`Invalid option: ${arg}\n${digUsage}`);
      return next;
    };
    if (arg.startsWith("@")) server = arg.slice(1);
    else if (arg.startsWith("+")) {
      const [name = "", given] = arg.slice(1).toLowerCase().split("=");
      const no = name.startsWith("no") && name !== "noall" ? name.slice(2) : undefined;
      (last?.flags ?? common).set(
        no ?? (name === "noall" ? "all" : name),
        given ?? (no === undefined && name !== "noall"),
      );
    } else if (arg.startsWith("-x")) {
      const address = value();
      if (tryParseIp(address) === undefined) throw new Failed(`Invalid IP address ${address}\n${digUsage}`, 1);
      lookups.push({ name: reverseName(address), type: "PTR", flags: new Map() });
    } else if (arg.startsWith("-t")) {
      const word = value().toUpperCase();
      if (!Object.hasOwn(recordTypes, word)) call.err(`;; Warning, ignoring invalid type ${word}\n`);
      else if (last) last.type = word as RecordType;
      else type = word as RecordType;
    } else if (arg.startsWith("-q")) lookups.push({ name: value(), type, flags: new Map() });
    else if (arg.startsWith("-p")) port = Number(value());
    else if (arg === "-4" || arg === "-6") continue;
    else if (arg.startsWith("-")) throw new Failed(`Invalid option: ${arg}\n${digUsage}`);
    else if (Object.hasOwn(recordTypes, arg.toUpperCase()) && !arg.includes(".")) {
      const word = arg.toUpperCase() as RecordType;
      if (last) last.type = word;
      else type = word;
    } else if (arg.toUpperCase() !== "IN") lookups.push({ name: arg, type, flags: new Map() });
  }
  if (lookups.length === 0) lookups.push({ name: ".", type: type ?? "NS", flags: new Map() });
  return lookups.map((lookup) => {
    const flags = new Map([...common, ...lookup.flags]);
    return { name: lookup.name, type: lookup.type ?? type ?? "A", server, port, flags };
  });
}

const digUsage =
  'Usage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}\n            {global-d-opt} host [@local-server] {local-d-opt}\n            [ host [@local-server] {local-d-opt} [...]]\n\nUse "dig -h" (or "dig -h | more") for complete list of options';

/** Whether a part is shown: the last word about it counts, or about all of them. */
function shows(flags: Lookup["flags"], part: Part): boolean {
  let show = true;
  for (const [name, value] of flags) {
    if (name === "all" && typeof value === "boolean") show = value;
    if (name === part && typeof value === "boolean") show = value;
  }
  return show;
}

async function lookUp(call: Call, { name, type, server, port, flags }: Lookup): Promise<number> {
  const config =
    server === undefined ? configOf(call) : { ...configOf(call), servers: [await serverAddress(call, server)] };
  const short = flags.get("short") === true;
  const search = flags.get("search") === true || flags.get("domain") !== undefined;
  const begin = call.cluster.sim.clock.now;
  const edns = flags.get("edns") !== false;
  const random = call.shell.random;
  const cookie = Array.from({ length: 4 }, () => random.integer(0, 0xffff).toString(16).padStart(4, "0")).join("");
  const withCookie = edns && flags.get("cookie") !== false;
  if (!short && shows(flags, "cmd")) {
    call.out(`\n; <<>> DiG 9.20.11 <<>> ${call.args.join(" ")}\n`);
    if (server !== undefined) call.out("; (1 server found)\n");
    call.out(`;; global options: +cmd\n`);
  }
  const figure = (flag: string, usual: number): number => Number(flags.get(flag)) || usual;
  const found = await bindAsk(call, name, type, {
    config,
    port,
    search,
    tries: figure("tries", flags.has("retry") ? Number(flags.get("retry")) + 1 : 3),
    seconds: Math.max(1, figure("time", figure("timeout", 5))),
    servfailStops: flags.get("fail") !== false,
    exchange: {
      ...(edns && { udpSize: figure("bufsize", 1232) }),
      ...(withCookie && { cookie }),
      ...((flags.get("tcp") === true || flags.get("vc") === true) && { tcp: true }),
      ...(flags.get("ignore") === true && { ignoreTruncation: true }),
    },
  });
  if (found === "stopped") return 130;
  if (found === "nobody") return 9;
  const { message } = found;
  if (short) {
    call.out(message.answers.map(({ data }) => `${data}\n`).join(""));
    return 0;
  }
  if (shows(flags, "comments")) call.out(header(message, name));
  call.out(sections(message, flags));
  if (shows(flags, "stats")) {
    const took = Math.round((call.cluster.sim.clock.now - begin) / 1000);
    const asked = server !== undefined ? server : found.server;
    call.out(
      `;; Query time: ${took} msec\n;; SERVER: ${found.server}#${port}(${asked}) (${found.tcp ? "TCP" : "UDP"})\n`,
    );
    call.out(`;; WHEN: ${unixDate(begin)}\n;; MSG SIZE  rcvd: ${message.size}\n\n`);
  }
  return 0;
}

function header(message: DnsMessage, asked: string): string {
  const { rcode, id, authoritative, truncated, recursionDesired, recursionAvailable } = message;
  const flags = [
    "qr",
    ...(authoritative ? ["aa"] : []),
    ...(truncated ? ["tc"] : []),
    ...(recursionDesired ? ["rd"] : []),
    ...(recursionAvailable ? ["ra"] : []),
  ];
  const additional = message.additional.length + (message.udpSize === undefined ? 0 : 1);
  const counts = `QUERY: 1, ANSWER: ${message.answers.length}, AUTHORITY: ${message.authority.length}`;
  const isLocal = /(^|\.)local\.?$/i.test(asked);
  return [
    ";; Got answer:",
    ...(isLocal
      ? [
          ";; WARNING: .local is reserved for Multicast DNS",
          ";; You are currently testing what happens when an mDNS query is leaked to DNS",
        ]
      : []),
    `;; ->>HEADER<<- opcode: QUERY, status: ${rcode}, id: ${id}`,
    `;; flags: ${flags.join(" ")}; ${counts}, ADDITIONAL: ${additional}`,
    ...(recursionDesired && !recursionAvailable ? [";; WARNING: recursion requested but not available"] : []),
    "",
    ...(message.udpSize === undefined
      ? []
      : [
          ";; OPT PSEUDOSECTION:",
          `; EDNS: version: 0, flags:; udp: ${message.udpSize}`,
          ...(message.cookie === undefined ? [] : [`; COOKIE: ${message.cookie} (echoed)`]),
        ]),
    "",
  ].join("\n");
}

function sections(message: DnsMessage, flags: Lookup["flags"]): string {
  const titled = shows(flags, "comments");
  const parts: string[] = [];
  if (shows(flags, "question")) {
    const { name, type } = message.question;
    const line = `;${columns([name, "", "IN", type])}\n`;
    parts.push(titled ? `;; QUESTION SECTION:\n${line}\n` : line);
  }
  for (const part of ["answer", "authority", "additional"] as const) {
    const records: readonly DnsRecord[] = message[part === "answer" ? "answers" : part];
    if (!shows(flags, part) || records.length === 0) continue;
    const lines = records.map(({ name, ttl, type, data }) => {
      return `${columns([name, String(flags.get("ttlid") === false ? "" : ttl), "IN", type, data])}\n`;
    });
    parts.push(titled ? `;; ${part.toUpperCase()} SECTION:\n${lines.join("")}\n` : lines.join(""));
  }
  return parts.join("");
}

/** Where TTL, class, type and data begin; a column that is passed already is one space away (masterdump.c: indent). */
const stops = [24, 32, 40, 48];

function columns([first = "", ...rest]: readonly string[]): string {
  let text = first;
  let column = first.length;
  for (const [at, word] of rest.entries()) {
    if (word === "") continue;
    const to = Math.max(stops[at] ?? 0, column + 1);
    const tabs = Math.floor(to / 8) - Math.floor(column / 8);
    const spaces = tabs > 0 ? to % 8 : to - column;
    text += `${"\t".repeat(Math.max(0, tabs))}${" ".repeat(spaces)}${word}`;
    column = to + word.length;
  }
  return text;
}
