/**
 * The whole way from outside: form of load balancer × policy × mode × client × placement of endpoints, from the client by the
 * router, its ARP or its several ways, by the balancer and a node to the endpoint; as the statement has it, and as paths.md shows.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { formatIp, parseIp } from "../../../kernel-lib/net/address";
import { explainFlow, type FlowResult } from "../../../kernel-lib/net/flow";
import { type ModeName, modeNames } from "../../../kernel-lib/node/proxy/mode";
import { second } from "../../../kernel-lib/sim/clock";
import type { Policy } from "../../node/proxy/modes/matrix";
import { grid } from "../../node/proxy/modes/table";
import {
  type Client,
  clients,
  type Form,
  formsOf,
  type Ground,
  type GroundName,
  groundOf,
  grounds,
  netnsOf,
  serve,
  served,
} from "./ground";
import { meantBy } from "./statement";

interface Made extends Ground {
  vipOf(form: Form, index: number): string;
}

const made = new Map<string, Made>();
beforeAll(async () => {
  for (const mode of modeNames) {
    for (const lb of grounds) {
      const ground = await groundOf(lb, mode);
      made.set(`${lb} ${mode}`, { ...ground, vipOf: await serve(ground) });
    }
  }
}, 240_000);

function groundIn(lb: GroundName, mode: ModeName): Made {
  const found = made.get(`${lb} ${mode}`);
  if (!found) throw new Error(`no cluster with ${lb} in ${mode} mode`);
  return found;
}

interface Cell {
  readonly form: Form;
  readonly policy: Policy;
  readonly client: Client;
  readonly vip: string;
}

/** Of external IPs only those outside ask: from inside they are in the table of policies. */
function asksOf(form: Form): readonly Client[] {
  return form === "static" ? clients.slice(0, 2) : clients;
}

function cells({ lb, vipOf }: Made): readonly Cell[] {
  return formsOf[lb].flatMap((form) =>
    served[form].flatMap((policy, index) =>
      asksOf(form).map((client) => ({ form, policy, client, vip: vipOf(form, index) })),
    ),
  );
}

const known = new Map<string, readonly string[]>();

