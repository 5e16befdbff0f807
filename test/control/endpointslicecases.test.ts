import { expect, test } from "vitest";
import { type CaseObject, checkEndpointSliceCase } from "../cases/endpointslice";
import { readCases } from "../node/cases";

for (const part of ["reconcile", "packing", "tables"]) {
  test(`Kubernetes' own cases of EndpointSlices pass: ${part}`, (context) => {
    const { cases } = readCases<{ cases: readonly CaseObject[] }>(context, `endpointslice_${part}.json`);
    expect(cases.length).toBeGreaterThan(0);
    expect(cases.flatMap((one) => checkEndpointSliceCase(one).map((line) => `${one.name}: ${line}`))).toEqual([]);
  });
}
