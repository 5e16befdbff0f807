/** Tests what becomes of many events: counted, put together, not heard, kept for an hour after they last came. */
import { expect, test } from "vitest";
import { recordEvent } from "../../kernel-lib/api/events";
import { Store } from "../../kernel-lib/api/store";
import { second } from "../../kernel-lib/sim/clock";
import { createSim } from "../../kernel-lib/sim/sim";

function recorder() {
  const sim = createSim(1);
  const store = new Store(sim);
  const about = store.create(
    "ConfigMap",
    { kind: "ConfigMap", metadata: { name: "it", namespace: "default" } },
    "test",
  );
  const tell = (
    message: string,
    { reason = "Did", component = "kubelet", type = "Warning" as "Warning" | "Normal" } = {},
  ) =>
    recordEvent(sim, store, {
      about: { ...about, kind: "ConfigMap" },
      type,
      reason,
      message,
      component,
      host: "node-1",
    });
  const events = () => store.list("Event").map(({ count, message }) => `${count} ${message}`);
  return { sim, store, tell, events };
}

test("the tenth message of one reason is put together with those that follow, and the newest is what is read", () => {
  const { sim, tell, events } = recorder();
  for (let at = 1; at <= 12; at++) {
    tell(`made ${at}`);
    sim.clock.advance(second);
  }
  const single = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => `1 made ${at}`);
  expect(events()).toEqual([...single, "3 (combined from similar events): made 12"]);
  // Another reason is counted by itself; after ten quiet minutes all begins anew.
  tell("other", { reason: "Else" });
  sim.clock.advance(601 * second);
  tell("made 13");
  expect(events().slice(10)).toEqual(["1 other", "1 made 13"]);
});

test("of one object 25 events of a source are heard at once, then one in five minutes; its count knows of those between", () => {
  const { sim, tell, events } = recorder();
  for (let at = 0; at < 40; at++) {
    tell("again");
    sim.clock.advance(second);
  }
  expect(events()).toEqual(["25 again"]);
  // Another source is not meant.
  tell("again", { component: "controller" });
  expect(events()).toEqual(["25 again", "1 again"]);
  sim.clock.advance(259 * second);
  tell("again");
  expect(events()).toEqual(["25 again", "1 again"]);
  sim.clock.advance(second);
  tell("again");
  expect(events()).toEqual(["42 again", "1 again"]);
  tell("new");
  expect(events()).toHaveLength(2);
  sim.clock.advance(300 * second);
  tell("new");
  expect(events()[2]).toBe("2 new");
});

test("the scheduler's events pass by another way, which filters nothing", () => {
  const { tell, events } = recorder();
  for (let at = 0; at < 40; at++) tell("no place", { component: "default-scheduler" });
  expect(events()).toEqual(["40 no place"]);
});

test("an event goes an hour after it last came", () => {
  const { sim, tell, events } = recorder();
  tell("once");
  tell("often");
  sim.clock.advance(1800 * second);
  tell("often");
  sim.clock.advance(1801 * second);
  expect(events()).toEqual(["2 often"]);
  sim.clock.advance(1800 * second);
  expect(events()).toEqual([]);
});
