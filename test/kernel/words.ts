/** Owns the short words in which cases are written. */
import type { Ask, Expectation, Part, Step } from "./world";

export const serve = (...machines: readonly string[]): readonly Step[] => machines.map((at) => ({ step: "serve", at }));
export const says = (ask: Ask, gives?: string): Expectation => ({ ask, ...(gives === undefined ? {} : { gives }) });
export const together = (...questions: readonly Expectation[]): Part => ({ together: questions });

export interface More {
  readonly port?: number;
  readonly size?: number;
  readonly dontFragment?: boolean;
}
export const tcp = (from: string, to: string, gives?: string, more: Pick<More, "port"> = {}): Expectation =>
  says({ ask: "tcp", from, to, ...more }, gives);
export const udp = (from: string, to: string, gives?: string, more: Pick<More, "port" | "size"> = {}): Expectation =>
  says({ ask: "udp", from, to, ...more }, gives);
export const ping = (from: string, to: string, gives?: string, more: Omit<More, "port"> = {}): Expectation =>
  says({ ask: "ping", from, to, ...more }, gives);
export const hops = (from: string, to: string, gives?: string): Expectation => says({ ask: "hops", from, to }, gives);
export const route = (at: string, to: string, gives?: string): Expectation => says({ ask: "route", at, to }, gives);
export const neighbours = (at: string, device: string): Expectation => says({ ask: "neighbours", at, device });
