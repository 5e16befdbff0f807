/** Owns iptables and ip6tables: their rules listed (`-S`, `-L`), saved, restored; changes by hand: iptableschange.ts. */
import type { Iptables } from "../../net/iptables";
import type { TableName } from "../../net/rule";
import { parseRules } from "../../net/ruleparse";
import { type Call, Failed, type Tool, type Tools } from "../shell/tool";
import { mayAdministrate } from "./ip/words";
import { change, changeOf, shortened } from "./iptableschange";

const tableNames: readonly TableName[] = ["mangle", "nat", "filter"];

function tableOf(args: readonly string[]): TableName | undefined {
  const at = args.findIndex((arg) => arg === "-t" || arg === "--table");
  const name =
    at >= 0
      ? args[at + 1]
      : (args.find((arg) => /^-t./.test(arg))?.slice(2) ?? /^--table=(.*)/.exec(args.join(" "))?.[1]);
  if (name === undefined) return undefined;
  const found = tableNames.find((each) => each === name);
  if (!found) {
    throw new Failed(
      `iptables v1.8.11 (nf_tables): table '${name}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`,
      3,
    );
  }
  return found;
}

function needRoot(call: Call, command: string): void {
  if (mayAdministrate(call)) return;
  throw new Failed(
    `${command} v1.8.11 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)`,
    4,
  );
}

const iptablesSave: Tool = (call) => {
  needRoot(call, call.name);
  const table = tableOf(call.args);
  const counters = call.args.some((arg) => arg === "-c" || arg === "--counters");
  call.out(kernelOf(call).save({ counters, ...(table && { tables: [table] }) }));
  return 0;
};

/** The rules of the family that the command's name says. */
function kernelOf(call: Call): Iptables {
  return call.name.startsWith("ip6") ? call.place.netns.ip6tables : call.place.netns.iptables;
}

const iptables: Tool = (call) => {
  if (call.args.includes("-V") || call.args.includes("--version")) {
    call.out(`${call.name} v1.8.11 (nf_tables)\n`);
    return 0;
  }
  needRoot(call, call.name);
  needSets(call);
  const words = shortened(call.args);
  const table = tableOf(words) ?? "filter";
  const at = words.indexOf("-t");
  const command = words.filter((word, index) => (at < 0 || (index !== at && index !== at + 1)) && !/^-t./.test(word));
  const letter = changeOf(command);
  if (letter !== undefined && !command.some((word) => /^-[a-zA-Z]*L/.test(word))) {
    change(kernelOf(call), call.name, table, letter, command);
    return 0;
  }
  const letters = command.filter((word) => /^-[a-zA-Z]+$/.test(word)).join("");
  const listed = command.findIndex((word) => /^-[a-zA-Z]*[LS]/.test(word));
  if (listed < 0) {
    throw new Failed(
      `${call.name} v1.8.11 (nf_tables): no command specified\nTry \`${call.name} -h' or '${call.name} --help' for more information.`,
      2,
    );
  }
  const next = command[listed + 1];
  const chain = next !== undefined && !next.startsWith("-") ? next : undefined;
  const listing = savedRules(call, table, chain);
  if (letters.includes("S")) {
    const lines = [...listing.map(({ head }) => head), ...listing.flatMap(({ rules }) => rules)];
    call.out(lines.map((line) => `${line}\n`).join(""));
    return 0;
  }
  const verbose = letters.includes("v");
  const numbers = command.includes("--line-numbers");
  call.out(listing.map((each) => tableText(call, table, each, { verbose, numbers })).join("\n"));
  return 0;
};

interface Listed {
  readonly chain: string;
  /** `-P INPUT ACCEPT` or `-N KUBE-SERVICES`. */
  readonly head: string;
  readonly rules: readonly string[];
}

