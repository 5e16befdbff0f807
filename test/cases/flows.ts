/** Owns judging packet flows: flows_iptables, flows_nftables, and the same of any other mode. */
import { askCase, martianDifference, readFlowFile } from "../../kernel-lib/cluster/flows/file";
import type { Judge, Judged } from "./judge";

/** A flow each. What a case says of the guard of 127.0.0.0/8 is laid upon its first flow. */
export const judgeFlows: Judge = (_content, text) =>
  readFlowFile(text, "cases", "asGiven").flatMap((one): readonly Judged[] => {
    let asked: ReturnType<typeof askCase>;
    try {
      asked = askCase(one);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return one.flows.map(({ name }) => ({ name: `${one.name}: ${name}`, differences: [why] }));
    }
    const guard = martianDifference(one);
    return asked.map(({ flow, differences }, at) => {
      const silent = flow.expect ? [] : ["it expects nothing"];
      const name = `${one.name}: ${flow.name}`;
      return { name, differences: [...silent, ...differences, ...(at === 0 ? guard : [])] };
    });
  });
