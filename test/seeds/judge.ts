/** Owns what must hold of a run, stated from the rules themselves and not from the code that follows them. */
import type { TrafficReport, TrafficTry } from "../../kernel-lib/cluster/traffic";
import { millisecond, second, type Time } from "../../kernel-lib/sim/clock";
import type { Ending } from "./endings";
import type { Count, End, Record } from "./record";
import { replicas, type Situation } from "./situation";

/** What is known of a pod of the run before it ends. */
export interface Ends {
  readonly hook: Ending["hook"];
  readonly signal: string;
  /** Undefined: it depends on who is connected. */
  readonly answer: Ending["answer"] | undefined;
}

/** Between the end of what a command or a server does and the kubelet's knowledge of it. */
const tolerance = 100 * millisecond;

/**
 * The stop signal comes at the end of preStop or of the grace period, whichever is first; SIGKILL at the end of the grace
 * period, but never less than 2 s after the stop signal; none to who has ended. A grace of 0 is one second to a kubelet.
 */
export function judgeSignals(end: End, { hook, signal, answer }: Ends): readonly string[] {
  const wrong: string[] = [];
  const { told, signals, ended, pod } = end;
  const ask = (holds: boolean, sentence: string): void => void (holds || wrong.push(`${pod}: ${sentence}`));
  if (told === undefined) return [`${pod}: its kubelet never heard of its end`];
  const since = (at: Time | undefined): string => (at === undefined ? "never" : `${(at - told) / second} s`);
  const grace = Math.max(end.grace, second);
  const takes = hook.kind === "none" ? 0 : hook.seconds * second;
  const exact = hook.kind === "none" || hook.kind === "sleep" || takes >= grace;
  const due = told + Math.min(takes, grace);
  const [stop, ...more] = signals;
  ask(stop?.signal === signal, `the first signal was ${stop?.signal}, not ${signal}`);
  if (!stop) return wrong;
  const late = stop.at - due;
  ask(exact ? late === 0 : late >= 0 && late < tolerance, `${signal} came at ${since(stop.at)}, due ${since(due)}`);
  const kill = Math.max(told + grace, stop.at + 2 * second);
  const killed = more.filter((one) => one.signal === "SIGKILL");
  ask(more.length === killed.length && killed.length <= 1, `signals: ${signals.map((one) => one.signal).join(", ")}`);
  ask(ended !== undefined && ended.at <= kill, `it ended at ${since(ended?.at)}, SIGKILL was due ${since(kill)}`);
  for (const { at } of killed) ask(at === kill, `SIGKILL came at ${since(at)}, due ${since(kill)}`);
  ask(
    killed.length === 0 ? (ended?.at ?? 0) <= kill : ended?.at === kill,
    `SIGKILL and its end at ${since(ended?.at)}`,
  );
  if (!answer) return wrong;
  // Who closes its connections first answers what is under way: the hook's own request, if the kubelet waits no more.
  const underWay = hook.kind === "http" && answer.how === "after" ? told + takes : 0;
  const done = Math.max(stop.at + answer.seconds * second, underWay);
  const own = answer.how === "never" ? Infinity : done;
  const expected = Math.min(own, kill);
  const off = (ended?.at ?? Infinity) - expected;
  const inTime = expected === underWay ? off >= 0 && off < tolerance : off === 0;
  ask(inTime, `it ended at ${since(ended?.at)}, not ${since(expected)}`);
  ask(
    own < kill === (killed.length === 0) || own === kill,
    `it would end at ${since(own)}, killed ${killed.length} times`,
  );
  if (own !== kill) ask(ended?.exitCode === (own < kill ? answer.exitCode : 137), `exit code ${ended?.exitCode}`);
  return wrong;
}

/** Its kubelet heard of it as fast as the span allows, and needed no more than its work. */
export function judgeTold({ pod, deleted, told }: End, most: Time): readonly string[] {
  const took = (told ?? Infinity) - deleted;
  return took > 0 && took <= most + 10 * millisecond ? [] : [`${pod}: its kubelet heard of its end after ${took} µs`];
}

