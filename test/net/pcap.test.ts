/** Owns the judge of capture files: Wireshark's tshark reads them without a complaint, and sees what was sent. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, type TestContext } from "vitest";
import { dnsQuery, dnsResponse } from "../../kernel-lib/apps/dnsmessage";
import { encodeDns, encodeMessage } from "../../kernel-lib/apps/dnswire";
import { broadcastMac, groupMac, macOfIp, parseIp, solicitedNode, zeroMac } from "../../kernel-lib/net/address";
import { checksum } from "../../kernel-lib/net/bytes";
import { frameBytes } from "../../kernel-lib/net/framebytes";
import { type Frame, frameSize, type IcmpError, type Packet, type Tcp, type Vxlan } from "../../kernel-lib/net/packet";
import { pcapFile } from "../../kernel-lib/net/pcap";
import { requireOrSkip } from "../judges";

const start = Date.UTC(2026, 0, 1) * 1000;
const v4 = { source: parseIp("10.244.1.2"), target: parseIp("10.244.2.7") };
const v6 = { source: parseIp("fd00:10:244:1::2"), target: parseIp("fd00:10:244:2::7") };

function framed(packet: Omit<Packet, "id" | "ttl">, id = 7): Frame {
  return { type: "ip", source: macOfIp(v4.source), target: macOfIp(v4.target), packet: { id, ttl: 63, ...packet } };
}

function segment(flags: Tcp["flags"], sequence: number, acknowledgement: number, payload = ""): Tcp {
  return { protocol: "tcp", sourcePort: 40_000, targetPort: 80, flags, sequence, acknowledgement, payload };
}

/** Who has the target's address? And the answer. */
function neighbours(ends: typeof v4): readonly Frame[] {
  const [mine, yours] = [macOfIp(v4.source), macOfIp(v4.target)];
  const { source, target } = ends;
  if (typeof target === "bigint") {
    const group = solicitedNode(target);
    const asks = { operation: "solicitation", source, destination: group, target, mac: mine } as const;
    const tells = {
      operation: "advertisement",
      source: target,
      destination: source,
      target,
      mac: yours,
      solicited: true,
    } as const;
    return [
      { type: "nd", source: mine, target: groupMac(group), nd: asks },
      { type: "nd", source: yours, target: mine, nd: tells },
      { type: "nd", source: mine, target: groupMac(group), nd: { ...asks, source: 0n } },
    ];
  }
  const asks = {
    operation: "request",
    senderIp: source,
    senderMac: mine,
    targetIp: target,
    targetMac: zeroMac,
  } as const;
  const tells = { operation: "reply", senderIp: target, senderMac: yours, targetIp: source, targetMac: mine } as const;
  return [
    { type: "arp", source: mine, target: broadcastMac, arp: asks },
    { type: "arp", source: yours, target: mine, arp: tells },
    { type: "arp", source: mine, target: yours, arp: asks },
  ];
}

function inTunnel(frame: Frame): Frame {
  const payload: Vxlan = { type: "vxlan", size: 8 + frameSize(frame), vni: 1, frame };
  const body = { protocol: "udp" as const, sourcePort: 50_001, targetPort: 8472, payload };
  return framed({ source: parseIp("192.168.1.11"), target: parseIp("192.168.1.12"), body }, 99);
}

const errors: readonly IcmpError[] = [
  "net-unreachable",
  "host-unreachable",
  "port-unreachable",
  "admin-prohibited",
  "time-exceeded",
  "fragmentation-needed",
];

const query = dnsQuery(4242, { name: "my-nginx.default.svc.cluster.local.", type: "A" });
const answer = dnsResponse(query, {
  rcode: "NOERROR",
  authoritative: true,
  answers: [
    { name: query.question.name, type: "A", ttl: 30, data: "10.96.7.7" },
    { name: query.question.name, type: "SRV", ttl: 30, data: "0 100 80 web.default.svc.cluster.local." },
    { name: query.question.name, type: "TXT", ttl: 30, data: '"v=1"' },
  ],
  authority: [
    {
      name: "cluster.local.",
      type: "SOA",
      ttl: 30,
      data: "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 30",
    },
  ],
  additional: [{ name: "web.default.svc.cluster.local.", type: "AAAA", ttl: 30, data: "fd00::7" }],
});

