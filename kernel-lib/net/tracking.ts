/** Owns how connection tracking sits on a namespace's hooks: first and last, with Linux's priorities. */
import { type Family, formatSocketAddress } from "./address";
import type { Connection, Tuple } from "./conntrack";
import { type HookFunction, priority, type Verdict } from "./netfilter";
import type { Netns } from "./netns";
import type { Passage } from "./passage";

const tracking = new WeakMap<Netns, Set<Family>>();

/**
 * Every packet of a family gets its connection where it enters, and a new connection is kept where its first packet
 * leaves, from the first time that this is asked for.
 */
export function trackConnections(netns: Netns, family: Family): void {
  const families = tracking.get(netns) ?? new Set();
  if (families.has(family)) return;
  tracking.set(netns, families.add(family));
  const enter = (hook: HookFunction["hook"]): HookFunction => ({
    name: "conntrack",
    hook,
    priority: priority.conntrack,
    family,
    run(passage) {
      // Met conntrack before: over lo, or sent through output by IPVS after input.
      if (passage.connection || passage.ipvs) return "accept";
      const tracked = netns.conntrack.track(passage.packet, passage.dry);
      if (tracked === "full") {
        passage.why = "nf_conntrack: table full, dropping packet";
        return "drop";
      }
      passage.state = tracked.state;
      if (tracked.connection) {
        passage.connection = tracked.connection;
        passage.direction = tracked.direction;
      }
      if (passage.watched) noteLookup(passage);
      return "accept";
    },
  });
  const leave = (hook: HookFunction["hook"]): HookFunction => ({
    name: "conntrack confirm",
    hook,
    priority: priority.confirm,
    family,
    run(passage) {
      const { connection } = passage;
      if (!connection || connection.confirmed || passage.dry) return "accept";
      return keep(netns, passage, connection);
    },
  });
  for (const hook of ["prerouting", "output"] as const) netns.netfilter.add(enter(hook));
  for (const hook of ["input", "postrouting"] as const) netns.netfilter.add(leave(hook));
}

function keep(netns: Netns, passage: Passage, connection: Connection): Verdict {
  if (!netns.conntrack.confirm(connection)) return "drop";
  passage.began((end) => netns.conntrack.conclude(connection, end));
  return "accept";
}

function noteLookup(passage: Passage): void {
  passage.note("conntrack", "conntrack", () => describeLookup(passage));
}

function describeLookup({ connection, direction, state }: Passage): string {
  if (!connection) return "conntrack: fits no connection (INVALID)";
  if (!connection.confirmed) return "conntrack: a new connection";
  return `conntrack: ${state}, ${direction === "reply" ? "a reply" : "the original direction"} of ${describeConnection(connection)}`;
}

/** `10.244.1.2:41000 → 10.96.0.10:80, answered by 10.244.2.3:80`. */
export function describeConnection(connection: Connection): string {
  const { original, reply } = connection;
  const asked = `${end(original, "source")} → ${end(original, "target")}`;
  if (reply.source === original.target && reply.sourcePort === original.targetPort) return asked;
  return `${asked}, answered by ${end(reply, "source")}`;
}

function end(tuple: Tuple, which: "source" | "target"): string {
  return which === "source"
    ? formatSocketAddress(tuple.source, tuple.sourcePort)
    : formatSocketAddress(tuple.target, tuple.targetPort);
}