export interface Reached {
  readonly wrong: readonly string[];
  /** Connections that came to a pod after its end was known, and before every proxy had learnt of it. */
  readonly between: number;
}

/** After the proxies have learnt of a pod's end no new connection reaches it, unless only ending endpoints remain. */
export function judgeConnections(situation: Situation, record: Record, { outcomes }: TrafficReport): Reached {
  const { way, clientNode } = situation;
  const node = way === "pod" || way === "node" ? clientNode : undefined;
  const tries = outcomes.flatMap((outcome): readonly TrafficTry[] => [...(outcome.before ?? []), lastTry(outcome)]);
  const wrong: string[] = [];
  let between = 0;
  for (const { pod, at, reused } of tries) {
    const ended = pod === undefined ? undefined : record.terminating(pod);
    if (pod === undefined || ended === undefined || reused || at <= ended) continue;
    const learnt = record.learnt(pod, node);
    if (learnt === undefined || at <= learnt) between++;
    else if (!record.onlyEnding(ended, at, way === "local" ? pod : undefined)) {
      wrong.push(`a new connection reached ${pod} ${(at - learnt) / millisecond} ms after all proxies knew of its end`);
    }
  }
  return { wrong, between };
}

/** The last try of an outcome began when those before it were over. */
function lastTry(outcome: TrafficReport["outcomes"][number]): TrafficTry {
  const spent = (outcome.before ?? []).reduce((sum, { took }) => sum + took, 0);
  return { ...outcome, at: outcome.at + spent, took: outcome.took - spent };
}

/**
 * Never fewer available pods than the strategy (or the budget) allows, never more asked for than it allows. Pods may be more
 * for the moment between the creations of one ReplicaSet and the deletions of the other: the Deployment's controller counts
 * what sets are asked for, and they act as the news comes (GetReplicaCountForReplicaSets in pkg/controller/deployment/util).
 */
export function judgeStrategy(situation: Situation, record: Record): readonly string[] {
  const { change, surge, unavailable, scaleTo, pdb } = situation;
  const rolling = change === "restart" || change === "image";
  const most = rolling ? replicas + share(surge, Math.ceil) : replicas;
  const least = rolling
    ? replicas - share(unavailable, Math.floor)
    : change === "scale"
      ? scaleTo
      : pdb === undefined
        ? 0
        : replicas - pdb;
  const wrong: string[] = [];
  const fewest = Math.min(...record.counts.map(({ available }) => available));
  const above = longestAbove(record.counts, most);
  if (fewest < least) wrong.push(`${fewest} pods were available, fewer than ${least}`);
  if (record.mostAsked > most) wrong.push(`${record.mostAsked} pods were asked for, more than ${most}`);
  if (above > newsOfSets) wrong.push(`for ${above / millisecond} ms there were more than ${most} pods`);
  const wanted = change === "scale" ? scaleTo : replicas;
  const last = record.counts.at(-1);
  if (last?.active !== wanted || last.available !== wanted) {
    wrong.push(`in the end ${last?.available} of ${last?.active} pods were available, not ${wanted} of ${wanted}`);
  }
  return wrong;
}

/** The longest that a ReplicaSet's controller may not know what was asked of it: its watch, and its work on other sets. */
const newsOfSets = 100 * millisecond;

function longestAbove(counts: readonly Count[], most: number): Time {
  let [longest, since] = [0, undefined as Time | undefined];
  for (const { at, active } of counts) {
    if (active > most) since ??= at;
    else {
      longest = Math.max(longest, since === undefined ? 0 : at - since);
      since = undefined;
    }
  }
  return since === undefined ? longest : Infinity;
}

function share(of: number | string, round: (value: number) => number): number {
  return typeof of === "number" ? of : round((Number(of.replace("%", "")) * replicas) / 100);
}
