/** kube-proxy's nftables mode, in the shape that it had until v1.35 and has since: where packets go (its texts: test/cases). */
import { expect, test } from "vitest";
import { askCase, readFlowFile } from "../../../kernel-lib/cluster/flows/file";
import { nftablesMode } from "../../../kernel-lib/node/proxy/nftables";
import { readCases } from "../cases";

test.for(["1.35", "1.36"] as const)("packets end where kube-proxy's own tests say (v%s)", (release, context) => {
  const text = JSON.stringify(readCases<object>(context, "flows_nftables.json"));
  const asked = readFlowFile(text, "flows_nftables.json", "asGiven").flatMap((one) => {
    const { clusterCidr, masqueradeAll, nodePortAddresses, serviceCidrs } = one.config;
    return askCase(one, nftablesMode({ release, clusterCidr, masqueradeAll, nodePortAddresses, serviceCidrs }));
  });
  expect(asked.flatMap((each) => each.differences.map((what) => `${each.case}: ${each.flow.name}: ${what}`))).toEqual(
    [],
  );
  expect(asked.length).toBeGreaterThan(35);
});
