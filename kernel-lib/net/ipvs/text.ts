/** Owns the text of virtual and real servers as `ipvsadm -Sn` writes them. */
import { formatSocketAddress, type Ip } from "../address";
import type { RealServer, SchedulerFlag, VirtualAddress, VirtualServer } from "./server";

const letters = { tcp: "-t", udp: "-u", sctp: "--sctp-service" } as const;

/** `-t 10.96.0.1:443`. */
function addressText({ protocol, ip, port }: VirtualAddress): string {
  return `${letters[protocol]} ${formatSocketAddress(ip, port)}`;
}

/** `TCP 10.96.0.1:443`. */
export function describeServer({ protocol, ip, port }: VirtualAddress): string {
  return `${protocol.toUpperCase()} ${formatSocketAddress(ip, port)}`;
}

/** As `ipvsadm` names the options of a scheduler: those of sh and mh have names of their own. */
export function flagNames({ scheduler, flags }: Pick<VirtualServer, "scheduler" | "flags">): readonly string[] {
  const all: readonly SchedulerFlag[] = ["fallback", "port"];
  const own = scheduler === "sh" || scheduler === "mh";
  return all
    .map((flag, at) => (flags.includes(flag) ? (own ? `${scheduler}-${flag}` : `flag-${at + 1}`) : ""))
    .filter((name) => name !== "");
}

/** `-A -t 10.96.0.1:443 -s rr -p 10800`. */
export function virtualRule(service: VirtualServer): string {
  const persistent = service.persistence === undefined ? "" : ` -p ${service.persistence / 1_000_000}`;
  const flags = flagNames(service);
  return `-A ${addressText(service)} -s ${service.scheduler}${persistent}${flags.length > 0 ? ` -b ${flags.join(",")}` : ""}`;
}

/** `-a -t 10.96.0.1:443 -r 192.168.1.10:6443 -m -w 1`. */
export function serverRule(service: VirtualAddress, server: Pick<RealServer, "ip" | "port" | "weight">): string {
  return `-a ${addressText(service)} -r ${formatSocketAddress(server.ip, server.port)} -m -w ${server.weight}`;
}

/** Real servers as `ipvsadm` lists them: by address, then by port. */
export function sortedServers({ servers }: Pick<VirtualServer, "servers">): readonly RealServer[] {
  return [...servers].sort((one, other) => byIp(one.ip, other.ip) || one.port - other.port);
}

/** Its place in that list, from 1. */
export function serverNumber(service: Pick<VirtualServer, "servers">, server: RealServer): number {
  return sortedServers(service).indexOf(server) + 1;
}

/** Orders addresses by their numbers. */
export function byIp(one: Ip, other: Ip): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
