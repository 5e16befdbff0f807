/** Owns host (BIND 9.20) and getent. */
import { type DnsMessage, type DnsRecord, type RecordType, recordTypes, reverseName } from "../../../apps/dns";
import { tryParseIp } from "../../../net/address";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { bare, bindAsk, configOf, serverAddress } from "./ask";
import { addressesOf } from "./busybox";
import { lastName } from "./nslookup";

const words: { readonly [T in RecordType]?: string } = {
  A: "has address",
  AAAA: "has IPv6 address",
  CNAME: "is an alias for",
  PTR: "domain name pointer",
  NS: "name server",
  TXT: "descriptive text",
  MX: "mail is handled by",
};

function recordLine({ name, type, data }: DnsRecord): string {
  return `${bare(name)} ${words[type] ?? `has ${type} record`} ${data}\n`;
}

/** Without a type: A, AAAA and MX. */
export const host: Tool = async (call) => {
  const words: string[] = [];
  let type: RecordType | undefined;
  let verbose = false;
  let tcp = false;
  const args = [...call.args];
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    if (arg === "-t") {
      const word = (args.shift() ?? "").toUpperCase();
      if (!Object.hasOwn(recordTypes, word)) throw new Failed(`host: invalid type: ${word.toLowerCase()}`, 2);
      type = word as RecordType;
    } else if (arg === "-v" || arg === "-d" || arg === "-a") verbose = true;
    else if (arg === "-T") tcp = true;
    else if (!arg.startsWith("-")) words.push(arg);
  }
  const [name, server] = words;
  if (name === undefined)
    throw new Failed(
      "Usage: host [-aCdilrTvVw] [-c class] [-N ndots] [-t type] [-W time]\n            [-R number] [-m flag] [-p port] hostname [server]",
    );
  const config =
    server === undefined ? configOf(call) : { ...configOf(call), servers: [await serverAddress(call, server)] };
  if (server !== undefined) {
    const [address = ""] = config.servers;
    call.out(`Using domain server:\nName: ${server}\nAddress: ${address}#53\nAliases: \n\n`);
  }
  const reverse = tryParseIp(name) !== undefined;
  const trying = verbose ? (each: string): void => call.out(`Trying "${bare(each)}"\n`) : undefined;
  const options = {
    ...{ config, port: 53, tries: 3, seconds: 5, search: !reverse, servfailStops: false, exchange: { tcp } },
    ...(trying && { trying }),
  };
  const asked = reverse ? reverseName(name) : name;
  const first = await bindAsk(call, asked, reverse ? "PTR" : (type ?? "A"), options);
  if (first === "stopped") return 130;
  if (first === "nobody") return 1;
  const { message } = first;
  if (message.rcode !== "NOERROR") {
    const about = message.rcode === "NXDOMAIN" ? asked : bare(message.question.name);
    call.out(`Host ${about} not found: ${rcodeNumber(message)}(${message.rcode})\n`);
    return 1;
  }
  call.out(message.answers.map(recordLine).join(""));
  if (type !== undefined || reverse) {
    if (message.answers.length === 0) {
      call.out(`${bare(message.question.name)} has no ${reverse ? "PTR" : type} record\n`);
    }
    return 0;
  }
  const final = lastName(message);
  for (const more of ["AAAA", "MX"] as const) {
    const found = await bindAsk(call, final, more, { ...options, search: false });
    if (found === "stopped") return 130;
    if (found !== "nobody") call.out(found.message.answers.map(recordLine).join(""));
  }
  return 0;
};

function rcodeNumber({ rcode }: DnsMessage): number {
  return ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"].indexOf(rcode);
}

/** `getent hosts NAME…`, `getent ahosts NAME`: as the C library resolves. */
export const getent: Tool = async (call) => {
  const [database, ...names] = call.args;
  if (!["hosts", "ahosts", "ahostsv4"].includes(database ?? "")) {
    throw new Failed(
      `Unknown database: ${database ?? ""}\nTry \`getent --help' or \`getent --usage' for more information.`,
    );
  }
  let exitCode = 0;
  for (const name of names) {
    const lines = await linesOf(call, database ?? "", name);
    if (lines === undefined) return 130;
    if (lines.length === 0) exitCode = 2;
    call.out(lines.join(""));
  }
  return exitCode;
};

async function linesOf(call: Call, database: string, name: string): Promise<readonly string[] | undefined> {
  const written = hostsLines(call).filter(([, names]) => names.includes(name));
  const asked = written.length > 0 ? [] : await addressesOf(call, name, configOf(call));
  if (asked === undefined) return undefined;
  const lines = [
    ...written.map(([ip, names]) => ({ ip, name: names[0] ?? name })),
    ...asked.map((record) => ({ ip: record.data, name: bare(record.name) })),
  ];
  const four = lines.filter(({ ip }) => !ip.includes(":"));
  const six = lines.filter(({ ip }) => ip.includes(":"));
  // gethostbyname2(3) is asked for IPv6 first, and for IPv4 only if there is none.
  if (database === "hosts") return (six.length > 0 ? six : four).map((line) => `${line.ip.padEnd(15)} ${line.name}\n`);
  return (database === "ahostsv4" ? four : lines).flatMap(({ ip }, at) => {
    const kinds = ["STREAM", "DGRAM", "RAW"].map((kind) => `${ip.padEnd(15)} ${kind}`);
    return kinds.map((line, kind) => `${line}${at === 0 && kind === 0 ? ` ${name}` : ""}\n`);
  });
}

function hostsLines(call: Call): readonly (readonly [string, readonly string[]])[] {
  const lines = (call.place.files.read("/etc/hosts") ?? "").split("\n");
  return lines.map((line) => {
    const [ip = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return [ip, names] as const;
  });
}
