/** Owns what a capture in the cluster promises: the frames of one device while something ran, as a table and as a file. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bundleOf } from "../../kernel-lib/cluster/display";
import { requireOrSkip } from "../judges";
import { withPods } from "./withpods";

describe("a capture", () => {
  it("holds what passed the device while it ran, and nothing after", async () => {
    const cluster = await withPods({ seed: 5 });
    const question = { from: "pod/client", to: "pod/web-1", protocol: "icmp" } as const;
    const seen = await cluster.capture({ node: "node-1", device: "flannel.1" }, () => cluster.trace(question));
    const count = seen.frames.length;
    await cluster.trace(question);
    expect(seen.frames).toHaveLength(count);
    const ways = seen.frames.map(({ direction, frame }) => {
      const body = frame.type === "ip" ? frame.packet.body : undefined;
      return `${direction} ${body?.protocol === "icmp" ? body.type : frame.type}`;
    });
    expect(ways).toEqual(["out echo", "in echo-reply"]);
    expect((await bundleOf(seen))["text/plain"]).toContain("2 frames at flannel.1 of node/node-1");
  });

  it("is read by tshark: HTTP inside VXLAN, no checksum bad, nothing malformed", async (context) => {
    requireOrSkip(context, spawnSync("tshark", ["--version"]).status === 0, "tshark is not installed");
    const cluster = await withPods({ seed: 5 });
    const seen = await cluster.capture({ node: "node-2" }, () =>
      cluster.trace({ from: "pod/client", to: "svc/web:80" }),
    );
    const folder = mkdtempSync(join(tmpdir(), "kubebook-capture-"));
    try {
      const file = join(folder, "node-2.pcap");
      writeFileSync(file, seen.pcap());
      const checks = ["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]);
      const read = (...more: readonly string[]): string =>
        String(spawnSync("tshark", ["-n", "-r", file, "-d", "udp.port==8472,vxlan", ...checks, ...more]).stdout);
      expect(read("-Y", "vxlan && http.request", "-T", "fields", "-e", "http.request.method").trim()).toBe("GET");
      expect(read("-Y", "vxlan && http.response", "-T", "fields", "-e", "http.response.code").trim()).toBe("200");
      expect(
        read("-Y", "_ws.malformed || ip.checksum.status==0 || tcp.checksum.status==0 || udp.checksum.status==0"),
      ).toBe("");
      expect(read("-Y", "tcp.analysis.flags")).toBe("");
      expect(read().trimEnd().split("\n")).toHaveLength(seen.frames.length);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("says what is wrong with where it is asked to look", async () => {
    const cluster = await withPods({ seed: 5 });
    const nothing = (): void => undefined;
    await expect(cluster.capture({ node: "node-9" }, nothing)).rejects.toThrow('nodes "node-9" not found');
    await expect(cluster.capture({ pod: "client", device: "eth7" }, nothing)).rejects.toThrow(
      'Cannot find device "eth7"',
    );
  });
});
