/** Owns the bundle that every actor is handed: time, chance and the journal. */
import { Clock, type Time } from "./clock";
import { Journal } from "./journal";
import { Random } from "./random";

export interface Sim {
  readonly clock: Clock;
  readonly random: Random;
  readonly journal: Journal;
}

/** 2026-01-01T00:00:00Z: when every cluster starts. */
export const epoch: Time = 1_767_225_600_000_000;

/** A new simulation: the same seed gives the same run, byte for byte. */
export function createSim(seed: number): Sim {
  return { clock: new Clock(epoch), random: new Random(seed), journal: new Journal() };
}
