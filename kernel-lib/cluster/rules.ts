/** Owns how a rule that matched is told: in one line, and who of the rules on a way chose the endpoint. */
import type { FlowResult } from "../net/flow";
import type { MatchedRule } from "../net/passage";

/** A rule in one line: the table first, and nft says the chain, too, which in the other tools' lines is in the rule. */
export function ruleLine({ table, chain, text, tool }: MatchedRule): string {
  return tool === "nft" ? `${table} ${chain}: ${text}` : `${table}: ${text}`;
}

/** Whether a rule gave the packet another source, or the mark that asks for that. */
export function asksForMasquerade({ effect }: MatchedRule): boolean {
  return effect?.does === "mark" || effect?.does === "masquerade" || effect?.does === "snat";
}

/**
 * What chose the endpoint: iptables' statistic or affinity, nft's numgen, IPVS's scheduler, or the proxy that passes
 * connections on; `""` where there was nothing to choose.
 */
export function chosenBy(result: FlowResult): string {
  if (passedOn(result)) return "kube-proxy: round robin";
  const { rules } = result;
  for (const rule of [...rules].reverse()) {
    const { chain, text, tool = "iptables", effect } = rule;
    if (tool === "ipvs") return chain;
    if (tool === "nft") {
      const numgen = /\bnumgen \w+ mod \d+/.exec(text)?.[0];
      if (numgen !== undefined) return `${chain}: ${numgen}`;
      if (/@affinity-/.test(text) && effect !== undefined) return `${chain}: affinity`;
      continue;
    }
    if (effect?.does !== "jump" && effect?.does !== "goto") continue;
    if (!effect.chain.startsWith("KUBE-SEP-")) continue;
    const probability = /--probability (\S+)/.exec(text)?.[1];
    if (probability !== undefined) return `${chain}: --probability ${probability}`;
    return text.includes("--rcheck") ? `${chain}: affinity` : `${chain}: the last rule takes the rest`;
  }
  return "";
}

/** Whether a proxy took the connection and carried it on over one of its own: not so where it knows nobody to go to. */
export function passedOn({ via, target, targetPort }: FlowResult): boolean {
  return via !== undefined && !(via.target === target && via.targetPort === targetPort);
}
