/** Owns what the cluster's DNS servers were asked while something ran: every query with its answer, as data and as a table. */
import type { Store } from "../api/store";
import type { DnsQueryNote } from "../apps/dns";
import type { Time } from "../sim/clock";
import type { Entry } from "../sim/journal";
import type { Sim } from "../sim/sim";
import { displayable, type MimeBundle } from "./display";
import { tableHtml, tableText } from "./table";

/** One query, when it was answered. */
export interface DnsQuery {
  /** Microseconds since 1970-01-01T00:00:00Z, of the cluster's time. */
  readonly at: Time;
  /** Who asked: `pod/default/box`, `node/node-1`, or the address of somebody else. */
  readonly from: string;
  /** Which CoreDNS pod answered. */
  readonly server: string;
  readonly transport: "udp" | "tcp";
  /** With its last dot. */
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  /** The answer's data: addresses, names. */
  readonly answers: readonly string[];
}

/** All of them, in the order in which they were answered; shows itself as a table. */
export interface DnsQueries {
  readonly queries: readonly DnsQuery[];
}

/** What it looks at. */
export interface DnsGround {
  readonly sim: Sim;
  readonly store: Store;
}

/** Collects every query that a DNS server of the cluster answers while `run` runs. */
export async function dnsQueries(ground: DnsGround, run: () => unknown): Promise<DnsQueries> {
  const queries: DnsQuery[] = [];
  const reader = ground.sim.journal.follow((entry) => {
    const note = noteOf(entry);
    if (!note) return;
    const { client, server, transport, name, type, rcode, answers } = note;
    queries.push({ at: entry.at, from: placeOf(ground.store, client), server, transport, name, type, rcode, answers });
  });
  try {
    await run();
  } finally {
    reader.stop();
  }
  return show({ queries });
}

function noteOf({ detail }: Entry): DnsQueryNote | undefined {
  const note = detail as Partial<DnsQueryNote> | undefined;
  return note?.kind === "dns-query" ? (note as DnsQueryNote) : undefined;
}

function placeOf(store: Store, ip: string): string {
  const nodes = store.list("Node").filter(({ status }) => status.addresses?.some(({ address }) => address === ip));
  const [node] = nodes;
  if (node) return `node/${node.metadata.name}`;
  const pod = store.list("Pod").find(({ status }) => status.podIPs?.some((each) => each.ip === ip));
  return pod ? `pod/${pod.metadata.namespace}/${pod.metadata.name}` : ip;
}

function show(found: DnsQueries): DnsQueries {
  const { queries } = found;
  const caption = `${queries.length} DNS ${queries.length === 1 ? "query" : "queries"}`;
  const begin = queries[0]?.at ?? 0;
  const titles = ["from", "server", "name", "type", "answer"];
  const columns = [{ title: "µs", align: "right" as const }, ...titles.map((title) => ({ title }))];
  const rows = queries.map(({ at, from, server, transport, name, type, rcode, answers }) => {
    const answer = rcode === "NOERROR" ? answers.join(", ") || "no such record" : rcode;
    return [String(at - begin), from, server, name, transport === "tcp" ? `${type} (TCP)` : type, answer];
  });
  const text = (): string => tableText(caption, { columns, rows });
  const bundle = (): MimeBundle => ({ "text/html": tableHtml(caption, { columns, rows }), "text/plain": text() });
  return displayable(found, bundle, text);
}