/** What becomes of it, in the statement's words. */
function found({ cluster, mode, lb }: Ground, { client, vip }: Pick<Cell, "client" | "vip">): readonly string[] {
  const key = `${mode} ${lb} ${client} ${vip}`;
  const before = known.get(key);
  if (before) return before;
  const netns = netnsOf(cluster, client.replace(/^node\//, "").replace(/^pod\//, "default/"));
  const target = parseIp(vip);
  const sent = netns.sourceFor(target);
  const flow = { protocol: "tcp", target, targetPort: 80 } as const;
  const ends = explainFlow(netns, flow, { entries: false }).map(({ outcome }) => endOf(cluster, outcome, sent));
  const all = [...new Set(ends)].sort();
  known.set(key, all);
  return all;
}

function endOf(cluster: Ground["cluster"], result: FlowResult, sent: FlowResult["source"] | undefined): string {
  const { end, netns, why, source, target, via } = result;
  const pod = ["a1", "b2"].find((name) => netns === `default/${name}` && formatIp(target) === cluster.podIp(name));
  if (end === "delivered" && pod !== undefined)
    return `${pod} sees ${source === sent ? "client" : ownerOf(cluster, source)}`;
  if (end === "rejected") return "reject";
  if (end === "refused" && via) return "hung up";
  if (end === "dropped" && (!cluster.nodes.has(netns) || why === "host unreachable")) return "nobody";
  if (end === "dropped" && why.startsWith("dropped by")) return "drop";
  return `${end} on ${netns}: ${why}`;
}

function ownerOf(cluster: Ground["cluster"], ip: FlowResult["source"]): string {
  const owner = [...cluster.nodes.values()].find(({ net }) => net.netns.routes.isLocal(ip));
  if (owner) return owner.name;
  return cluster.network.namespaces.get("load-balancer")?.routes.isLocal(ip) ? "balancer" : formatIp(ip);
}

describe.each(modeNames)("%s", { timeout: 60_000 }, (mode) => {
  test.each(grounds)(
    "%s: by whom a packet comes in, who answers, and whom they see, is what the documents say",
    (lb) => {
      const ground = groundIn(lb, mode);
      const all = cells(ground);
      const wrong = all.flatMap((cell) => {
        const said = found(ground, cell).join(", ");
        const wanted = meantBy({ ...cell, mode }).join(", ");
        const about = `${cell.form}, ${cell.policy.title}, from ${cell.client}`;
        return said === wanted ? [] : [`${about}: ${said}; the statement: ${wanted}`];
      });
      expect(wrong).toEqual([]);
      expect(all.length).toBe(lb === "metallb" ? 20 * (2 + 6 + 6) : 20 * 6);
    },
  );

  test.each(grounds)("%s: real connections of those outside meet the same", (lb) => {
    const ground = groundIn(lb, mode);
    const all = cells(ground).filter(({ client }) => client === "client" || client === "workstation");
    const ends = connected(ground, all);
    const wrong = all.flatMap((cell, at) => {
      const wanted = new Set(meantBy({ ...cell, mode }).map(seenByClient));
      const end = ends[at] ?? "";
      return wanted.has(end)
        ? []
        : [`${cell.form}, ${cell.policy.title}, from ${cell.client}: ${end}, not ${[...wanted]}`];
    });
    expect(wrong).toEqual([]);
  });
});

const patience = 8 * second;

function connected({ cluster }: Ground, all: readonly Cell[]): readonly string[] {
  const ends = all.map(() => "lost");
  const sockets = all.map(({ client, vip }, at) =>
    netnsOf(cluster, client).sockets.connectTcp(
      { ip: parseIp(vip), port: 80, timeout: patience, sourcePort: 10_000 + at },
      {
        connected: () => {
          ends[at] = "connected";
        },
        ended: () => {
          ends[at] = "hung up";
        },
        failed: (_, { outcome }) => {
          const word = outcome === "timeout" || outcome === "unreachable" ? "lost" : outcome;
          ends[at] = ends[at] === "connected" ? "hung up" : word;
        },
      },
    ),
  );
  cluster.sim.clock.advance(2 * patience);
  for (const socket of sockets) socket.abort();
  return ends;
}

function seenByClient(end: string): string {
  if (end.includes(" sees ")) return "connected";
  return end === "reject" ? "refused" : end === "hung up" ? "hung up" : "lost";
}

test("the table of balancers is as paths.md says", async () => {
  const sections = grounds.flatMap((lb) => formsOf[lb].flatMap((form) => sectionsOf(lb, form)));
  await expect(`${head}\n${sections.join("\n\n")}\n`).toMatchFileSnapshot("paths.md");
});

function sectionsOf(lb: GroundName, form: Form): readonly string[] {
  return (["Cluster", "Local"] as const).map((external) => {
    const lines = served[form].flatMap((policy, index) =>
      policy.externalPolicy === external ? linesOf(lb, form, policy, index) : [],
    );
    const title = `## ${titles[form]}, externalTrafficPolicy ${external}`;
    return `${title}\n\n${grid([["endpoints", "mode", ...asksOf(form)], ...lines])}`;
  });
}

/** The line of iptables mode, and of each mode that differs from it. */
function linesOf(lb: GroundName, form: Form, { placement }: Policy, index: number): readonly (readonly string[])[] {
  const lines = new Map<string, string[]>();
  for (const mode of modeNames) {
    const ground = groundIn(lb, mode);
    const vip = ground.vipOf(form, index);
    const line = asksOf(form).map((client) => short(found(ground, { client, vip })));
    const key = line.join("|");
    lines.set(key, [...(lines.get(key) ?? []), mode]);
  }
  return [...lines].map(([line, who], at) => [
    at === 0 ? placement : "",
    at === 0 ? "" : who.join(", "),
    ...line.split("|"),
  ]);
}

/** `a1: node-1 node-3; b2: client`: each endpoint with all that it may see. */
function short(ends: readonly string[]): string {
  const byPod = new Map<string, string[]>();
  const verdicts: string[] = [];
  for (const end of ends) {
    const [, pod, sees] = /^(\w+) sees (\S+)$/.exec(end) ?? [];
    if (pod && sees) byPod.set(pod, [...(byPod.get(pod) ?? []), sees.replace("node-", "")]);
    else verdicts.push(end);
  }
  const pods = [...byPod].map(([pod, sees]) => (sees.join() === "client" ? pod : `${pod}<${sees.join(" ")}`));
  return [...pods, ...verdicts].join(", ");
}

const titles: { readonly [form in Form]: string } = {
  static: "External IP, which the router sends to node-1 and node-3",
  layer2: "MetalLB by ARP",
  bgp: "MetalLB by BGP",
  forwarder: "A cloud's packet forwarder",
  proxy: "A cloud's proxy",
};

const head = `# The whole way from outside, in every form of load balancer and every mode

a1 and the client c1 are on node-1, b2 is on node-2, c3 on node-3. "client" is a machine beyond the router, "workstation" one on
the nodes' network. A cell names every endpoint that may get the connection: \`a1\` sees the client's own address, \`a1<1 3\` that
of node-1 or of node-3, whichever the packet came in by. \`reject\`: a node refuses; \`drop\`: a node says nothing; \`nobody\`: no
node takes it, for nobody announces the address; \`hung up\`: a proxy takes the connection, finds nobody, and ends it. A line with
modes is theirs; the first is that of all others.
`;
