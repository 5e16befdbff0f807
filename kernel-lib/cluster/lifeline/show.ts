/** Owns the record of pods' lives as a table: what happened when, and to whom. */
import { rfc3339 } from "../../api/time";
import type { Time } from "../../sim/clock";
import { showAsTable } from "../table";
import type { Actor, Lifeline, LifeSpan, PodLife } from "./lifeline";
import { secondsSince } from "./objects";

/** How many pods a table or a picture is about, at most, unless somebody names them. */
export const fewPods = 4;

/** An actor in a reader's words: `kube-proxy on node-1`. @param life whose */
export function actorName(actor: Actor): string {
  const [kind = "", name = ""] = actor.split("/");
  switch (kind) {
    case "pod":
      return "pod object";
    case "ready":
      return "condition Ready";
    case "container":
      return `container ${name}`;
    case "endpoint":
      return `endpoint of ${name}`;
    case "kube-proxy":
      return `kube-proxy ${name}`;
    case "balancer":
      return `balancer → ${name}`;
    default:
      return kind;
  }
}

/** The actors in the order of the news: from the API by the kubelet to those who must learn. */
const order = ["pod", "ready", "kubelet", "container", "endpoint", "kube-proxy", "balancer"];

export function actorOrder(one: Actor, other: Actor): number {
  const rank = (actor: Actor): number => order.indexOf(actor.split("/")[0] ?? "");
  return rank(one) - rank(other) || (one < other ? -1 : one > other ? 1 : 0);
}

/** The pods that ended while it was written; all, if none did. */
export function endedPods({ pods }: Lifeline): readonly PodLife[] {
  const ended = pods.filter(({ deleted }) => deleted !== undefined);
  return ended.length > 0 ? ended : pods;
}

/** The moment from which seconds are counted: when the first pod's end was asked for. */
export function zeroOf(lifeline: Lifeline): { readonly at: Time; readonly what: string } {
  const asked = lifeline.pods.flatMap(({ deleted }) => deleted ?? []);
  if (asked.length === 0) return { at: lifeline.began, what: "since the record began" };
  return { at: Math.min(...asked), what: asked.length > 1 ? "since the first deletion" : "since the deletion" };
}

export function showLifeline(lifeline: Lifeline): Lifeline {
  const zero = zeroOf(lifeline);
  const many = lifeline.pods.length > 1;
  const rows = lifeline.pods.flatMap((life) =>
    rowsOf(life, lifeline.began).map((row) => ({ ...row, pod: shortName(life.pod) })),
  );
  rows.sort((one, other) => one.at - other.at);
  const columns = [{ title: "s", align: "right" as const }, ...(many ? ["pod"] : []), "who", "what"].map((column) =>
    typeof column === "string" ? { title: column } : column,
  );
  const cells = rows.map(({ at, pod, who, what }) => {
    return [secondsSince(zero.at, at).toFixed(3), ...(many ? [pod] : []), who, what];
  });
  const caption = `${lifeline.name}: what happened, in seconds ${zero.what} (${rfc3339(zero.at).slice(11, 19)})`;
  return showAsTable(lifeline, caption, { columns, rows: cells });
}

/** `web-1`, or `shop/web-1` outside the namespace `default`. */
export function shortName(pod: string): string {
  return pod.replace(/^default\//, "");
}

interface Row {
  readonly at: Time;
  readonly who: string;
  readonly what: string;
}

/** Moments as they are; states that have no moment of their own where they begin or end. */
function rowsOf({ spans, moments }: PodLife, began: Time): readonly Row[] {
  const rows: Row[] = moments.map(({ at, actor, what }) => ({ at, who: actorName(actor), what }));
  const silent = spans.filter(({ actor }) => !/^(kubelet|container|balancer)/.test(actor));
  for (const [at, span] of silent.entries()) {
    const who = actorName(span.actor);
    if (span.from > began) rows.push({ at: span.from, who, what: stateText(span) });
    const next = silent.slice(at + 1).find(({ actor, from }) => actor === span.actor && from === span.to);
    if (span.to !== undefined && !next && span.actor !== "pod" && span.actor !== "ready") {
      rows.push({
        at: span.to,
        who,
        what: span.actor.startsWith("endpoint") ? "gone from the slice" : "has learnt: no new connections",
      });
    }
  }
  return rows;
}

function stateText({ actor, state }: LifeSpan): string {
  if (actor === "ready") return state;
  return actor.startsWith("kube-proxy") ? state.replace(/^sends/, "sends new connections") : state;
}
