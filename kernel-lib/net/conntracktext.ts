/** Owns the line of a connection, as `conntrack -L` (1.4.7) and /proc/net/nf_conntrack print it. */
import { second, type Time } from "../sim/clock";
import { formatIp } from "./address";
import type { Connection, Tuple } from "./conntrack";

const numbers = { tcp: 6, udp: 17, sctp: 132, icmp: 1 } as const;

/**
 * `tcp      6 86399 ESTABLISHED src=… dst=… sport=… dport=… src=… dst=… sport=… dport=… [ASSURED] mark=0 use=1`
 * @param now the seconds that are left are counted from here
 */
export function connectionText(connection: Connection, now: Time): string {
  const { original, reply, tcp, seenReply, assured, mark } = connection;
  const left = Math.max(0, Math.floor((connection.expires - now) / second));
  const words = [`${protocolText(original)} ${left}`];
  if (tcp) words.push(tcp);
  words.push(tupleText(original, 8, 128));
  if (!seenReply) words.push("[UNREPLIED]");
  words.push(tupleText(reply, 0, 129));
  if (assured) words.push("[ASSURED]");
  words.push(`mark=${mark}`, "use=1");
  return words.join(" ");
}

/** The first two columns: `tcp      6`, `icmpv6   58`. */
function protocolText({ protocol, source }: Tuple): string {
  if (protocol === "icmp" && typeof source === "bigint") return "icmpv6   58";
  return `${protocol.padEnd(8)} ${numbers[protocol]}`;
}

function tupleText(tuple: Tuple, type: number, type6: number): string {
  const ends = `src=${formatIp(tuple.source)} dst=${formatIp(tuple.target)}`;
  if (tuple.protocol !== "icmp") return `${ends} sport=${tuple.sourcePort} dport=${tuple.targetPort}`;
  return `${ends} type=${typeof tuple.source === "number" ? type : type6} code=0 id=${tuple.sourcePort}`;
}
