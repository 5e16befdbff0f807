/** Owns reading what kube-proxy feeds to iptables-restore, as rules that can be compared with ours. */
import { type Cidr, parseCidr } from "../../../kernel-lib/net/address";
import type { Match, Rule, Target } from "../../../kernel-lib/net/rule";

export type RuleTexts = { readonly [table: string]: { readonly [chain: string]: readonly string[] } };

/** Table → chain → its lines, in order. */
export function readTables(text: string): RuleTexts {
  const tables: Record<string, Record<string, string[]>> = {};
  let chains: Record<string, string[]> = {};
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) {
      chains = {};
      tables[line.slice(1)] = chains;
    } else if (line.startsWith(":")) {
      chains[line.slice(1).split(" ")[0] ?? ""] = [];
    } else if (line.startsWith("-A ")) {
      chains[line.split(" ")[1] ?? ""]?.push(line);
    }
  }
  return tables;
}

interface Draft {
  rule: { -readonly [K in keyof Rule]: Rule[K] };
  matches: Record<string, unknown>[];
  target: Record<string, unknown> | undefined;
}

/** One `-A` line as a rule. Throws on a word it does not know. */
export function readRule(line: string): Rule {
  const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, "")).slice(2);
  const draft: Draft = { rule: {}, matches: [], target: undefined };
  let not = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "!") {
      not = true;
      continue;
    }
    at += readOption(draft, word, words.slice(at + 1), not);
    not = false;
  }
  const matches = draft.matches as unknown as Match[];
  return { ...draft.rule, matches, ...(draft.target && { target: draft.target as unknown as Target }) };
}

/** Reads one option; gives how many words it took after its name. */
function readOption(draft: Draft, word: string, rest: readonly string[], not: boolean): number {
  const [value = ""] = rest;
  const match = draft.matches.at(-1) ?? {};
  const cidr = (): Cidr | { readonly not: Cidr } => (not ? { not: parseCidr(value) } : parseCidr(value));
  const flags: { readonly [option: string]: () => number } = {
    "-s": () => set(draft.rule, { source: cidr() }),
    "-d": () => set(draft.rule, { destination: cidr() }),
    "-p": () => set(draft.rule, { protocol: value }),
    "-m": () => draft.matches.push({ match: value }) && 1,
    "--comment": () => set(match, { comment: value }),
    "--dport": () => set(match, { targetPort: Number(value) }),
    "--dst-type": () => set(match, { target: value }),
    "--src-type": () => set(match, { source: value }),
    "--ctstate": () => set(match, { states: value.split(","), ...(not && { not }) }),
    "--mark": () => set(match, { ...readMark(value), ...(not && { not }) }),
    "--mode": () => set(match, { mode: value }),
    "--probability": () => set(match, { probability: Number(value) }),
    "--nfacct-name": () => set(match, { name: value }),
    "--name": () => set(match, { name: value }),
    "--set": () => set(match, { mode: "set" }) - 1,
    "--rcheck": () => set(match, { mode: "rcheck" }) - 1,
    "--reap": () => set(match, { reap: true }) - 1,
    "--seconds": () => set(match, { seconds: Number(value) }),
    "-j": () => {
      const builtin = ["ACCEPT", "DROP", "RETURN", "REJECT", "MARK", "MASQUERADE", "DNAT"].includes(value);
      draft.target = builtin ? { target: value } : { target: "jump", chain: value };
      return 1;
    },
    "--or-mark": () => set(draft.target ?? {}, { value: Number(value), mask: Number(value) }),
    "--xor-mark": () => set(draft.target ?? {}, { value: Number(value), mask: 0 }),
    "--random-fully": () => set(draft.target ?? {}, { randomFully: true }) - 1,
    "--to-destination": () => {
      const [ip = "", port] = value.split(":");
      return set(draft.target ?? {}, { ip: parseCidr(ip).ip, port: Number(port) });
    },
  };
  const read = flags[word];
  if (!read) throw new Error(`what is ${word}?`);
  return read();
}

function set(object: object, values: object): number {
  Object.assign(object, values);
  return 1;
}

function readMark(text: string): { value: number; mask?: number } {
  const [value, mask] = text.split("/");
  return { value: Number(value), ...(mask !== undefined && { mask: Number(mask) }) };
}
