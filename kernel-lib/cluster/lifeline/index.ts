/** Owns the door of the record of how pods live and end. */
export type { Actor, Lifeline, LifeMoment, LifeSpan, MomentKind, PodLife } from "./lifeline";
export { type LifelineGround, type LifelineOptions, type LifelineRecord, recordLifeline } from "./record";
