import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Kind, Kinds } from "../../kernel-lib/api/kinds";
import { clusterDns } from "../../kernel-lib/apps/clusterdns";
import { CorefileError, durationOf, parseCorefile } from "../../kernel-lib/apps/corefile";
import { type DnsRecord, nameProblem, type RecordType, reverseName } from "../../kernel-lib/apps/dns";
import { DnsStreamReader, dnsQuery, dnsResponse, dnsStream } from "../../kernel-lib/apps/dnsmessage";
import { decodeDns, encodeDns } from "../../kernel-lib/apps/dnswire";
import { query } from "../../kernel-lib/apps/resolver";
import { second } from "../../kernel-lib/sim/clock";
import { storeWith } from "../cases/dns";
import { wire } from "../node/wired";

const name = "each.default.svc.cluster.local.";
const records = (count: number): readonly DnsRecord[] =>
  Array.from({ length: count }, (_, at) => ({ name, type: "A", ttl: 30, data: `10.244.${at >> 8}.${at & 255}` }));
const answerOf = (answers: readonly DnsRecord[]) => {
  return { rcode: "NOERROR", authoritative: true, answers, authority: [], additional: [] } as const;
};

describe("a DNS message", () => {
  test("is cut to what the asker takes over UDP, says so, and is whole over TCP", () => {
    const plain = dnsQuery(7, { name, type: "A" });
    const cut = dnsResponse(plain, answerOf(records(60)));
    expect([cut.truncated, cut.size <= 512, cut.answers.length > 20]).toEqual([true, true, true]);
    expect(dnsResponse(dnsQuery(7, { name, type: "A" }, 1232), answerOf(records(60))).truncated).toBe(false);
    const whole = dnsResponse(plain, answerOf(records(300)), "tcp");
    expect([whole.truncated, whole.answers.length]).toEqual([false, 300]);
    const reader = new DnsStreamReader();
    const text = dnsStream(whole);
    reader.feed(text.slice(0, 700));
    expect(reader.next()).toBeUndefined();
    reader.feed(text.slice(700));
    expect(reader.next()).toEqual({ ...whole, uncompressed: undefined });
  });

  test("is read as it was written, compressed or not; what is none is refused", () => {
    const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/);
    const anyName = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => `${labels.join(".")}.`);
    const record: fc.Arbitrary<DnsRecord> = fc.oneof(
      fc.record({ name: anyName, type: fc.constant("A" as const), ttl: fc.nat(), data: fc.ipV4() }),
      fc.record({
        name: anyName,
        type: fc.constantFrom("CNAME" as const, "PTR" as const),
        ttl: fc.nat(),
        data: anyName,
      }),
      fc.record({
        ...{ name: anyName, type: fc.constant("SRV" as const), ttl: fc.nat() },
        data: fc.tuple(fc.nat(65_535), anyName).map(([port, target]) => `0 100 ${port} ${target}`),
      }),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 8 }), anyName, fc.nat(65_535), (answers, asked, id) => {
        const message = dnsResponse(
          dnsQuery(id, { name: asked, type: "A" }, 1232, "0123456789abcdef"),
          answerOf(answers),
        );
        const { type: _type, size: _size, uncompressed: _plain, ...rest } = message;
        for (const compress of [true, false]) expect(decodeDns(encodeDns(message, compress))).toEqual(rest);
      }),
      { numRuns: 60 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        decodeDns(bytes);
      }),
    );
    expect(decodeDns(Uint8Array.from([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]))).toBeUndefined();
    expect(["a..b", "x".repeat(64), `${"abcdefg.".repeat(40)}x`, "ok.example."].map(nameProblem)).toEqual([
      "empty label",
      "label too long",
      "ran out of space",
      undefined,
    ]);
  });
});

