import { expect, test } from "vitest";
import { parseIp } from "../../kernel-lib/net/address";
import { type Connection, Conntrack } from "../../kernel-lib/net/conntrack";
import type { Packet } from "../../kernel-lib/net/packet";
import { Clock, second } from "../../kernel-lib/sim/clock";

const [client, service] = [parseIp("10.244.1.5"), parseIp("10.96.0.10")];
const datagram = {
  id: 1,
  source: client,
  target: service,
  ttl: 64,
  body: { protocol: "udp", source: 4000, target: 53, payload: "" },
};

test("of two datagrams that one socket sent at once, the second is let through and answered, whoever it was translated to", () => {
  const clock = new Clock();
  const table = new Conntrack(clock);
  const began = (pod: string): Connection => {
    const tracked = table.track(datagram as unknown as Packet, false);
    if (tracked === "full" || !tracked.connection) throw new Error("not tracked");
    const { connection } = tracked;
    connection.reply = { ...connection.reply, source: parseIp(pod) };
    return connection;
  };
  const [first, alike, other, late] = ["10.244.2.2", "10.244.2.2", "10.244.3.3", "10.244.3.3"].map(
    began,
  ) as Connection[];
  expect([first, alike, other].map((connection) => table.confirm(connection as Connection))).toEqual([
    true,
    true,
    true,
  ]);
  expect(table.confirm(late as Connection)).toBe(false);
  expect(table.list()).toEqual([first]);
  expect(table.find((other as Connection).reply)).toBe(other);
  clock.advance(second);
  expect(table.find((other as Connection).reply)).toBeUndefined();
  expect(table.find((first as Connection).original)).toBe(first);
});
