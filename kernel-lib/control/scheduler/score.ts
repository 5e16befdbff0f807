/**
 * Owns which of the possible nodes is best: replicas spread, load even (the default score plugins and their weights).
 */
import type { Kinds } from "../../api/kinds";
import { zoneLabel } from "../endpointslice/endpoint";
import type { NodeColumns } from "./columns";
import { tolerates } from "./filter";
import type { NodeInfo } from "./nodes";
import type { Usage } from "./usage";

type Pod = Kinds["Pod"];

const hundred = 100;
/** Weights of the default profile (pkg/scheduler/apis/config/v1/default_plugins.go). */
const weights = { spread: 2, taint: 3, least: 1, balanced: 1 };
/** System default constraints: 3 apart by host, 5 apart by zone (podtopologyspread/plugin.go). */
const skews = { host: 3, zone: 5 };

/** The nodes that candidates are places of. */
interface Nodes {
  readonly all: readonly NodeInfo[];
  readonly columns: NodeColumns;
  /** Whether the pod is kept apart from those of the same Services and ReplicaSet (the column `siblings`). */
  readonly spreads: boolean;
}

/**
 * A score for each candidate; what is used there, and what the pod adds, with guesses for containers that ask for nothing.
 */
export function scores(pod: Pod, asked: Usage, candidates: readonly number[], nodes: Nodes): Int32Array {
  const { all, columns, spreads } = nodes;
  const taints = taintScores(pod, candidates, nodes);
  const marks = spreads ? spreadScores(candidates, nodes) : new Int32Array(candidates.length);
  const load = columns.marks(asked, (place) => loadMarks(all[place] as NodeInfo, asked));
  for (let at = 0; at < candidates.length; at++) {
    const spread = weights.spread * (marks[at] as number);
    const taint = weights.taint * (taints?.[at] ?? hundred);
    marks[at] = spread + taint + load(candidates[at] as number);
  }
  return marks;
}

/** LeastAllocated and BalancedAllocation. */
function loadMarks({ room, used }: NodeInfo, asked: Usage): number {
  const cpu = share(used.guessed.cpu + asked.cpu, room.cpu);
  const memory = share(used.guessed.memory + asked.memory, room.memory);
  const least = Math.floor(((1 - cpu) * hundred + (1 - memory) * hundred) / 2);
  const balanced = Math.floor((1 - Math.abs(cpu - memory) / 2) * hundred);
  return weights.least * least + weights.balanced * balanced;
}

function share(used: number, room: number): number {
  return room === Number.POSITIVE_INFINITY || room === 0 ? 0 : Math.min(1, used / room);
}

/** podtopologyspread/scoring.go: fewer of the same on the host and in the zone is better. */
function spreadScores(candidates: readonly number[], { all, columns }: Nodes): Int32Array {
  const { siblings } = columns;
  const zoneOf = (place: number): string | undefined => {
    return columns.zoned ? (all[place] as NodeInfo).node.metadata.labels?.[zoneLabel] : undefined;
  };
  const zones = new Map<string, number>();
  for (const place of columns.zoned ? candidates : []) {
    const zone = zoneOf(place);
    if (zone !== undefined) zones.set(zone, (zones.get(zone) ?? 0) + (siblings[place] as number));
  }
  const [weightOfHosts, weightOfZones] = [Math.log(candidates.length + 2), Math.log(zones.size + 2)];
  let most = Number.NEGATIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  const marks = new Int32Array(candidates.length);
  for (let at = 0; at < candidates.length; at++) {
    const place = candidates[at] as number;
    const zone = zoneOf(place);
    const host = (siblings[place] as number) * weightOfHosts + (skews.host - 1);
    const score = Math.round(
      host + (zone === undefined ? 0 : (zones.get(zone) ?? 0) * weightOfZones + (skews.zone - 1)),
    );
    if (score > most) most = score;
    if (score < least) least = score;
    marks[at] = score;
  }
  for (let at = 0; at < marks.length; at++) {
    marks[at] = most === 0 ? hundred : Math.floor((hundred * (most + least - (marks[at] as number))) / most);
  }
  return marks;
}

/** Fewer PreferNoSchedule taints that the pod does not tolerate is better; undefined: they are all the same. */
function taintScores(pod: Pod, candidates: readonly number[], { all, columns }: Nodes): readonly number[] | undefined {
  if (candidates.every((place) => columns.plain[place] === 1)) return undefined;
  const counts = candidates.map((place) => {
    const { node } = all[place] as NodeInfo;
    const soft = (node.spec.taints ?? []).filter(({ effect }) => effect === "PreferNoSchedule");
    return soft.filter((taint) => !tolerates(pod.spec.tolerations ?? [], taint)).length;
  });
  const most = Math.max(...counts);
  return counts.map((count) => (most === 0 ? hundred : hundred - Math.floor((hundred * count) / most)));
}