describe("the cluster's names", () => {
  const host = fc.constantFrom(undefined, "one", "two", "three");
  const endpoint = fc.record({
    ip: fc.integer({ min: 1, max: 9 }),
    ready: fc.constantFrom(true, false, undefined),
    host,
  });
  const world = fc.record({
    endpoints: fc.uniqueArray(endpoint, { selector: ({ ip }) => ip, maxLength: 6 }),
    clusterIp: fc.boolean(),
    alias: fc.constantFrom("web", "loop", "other", "www.example.com", "10.0.0.1"),
  });

  test("follow from the store alone: addresses are the ready endpoints', and every address leads back to its name", () => {
    const run = ({ endpoints, clusterIp, alias }: typeof world extends fc.Arbitrary<infer T> ? T : never): void => {
      const ips = clusterIp ? { clusterIP: "10.96.0.50", clusterIPs: ["10.96.0.50"] } : { clusterIP: "None" };
      const ports = [{ name: "http", port: 80, protocol: "TCP" }];
      const meta = (own: string) => ({ name: own, namespace: "default" });
      const target = alias.includes(".") ? alias : `${alias}.default.svc.cluster.local`;
      const objects = [
        { kind: "Service", metadata: meta("web"), spec: { ...ips, ports } },
        { kind: "Service", metadata: meta("loop"), spec: { type: "ExternalName", externalName: target } },
        {
          kind: "EndpointSlice",
          metadata: { ...meta("web-1"), labels: { "kubernetes.io/service-name": "web" } },
          addressType: "IPv4",
          ports,
          endpoints: endpoints.map(({ ip, ready, host: hostname }) => ({
            addresses: [`10.244.1.${ip}`],
            conditions: { ...(ready !== undefined && { ready }) },
            ...(hostname && { hostname }),
          })),
        },
      ] as unknown as Kinds[Kind][];
      const ask = clusterDns({ store: storeWith(objects) });
      const says = (asked: string, type: RecordType = "A") => ask({ name: asked, type });
      const ready = endpoints.filter((each) => each.ready !== false).map(({ ip }) => `10.244.1.${ip}`);
      const own = says("web.default.svc.cluster.local.");
      expect(own.answers.map(({ data }) => data).sort()).toEqual(clusterIp ? ["10.96.0.50"] : [...ready].sort());
      expect(own.rcode).toBe(clusterIp || ready.length > 0 ? "NOERROR" : "NXDOMAIN");
      for (const ip of ready) {
        const back = says(reverseName(ip), "PTR").answers.map(({ data }) => data);
        expect(back).toHaveLength(1);
        expect(says(back[0] as string).answers.map(({ data }) => data)).toContain(ip);
      }
      for (const { data } of says("_http._tcp.web.default.svc.cluster.local.", "SRV").answers) {
        expect(says(data.split(" ")[3] as string).rcode).toBe("NOERROR");
      }
      const loop = says("loop.default.svc.cluster.local.");
      if (alias === "loop" || alias === "other") expect([loop.rcode, loop.answers]).toEqual(["NOERROR", []]);
      if (alias === "10.0.0.1") expect(loop.rcode).toBe("NXDOMAIN");
      if (alias === "web")
        expect(loop.answers.slice(1).map(({ data }) => data)).toEqual(own.answers.map(({ data }) => data));
      expect(says("web.default.svc.cluster.local.")).toEqual(own);
    };
    fc.assert(fc.property(world, run), { numRuns: 150 });
  });

  test("aliases that lead to each other end without an answer", () => {
    const alias = (own: string, to: string): unknown => ({
      ...{ kind: "Service", metadata: { name: own, namespace: "default" } },
      spec: { type: "ExternalName", externalName: `${to}.default.svc.cluster.local` },
    });
    const objects = [alias("a", "b"), alias("b", "c"), alias("c", "a")] as Kinds[Kind][];
    const { rcode, answers, authority } = clusterDns({ store: storeWith(objects) })({
      ...{ name: "a.default.svc.cluster.local.", type: "A" },
    });
    expect([rcode, answers, authority.map(({ type }) => type)]).toEqual(["NOERROR", [], ["SOA"]]);
  });
});

test("a Corefile is read with its blocks, zones and ports, or the line that is wrong is named", () => {
  const blocks = parseCorefile(
    "Corefile",
    'a.example:1053 b.example { # two\n  log . "{name}" {\n    class error\n  }\n}\n. {\n}',
  );
  expect(blocks.map(({ zones, port, directives }) => [zones, port, directives.length])).toEqual([
    [["a.example."], 1053, 1],
    [["b.example."], 53, 1],
    [["."], 53, 0],
  ]);
  expect(blocks[0]?.directives[0]?.block[0]).toMatchObject({ name: "class", args: ["error"], line: 3 });
  expect(() => parseCorefile("Corefile", ". {\n  log")).toThrow(
    new CorefileError("Corefile:2 - Error during parsing: Unexpected EOF"),
  );
  expect(["5s", "1m30s", "30", "soon"].map(durationOf)).toEqual([5, 90, 30, undefined]);
});

