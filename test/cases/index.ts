/** Owns the list of judges: which file of cases is judged by which. */
import { judgeAllocation, judgeValidation } from "./api";
import { checkDnsCase } from "./dns";
import { type CaseObject, checkEndpointSliceCase } from "./endpointslice";
import { judgeFacts } from "./facts";
import { judgeFlows } from "./flows";
import { type Json, type Judge, type Judged, judgeEach } from "./judge";
import { judgeNftablesTexts } from "./nfttexts";
import { judgeChainNames, judgeIptablesTexts } from "./texts";
import { judgeTopology } from "./topology";

/** A judge of a whole case each. */
function ofCases(check: (one: CaseObject) => readonly string[]): Judge {
  return (content) => judgeEach(content, "cases", (one) => check(one as unknown as CaseObject));
}

/** By base name. */
export const judges: { readonly [name: string]: Judge } = {
  flows_iptables: judgeFlows,
  flows_nftables: judgeFlows,
  topology: judgeTopology,
  proxy_facts: judgeFacts,
  endpointslice_reconcile: ofCases(checkEndpointSliceCase),
  endpointslice_packing: ofCases(checkEndpointSliceCase),
  endpointslice_tables: ofCases(checkEndpointSliceCase),
  iptables_texts: judgeIptablesTexts,
  nftables_texts: judgeNftablesTexts,
  chain_names: judgeChainNames,
  dns: ofCases(checkDnsCase),
  service_validation: judgeValidation,
  allocation: judgeAllocation,
};

/** Judges the text of a file. What keeps it from being read at all is one failure. */
export function judgeFile(name: string, text: string): readonly Judged[] {
  const judge = judges[name];
  if (!judge) throw new Error(`no judge for ${name}`);
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content !== "object" || content === null) throw new Error("no JSON object");
    const found = judge(Array.isArray(content) ? { cases: content } : (content as Json));
    return found.length > 0 ? found : [{ name, differences: ["it has no cases"] }];
  } catch (error) {
    return [{ name, differences: [error instanceof Error ? error.message : String(error)] }];
  }
}
