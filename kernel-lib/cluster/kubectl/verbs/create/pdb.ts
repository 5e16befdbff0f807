/** Owns `kubectl create poddisruptionbudget`. */
import { parseSelector, type Requirement } from "../../../../api/selectors";
import { Failed } from "../../../shell/tool";
import type { Context, Verb } from "../../context";
import { generate, generatorFlags, metadata, oneName } from "./generator";

export const poddisruptionbudget: Verb = {
  name: "poddisruptionbudget",
  aliases: ["pdb"],
  short: "Create a pod disruption budget with the specified name",
  usage: "create poddisruptionbudget NAME --selector=SELECTOR --min-available=N [--dry-run=server|client|none]",
  flags: [
    ...generatorFlags,
    { name: "selector", type: "string" },
    { name: "min-available", type: "string" },
    { name: "max-unavailable", type: "string" },
  ],
  run: createBudget,
};

/** create_pdb.go: Validate, then createPodDisruptionBudgets. */
function createBudget(context: Context): number {
  const { flags } = context;
  const name = oneName(context, "poddisruptionbudget");
  const [selector, least, most] = ["selector", "min-available", "max-unavailable"].map(
    (flag) => flags.text(flag) ?? "",
  );
  if (!selector) throw new Failed("error: a selector must be specified");
  if (!least && !most) throw new Failed("error: one of min-available or max-unavailable must be specified");
  if (least && most) throw new Failed("error: min-available and max-unavailable cannot be both specified");
  if (least && !amount.test(least)) throw new Failed("error: invalid format specified for min-available");
  if (most && !amount.test(most)) throw new Failed("error: invalid format specified for max-unavailable");
  const draft = {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: metadata(context, name),
    spec: {
      ...(most && { maxUnavailable: numberOrShare(most) }),
      ...(least && { minAvailable: numberOrShare(least) }),
      selector: selectorOf(parseSelector(selector)),
    },
    status: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  };
  return generate(context, "PodDisruptionBudget", draft, "poddisruptionbudgets:");
}

const amount = /^\d+%?$/;

function numberOrShare(text: string): number | string {
  return text.endsWith("%") ? text : Number(text);
}

/** metav1.ParseToLabelSelector: equality becomes matchLabels, the rest matchExpressions. */
function selectorOf(requirements: readonly Requirement[]): object {
  const isEqual = ({ operator, values }: Requirement): boolean => operator === "In" && values.length === 1;
  const equal = requirements.filter(isEqual).map(({ key, values }) => [key, values[0]] as const);
  const rest = requirements.filter((one) => !isEqual(one));
  const matchExpressions = rest.map(({ key, operator, values }) => {
    return { key, operator, ...(values.length > 0 && { values: [...values] }) };
  });
  return {
    ...(rest.length > 0 && { matchExpressions }),
    ...(equal.length > 0 && { matchLabels: Object.fromEntries(equal) }),
  };
}
