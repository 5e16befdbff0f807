/** Owns the changes that iptables makes by hand: rules appended, inserted, replaced and deleted, chains made and taken away. */
import type { Iptables } from "../../net/iptables";
import type { Rule, TableName } from "../../net/rule";
import { parseRules } from "../../net/ruleparse";
import { ruleText } from "../../net/ruletext";
import { Failed } from "../shell/tool";

/** One change, as its letter names it. */
export type ChangeLetter = "A" | "I" | "D" | "R" | "C" | "F" | "N" | "X" | "P" | "Z" | "E";

/** Long names of commands and matches, as their letters. */
const long: Readonly<Record<string, string>> = {
  "--append": "-A",
  "--insert": "-I",
  "--delete": "-D",
  "--replace": "-R",
  "--check": "-C",
  "--flush": "-F",
  "--new-chain": "-N",
  "--delete-chain": "-X",
  "--policy": "-P",
  "--zero": "-Z",
  "--list": "-L",
  "--list-rules": "-S",
  "--table": "-t",
  "--source": "-s",
  "--src": "-s",
  "--destination": "-d",
  "--dst": "-d",
  "--protocol": "-p",
  "--proto": "-p",
  "--in-interface": "-i",
  "--out-interface": "-o",
  "--jump": "-j",
  "--goto": "-g",
  "--match": "-m",
  "--verbose": "-v",
  "--numeric": "-n",
  "--wait": "-w",
  "--source-port": "--sport",
  "--destination-port": "--dport",
};

/** The words with short names for long ones, and `--name=value` as two words. */
export function shortened(args: readonly string[]): readonly string[] {
  return args.flatMap((arg) => {
    const [, name, value] = /^(--[a-z-]+)=(.*)$/.exec(arg) ?? [];
    if (name !== undefined && value !== undefined) return [long[name] ?? name, value];
    return [Object.hasOwn(long, arg) ? (long[arg] ?? arg) : arg];
  });
}

/** Which change is asked for; undefined: something else (a list). */
export function changeOf(words: readonly string[]): ChangeLetter | undefined {
  for (const word of words) {
    const [, letter] = /^-([AIDRCFNXPZE])$/.exec(word) ?? [];
    if (letter !== undefined) return letter as ChangeLetter;
  }
  return undefined;
}

const noChain = "No chain/target/match by that name.";
const badRule = "Bad rule (does a matching rule exist in that chain?).";

/**
 * Does one change. @param words without `-t TABLE`
 * @throws Failed in the words of iptables
 */
export function change(
  kernel: Iptables,
  tool: string,
  table: TableName,
  letter: ChangeLetter,
  words: readonly string[],
): void {
  const at = words.indexOf(`-${letter}`);
  const [chain, ...rest] = words.slice(at + 1).filter((word) => !/^-(w|n|v)$/.test(word));
  const fail = (why: string, exitCode = 1): never => {
    throw new Failed(`${tool}: ${why}`, exitCode);
  };
  const known = (): readonly Rule[] => {
    if (chain === undefined) return needed(tool, letter);
    return kernel.rules(table, chain) ?? (isBuiltIn(table, chain) ? [] : fail(noChain));
  };
  const refusing = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      fail(error.message.replace(/^iptables: /, ""));
    }
  };
  switch (letter) {
    case "A":
      known();
      refusing(() => kernel.append(table, chain ?? "", ruleFrom(tool, chain ?? "", rest, kernel, table)));
      return;
    case "I": {
      const rules = known();
      const numbered = /^\d+$/.test(rest[0] ?? "");
      const number = numbered ? Number(rest[0]) : 1;
      if (number < 1 || number > rules.length + 1) fail("Index of insertion too big.");
      const rule = ruleFrom(tool, chain ?? "", numbered ? rest.slice(1) : rest, kernel, table);
      refusing(() => kernel.insert(table, chain ?? "", rule, number));
      return;
    }
    case "D":
    case "C":
      remove(kernel, tool, table, chain ?? "", rest, known(), letter === "C");
      return;
    case "R": {
      const rules = known();
      const number = Number(rest[0]);
      const old = rules[number - 1];
      if (!old) fail("Index of replacement too big.");
      const rule = ruleFrom(tool, chain ?? "", rest.slice(1), kernel, table);
      refusing(() => kernel.insert(table, chain ?? "", rule, number));
      deleteNumber(kernel, table, chain ?? "", number + 1);
      return;
    }
    case "F":
      if (chain !== undefined) known();
      for (const each of chain === undefined ? kernel.chains(table) : [chain])
        kernel.restore({ [table]: { [each]: [] } });
      return;
    case "N":
      if (chain === undefined) needed(tool, letter);
      else refusing(() => kernel.newChain(table, chain));
      return;
    case "X":
      for (const each of chain === undefined
        ? kernel.chains(table).filter((name) => !isBuiltIn(table, name))
        : [chain]) {
        if (kernel.rules(table, each) === undefined) fail(noChain);
        refusing(() => kernel.deleteChain(table, each));
      }
      return;
    case "P": {
      const [policy] = rest;
      known();
      if (policy !== "ACCEPT" && policy !== "DROP") {
        throw new Failed(`${tool}: Bad policy name. Run \`dmesg' for more information.`, 1);
      }
      refusing(() => kernel.setPolicy(table, chain ?? "", policy));
      return;
    }
    case "Z":
      fail("the counters cannot be set to zero here", 2);
      return;
    case "E":
      fail("chains are not renamed here", 2);
  }
}

