/** Owns what MetalLB's two programs have of the cluster around them, and how they write their logs. */
import type { EventNote } from "../../api/events";
import { recordEvent } from "../../api/events";
import type { Kinds } from "../../api/kinds";
import type { Store } from "../../api/store";
import { rfc3339 } from "../../api/time";
import type { Sim } from "../../sim/sim";
import type { Program } from "../app";

/** What the programs are handed. */
export interface MetallbHost {
  readonly sim: Sim;
  readonly store: Store;
  /** Whether the machine that a program runs on is off, or cut off: it hears nothing of the API server, and says nothing. */
  cutOff(program: Program): boolean;
}

type LogValue = string | number | boolean | readonly string[];

/** A line of go-kit's JSON logger: the names in order, `caller`, `level` and `ts` among them. */
export type Log = (
  level: "info" | "warn" | "error",
  caller: string,
  values: { readonly [name: string]: LogValue },
) => void;

export function jsonLog(program: Program): Log {
  return (level, caller, values) => {
    const all = { ...values, caller, level, ts: rfc3339(program.clock.now) };
    const sorted = Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1));
    program.write(`${JSON.stringify(Object.fromEntries(sorted))}\n`);
  };
}

/** An event about a Service. */
export function tell(
  { sim, store }: MetallbHost,
  about: Kinds["Service"],
  note: Pick<EventNote, "type" | "reason" | "message" | "component">,
): void {
  recordEvent(sim, store, { about, ...note });
}

/** Go's %q of a list of addresses: `["192.168.1.240"]`. */
export function quotedList(ips: readonly string[]): string {
  return `[${ips.map((ip) => JSON.stringify(ip)).join(" ")}]`;
}

/** The flags of a command line: `--port=7472`, `--lb-class=example.com/metallb`. */
export function flagOf(program: Program, name: string): string | undefined {
  const start = `--${name}=`;
  return program.argv.find((word) => word.startsWith(start))?.slice(start.length);
}

/** Whether a MetalLB that was given this class (`--lb-class`) is the one that a Service is for. */
export function isOurs({ spec }: Kinds["Service"], wantedClass: string | undefined): boolean {
  return spec.loadBalancerClass === (wantedClass || undefined);
}