/** One of everything, in one family. */
function everything(ends: typeof v4): readonly Frame[] {
  const back = { source: ends.target, target: ends.source };
  const turned = (tcp: Tcp): Tcp => ({ ...tcp, sourcePort: tcp.targetPort, targetPort: tcp.sourcePort });
  const text = "GET / HTTP/1.1\r\nHost: größe\r\n\r\n";
  const sent = new TextEncoder().encode(text).length;
  const dns = { protocol: "udp" as const, sourcePort: 41_000, targetPort: 53 };
  const echo = { protocol: "icmp" as const, identifier: 9, sequence: 1, size: 56 };
  const cause = {
    id: 7,
    ttl: 1,
    ...ends,
    body: { protocol: "udp" as const, sourcePort: 1, targetPort: 33_434, payload: "x" },
  };
  return [
    ...neighbours(ends),
    framed({ ...ends, body: segment("S", 0, 0) }),
    framed({ ...back, body: turned(segment("S.", 0, 1)) }),
    framed({ ...ends, body: segment(".", 1, 1) }),
    framed({ ...ends, body: segment("P.", 1, 1, text) }),
    framed({ ...back, body: turned(segment("F.", 1, 1 + sent)) }),
    framed({ ...ends, body: segment("R.", 1 + sent, 2) }),
    framed({ ...ends, body: { ...dns, payload: query } }),
    framed({ ...back, body: { ...dns, sourcePort: 53, targetPort: 41_000, payload: answer } }),
    framed({ ...ends, body: { ...echo, type: "echo" } }),
    framed({ ...back, body: { ...echo, type: "echo-reply" } }),
    ...errors.map((type) => framed({ ...back, body: { protocol: "icmp", type, cause, mtu: 1400 } })),
  ];
}

const available = spawnSync("tshark", ["--version"]).status === 0;

