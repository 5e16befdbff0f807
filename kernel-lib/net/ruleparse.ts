/** Owns reading the text that `iptables-restore` is fed into rules as data. */
import { type Family, parseCidr, parseIp } from "./address";
import { readIcmpKind } from "./icmptypes";
import type { TableChains } from "./iptables";
import type { Protocol } from "./packet";
import type { ConntrackState, Invertible, Match, PortMatch, Rule, SetDirection, TableName, Target } from "./rule";
import { orMark, xorMark } from "./rule";

/**
 * Reads `*table`, `:CHAIN …` and `-A CHAIN …` lines. Every declared chain is in the result, built-in ones too.
 * Throws, with the line's number, where `iptables-restore` would.
 */
export function parseRules(text: string, tool = "iptables-restore"): TableChains {
  const tables: { [Table in TableName]?: { [chain: string]: Rule[] } } = {};
  let chains: { [chain: string]: Rule[] } | undefined;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    const fail = (what: string): never => {
      throw new RangeError(`${tool}: line ${index + 1} failed: ${what}`);
    };
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("*")) {
      const name = line.slice(1);
      if (name !== "mangle" && name !== "nat" && name !== "filter") {
        return fail(`can't initialize table \`${name}': Table does not exist`);
      }
      chains = tables[name] ?? {};
      tables[name] = chains;
    } else if (line === "COMMIT") chains = undefined;
    else if (!chains) return fail("no table is open");
    else if (line.startsWith(":")) {
      const [name = ""] = line.slice(1).split(" ");
      chains[name] ??= [];
    } else {
      const words = split(line.replace(/^\[\d+:\d+\] /, ""));
      if (words[0] !== "-A" || words[1] === undefined) return fail(`cannot read ${line}`);
      const chain = chains[words[1]];
      if (!chain) return fail(`No chain/target/match by that name: ${words[1]}`);
      try {
        chain.push(readRule(words.slice(2)));
      } catch (error) {
        return fail(error instanceof Error ? error.message : String(error));
      }
    }
  }
  return tables;
}

/** Words between spaces; a quoted word keeps its spaces, a backslash its next character. */
function split(line: string): readonly string[] {
  const words: string[] = [];
  for (const found of line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)) {
    words.push(found[1] === undefined ? (found[2] ?? "") : found[1].replace(/\\(.)/g, "$1"));
  }
  return words;
}

/** Options by name, each with its value (empty for a flag) and whether a `!` stood before it. */
type Options = Map<string, { readonly not: boolean; readonly value: string }>;

interface Extension {
  readonly name: string;
  readonly options: Options;
}

/** Options without a value. */
const flags = new Set(["--set", "--rcheck", "--reap", "--rsource", "--random-fully", "--physdev-is-in"]);
/** Options of targets; they may stand anywhere after `-j`. */
const targetOptions = new Set([
  "--to-destination",
  "--to-source",
  "--to-ports",
  "--random-fully",
  "--reject-with",
  "--set-xmark",
  "--set-mark",
  "--or-mark",
  "--xor-mark",
]);

function readRule(words: readonly string[]): Rule {
  const rule: { -readonly [Key in keyof Rule]: Rule[Key] } = {};
  const matches: Extension[] = [];
  let target: Extension | undefined;
  let at = 0;
  const next = (): string => {
    const word = words[at++];
    if (word === undefined) throw new RangeError("an option's value is missing");
    return word;
  };
  while (at < words.length) {
    const not = words[at] === "!";
    if (not) at++;
    const maybe = <T>(value: T): Invertible<T> => (not ? { not: value } : value);
    const word = next();
    if (word === "-s") rule.source = maybe(parseCidr(next()));
    else if (word === "-d") rule.destination = maybe(parseCidr(next()));
    else if (word === "-i") rule.input = maybe(next());
    else if (word === "-o") rule.output = maybe(next());
    else if (word === "-p") rule.protocol = maybe(readProtocol(next()));
    else if (word === "-m") matches.push({ name: next(), options: new Map() });
    else if (word === "-g") rule.target = { target: "goto", chain: next() };
    else if (word === "-j") target = { name: next(), options: new Map() };
    else if (word === "--match-set") {
      const owner = matches.at(-1);
      if (owner?.name !== "set") throw new RangeError(`unknown option "${word}"`);
      owner.options.set(word, { not, value: `${next()} ${next()}` });
    } else {
      const owner = targetOptions.has(word) ? target : (protocolMatch(word, rule.protocol, matches) ?? matches.at(-1));
      if (!owner || !word.startsWith("--")) throw new RangeError(`unknown option "${word}"`);
      owner.options.set(word, { not, value: flags.has(word) ? "" : next() });
    }
  }
  if (target) rule.target = readTarget(target);
  if (matches.length > 0) rule.matches = matches.map(readMatch);
  return rule;
}

