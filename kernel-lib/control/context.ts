/** Owns what every controller is handed. */
import type { Store } from "../api/store";
import type { Sim } from "../sim/sim";

export interface Context {
  readonly sim: Sim;
  readonly store: Store;
}
