/** Owns capture files, as tcpdump writes and Wireshark opens them (libpcap's classic format, pcap-savefile(5)). */
import type { Time } from "../sim/clock";
import { Octets } from "./bytes";
import { type Encode, frameBytes } from "./framebytes";
import type { Frame } from "./packet";

/** A frame, and when it was seen: microseconds since 1970-01-01T00:00:00Z. */
export interface CapturedFrame {
  readonly at: Time;
  readonly frame: Frame;
}

export interface PcapOptions {
  /** Octets kept of each frame; 262,144 unless given, as tcpdump has it. */
  readonly snapLength?: number;
  /** Writes messages of protocols above UDP, of which `net` knows nothing; see `encodeMessage` of apps/dnswire.ts. */
  readonly encode?: Encode;
}

const linkTypeEthernet = 1;

/** The file: a header, then each frame with its time to the microsecond. The same frames give the same octets. */
export function pcapFile(frames: Iterable<CapturedFrame>, options: PcapOptions = {}): Uint8Array {
  const { snapLength = 262_144, encode } = options;
  const file = new Octets().u32(0xa1b2_c3d4).u16(2, 4).u32(0).u32(0).u32(snapLength).u32(linkTypeEthernet);
  for (const { at, frame } of frames) {
    const bytes = frameBytes(frame, encode);
    const kept = bytes.length > snapLength ? bytes.slice(0, snapLength) : bytes;
    file.u32(Math.floor(at / 1_000_000)).u32(at % 1_000_000);
    file.u32(kept.length).u32(bytes.length).raw(kept);
  }
  return file.bytes();
}
