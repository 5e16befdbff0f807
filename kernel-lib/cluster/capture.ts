/** Owns captures: the frames at one device while something runs, to be read here or in Wireshark. */
import { encodeMessage } from "../apps/dnswire";
import { type Frame, isVxlan } from "../net/packet";
import { describePacket } from "../net/packetdata";
import { pcapFile } from "../net/pcap";
import type { Time } from "../sim/clock";
import { displayable, type MimeBundle } from "./display";
import { counted } from "./drawing";
import { type Ground, readSource } from "./question";
import { tableHtml, tableText } from "./table";

/** Where to look: `node: "node-1"` or `pod: "curl"`, or a machine outside; at its `eth0` unless another device is named. */
export type CaptureAt = (
  | { readonly node: string }
  | { readonly pod: string }
  | { readonly machine: "workstation" | "client" | "router" }
) & { readonly device?: string };

/** A frame that passed. */
export interface SeenFrame {
  /** Microseconds since 1970-01-01T00:00:00Z, of the cluster's time. */
  readonly at: Time;
  readonly direction: "in" | "out";
  readonly frame: Frame;
}

/** What was seen; shows itself as a table. */
export interface Capture {
  readonly where: string;
  readonly device: string;
  readonly frames: readonly SeenFrame[];
  /** The octets of a capture file: `writeFileSync("a.pcap", capture.pcap())`, then open it in Wireshark. */
  pcap(): Uint8Array;
}

/**
 * Sees every frame at a device while `run` runs.
 * @throws Error if there is no such place, RangeError if it has no such device
 */
export async function capture(ground: Ground, at: CaptureAt, run: () => unknown): Promise<Capture> {
  const where = "node" in at ? `node/${at.node}` : "pod" in at ? `pod/${at.pod}` : at.machine;
  const device = at.device ?? "eth0";
  const frames: SeenFrame[] = [];
  const tap = readSource(ground, where)
    .device(device)
    .tap((frame, direction, time) => frames.push({ at: time, direction, frame }));
  try {
    await run();
  } finally {
    tap.stop();
  }
  return show({ where, device, frames, pcap: () => pcapFile(frames, { encode: encodeMessage }) });
}

function show(found: Capture): Capture {
  const { where, device, frames } = found;
  const caption = `${counted(frames.length, "frame")} at ${device} of ${where}`;
  const begin = frames[0]?.at ?? 0;
  const columns = [{ title: "µs", align: "right" as const }, { title: "" }, { title: "frame" }, { title: "packet" }];
  const rows = frames.map(({ at, direction, frame }) => [
    String(at - begin),
    direction,
    `${frame.source} → ${frame.target}`,
    contentOf(frame),
  ]);
  const text = (): string => tableText(caption, { columns, rows });
  const bundle = (): MimeBundle => ({ "text/html": tableHtml(caption, { columns, rows }), "text/plain": text() });
  return displayable(found, bundle, text);
}

function contentOf(frame: Frame): string {
  switch (frame.type) {
    case "arp":
      return `ARP ${frame.arp.operation}`;
    case "nd":
      return `ICMPv6 neighbour ${frame.nd.operation}`;
    case "ip": {
      const { body } = frame.packet;
      const outside = describePacket(frame.packet);
      if (body.protocol !== "udp" || !isVxlan(body.payload)) return outside;
      return `${outside}, VXLAN ${body.payload.vni}: ${contentOf(body.payload.frame)}`;
    }
  }
}
