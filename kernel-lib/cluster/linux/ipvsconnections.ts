/** Owns the text of IPVS's connections, as `ipvsadm -Lnc` prints them. */
import { formatSocketAddress } from "../../net/address";
import type { IpvsConnection } from "../../net/ipvs/connection";
import type { Ipvs } from "../../net/ipvs/ipvs";
import { second, type Time } from "../../sim/clock";

/** All connections and templates, in the order in which they began. */
export function connectionsText({ connections }: Ipvs, now: Time): string {
  const title = row("pro", "expire", "state", "source", "virtual", "destination");
  const rows = connections.list().map((connection) => connectionRow(connection, now));
  return `IPVS connection entries\n${[title, ...rows].map((line) => `${line}\n`).join("")}`;
}

function connectionRow(connection: IpvsConnection, now: Time): string {
  const { protocol, clientIp, clientPort, virtualIp, virtualPort, server, state } = connection;
  return row(
    protocol.toUpperCase(),
    expiry(Math.floor(Math.max(0, connection.expires - now) / second)),
    state,
    formatSocketAddress(clientIp, clientPort),
    formatSocketAddress(virtualIp, virtualPort),
    formatSocketAddress(server.ip, server.port),
  );
}

/** Minutes and seconds. */
function expiry(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}

function row(protocol: string, expire: string, state: string, source: string, virtual: string, to: string): string {
  return `${protocol.padEnd(3)} ${expire.padEnd(6)} ${state.padEnd(11)} ${source.padEnd(18)} ${virtual.padEnd(18)} ${to}`;
}