describe("CoreDNS in a pod", () => {
  /** A CoreDNS with this Corefile and somebody who asks it. */
  function served(corefile: string) {
    const cluster = wire();
    const data = { Corefile: corefile };
    cluster.store.create("ConfigMap", { kind: "ConfigMap", metadata: { name: "coredns" }, data }, "test");
    const volumeMounts = [{ name: "config", mountPath: "/etc/coredns" }];
    const image = "registry.k8s.io/coredns/coredns:v1.13.1";
    cluster.pod("dns", "node-2", {
      containers: [{ name: "dns", image, args: ["-conf", "/etc/coredns/Corefile"], volumeMounts }],
      volumes: [{ name: "config", configMap: { name: "coredns" } }],
      dnsPolicy: "Default",
    });
    cluster.pod("client", "node-1", { containers: [{ name: "main", image: "busybox", command: ["sleep", "3600"] }] });
    cluster.sim.clock.settle();
    cluster.service("web", "10.96.0.50", 80);
    const random = cluster.sim.random.fork("test");
    const ask = (asked: string, type: RecordType = "A", tcp = false): string => {
      const netns = cluster.nodes["node-1"]?.kubelet.container("default/client")?.spec.netns;
      if (!netns) throw new Error("no client");
      let said = "";
      const servers = [cluster.podNow("dns")?.status.podIP ?? ""];
      const config = { servers, timeout: 5 * second, attempts: 1, tcp, failureAnswers: true };
      query({ netns, random }, asked, type, config, (found) => {
        said =
          "message" in found
            ? [found.message.rcode, ...found.message.answers.map((each) => `${each.ttl} ${each.data}`)].join(" ")
            : found.result;
      });
      cluster.sim.clock.settle();
      return said;
    };
    const log = (): readonly string[] => {
      const container = cluster.nodes["node-2"]?.kubelet.container("default/dns");
      return (container?.log ?? []).map(({ text }) => text);
    };
    return { cluster, ask, log };
  }

  test("answers from hosts, by another name, from the cluster, over TCP too; what is in no zone of its own is refused", () => {
    const { ask } = served(`example.org cluster.local {
      rewrite name old.example.org db.example.org
      hosts {
        192.0.2.7 db.example.org
        ttl 60
        fallthrough cluster.local
      }
      kubernetes cluster.local
    }`);
    expect(ask("db.example.org.")).toBe("NOERROR 60 192.0.2.7");
    expect(ask("old.example.org.", "A", true)).toBe("NOERROR 60 192.0.2.7");
    expect(ask("db.example.org.", "AAAA")).toBe("NOERROR");
    expect(ask("none.example.org.")).toBe("SERVFAIL");
    expect(ask("web.default.svc.cluster.local.", "A", true)).toBe("NOERROR 5 10.96.0.50");
    expect(ask("10-244-1-9.default.pod.cluster.local.")).toBe("NXDOMAIN");
    expect(ask("example.com.")).toBe("REFUSED");
  });

  test("keeps what it may for as long as it may, and logs what it is told to", () => {
    const { ask, log, cluster } = served(
      '.:53 {\n  log . "{name} {rcode}" {\n    class denial\n  }\n  cache 30\n  kubernetes cluster.local {\n    ttl 30\n  }\n}',
    );
    expect(ask("web.default.svc.cluster.local.")).toBe("NOERROR 30 10.96.0.50");
    expect(ask("late.default.svc.cluster.local.")).toBe("NXDOMAIN");
    cluster.service("late", "10.96.0.51", 80);
    cluster.sim.clock.advance(10 * second);
    expect(ask("web.default.svc.cluster.local.")).toBe("NOERROR 20 10.96.0.50");
    expect(ask("late.default.svc.cluster.local.")).toBe("NXDOMAIN");
    cluster.sim.clock.advance(25 * second);
    expect(ask("late.default.svc.cluster.local.")).toBe("NOERROR 30 10.96.0.51");
    expect(log().filter((line) => line.startsWith("[INFO] late"))).toEqual(
      Array(2).fill("[INFO] late.default.svc.cluster.local. NXDOMAIN"),
    );
  });

  test("takes a new Corefile up a minute and a half later, and stays as it is when that is wrong", () => {
    const { ask, log, cluster } = served(".:53 {\n  hosts {\n    192.0.2.7 a.test\n  }\n  reload\n}");
    const replace = (text: string): void => {
      cluster.store.update("ConfigMap", "default/coredns", (now) => ({ ...now, data: { Corefile: text } }), "test");
      cluster.sim.clock.advance(95 * second);
    };
    expect(ask("a.test.")).toBe("NOERROR 3600 192.0.2.7");
    replace(".:53 {\n  hosts {\n    192.0.2.8 a.test\n  }\n  reload\n}");
    expect(ask("a.test.")).toBe("NOERROR 3600 192.0.2.8");
    replace(".:53 {\n  guests\n}");
    expect(ask("a.test.")).toBe("NOERROR 3600 192.0.2.8");
    expect(log().at(-1)).toBe(
      "[ERROR] plugin/reload: Corefile changed but reload failed: /etc/coredns/Corefile:2 - Error during parsing: Unknown directive 'guests'",
    );
  });

  test.each([
    [
      ".:53 {\n  forward . 127.0.0.1\n  loop\n}",
      '[FATAL] plugin/loop: Loop (127.0.0.1:53 -> :53) detected for zone "."',
    ],
    [
      ".:53 {\n  forward . nobody\n}",
      '/etc/coredns/Corefile:2 - Error during parsing: not an IP address or file: "nobody"',
    ],
    [".:53 {\n  kubernetes {\n    pods maybe\n  }\n}", "wrong value for pods: maybe"],
  ])("does not start with %j", (corefile, why) => {
    const { log } = served(corefile);
    expect(log().join("\n")).toContain(why);
  });
});
