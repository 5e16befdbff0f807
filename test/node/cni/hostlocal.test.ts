import { expect, test } from "vitest";
import { formatCidr, formatIp, parseIp } from "../../../kernel-lib/net/address";
import { Network } from "../../../kernel-lib/net/network";
import { JsonError, parseJson } from "../../../kernel-lib/node/cni/gojson";
import { hostLocal } from "../../../kernel-lib/node/cni/hostlocal";
import { type PluginCall, PluginError } from "../../../kernel-lib/node/cni/plugin";
import { createNode } from "../../../kernel-lib/node/node";
import { createSim } from "../../../kernel-lib/sim/sim";

/** A node's host-local with this `ipam`: asks for a pod, and gives back. */
function plugin(ipam: object) {
  const sim = createSim(1);
  const network = new Network(sim);
  const node = createNode(sim, network, network.segment("lan"), { name: "node-1", ip: parseIp("192.168.1.11") });
  const config = { name: "mynet", type: "bridge", ipam: { type: "host-local", ...ipam } };
  const call = (id: string): PluginCall => ({
    ...{ node, config, device: "eth0", network: "mynet" },
    pod: { key: `default/${id}`, uid: id, id, netns: node.netns },
    delegate: () => hostLocal,
  });
  return {
    files: node.files,
    give: (id: string): string =>
      hostLocal
        .add(call(id))
        .ips.map(
          ({ address, gateway }) => `${formatCidr(address)} via ${gateway === undefined ? "" : formatIp(gateway)}`,
        )
        .join(", "),
    take: (id: string): void => hostLocal.delete(call(id)),
  };
}

test("addresses go round: one that is given back is not given again before all others were", () => {
  const { give, take, files } = plugin({ subnet: "10.1.1.0/29" });
  expect([give("a"), give("b")]).toEqual(["10.1.1.2/29 via 10.1.1.1", "10.1.1.3/29 via 10.1.1.1"]);
  take("a");
  expect(["c", "d", "e", "f"].map(give).map((text) => text.slice(0, 8))).toEqual([
    "10.1.1.4",
    "10.1.1.5",
    "10.1.1.6",
    "10.1.1.2",
  ]);
  expect(() => give("g")).toThrow(
    new PluginError("failed to allocate for range 0: no IP addresses available in range set: 10.1.1.1-10.1.1.6"),
  );
  take("nobody");
  take("d");
  expect(give("g")).toBe("10.1.1.5/29 via 10.1.1.1");
  expect(files.list("/var/lib/cni/networks/mynet")).toEqual([
    ...["10.1.1.2", "10.1.1.3", "10.1.1.4", "10.1.1.5", "10.1.1.6", "last_reserved_ip.0"],
  ]);
  expect(files.read("/var/lib/cni/networks/mynet/10.1.1.5")).toBe("g\r\neth0");
  expect(files.read("/var/lib/cni/networks/mynet/last_reserved_ip.0")).toBe("10.1.1.5");
});

test("a file that is taken away frees its address", () => {
  const { give, files } = plugin({ subnet: "10.1.1.0/30" });
  expect(give("a")).toBe("10.1.1.2/30 via 10.1.1.1");
  expect(() => give("b")).toThrow("10.1.1.1-10.1.1.2");
  files.remove("/var/lib/cni/networks/mynet/10.1.1.2");
  expect(give("b")).toBe("10.1.1.2/30 via 10.1.1.1");
});

test("each range set gives one address; the ranges of a set are used one after another, all of one or nothing", () => {
  const { give } = plugin({
    ranges: [
      [
        { subnet: "10.1.1.0/24", rangeStart: "10.1.1.10", rangeEnd: "10.1.1.11", gateway: "10.1.1.254" },
        { subnet: "10.1.2.0/24", rangeStart: "10.1.2.7", rangeEnd: "10.1.2.7" },
      ],
      [{ subnet: "fd00:1::/64", rangeEnd: "fd00:1::4" }],
    ],
  });
  expect(["a", "b", "c"].map(give)).toEqual([
    "10.1.1.10/24 via 10.1.1.254, fd00:1::2/64 via fd00:1::1",
    "10.1.1.11/24 via 10.1.1.254, fd00:1::3/64 via fd00:1::1",
    "10.1.2.7/24 via 10.1.2.1, fd00:1::4/64 via fd00:1::1",
  ]);
  expect(() => give("d")).toThrow("range set: 10.1.1.10-10.1.1.11,10.1.2.7-10.1.2.7");
});

test.each([
  [{ subnet: "10.1.1.0/31" }, "invalid range set 0: Network 10.1.1.0/31 too small to allocate from"],
  [{ subnet: "10.1.1.0/24", rangeStart: "10.1.2.1" }, "invalid range set 0: 10.1.2.1 not in network 10.1.1.0/24"],
  [{ subnet: "10.1.0.0/16", ranges: [[{ subnet: "10.1.9.0/24" }]] }, "range set 0 overlaps with 1"],
  [{}, "no IP ranges specified"],
])("%j is refused: %s", (ipam, words) => {
  expect(() => plugin(ipam).give("a")).toThrow(new PluginError(words));
});

test.each([
  ["", "unexpected end of JSON input"],
  ["{", "unexpected end of JSON input"],
  ['{"a":', "unexpected end of JSON input"],
  ['{"a', "unexpected end of JSON input"],
  ['{"a": 1,}', "invalid character '}' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a": [1 2]}', "invalid character '2' after array element"],
  ["{'a': 1}", "invalid character '\\'' looking for beginning of object key string"],
  ['{"a": yes}', "invalid character 'y' looking for beginning of value"],
  ['{"a": tru}', "invalid character '}' in literal true (expecting 'e')"],
  ['{"a": 1} x', "invalid character 'x' after top-level value"],
])("%j is no JSON, in Go's words: %s", (text, words) => {
  expect(() => parseJson(text)).toThrow(new JsonError(words));
});
