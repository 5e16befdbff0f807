import { servicePort } from "./clusters";
import type { DesignFacts } from "./facts";
import { hostEnd, machineOf, type Topology, type Version } from "./topology";
import { hops, ping, says, serve, tcp, together, udp } from "./words";
import type { Case, Step } from "./world";

/** With the rules that the cluster's daemons have written. */
export function services(topology: Topology, { nodeSource }: DesignFacts, version: Version): readonly Case[] {
  const port = servicePort;
  if (topology.names.far?.[version] === undefined) return [];
  const own = hostEnd(topology, "a1");
  const bridged = machineOf(topology, own.machine).devices.find(({ name }) => name === own.device)?.master;
  const reflect = (on: boolean): Step => ({ step: "hairpin", at: own.machine, device: own.device, on });
  const block = (how: string): Step => ({
    step: "rule",
    at: "node-2",
    chain: "FORWARD",
    rule: `-p tcp --dport 80 -j ${how}`,
  });
  const reset = "REJECT --reject-with tcp-reset";
  return [
    {
      name: "through a Service the source stays, unless the pod reaches itself; nobody behind it refuses",
      needs: "conntrack",
      script: [
        ...serve("a1", "a2", "b1", "node-2", "workstation"),
        tcp("a1", "far", "b1 saw a1", { port }),
        tcp("a1", "near", "a2 saw a1", { port }),
        tcp("b1", "near", "a2 saw b1", { port }),
        tcp("a1", "self", undefined, { port }),
        tcp("a1", "none", "refused", { port }),
        tcp("node-1", "none", "refused", { port }),
        tcp("node-1", "far", `b1 saw ${nodeSource}`, { port }),
        tcp("node-1", "near", undefined, { port }),
        together(
          tcp("workstation", "far", undefined, { port }),
          ping("a1", "far"),
          tcp("a1", "far", undefined, { port: 81 }),
        ),
        ...["node-1", "node-2"].map((at) => says({ ask: "connections", at, port })),
      ],
    },
    {
      name: "pods keep their address among pods, and have their node's outside",
      needs: "iptables",
      script: [
        tcp("a1", "b1", "b1 saw a1"),
        tcp("a1", "a2", "a2 saw a1"),
        together(tcp("a1", "node-2"), tcp("a1", "workstation"), tcp("workstation", "b1"), tcp("workstation", "a1")),
        together(hops("a1", "b1"), hops("a1", "workstation"), udp("a1", "b1", undefined, { size: 4000 })),
      ],
    },
    {
      name: "rules that drop, refuse and reset",
      needs: "iptables",
      script: [
        block("DROP"),
        tcp("a1", "b1", "timeout"),
        block("REJECT"),
        tcp("a1", "b1"),
        block(reset),
        tcp("a1", "b1"),
        ...["DROP", "REJECT", reset].map((how) => ({ ...block(how), step: "delete rule" }) as Step),
        tcp("a1", "b1", "b1 saw a1"),
      ],
    },
    ...(bridged === undefined
      ? []
      : ([
          {
            name: "a pod that reaches itself through its Service needs its bridge to send back",
            needs: "iptables",
            script: [
              reflect(false),
              tcp("a1", "self", "timeout", { port }),
              reflect(true),
              tcp("a1", "self", undefined, { port }),
            ],
          },
          {
            name: "without bridge-nf-call-iptables an answer of the same node comes back from a stranger",
            needs: "iptables",
            script: [
              { step: "bridge-nf-call-iptables", at: "node-1", on: false },
              tcp("a1", "near", undefined, { port }),
              tcp("a1", "far", undefined, { port }),
            ],
          },
        ] satisfies readonly Case[])),
  ];
}
