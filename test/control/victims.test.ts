import { describe, expect, test } from "vitest";
import type { Kinds } from "../../kernel-lib/api/kinds";
import { rfc3339 } from "../../kernel-lib/api/time";
import { victims } from "../../kernel-lib/control/victims";
import { hour, minute, second } from "../../kernel-lib/sim/clock";

type Pod = Kinds["Pod"];

const now = 10 * hour;

interface Told {
  readonly node?: string;
  readonly phase?: string;
  /** How long it has been ready; undefined: it is not. */
  readonly ready?: number;
  readonly cost?: string;
  readonly restarts?: number;
  readonly sidecar?: number;
  readonly age?: number;
  readonly uid?: string;
}

function pod({ node = "a", phase = "Running", ready, cost, restarts = 0, sidecar, age = hour, uid = "m" }: Told): Pod {
  return {
    metadata: {
      uid,
      creationTimestamp: rfc3339(now - age),
      ...(cost !== undefined && { annotations: { "controller.kubernetes.io/pod-deletion-cost": cost } }),
    },
    spec: {
      nodeName: node,
      containers: [],
      ...(sidecar !== undefined && { initContainers: [{ name: "s", restartPolicy: "Always" }] }),
    },
    status: {
      phase,
      conditions:
        ready === undefined ? [] : [{ type: "Ready", status: "True", lastTransitionTime: rfc3339(now - ready) }],
      containerStatuses: [{ name: "c", restartCount: restarts }],
      ...(sidecar !== undefined && { initContainerStatuses: [{ name: "s", restartCount: sidecar }] }),
    },
  } as unknown as Pod;
}

describe("when there are too many pods", () => {
  const ready = { ready: hour };
  test.each([
    ["one without a node goes before one that has one", { node: "" }, { phase: "Pending" }],
    ["a pending one goes before an unknown one", { phase: "Pending" }, { phase: "Unknown" }],
    ["an unknown one goes before a running one", { phase: "Unknown" }, {}],
    ["one that is not ready goes before one that is, whatever they cost", { cost: "9" }, { ...ready, cost: "-9" }],
    ["a cheaper one goes first, though it stands alone", { ...ready, cost: "-1" }, { ...ready, node: "b" }],
    ["a cost that is none counts as 0", { ...ready, cost: "-1" }, { ...ready, cost: "-007" }],
    [
      "one beside more others goes first, though it is ready for longer",
      { ready: 5 * hour, node: "b" },
      { ready: second },
    ],
    ["one that was ready later goes first", { ready: minute }, { ready: hour }],
    ["in the same power of two the uid decides", { ready: 45 * minute, uid: "a" }, { ready: 40 * minute, uid: "b" }],
    ["one that restarted more often goes first", { ...ready, restarts: 3 }, { ...ready, restarts: 1 }],
    ["of equal ones that whose sidecar did", { ...ready, sidecar: 2 }, { ...ready, sidecar: 1 }],
    ["a younger one goes first", { ...ready, age: 2 * hour }, { ...ready, age: 9 * hour }],
  ] as readonly (readonly [string, Told, Told])[])("%s", (_rule, goes, stays) => {
    const [one, other] = [pod(goes), pod(stays)];
    const crowd = ({ spec }: Pod): number => (spec.nodeName === "b" && goes.node === "b" ? 3 : 1);
    for (const pods of [
      [one, other],
      [other, one],
    ]) {
      expect(victims(pods, 1, crowd, now)).toEqual([one]);
    }
  });
});
