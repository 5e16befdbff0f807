/** Owns judging packet flows: flows_iptables, flows_nftables, and the same of any other mode. */
import { askCase, martianDifference, readFlowFile } from "../../kernel-lib/cluster/flows/file";
import type { Json, Judge, Judged } from "./judge";
import { nftModeOf, versionOf } from "./release";

/** A flow each. What a case says of the guard of 127.0.0.0/8 is laid upon its first flow. */
export const judgeFlows: Judge = (content, text) =>
  readFlowFile(text, "cases", "asGiven").flatMap((one, index): readonly Judged[] => {
    const written = ((content.cases as readonly Json[] | undefined) ?? [content])[index] ?? {};
    let asked: ReturnType<typeof askCase>;
    try {
      asked = askCase(one, one.config.mode === "nftables" ? nftModeOf(one.config, versionOf(written)) : undefined);
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
