/**
 * Owns which of the possible nodes is best: replicas spread, load even (the default score plugins and their weights).
 */
import type { Kinds } from "../../api/kinds";
import { zoneLabel } from "../endpointslice/endpoint";
import { tolerates } from "./filter";
import { allocatable, type Usage } from "./usage";

type Pod = Kinds["Pod"];
type Node = Kinds["Node"];

const hundred = 100;
/** Weights of the default profile (pkg/scheduler/apis/config/v1/default_plugins.go). */
const weights = { spread: 2, taint: 3, least: 1, balanced: 1 };
/** System default constraints: 3 apart by host, 5 apart by zone (podtopologyspread/plugin.go). */
const skews = { host: 3, zone: 5 };

export interface Candidate {
  readonly node: Node;
  /** What is used there, and what the pod adds, with guesses for containers that ask for nothing. */
  readonly usage: Usage;
}

/** A score for each candidate; `siblings` counts the pods of the same Services and ReplicaSet by node. */
export function scores(
  pod: Pod,
  asked: Usage,
  candidates: readonly Candidate[],
  siblings: ReadonlyMap<string, number>,
  selected: boolean,
): readonly number[] {
  const spread = selected ? spreadScores(candidates, siblings) : candidates.map(() => 0);
  const taints = taintScores(pod, candidates);
  return candidates.map((candidate, at) => {
    const room = allocatable(candidate.node);
    const parts = [
      share(candidate.usage.cpu + asked.cpu, room.cpu),
      share(candidate.usage.memory + asked.memory, room.memory),
    ];
    const least = Math.floor(parts.reduce((sum, part) => sum + (1 - part) * hundred, 0) / parts.length);
    const balanced = Math.floor((1 - Math.abs((parts[0] as number) - (parts[1] as number)) / 2) * hundred);
    return (
      weights.spread * (spread[at] ?? 0) +
      weights.taint * (taints[at] ?? 0) +
      weights.least * least +
      weights.balanced * balanced
    );
  });
}

function share(used: number, room: number): number {
  return room === Number.POSITIVE_INFINITY || room === 0 ? 0 : Math.min(1, used / room);
}

/** podtopologyspread/scoring.go: fewer of the same on the host and in the zone is better. */
function spreadScores(candidates: readonly Candidate[], siblings: ReadonlyMap<string, number>): readonly number[] {
  const zones = new Map<string, number>();
  for (const { node } of candidates) {
    const zone = node.metadata.labels?.[zoneLabel];
    if (zone !== undefined) zones.set(zone, (zones.get(zone) ?? 0) + (siblings.get(node.metadata.name) ?? 0));
  }
  const weigh = (domains: number): number => Math.log(domains + 2);
  const raw = candidates.map(({ node }) => {
    const zone = node.metadata.labels?.[zoneLabel];
    const host = (siblings.get(node.metadata.name) ?? 0) * weigh(candidates.length) + (skews.host - 1);
    return Math.round(host + (zone === undefined ? 0 : (zones.get(zone) ?? 0) * weigh(zones.size) + (skews.zone - 1)));
  });
  const [most, least] = [Math.max(...raw), Math.min(...raw)];
  return raw.map((score) => (most === 0 ? hundred : Math.floor((hundred * (most + least - score)) / most)));
}

/** Fewer PreferNoSchedule taints that the pod does not tolerate is better. */
function taintScores(pod: Pod, candidates: readonly Candidate[]): readonly number[] {
  const counts = candidates.map(({ node }) => {
    const soft = (node.spec.taints ?? []).filter(({ effect }) => effect === "PreferNoSchedule");
    return soft.filter((taint) => !tolerates(pod.spec.tolerations ?? [], taint)).length;
  });
  const most = Math.max(...counts);
  return counts.map((count) => (most === 0 ? hundred : hundred - Math.floor((hundred * count) / most)));
}
