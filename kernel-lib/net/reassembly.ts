/** Owns where pieces of a packet wait for one another: where it ends, and where rules want to see the whole (nf_defrag_ipv4). */
import { family } from "./address";
import type { Device } from "./device";
import type { Fragments } from "./fragments";
import type { Netns } from "./netns";
import type { Passage } from "./passage";

/** A piece that came in by a device: it goes on alone where nobody wants the whole. */
export function reassemble(netns: Netns, fragments: Fragments, passage: Passage, device: Device): void {
  const { packet } = passage;
  const rules = netns.netfilter.functions("prerouting", family(packet.target)).length > 0;
  if (!netns.routes.isLocal(packet.target) && !rules) {
    netns.enter(passage, device);
    return;
  }
  const whole = fragments.gather(packet, netns.network.sim.clock.now);
  netns.end(passage, "consume", "ip", whole ? "the last piece: put together" : "a piece: held until all are there");
  if (!whole) return;
  const next = netns.passage(whole, device.name);
  if (netns.hook("prerouting", next)) netns.enter(next, device);
}
