/** Owns the words for a neighbour: its entry as `ip neigh` lists it, and its states. */
import type { Ip, Mac } from "./address";

/**
 * As `ip neigh` names them (net/core/neighbour.c). In use:
 * ```
 *              asked: 3 times, 1 s apart          30 s ± half            used: 5 s
 * (nothing) ─► INCOMPLETE ─► REACHABLE ─────────────► STALE ─► DELAY ─► PROBE ─► REACHABLE
 *                   └─► FAILED ◄── nobody answers 3 questions to it alone ──┘
 * ```
 */
export type NeighborState = "PERMANENT" | "NOARP" | "REACHABLE" | "STALE" | "DELAY" | "PROBE" | "INCOMPLETE" | "FAILED";

export interface Neighbor {
  readonly device: string;
  readonly ip: Ip;
  readonly mac?: Mac;
  readonly state: NeighborState;
}