/** One line a frame with the fields asked for, as tshark reads the file with all checks on. */
function tshark(context: TestContext, frames: readonly Frame[], fields: readonly string[]): readonly string[] {
  requireOrSkip(context, available, "tshark is not installed");
  const folder = mkdtempSync(join(tmpdir(), "kubebook-pcap-"));
  try {
    const path = join(folder, "a.pcap");
    writeFileSync(
      path,
      pcapFile(
        frames.map((frame, at) => ({ at: start + at * 5, frame })),
        { encode: encodeMessage },
      ),
    );
    const checks = ["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]);
    const asked = fields.flatMap((field) => ["-e", field]);
    const read = spawnSync("tshark", [
      "-n",
      "-r",
      path,
      ...checks,
      "-d",
      "udp.port==8472,vxlan",
      "-T",
      "fields",
      ...asked,
    ]);
    expect(read.status, String(read.stderr)).toBe(0);
    return String(read.stdout).trimEnd().split("\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.each([
  ["IPv4", v4],
  ["IPv6", v6],
])("a capture of %s", (_, ends) => {
  it("is read without a malformed packet, a wrong length or a bad checksum", (context) => {
    const frames = [...everything(ends), ...everything(ends).map(inTunnel)];
    const lines = tshark(context, frames, [
      "frame.number",
      "_ws.malformed",
      "ip.checksum.status",
      "tcp.checksum.status",
      "udp.checksum.status",
      "icmp.checksum.status",
      "icmpv6.checksum.status",
      "_ws.expert.message",
    ]);
    expect(lines).toHaveLength(frames.length);
    for (const line of lines) {
      const [, malformed, ...status] = line.split("\t");
      expect(malformed, line).toBe("");
      // 0 is bad, 1 good, 3 "not present": a tunnel over IPv4 writes no UDP checksum.
      expect(status.slice(0, 5).join(","), line).toMatch(/^[13,]*$/);
      expect(line).not.toMatch(/length|bogus|checksum|truncat/i);
    }
  });

  it("shows the protocols of what was sent, in the tunnel as outside", (context) => {
    const plain = tshark(context, everything(ends), ["_ws.col.Protocol"]);
    const six = ends === v6;
    const [neighbour, icmp] = six ? ["ICMPv6", "ICMPv6"] : ["ARP", "ICMP"];
    expect(plain.slice(0, 13).join(" ")).toBe(
      `${neighbour} ${neighbour} ${neighbour} TCP TCP TCP HTTP TCP TCP DNS DNS ${icmp} ${icmp}`,
    );
    expect(tshark(context, everything(ends).map(inTunnel), ["_ws.col.Protocol"])).toEqual(plain);
  });
});

describe("what tshark reads in a capture", () => {
  it("is what the packets say: time, sequence numbers, flags", (context) => {
    const lines = tshark(context, everything(v4), [
      "frame.time_epoch",
      "tcp.seq_raw",
      "tcp.ack_raw",
      "tcp.flags.str",
      "tcp.len",
    ]);
    expect(lines.slice(3, 9).map((line) => line.split("\t").slice(1).join(" ").replace(/·+/g, "").trim())).toEqual([
      "0 0 S 0",
      "0 1 AS 0",
      "1 1 A 0",
      "1 1 AP 33",
      "1 34 AF 0",
      "34 2 AR 0",
    ]);
    expect(lines[3]?.split("\t")[0]).toMatch(/^(1767225600\.000015000|2026-01-01T00:00:00\.000015000Z)$/);
  });

  it("is the DNS message, name by name", (context) => {
    const lines = tshark(context, everything(v4), [
      "dns.qry.name",
      "dns.a",
      "dns.srv.target",
      "dns.txt",
      "dns.soa.mname",
      "dns.aaaa",
    ]);
    expect(lines[10]?.split("\t")).toEqual([
      "my-nginx.default.svc.cluster.local",
      "10.96.7.7",
      "web.default.svc.cluster.local",
      "v=1",
      "ns.dns.cluster.local",
      "fd00::7",
    ]);
  });

  it("is the error with the packet that caused it", (context) => {
    const lines = tshark(context, everything(v4), ["icmp.type", "icmp.code", "udp.dstport", "icmp.mtu"]);
    expect(lines.slice(13).map((line) => line.replaceAll("\t", " ").trim())).toEqual([
      "3 0 33434",
      "3 1 33434",
      "3 3 33434",
      "3 13 33434",
      "11 0 33434",
      "3 4 33434 1400",
    ]);
  });
});

describe.each([
  ["IPv4", v4],
  ["IPv6", v6],
])("the pieces of a packet of %s", (_, ends) => {
  it("are put together again by whoever reads the capture", (context) => {
    const payload = "x".repeat(2_000);
    const body = { protocol: "udp" as const, sourcePort: 5000, targetPort: 6000, payload };
    const packet: Packet = { id: 77, ttl: 64, ...ends, body };
    const whole = { packet, lost: false };
    const piece = (offset: number, length: number, more: boolean): Frame =>
      framed({ ...ends, body, fragment: { whole, offset, length, more } }, 77);
    const lines = tshark(
      context,
      [piece(0, 1400, true), piece(1400, 608, false)],
      ["udp.length", "udp.checksum.status"],
    );
    expect(lines.at(-1)?.split("\t")).toEqual(["2008", "1"]);
  });
});

describe("the octets of a frame", () => {
  it("are as many as the packet says it is long", () => {
    for (const frame of everything(v4)) {
      const dns =
        frame.type === "ip" && frame.packet.body.protocol === "udp" && typeof frame.packet.body.payload === "object";
      if (!dns) expect(frameBytes(frame)).toHaveLength(frameSize(frame));
    }
  });

  it("are cut where the capture keeps less, with the true length beside them", () => {
    const [frame] = everything(v4).slice(6, 7);
    if (!frame) throw new Error("no frame");
    const file = new DataView(pcapFile([{ at: start, frame }], { snapLength: 60 }).buffer);
    expect(file.byteLength).toBe(24 + 16 + 60);
    expect([file.getUint32(32), file.getUint32(36)]).toEqual([60, frameSize(frame)]);
  });

  it("carry RFC 1071's checksum, of odd lengths too", () => {
    expect(checksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(0x220d);
    expect(checksum(Uint8Array.of(0x01))).toBe(0xfeff);
  });

  it("compress names in DNS, so that an ending is written once", () => {
    expect(String.fromCharCode(...encodeDns(answer, true)).split("cluster")).toHaveLength(3);
  });
});
