/** Owns ipset: sets listed, saved and restored, made and changed by hand, as version 7.17 does it. */
import { IpSetError, type IpSetOptions, type IpSetType, ipSetTypes } from "../../net/ipset";
import { listText, readEntry, saveText } from "../../net/ipsettext";
import type { Netns } from "../../net/netns";
import { type Call, Failed, type Tool } from "../shell/tool";
import { mayAdministrate } from "./ip/words";

const name = "ipset v7.17";
const hint = "Try `ipset help' for more information.";

interface Options {
  readonly exist: boolean;
  readonly quiet: boolean;
  readonly names: boolean;
  readonly terse: boolean;
  readonly sorted: boolean;
  readonly output: string | undefined;
  readonly words: readonly string[];
}

/** Commands, with the short and old words that mean them. */
const commands: Readonly<Record<string, string>> = {
  create: "create",
  n: "create",
  "-N": "create",
  add: "add",
  "-A": "add",
  del: "del",
  "-D": "del",
  test: "test",
  "-T": "test",
  destroy: "destroy",
  x: "destroy",
  "-X": "destroy",
  list: "list",
  "-L": "list",
  save: "save",
  "-S": "save",
  restore: "restore",
  "-R": "restore",
  flush: "flush",
  "-F": "flush",
  rename: "rename",
  "-E": "rename",
  help: "help",
  "-h": "help",
  version: "version",
  "-v": "version",
  "-V": "version",
};

export const ipset: Tool = (call) => {
  const options = readOptions(call.args);
  const { words } = options;
  const [first] = words;
  if (first === undefined) throw new Failed(`${name}: No command specified.\n${hint}`, 2);
  const command = Object.hasOwn(commands, first) ? commands[first] : undefined;
  if (command === undefined) throw new Failed(`${name}: No command specified: unknown argument ${first}\n${hint}`, 2);
  if (command === "version") {
    call.out(`${name}, protocol version: 7\n`);
    return 0;
  }
  if (command === "help") {
    call.out(`${name}\n\nUsage: ipset [options] COMMAND\n`);
    return 0;
  }
  if (!mayAdministrate(call)) throw new Failed(`${name}: Kernel error received: Operation not permitted`, 1);
  if (command === "restore") return restore(call, options);
  return saying(options, () => run(call, command, words.slice(1), options));
};

function readOptions(args: readonly string[]): Options {
  const words: string[] = [];
  const given = new Set<string>();
  let output: string | undefined;
  const long: Readonly<Record<string, string>> = {
    "-exist": "!",
    "--exist": "!",
    "-!": "!",
    "-q": "q",
    "-quiet": "q",
    "--quiet": "q",
    "-n": "n",
    "-name": "n",
    "--name": "n",
    "-t": "t",
    "-terse": "t",
    "--terse": "t",
    "-s": "s",
    "-sorted": "s",
    "--sorted": "s",
  };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (["-o", "-output", "--output"].includes(arg)) output = args[++at];
    else if (Object.hasOwn(long, arg)) given.add(long[arg] ?? "");
    else words.push(arg);
  }
  const has = (letter: string): boolean => given.has(letter);
  return { exist: has("!"), quiet: has("q"), names: has("n"), terse: has("t"), sorted: has("s"), output, words };
}

/** What the kernel or a word refuses is said by the tool; `-q` says nothing. */
function saying(options: Options, act: () => number): number {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof IpSetError)) throw error;
    throw new Failed(options.quiet ? "" : `${name}: ${error.message}`, 1);
  }
}

function run(call: Call, command: string, words: readonly string[], options: Options): number {
  const { netns } = call.place;
  const { ipsets } = netns;
  const [set = "", rest = ""] = words;
  switch (command) {
    case "create":
      create(netns, words, options);
      return 0;
    case "add":
      if (!known(netns, set).add(readEntry(known(netns, set), needed(rest))) && !options.exist) {
        throw new IpSetError("Element cannot be added to the set: it's already added");
      }
      return 0;
    case "del":
      if (!known(netns, set).delete(readEntry(known(netns, set), needed(rest))) && !options.exist) {
        throw new IpSetError("Element cannot be deleted from the set: it's not added");
      }
      return 0;
    case "test":
      return test(call, set, needed(rest), options);
    case "destroy":
      for (const each of set === "" ? ipsets.list().map((one) => one.name) : [set]) destroy(netns, each);
      return 0;
    case "flush":
      for (const each of set === "" ? ipsets.list() : [known(netns, set)]) each.flush();
      return 0;
    case "rename":
      if (references(netns, set) > 0) throw new IpSetError("Set cannot be renamed: it is in use by another system");
      ipsets.rename(set, needed(rest));
      return 0;
    default:
      return show(call, command, set, options);
  }
}