/** Options of the protocols' own matches, and which those are. */
const ownMatch: { readonly [option: string]: readonly string[] } = {
  "--sport": ["tcp", "udp", "sctp"],
  "--dport": ["tcp", "udp", "sctp"],
  "--icmp-type": ["icmp"],
  "--icmpv6-type": ["icmp6"],
};

/** `-p tcp --dport 80` needs no `-m tcp`: the tool loads the protocol's own match where its option comes up (xshared.c). */
function protocolMatch(option: string, protocol: Rule["protocol"], matches: Extension[]): Extension | undefined {
  const wanted = option === "--icmpv6-type" && protocol === "icmp" ? "icmp6" : protocol;
  if (typeof wanted !== "string" || !ownMatch[option]?.includes(wanted)) return undefined;
  const found = matches.find(({ name }) => name === wanted);
  if (found) return found;
  const loaded = { name: wanted, options: new Map() };
  matches.push(loaded);
  return loaded;
}

function readProtocol(word: string): Protocol {
  const name = word.toLowerCase();
  if (name === "ipv6-icmp" || name === "icmpv6") return "icmp";
  if (name === "tcp" || name === "udp" || name === "sctp" || name === "icmp") return name;
  throw new RangeError(`unknown protocol "${word}" specified`);
}

function readTarget({ name, options }: Extension): Target {
  const value = (option: string): string | undefined => options.get(option)?.value;
  switch (name) {
    case "ACCEPT":
    case "DROP":
    case "RETURN":
      return { target: name };
    case "REJECT": {
      const said = value("--reject-with");
      if (said === undefined) return { target: "REJECT" };
      const how = rejectNames6[said] ?? said;
      if (!isRejectType(how)) throw new RangeError(`unknown reject type "${how}"`);
      return { target: "REJECT", with: how };
    }
    case "DNAT": {
      const [, ip = "", port] = readDestination(value("--to-destination") ?? "");
      return { target: "DNAT", ip: parseIp(ip), ...(port === undefined ? {} : { port: Number(port) }) };
    }
    case "REDIRECT": {
      const port = value("--to-ports");
      return { target: "REDIRECT", ...(port === undefined ? {} : { port: Number(port) }) };
    }
    case "SNAT":
      return { target: "SNAT", ip: parseIp(value("--to-source") ?? "") };
    case "MASQUERADE":
      return { target: "MASQUERADE", ...(options.has("--random-fully") ? { randomFully: true } : {}) };
    case "MARK":
      return readMark(options);
    default:
      return { target: "jump", chain: name };
  }
}

function readMark(options: Options): Target {
  for (const [option, { value: text }] of options) {
    const [value = 0, mask] = text.split("/").map(Number);
    switch (option) {
      case "--or-mark":
        return orMark(value);
      case "--xor-mark":
        return xorMark(value);
      case "--set-xmark":
        return { target: "MARK", value, mask: mask ?? 0xffffffff };
      case "--set-mark":
        return { target: "MARK", value, mask: ((mask ?? 0xffffffff) | value) >>> 0 };
    }
  }
  throw new RangeError("MARK: one of the --set-xmark, --or-mark, --xor-mark options is required");
}

/** `10.244.1.2:80`, `[fd00::2]:80`, or an address alone: the whole, the address, the port. */
function readDestination(text: string): readonly (string | undefined)[] {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  if (bracketed) return bracketed;
  if (text.split(":").length > 2) return [text, text];
  return /^([^:]+)(?::(\d+))?$/.exec(text) ?? [];
}

/** ip6tables' names for the same answers. */
const rejectNames6: { readonly [name: string]: string } = {
  "icmp6-port-unreachable": "icmp-port-unreachable",
  "icmp6-addr-unreachable": "icmp-host-unreachable",
  "icmp6-adm-prohibited": "icmp-admin-prohibited",
};

function isRejectType(
  how: string,
): how is "icmp-port-unreachable" | "icmp-host-unreachable" | "icmp-admin-prohibited" | "tcp-reset" {
  return ["icmp-port-unreachable", "icmp-host-unreachable", "icmp-admin-prohibited", "tcp-reset"].includes(how);
}

