/** Owns judging packet flows: flows_iptables, flows_nftables, and the same of any other mode. */
import { askCase, martianDifference, readFlowFile } from "../../kernel-lib/cluster/flows/file";
import { type Json, type Judge, type Judged, judged } from "./judge";
import { nftModeOf, versionOf } from "./release";

/** A flow each, of a file of cases or of one case. */
export const judgeFlows: Judge = (content) => {
  const cases: unknown = content.cases ?? [content];
  if (!Array.isArray(cases)) throw new Error('it has no list "cases"');
  return cases.flatMap((one: Json | null, at) => {
    const name = String(one?.name ?? `case ${at + 1}`);
    const flows: unknown = one?.flows;
    if (!one || !Array.isArray(flows)) return [{ name, differences: ['it has no list "flows"'] }];
    return judgeCase({ objects: [], ...one, name }, flows);
  });
};

/** What cannot be read fails, and no flow beside it; what is wrong with all of the case fails each flow. */
function judgeCase(one: Json, flows: readonly unknown[]): readonly Judged[] {
  try {
    return judgeFlowsOf(one);
  } catch (error) {
    if (flows.length > 1) {
      return flows.map(named).flatMap((flow) => judgeCase({ ...one, flows: [flow] }, [flow]));
    }
    const { name = "flow 1" } = (flows[0] ?? {}) as { readonly name?: string };
    return [
      judged(`${one.name}: ${name}`, () => {
        throw error;
      }),
    ];
  }
}

/** A flow without a name keeps its number when it is asked alone. */
function named(flow: unknown, at: number): unknown {
  return typeof flow === "object" && flow !== null ? { name: `flow ${at + 1}`, ...flow } : flow;
}

/** What a case says of the guard of 127.0.0.0/8 is laid upon its first flow. */
function judgeFlowsOf(one: Json): readonly Judged[] {
  const [read] = readFlowFile(JSON.stringify(one), String(one.name), "asGiven");
  if (!read) throw new Error("no case");
  const mode = read.config.mode === "nftables" ? nftModeOf(read.config, versionOf(one)) : undefined;
  const asked = askCase(read, mode);
  const guard = martianDifference(read);
  return asked.map(({ flow, differences }, at) => {
    const silent = flow.expect ? [] : ["it expects nothing"];
    const name = `${read.name}: ${flow.name}`;
    return { name, differences: [...silent, ...differences, ...(at === 0 ? guard : [])] };
  });
}
