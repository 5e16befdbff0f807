/** Owns the matches of iptables that ask other parts of the kernel: ipsets, the bridge, IPVS. */
import type { Netns } from "./netns";
import type { Match } from "./rule";
import type { Test } from "./rulematch";
import { isInverted } from "./ruletext";

type Foreign = Extract<Match, { match: "set" | "physdev" | "ipvs" }>;

/** The test of such a match. A set is looked up by its name for each packet: it may be swapped, or changed. */
export function foreignTest(match: Foreign, netns: Netns): Test {
  switch (match.match) {
    case "set": {
      const { ipsets } = netns;
      const not = match.not ?? false;
      return (passage) => {
        if (passage.walked) passage.walked.lookups++;
        return (ipsets.get(match.set)?.matches(passage.packet, match.directions) ?? false) !== not;
      };
    }
    case "physdev": {
      const wanted = !isInverted(match.isIn);
      return (passage) => (passage.bridgePort !== undefined) === wanted;
    }
    case "ipvs":
      return ({ ipvs }) =>
        ipvs !== undefined &&
        (match.protocol === undefined || ipvs.protocol === match.protocol) &&
        (match.ip === undefined || ipvs.virtualIp === match.ip) &&
        (match.port === undefined || ipvs.virtualPort === match.port);
  }
}