function needed(word: string): string {
  if (word === "") throw new Failed(`${name}: Missing mandatory argument\n${hint}`, 2);
  return word;
}

function known(netns: Netns, set: string) {
  const found = netns.ipsets.get(set);
  if (!found) throw new IpSetError("The set with the given name does not exist");
  return found;
}

function show(call: Call, command: string, wanted: string, options: Options): number {
  const { netns } = call.place;
  const sets = wanted === "" ? netns.ipsets.list() : [known(netns, wanted)];
  if (options.names) call.out(sets.map((set) => `${set.name}\n`).join(""));
  else if (command === "save" || options.output === "save") {
    call.out(sets.map((set) => saveText(set, options.sorted)).join(""));
  } else call.out(sets.map((set) => listText(set, references(netns, set.name), options)).join("\n"));
  return 0;
}

function test(call: Call, set: string, text: string, options: Options): number {
  const found = known(call.place.netns, set);
  const isIn = found.test(readEntry(found, text));
  if (!options.quiet) call.err(isIn ? `Warning: ${text} is in set ${set}.\n` : `${text} is NOT in set ${set}.\n`);
  return isIn ? 0 : 1;
}

function destroy(netns: Netns, set: string): void {
  known(netns, set);
  if (references(netns, set) > 0) throw new IpSetError("Set cannot be destroyed: it is in use by a kernel component");
  netns.ipsets.destroy(set);
}

/** How many rules ask the set. */
function references(netns: Netns, set: string): number {
  let count = 0;
  for (const tables of [netns.iptables, netns.ip6tables]) {
    for (const table of ["mangle", "nat", "filter"] as const) {
      for (const chain of tables.chains(table)) {
        for (const rule of tables.rules(table, chain) ?? []) {
          if (rule.matches?.some((match) => match.match === "set" && match.set === set)) count++;
        }
      }
    }
  }
  return count;
}

function create(netns: Netns, words: readonly string[], { exist }: Options): void {
  const [set = "", typeName = "", ...rest] = words;
  needed(typeName);
  const type = ipSetTypes.find((each) => each === typeName);
  if (!type) throw new IpSetError(`Syntax error: typename '${typeName}' is unknown`);
  netns.ipsets.create(set, type, createOptions(type, rest), exist);
}

/** Options of counters and comments are not simulated, and buckets have the size that they have. */
function createOptions(type: IpSetType, words: readonly string[]): IpSetOptions {
  const options: { -readonly [Key in keyof IpSetOptions]: IpSetOptions[Key] } = {};
  for (let at = 0; at < words.length; at += 2) {
    const [word = "", value = ""] = words.slice(at, at + 2);
    if (word === "family" && /^inet6?$/.test(value)) options.family = value === "inet6" ? "IPv6" : "IPv4";
    else if (word === "hashsize" && /^\d+$/.test(value)) options.hashsize = Number(value);
    else if (word === "maxelem" && /^\d+$/.test(value)) options.maxelem = Number(value);
    else if (word === "range" && /^\d+-\d+$/.test(value)) {
      const [low = 0, high = 0] = value.split("-").map(Number);
      options.range = [low, high];
    } else if (word === "initval" && /^0x[0-9a-f]{1,8}$/.test(value)) options.initval = Number(value);
    else if (word !== "bucketsize") {
      throw new Failed(`${name}: Unknown argument: \`${word}'\n${hint}`, 2);
    }
  }
  if (type === "bitmap:port" && !options.range) {
    throw new Failed(`${name}: Mandatory option \`range' is missing\n${hint}`, 2);
  }
  return options;
}

/** Lines of `create`, `add`, `del`, …, until one fails. */
function restore(call: Call, options: Options): number {
  for (const [index, line] of call.stdin.split("\n").entries()) {
    const words = readOptions(
      line
        .trim()
        .split(/\s+/)
        .filter((word) => word !== ""),
    );
    const [first = ""] = words.words;
    if (first === "" || first.startsWith("#") || first === "COMMIT") continue;
    const command = Object.hasOwn(commands, first) ? commands[first] : undefined;
    try {
      if (command === undefined) throw new IpSetError(`Unknown command: \`${first}'`);
      run(call, command, words.words.slice(1), { ...words, exist: words.exist || options.exist });
    } catch (error) {
      if (!(error instanceof IpSetError)) throw error;
      throw new Failed(`${name}: Error in line ${index + 1}: ${error.message}`, 1);
    }
  }
  return 0;
}