/** The chains of a table that nobody has written to: iptables-save says nothing of it, iptables lists it. */
const builtIn: Readonly<Record<TableName, readonly string[]>> = {
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

function savedRules(call: Call, table: TableName, wanted: string | undefined): readonly Listed[] {
  const kernel = kernelOf(call);
  const saved = kernel.save({ tables: [table] });
  const lines = saved === "" ? builtIn[table].map((chain) => `:${chain} ACCEPT`) : saved.split("\n");
  const chains = lines.flatMap((line) => {
    const [, chain, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (chain === undefined || (wanted !== undefined && chain !== wanted)) return [];
    const rules = lines.filter((rule) => rule.startsWith(`-A ${chain} `));
    return [{ chain, head: policy === "-" ? `-N ${chain}` : `-P ${chain} ${policy}`, rules }];
  });
  if (wanted !== undefined && chains.length === 0) {
    throw new Failed("iptables: No chain/target/match by that name.", 1);
  }
  return chains;
}

function tableText(
  call: Call,
  table: TableName,
  listed: Listed,
  { verbose, numbers }: { verbose: boolean; numbers: boolean },
): string {
  const kernel = kernelOf(call);
  const counters = kernel.counters(table, listed.chain);
  const policy = /^-P \S+ (\S+)/.exec(listed.head)?.[1];
  const references = kernel
    .save({ tables: [table] })
    .split("\n")
    .filter((line) => new RegExp(`-[jg] ${listed.chain}$`).test(line)).length;
  const about = policy === undefined ? `${references} references` : `policy ${policy}`;
  const head = `Chain ${listed.chain} (${about}${policy !== undefined && verbose ? " 0 packets, 0 bytes" : ""})\n`;
  const count = verbose ? " pkts bytes " : "";
  const titles = verbose
    ? `${numbers ? "num  " : ""}${count}target     prot opt in     out     source               destination         \n`
    : `${numbers ? "num  " : ""}target     prot opt source               destination         \n`;
  const rows = listed.rules.map((rule, at) => {
    const number = numbers ? `${String(at + 1).padEnd(5)}` : "";
    const { packets = 0, bytes = 0 } = counters[at] ?? {};
    const counted = verbose ? `${short(packets).padStart(5)} ${short(bytes).padStart(5)} ` : "";
    return `${number}${counted}${ruleText(rule, verbose)}\n`;
  });
  return head + titles + rows.join("");
}

function short(value: number): string {
  return value < 100_000
    ? String(value)
    : value < 10_000_000
      ? `${Math.round(value / 1000)}K`
      : `${Math.round(value / 1_000_000)}M`;
}

/** One rule as `iptables -L -n` prints it, from its saved form. */
function ruleText(saved: string, verbose: boolean): string {
  const words: readonly string[] = saved.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  const value = (name: string): string | undefined => {
    const at = words.indexOf(name);
    return at < 0 ? undefined : `${words[at - 1] === "!" ? "!" : ""}${words[at + 1] ?? ""}`;
  };
  const target = value("-j") ?? value("-g") ?? "";
  const protocol = value("-p") ?? "all";
  const source = (value("-s") ?? "0.0.0.0/0").replace(/\/32$/, "");
  const destination = (value("-d") ?? "0.0.0.0/0").replace(/\/32$/, "");
  const devices = verbose ? `${(value("-i") ?? "*").padEnd(6)} ${(value("-o") ?? "*").padEnd(6)}  ` : "";
  const numbers: Readonly<Record<string, string>> = { all: "0", tcp: "6", udp: "17", icmp: "1", sctp: "132" };
  const number = numbers[protocol] ?? protocol;
  return `${target.padEnd(10)} ${number.padEnd(4)} --  ${devices}${source.padEnd(20)} ${destination.padEnd(20)} ${extrasOf(words)}`.trimEnd();
}

function extrasOf(words: readonly string[]): string {
  const out: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const next = words[at + 1] ?? "";
    const not = words[at - 1] === "!" ? "!" : "";
    switch (words[at]) {
      case "--comment":
        out.push(`/* ${next.replace(/^"|"$/g, "")} */`);
        break;
      case "--dport":
        out.push(`${wordsProtocol(words)} dpt:${not}${next}`);
        break;
      case "--sport":
        out.push(`${wordsProtocol(words)} spt:${not}${next}`);
        break;
      case "--probability":
        out.push(`statistic mode random probability ${next}`);
        break;
      case "--to-destination":
        out.push(`to:${next}`);
        break;
      case "--mark":
        out.push(`mark match ${not}${next}`);
        break;
      case "--set-xmark":
        out.push(`MARK or ${next.split("/")[0]}`);
        break;
      case "--ctstate":
        out.push(`ctstate ${not}${next}`);
        break;
      case "--dst-type":
        out.push(`ADDRTYPE match dst-type ${not}${next}`);
        break;
      case "--reject-with":
        out.push(`reject-with ${next}`);
        break;
      case "--match-set":
        out.push(`match-set ${not ? "! " : ""}${next} ${words[at + 2] ?? ""}`);
        break;
      case "--to-ports":
        out.push(`redir ports ${next}`);
        break;
      case "--state":
        out.push(`state ${not}${next}`);
        break;
      case "--physdev-is-in":
        out.push(`PHYSDEV match ${not ? "! " : ""}--physdev-is-in`);
        break;
      case "--vaddr":
        out.push(`vaddr ${next}`);
        break;
      case "--vport":
        out.push(`vport ${next}`);
        break;
      case "--vproto":
        out.push(`vproto ${next}`);
        break;
      case "--random-fully":
        out.push("random-fully");
        break;
    }
  }
  return out.join(" ");
}

function wordsProtocol(words: readonly string[]): string {
  return words[words.indexOf("-p") + 1] ?? "tcp";
}

/** A rule may only ask sets that are there. */
function needSets(call: Call): void {
  for (const [at, word] of call.args.entries()) {
    const set = word === "--match-set" ? call.args[at + 1] : undefined;
    if (set === undefined || call.place.netns.ipsets.get(set)) continue;
    const hint = `Try \`${call.name} -h' or '${call.name} --help' for more information.`;
    throw new Failed(`${call.name} v1.8.11 (nf_tables): Set ${set} doesn't exist.\n\n${hint}`, 2);
  }
}

const iptablesRestore: Tool = (call) => {
  needRoot(call, call.name);
  const noflush = call.args.some((arg) => arg === "-n" || arg === "--noflush");
  let tables: ReturnType<typeof parseRules>;
  try {
    tables = parseRules(call.stdin);
  } catch (error) {
    if (error instanceof RangeError) throw new Failed(error.message, 2);
    throw error;
  }
  const kernel = kernelOf(call);
  for (const table of tableNames) {
    if (noflush || !tables[table]) continue;
    // Without --noflush a table that is named loses what is not in the text.
    const old = kernel.chains(table).filter((chain) => tables[table]?.[chain] === undefined);
    kernel.restore({ [table]: Object.fromEntries(old.map((chain) => [chain, []])) });
  }
  kernel.restore(tables);
  return 0;
};

export const iptablesTools: Tools = {
  "iptables-save": iptablesSave,
  "ip6tables-save": iptablesSave,
  "iptables-restore": iptablesRestore,
  "ip6tables-restore": iptablesRestore,
  iptables,
  ip6tables: iptables,
};
