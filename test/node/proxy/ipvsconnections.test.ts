/** kube-proxy's ipvs mode over time: what it counts, how long connections last, how a real server leaves and comes back. */
import { expect, test } from "vitest";
import { parseIp } from "../../../kernel-lib/net/address";
import { runFlow } from "../../../kernel-lib/net/flow";
import { ipvsMode } from "../../../kernel-lib/node/proxy/ipvs";
import { minute, second } from "../../../kernel-lib/sim/clock";
import { pods, rules, web } from "./ipvslab";
import { answerers, askMany, askUdp, at, ip, modeLab, serveUdp, service, slice, who } from "./modelab";

test("packets of a connection are counted, and its reply comes from the Service", () => {
  const { lab } = web(["pod-2-2"]);
  const entries = lab.sim.journal.during(() => askMany(lab, "pod-1-2", ip, 80, 1));
  const whats = entries.map(({ what }) => what);
  expect(whats).toContain(`IPVS: destination ${ip}:80 → 10.244.2.2:80`);
  expect(whats).toContain(`IPVS: reply translated back: source 10.244.2.2:80 → ${ip}:80`);
  const [virtual] = who(lab, "node-1").ipvs.list();
  const [server] = virtual?.servers ?? [];
  expect(virtual?.stats.counts).toEqual(server?.stats.counts);
  expect(server?.stats.counts).toMatchObject({ connections: 1, inPackets: 5, outPackets: 5 });
  expect(server).toMatchObject({ active: 0, inactive: 1 });
  lab.sim.clock.advance(121 * second);
  expect(server).toMatchObject({ active: 0, inactive: 0 });
});

test("UDP stays with its real server while packets pass, and leaves at once a server that is gone", () => {
  const lab = modeLab(ipvsMode(pods));
  serveUdp(lab, 53);
  const dns = [service("dns", { clusterIP: "10.96.0.53", ports: [{ port: 53, protocol: "UDP" }] })];
  const both = (names: readonly string[]) => [
    slice(
      "dns",
      names.map((name) => at(name)),
      { port: 53, protocol: "UDP" },
    ),
  ];
  lab.sync(dns, both(["pod-1-3", "pod-2-2"]));
  expect(askUdp(lab, "pod-1-2", "10.96.0.53", 53)).toBe("pod-1-3 saw 10.244.1.2 from 10.96.0.53");
  expect(askUdp(lab, "pod-1-2", "10.96.0.53", 53)).toBe("pod-2-2 saw 10.244.1.2 from 10.96.0.53");
  const answers: string[] = [];
  const client = who(lab, "pod-1-2").sockets.openUdp(
    { peer: { ip: parseIp("10.96.0.53"), port: 53 } },
    { received: (_, { payload }) => answers.push(String(payload)) },
  );
  const say = (): void => {
    client.send("hello");
    lab.sim.clock.settle();
  };
  say();
  say();
  expect(new Set(answers).size).toBe(1);
  const [first] = answers;
  const left = first?.startsWith("pod-1-3") ? "pod-2-2" : "pod-1-3";
  lab.sync(dns, both([left]));
  expect(who(lab, "node-1").ipvs.list()[0]?.servers).toHaveLength(1);
  say();
  say();
  expect(answers.at(-1)).toMatch(new RegExp(`^${left}`));
});

test("a real server that goes keeps its connections at weight 0, and is deleted when they are gone", () => {
  const { lab, services } = web(["pod-1-3", "pod-2-2"]);
  const node = who(lab, "node-1");
  const opened = { data: "", closed: false };
  const open = (): void => {
    const socket = who(lab, "pod-1-2").sockets.connectTcp(
      { ip: parseIp(ip), port: 80 },
      {
        data: (_, text) => {
          opened.data = text;
        },
        closed: () => {
          opened.closed = true;
        },
      },
    );
    lab.sim.clock.settle();
    leaving = () => {
      socket.write("late");
      lab.sim.clock.settle();
    };
  };
  let leaving = (): void => {};
  open();
  expect(node.ipvs.list()[0]?.servers.map(({ active }) => active)).toEqual([1, 0]);
  lab.sync(services, [slice("web", [at("pod-2-2")])]);
  expect(rules(node)).toEqual([
    `-A -t ${ip}:80 -s rr`,
    `-a -t ${ip}:80 -r 10.244.1.3:80 -m -w 0`,
    `-a -t ${ip}:80 -r 10.244.2.2:80 -m -w 1`,
  ]);
  expect(answerers(askMany(lab, "pod-1-2", ip, 80, 2))).toEqual(["pod-2-2", "pod-2-2"]);
  lab.sim.clock.advance(minute);
  leaving();
  expect(opened.data).toBe("pod-1-3 saw 10.244.1.2: late");
  lab.sim.clock.advance(4 * minute);
  expect(rules(node)).toEqual([`-A -t ${ip}:80 -s rr`, `-a -t ${ip}:80 -r 10.244.2.2:80 -m -w 1`]);
});

test("one that comes back before its connections are gone has weight 1 again, and still counts them", () => {
  const { lab, services, slices } = web(["pod-1-3", "pod-2-2"]);
  const node = who(lab, "node-1");
  who(lab, "pod-1-2").sockets.connectTcp({ ip: parseIp(ip), port: 80 }, {});
  lab.sim.clock.settle();
  lab.sync(services, [slice("web", [at("pod-2-2")])]);
  lab.sync(services, slices);
  const back = node.ipvs.list()[0]?.servers.find((server) => server.ip === parseIp("10.244.1.3"));
  expect(back).toMatchObject({ weight: 1, active: 1 });
});

test("flow-level connections step the scheduler on, count, and end as told", () => {
  const { lab } = web(["pod-1-3", "pod-2-2"]);
  const flow = { protocol: "tcp", target: parseIp(ip), targetPort: 80 } as const;
  const client = who(lab, "pod-1-2");
  const runs = Array.from({ length: 4 }, () => runFlow(client, flow, { open: true }));
  expect(runs.map(({ netns }) => netns)).toEqual(["pod-1-3", "pod-2-2", "pod-1-3", "pod-2-2"]);
  const counts = () =>
    who(lab, "node-1")
      .ipvs.list()[0]
      ?.servers.map(({ active, inactive }) => [active, inactive]);
  expect(counts()).toEqual([
    [2, 0],
    [2, 0],
  ]);
  for (const run of runs) run.close();
  expect(counts()).toEqual([
    [0, 2],
    [0, 2],
  ]);
  expect(runs[0]?.walked.lookups).toBeGreaterThan(1);
});