function readMatch({ name, options }: Extension): Match {
  const value = (option: string): string | undefined => options.get(option)?.value;
  const port = (option: string): Invertible<PortMatch> | undefined => {
    const found = options.get(option);
    if (!found) return undefined;
    const [from = "", to] = found.value.split(":");
    const read = to === undefined ? Number(from) : { from: Number(from || 0), to: Number(to || 65535) };
    return found.not ? { not: read } : read;
  };
  switch (name) {
    case "comment":
      return { match: "comment", comment: value("--comment") ?? "" };
    case "tcp":
    case "udp":
    case "sctp": {
      const sourcePort = port("--sport");
      const targetPort = port("--dport");
      return {
        match: name,
        ...(sourcePort === undefined ? {} : { sourcePort }),
        ...(targetPort === undefined ? {} : { targetPort }),
      };
    }
    case "icmp":
      return icmpMatch(options, "--icmp-type", "IPv4");
    case "icmp6":
      return icmpMatch(options, "--icmpv6-type", "IPv6");
    case "addrtype":
      return {
        match: "addrtype",
        ...localOf(options, "--src-type", "source"),
        ...localOf(options, "--dst-type", "target"),
      };
    case "mark": {
      const [bits = "", mask] = (value("--mark") ?? "").split("/");
      const rest = options.get("--mark")?.not ? { not: true } : {};
      return { match: "mark", value: Number(bits), ...(mask === undefined ? {} : { mask: Number(mask) }), ...rest };
    }
    case "statistic":
      return { match: "statistic", mode: "random", probability: Number(value("--probability")) };
    case "conntrack": {
      const states = (value("--ctstate") ?? "").split(",") as ConntrackState[];
      return { match: "conntrack", states, ...(options.get("--ctstate")?.not ? { not: true } : {}) };
    }
    case "state": {
      const states = (value("--state") ?? "").split(",") as ConntrackState[];
      return { match: "state", states, ...(options.get("--state")?.not ? { not: true } : {}) };
    }
    case "set":
      return setMatch(options);
    case "physdev": {
      const found = options.get("--physdev-is-in");
      if (!found) throw new RangeError("PHYSDEV: no physdev option specified");
      return { match: "physdev", isIn: found.not ? { not: true } : true };
    }
    case "ipvs":
      return ipvsMatch(value);
    case "nfacct":
      return { match: "nfacct", name: value("--nfacct-name") ?? "" };
    case "recent": {
      const list = value("--name") ?? "DEFAULT";
      if (options.has("--set")) return { match: "recent", name: list, mode: "set" };
      const seconds = value("--seconds");
      return {
        match: "recent",
        name: list,
        mode: "rcheck",
        ...(seconds === undefined ? {} : { seconds: Number(seconds) }),
        ...(options.has("--reap") ? { reap: true } : {}),
      };
    }
    default:
      throw new RangeError(`Couldn't load match \`${name}':No such file or directory`);
  }
}

function setMatch(options: Options): Match {
  const found = options.get("--match-set");
  if (!found) throw new RangeError("You must specify `--match-set' with proper arguments");
  const [set = "", flags = ""] = found.value.split(" ");
  const directions = flags.split(",");
  if (!directions.every((each) => each === "src" || each === "dst")) {
    throw new RangeError("You must spceify (the comma separated list of) 'src' or 'dst'.");
  }
  return { match: "set", set, directions: directions as SetDirection[], ...(found.not ? { not: true } : {}) };
}

function ipvsMatch(value: (option: string) => string | undefined): Match {
  const protocol = value("--vproto");
  const ip = value("--vaddr");
  const port = value("--vport");
  const names: { readonly [number: string]: string } = { "6": "tcp", "17": "udp", "132": "sctp" };
  return {
    match: "ipvs",
    ...(protocol === undefined ? {} : { protocol: readProtocol(names[protocol] ?? protocol) }),
    ...(ip === undefined ? {} : { ip: parseIp(ip) }),
    ...(port === undefined ? {} : { port: Number(port) }),
  };
}

function icmpMatch(options: Options, option: string, family: Family): Match {
  const found = options.get(option);
  if (!found) throw new RangeError(`${family === "IPv4" ? "icmp" : "icmp6"}: option "${option}" must be specified`);
  const kind = readIcmpKind(found.value, family);
  return { match: "icmp", kind: found.not ? { not: kind } : kind };
}

function localOf(options: Options, option: string, key: "source" | "target"): object {
  const found = options.get(option);
  if (!found) return {};
  if (found.value !== "LOCAL") throw new RangeError(`addrtype: bad type: ${found.value}`);
  return { [key]: found.not ? { not: "LOCAL" } : "LOCAL" };
}
