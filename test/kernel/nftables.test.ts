/** The cluster's rules in nftables mode, beside flannel's of iptables: a real kernel and the simulator give the same answers. */
import { describe } from "vitest";
import { addToIp, formatIp, parseIp } from "../../kernel-lib/net/address";
import { caseOf } from "./casetest";
import { make, nodePorts, servicePort } from "./clusters";
import { factsOf } from "./facts";
import { judgeGroup } from "./judge";
import { probe } from "./sandbox";
import { services } from "./services";
import { addressOf, type Topology, type Version } from "./topology";
import { says, tcp, together } from "./words";
import type { Case, Group } from "./world";

const machine = await probe();

for (const design of ["vxlan", "host-gw"] as const) {
  const topology = await make(design, undefined, "nftables");
  for (const version of [4, 6] as const) {
    const facts = factsOf(design, version);
    // What these ask of the filter table, they ask of iptables: it has its say beside nftables.
    const [first, ...others] = services(topology, facts, version);
    // The first has the servers started, the last leaves a setting behind.
    const cases = [...(first ? [first] : []), ...ownCases(topology, version), ...others];
    const group: Group = { name: "nftables mode", version, rules: true, cases };
    const judged = machine.missing.base === undefined ? judgeGroup(topology, group, machine) : undefined;
    judged?.catch(() => {});
    describe(`${design}, IPv${version}, ${group.name}`, () => {
      for (const one of cases) caseOf(one, judged);
    });
  }
}

/** What nftables mode does otherwise than iptables mode, and node ports. */
function ownCases(topology: Topology, version: Version): readonly Case[] {
  const near = addressOf(topology, "near", version);
  const unallocated = formatIp(addToIp(parseIp(near), 77));
  const { cluster, local } = nodePorts;
  const port = servicePort;
  return [
    {
      name: "a wrong port of a cluster IP refuses; an address that no Service has answers nothing",
      needs: "nft",
      script: [
        together(
          tcp("a1", "near", "refused", { port: 81 }),
          tcp("node-1", "near", "refused", { port: 81 }),
          tcp("a1", unallocated, "timeout", { port }),
          tcp("node-1", unallocated, "timeout", { port }),
        ),
      ],
    },
    {
      name: "node ports: masqueraded by policy Cluster; the source kept by policy Local, where the pod is",
      needs: "conntrack",
      script: [
        tcp("workstation", "node-1", undefined, { port: cluster }),
        tcp("workstation", "node-2", undefined, { port: cluster }),
        tcp("workstation", "node-2", "b1 saw workstation", { port: local }),
        tcp("a1", "node-1", undefined, { port: cluster }),
        tcp("a1", "node-1", "b1 saw a1", { port: local }),
        tcp("node-1", "node-1", undefined, { port: cluster }),
        tcp("node-1", "node-1", undefined, { port: local }),
        together(
          tcp("workstation", "node-1", "timeout", { port: local }),
          tcp("node-1", version === 4 ? "127.0.0.1" : "::1", "refused", { port: cluster }),
          tcp("a1", "node-1", "refused", { port: 30_082 }),
        ),
        ...["node-1", "node-2"].map((at) => says({ ask: "connections", at, port: cluster })),
      ],
    },
  ];
}
