/** Owns judging nftables_texts.json: a whole rule set each, and which service ranges a family has. */
import { type FlowConfig, readConfig } from "../../kernel-lib/cluster/flows/config";
import { readInput } from "../../kernel-lib/cluster/flows/input";
import { loneNode, type RuleObjects } from "../../kernel-lib/cluster/flows/node";
import { Network } from "../../kernel-lib/net/network";
import { tableText } from "../../kernel-lib/net/nft/listing";
import type { Nftables } from "../../kernel-lib/net/nft/nftables";
import { parseCommands } from "../../kernel-lib/net/nft/parse";
import type { Command } from "../../kernel-lib/net/nft/ruleset";
import { createSim } from "../../kernel-lib/sim/sim";
import { flowCase, type Json, type Judge, type Judged, judged, judgeEach, same, unknownKeys } from "./judge";
import { nftModeOf, versionOf } from "./release";

export const judgeNftablesTexts: Judge = (content) => [
  ...unknownKeys(content, ["format", "cases", "serviceCIDRs"], "the part").map(
    (what): Judged => ({ name: "nftables_texts", differences: [what] }),
  ),
  ...judgeEach(content, "cases", judgeRules),
  ...((content.serviceCIDRs as { rows?: readonly Json[] } | undefined)?.rows ?? []).map((row) =>
    judged(`service ranges of ${row.ipFamily} in ${(row.cidrs as readonly string[]).join(", ")}`, () => {
      return same("ranges", row.expect, rangesOf(row));
    }),
  ),
];

function nftOf(config: FlowConfig, objects: RuleObjects, version: string): Nftables {
  return loneNode(config, objects, nftModeOf(config, version)).node.netns.nft;
}

function judgeRules(one: Json): readonly string[] {
  const { config, objects } = flowCase(one);
  const wanted = new Network(createSim(1)).netns("empty").nft;
  wanted.apply(parseCommands(inOrder(String(one.expectText)), wanted) as readonly Command[]);
  const made = things(nftOf(config, objects, versionOf(one)));
  const told = things(wanted);
  return [
    ...told
      .filter((thing) => !made.includes(thing))
      .map((thing) => `expected ${JSON.stringify(thing)}, got no such thing`),
    ...made
      .filter((thing) => !told.includes(thing))
      .map((thing) => `expected nothing like it, got ${JSON.stringify(thing)}`),
  ];
}

/** The commands of a text that is sorted by nothing: what others need goes first. */
function inOrder(text: string): string {
  const order = ["add table", "add set", "add map", "add chain", "add rule", "add element"];
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const sorted = order.flatMap((begin) => lines.filter((line) => line.startsWith(begin)));
  if (sorted.length !== lines.length) throw new Error("expectText holds something else than add commands");
  return sorted.join("\n");
}

/** A table's things, each as it is listed: the rules of a chain in their order, the elements of a set in nft's. */
function things(nft: Nftables): readonly string[] {
  return nft
    .tables()
    .flatMap((table) => tableText(table).split(/\n\n|(?<="rules for kube-proxy")\n/))
    .map((thing) => thing.replace(/\n}\n$/, ""));
}

/** What the rule about unallocated cluster IPs names. */
function rangesOf({ ipFamily, cidrs }: Json): string {
  const [value] = readInput(JSON.stringify({ proxyMode: "nftables", ipFamily, serviceCIDRs: cidrs }), "row").documents;
  if (!value) throw new Error("no row");
  const nft = nftOf(readConfig(value), { services: [], slices: [] }, "");
  const text = nft
    .tables()
    .map((table) => tableText(table))
    .join("\n");
  return /daddr (?:\{ ([^}]*) \}|(\S+)) drop/.exec(text)?.slice(1).find(Boolean)?.replace(/,\s+/g, ",") ?? "";
}
