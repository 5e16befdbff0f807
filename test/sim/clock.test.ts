/** Owns what virtual time promises: order, rest, and standing exactly where it was told to. */
import { array, assert, boolean, integer, property, record } from "fast-check";
import { describe, expect, it } from "vitest";
import { Clock, second, type Timer } from "../../kernel-lib/sim/clock";

describe("the clock", () => {
  it("runs events by time, and those of one time in the order they were set", () => {
    assert(
      property(array(integer({ min: 0, max: 20 })), (delays) => {
        const clock = new Clock();
        const ran: number[] = [];
        for (const [index, delay] of delays.entries()) clock.after(delay, () => ran.push(index));
        clock.settle();
        const wanted = delays.map((delay, index) => ({ delay, index }));
        wanted.sort((one, other) => one.delay - other.delay || one.index - other.index);
        expect(ran).toEqual(wanted.map(({ index }) => index));
      }),
    );
  });

  it("never runs what was cancelled, whenever that was", () => {
    const event = record({ delay: integer({ min: 0, max: 9 }), cancel: boolean() });
    assert(
      property(array(event), (events) => {
        const clock = new Clock();
        const ran = new Set<number>();
        const timers = events.map(({ delay }, index) => clock.after(delay, () => ran.add(index)));
        for (const [index, { cancel }] of events.entries()) {
          if (cancel) timers[index]?.cancel();
        }
        clock.settle();
        expect([...ran].sort()).toEqual(events.flatMap(({ cancel }, index) => (cancel ? [] : [index])).sort());
        expect(clock.next()).toBeUndefined();
      }),
    );
  });

  it("keeps the order whatever is set and cancelled meanwhile, also as of an earlier moment", () => {
    const step = record({
      delay: integer({ min: 0, max: 6 }),
      pass: integer({ min: 0, max: 3 }),
      recall: integer({ min: 0, max: 4 }),
      cancel: integer({ min: 0, max: 40 }),
    });
    assert(
      property(array(step, { maxLength: 60 }), (steps) => {
        const clock = new Clock();
        const ran: number[] = [];
        const set: { readonly at: number; readonly index: number; readonly timer: Timer }[] = [];
        const cancelled = new Set<number>();
        for (const [index, { delay, pass, recall, cancel }] of steps.entries()) {
          // What is recalled sets nothing that would have been due already.
          const then = clock.now - Math.min(recall, delay, clock.now);
          clock.recall(then, () => {
            const timer = clock.after(delay, () => ran.push(index));
            set.push({ at: timer.at, index, timer });
          });
          const other = set[cancel];
          if (other && !ran.includes(other.index)) {
            other.timer.cancel();
            cancelled.add(other.index);
          }
          clock.advance(pass);
        }
        clock.settle();
        const wanted = set.filter(({ index }) => !cancelled.has(index));
        wanted.sort((one, other) => one.at - other.at || one.index - other.index);
        expect(ran).toEqual(wanted.map(({ index }) => index));
      }),
    );
  });

  it("forgets thousands that were cancelled, and runs those that were not", () => {
    const clock = new Clock();
    const ran: number[] = [];
    const timers = Array.from({ length: 5_000 }, (_, index) => clock.after(10 + index, () => ran.push(index)));
    for (const [index, timer] of timers.entries()) if (index % 100 !== 7) timer.cancel();
    clock.settle();
    expect(ran).toEqual(Array.from({ length: 50 }, (_, count) => count * 100 + 7));
    expect([clock.now, clock.next()]).toEqual([10 + 4_907, undefined]);
  });

  it("settles without waiting for the background", () => {
    const clock = new Clock();
    let beats = 0;
    clock.every(second, () => beats++);
    clock.after(2.5 * second, () => {});
    clock.settle();
    expect(clock.now).toBe(2.5 * second);
    expect(beats).toBe(2);
  });

  it("advances to exactly the end of the time asked for, running what is due on the way", () => {
    const clock = new Clock(7);
    const ran: number[] = [];
    clock.after(10, () => clock.after(5, () => ran.push(clock.now)));
    clock.after(16, () => ran.push(clock.now));
    clock.advance(15);
    expect([clock.now, ran]).toEqual([22, [22]]);
    clock.advance(1);
    expect([clock.now, ran]).toEqual([23, [22, 23]]);
  });

  it("refuses a delay or a period that is not one", () => {
    expect(() => new Clock().after(-1, () => {})).toThrow(RangeError);
    expect(() => new Clock().after(Number.NaN, () => {})).toThrow(RangeError);
    expect(() => new Clock().every(0, () => {})).toThrow(RangeError);
  });
});