function needed(tool: string, letter: string): never {
  throw new Failed(
    `${tool} v1.8.11 (nf_tables): option "-${letter}" requires an argument\nTry \`${tool} -h' or '${tool} --help' for more information.`,
    2,
  );
}

const builtIn: Readonly<Record<TableName, readonly string[]>> = {
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

export function isBuiltIn(table: TableName, chain: string): boolean {
  return builtIn[table].includes(chain);
}

function remove(
  kernel: Iptables,
  tool: string,
  table: TableName,
  chain: string,
  rest: readonly string[],
  rules: readonly Rule[],
  only: boolean,
): void {
  const number = rest.length === 1 && /^\d+$/.test(rest[0] ?? "") ? Number(rest[0]) : undefined;
  if (number !== undefined) {
    if (number < 1 || number > rules.length) throw new Failed(`${tool}: Index of deletion too big.`, 1);
    deleteNumber(kernel, table, chain, number);
    return;
  }
  const rule = ruleFrom(tool, chain, rest, kernel, table);
  const text = ruleText(chain, rule);
  const there = rules.some((each) => ruleText(chain, each) === text);
  if (only ? !there : !kernel.delete(table, chain, rule)) {
    throw new Failed(`${tool}: ${badRule}`, 1);
  }
}

/** The rule with a number. Of several that read the same `delete` takes the first: then the whole chain is written anew. */
function deleteNumber(kernel: Iptables, table: TableName, chain: string, number: number): void {
  const rules = kernel.rules(table, chain) ?? [];
  const rule = rules[number - 1];
  if (!rule) return;
  const text = ruleText(chain, rule);
  if (rules.findIndex((each) => ruleText(chain, each) === text) === number - 1) kernel.delete(table, chain, rule);
  else kernel.restore({ [table]: { [chain]: rules.filter((_, at) => at !== number - 1) } });
}

/** A rule from the words of a command line: read as iptables-restore reads its lines. */
function ruleFrom(tool: string, chain: string, words: readonly string[], kernel: Iptables, table: TableName): Rule {
  const line = words
    .map((word) => (/^[^\s"'\\]+$/.test(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`))
    .join(" ");
  const version = `${tool} v1.8.11 (nf_tables)`;
  let rule: Rule | undefined;
  try {
    rule = parseRules(`*${table}\n:${chain} - [0:0]\n-A ${chain} ${line}\nCOMMIT\n`)[table]?.[chain]?.[0];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const why = error.message.replace(/^ip6?tables-restore: line \d+ failed: /, "");
    throw new Failed(`${version}: ${why}\nTry \`${tool} -h' or '${tool} --help' for more information.`, 2);
  }
  const target = rule?.target;
  if (
    !rule ||
    ((target?.target === "jump" || target?.target === "goto") && kernel.rules(table, target.chain) === undefined)
  ) {
    const name = target?.target === "jump" || target?.target === "goto" ? target.chain : "";
    throw new Failed(
      `${version}: Chain '${name}' does not exist\nTry \`${tool} -h' or '${tool} --help' for more information.`,
      2,
    );
  }
  return rule;
}
