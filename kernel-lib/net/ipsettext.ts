/** Owns the text of ipsets: entries read and written, sets listed and saved, as ipset 7 does it. */
import { type Cidr, formatCidr, formatIp, networkOf, tryParseCidr, tryParseIp, widthOf } from "./address";
import { type IpSet, type IpSetEntry, IpSetError, type IpSetType } from "./ipset";
import type { Protocol } from "./packet";

/** `10.96.0.10,udp:53`. */
export function entryText(type: IpSetType, { ip, net, protocol, port, ip2 }: IpSetEntry): string {
  const end = `${formatIp(ip ?? 0)},${protocol}:${port}`;
  switch (type) {
    case "hash:ip":
      return formatIp(ip ?? 0);
    case "hash:net":
      return netText(net);
    case "bitmap:port":
      return String(port);
    case "hash:ip,port":
      return end;
    case "hash:ip,port,ip":
      return `${end},${formatIp(ip2 ?? 0)}`;
    case "hash:ip,port,net":
      return `${end},${netText(net)}`;
  }
}

/** A single address is written without its length. */
function netText(net: Cidr | undefined): string {
  if (!net) return "";
  return net.length === widthOf(net.ip) ? formatIp(net.ip) : formatCidr(networkOf(net));
}

/** Reads an entry of a set; throws in the words of `ipset`. */
export function readEntry(set: Pick<IpSet, "type" | "family">, text: string): IpSetEntry {
  const parts = text.split(",");
  const names = set.type.slice(set.type.indexOf(":") + 1).split(",");
  if (parts.length < names.length) {
    const which = parts.length === 1 ? "Second" : "Third";
    throw new IpSetError(`Syntax error: ${which} element is missing from ${text}.`);
  }
  if (parts.length > names.length)
    throw new IpSetError(`Syntax error: Elem separator in ${text}, but settype ${set.type} supports none.`);
  let entry: IpSetEntry = {};
  for (const [at, name] of names.entries()) {
    const part = parts[at] ?? "";
    if (name === "port")
      entry = { ...entry, ...(set.type === "bitmap:port" ? { port: readPort(part) } : readEnd(part)) };
    else if (name === "net") entry = { ...entry, net: readNet(part, set.family) };
    else entry = at === 0 ? { ...entry, ip: readIp(part, set.family) } : { ...entry, ip2: readIp(part, set.family) };
  }
  return entry;
}

function readIp(text: string, family: IpSet["family"]) {
  const ip = tryParseIp(text);
  if (ip === undefined || (typeof ip === "number") !== (family === "IPv4")) {
    throw new IpSetError(`Syntax error: cannot parse ${text}: resolving to ${family} address failed`);
  }
  return ip;
}

function readNet(text: string, family: IpSet["family"]): Cidr {
  if (!text.includes("/")) {
    const ip = readIp(text, family);
    return { ip, length: widthOf(ip) };
  }
  const net = tryParseCidr(text);
  if (!net) throw new IpSetError(`Syntax error: cannot parse ${text}: resolving to ${family} address failed`);
  return networkOf(net);
}

const protocols: readonly Protocol[] = ["tcp", "udp", "sctp"];
const portNames: Readonly<Record<string, number>> = { http: 80, https: 443, domain: 53, ssh: 22 };

/** `tcp:80`, or `80` for TCP. */
function readEnd(text: string): Pick<IpSetEntry, "protocol" | "port"> {
  const colon = text.indexOf(":");
  const name = colon < 0 ? "tcp" : text.slice(0, colon).toLowerCase();
  const protocol = protocols.find((each) => each === name);
  if (!protocol) throw new IpSetError(`Syntax error: cannot parse '${name}' as a protocol`);
  return { protocol, port: readPort(text.slice(colon + 1), protocol) };
}

function readPort(text: string, protocol = "tcp"): number {
  const port = /^\d+$/.test(text) ? Number(text) : portNames[text];
  if (port === undefined) throw new IpSetError(`Syntax error: cannot parse '${text}' as a ${protocol} port`);
  if (port > 65_535) throw new IpSetError(`Syntax error: '${text}' is out of range 0-65535`);
  return port;
}

const revisions: { readonly [Type in IpSetType]: number } = {
  "hash:ip": 6,
  "hash:net": 7,
  "hash:ip,port": 7,
  "hash:ip,port,ip": 6,
  "hash:ip,port,net": 8,
  "bitmap:port": 3,
};

/** How it was made: `family inet hashsize 1024 …`. */
function header(set: IpSet): string {
  if (set.type === "bitmap:port") return `range ${set.range[0]}-${set.range[1]}`;
  const salt = `0x${set.initval.toString(16).padStart(8, "0")}`;
  const family = set.family === "IPv4" ? "inet" : "inet6";
  return `family ${family} hashsize ${set.hashsize} maxelem ${set.maxelem} bucketsize 12 initval ${salt}`;
}

/** Entries in the order of the kernel's bitmap, or, where it is by hash, as they were added. */
export function entryTexts(set: IpSet, sorted = false): readonly string[] {
  const entries =
    set.type === "bitmap:port"
      ? [...set.entries].sort((one, other) => (one.port ?? 0) - (other.port ?? 0))
      : set.entries;
  const texts = entries.map((entry) => entryText(set.type, entry));
  return sorted && set.type !== "bitmap:port" ? texts.sort() : texts;
}

/** `ipset list`. @param references how many rules use it */
export function listText(set: IpSet, references: number, options: { terse?: boolean; sorted?: boolean } = {}): string {
  const lines = [
    `Name: ${set.name}`,
    `Type: ${set.type}`,
    `Revision: ${revisions[set.type]}`,
    `Header: ${header(set)}`,
    `Size in memory: ${set.memory}`,
    `References: ${references}`,
    `Number of entries: ${set.size}`,
    ...(options.terse ? [] : ["Members:", ...entryTexts(set, options.sorted)]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** `ipset save`. */
export function saveText(set: IpSet, sorted = false): string {
  const lines = [`create ${set.name} ${set.type} ${header(set)}`];
  for (const text of entryTexts(set, sorted)) lines.push(`add ${set.name} ${text}`);
  return lines.map((line) => `${line}\n`).join("");
}
