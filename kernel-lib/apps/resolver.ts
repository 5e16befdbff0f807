/** Owns the stub resolver of a program: /etc/hosts, /etc/resolv.conf, the search path, time-outs and retries. */
import { parseIp, tryParseIp } from "../net/address";
import type { Netns } from "../net/netns";
import type { UdpSocket } from "../net/socket";
import { second, type Time } from "../sim/clock";
import type { Random } from "../sim/random";
import { type DnsMessage, isDns, type RecordType } from "./dns";
import { dnsQuery } from "./dnsmessage";
import type { Files } from "./files";

/** What /etc/resolv.conf says (resolv.conf(5)). */
export interface ResolverConfig {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  /** A name with at least so many dots is tried as it is first. */
  readonly ndots: number;
  readonly timeout: Time;
  readonly attempts: number;
}

/** Reads /etc/resolv.conf; without one the host itself is asked, as in life. */
export function parseResolvConf(text: string): ResolverConfig {
  let servers: string[] = [];
  let search: string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [word, ...rest] = line
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    if (word === "nameserver" && rest[0] !== undefined) servers = [...servers, rest[0]].slice(0, 3);
    else if (word === "search") search = rest;
    else if (word === "domain") search = rest.slice(0, 1);
    else if (word === "options") for (const option of rest) options.set(...pair(option));
  }
  const figure = (name: string, usual: number): number => {
    const value = Number.parseInt(options.get(name) ?? "", 10);
    return Number.isNaN(value) ? usual : value;
  };
  return {
    servers: servers.length > 0 ? servers : ["127.0.0.1"],
    search,
    ndots: figure("ndots", 1),
    timeout: figure("timeout", 5) * second,
    attempts: figure("attempts", 2),
  };
}

function pair(option: string): [string, string] {
  const colon = option.indexOf(":");
  return colon < 0 ? [option, ""] : [option.slice(0, colon), option.slice(colon + 1)];
}

/** The names that are asked for one after another, each with its last dot. */
export function candidates(
  name: string,
  { search, ndots }: Pick<ResolverConfig, "search" | "ndots">,
): readonly string[] {
  if (name.endsWith(".")) return [name];
  const asIs = `${name}.`;
  const searched = search.map((domain) => `${name}.${domain.replace(/\.$/, "")}.`);
  const dots = name.split(".").length - 1;
  return dots >= ndots ? [asIs, ...searched] : [...searched, asIs];
}

/** What resolving comes to. */
export type Resolution =
  | { readonly result: "answer"; readonly server: string; readonly message: DnsMessage }
  /** The last of the candidates' answers: NXDOMAIN, or a name without a record of the type. */
  | { readonly result: "none"; readonly server: string; readonly message: DnsMessage }
  | { readonly result: "timeout" }
  | { readonly result: "refused"; readonly server: string };

/** Where somebody asks from. */
export interface Asker {
  readonly netns: Netns;
  readonly random: Random;
  readonly owner?: string;
}

/**
 * Asks one server or several for a name exactly as given, `attempts` times each with a time-out (res_send(3)).
 * @param done called once, from the clock
 */
export function query(
  asker: Asker,
  name: string,
  type: RecordType,
  config: Pick<ResolverConfig, "servers" | "timeout" | "attempts">,
  done: (resolution: Resolution) => void,
): { cancel(): void } {
  const { clock } = asker.netns.network.sim;
  const tries = Array.from({ length: config.attempts }, () => config.servers).flat();
  let socket: UdpSocket | undefined;
  let timer: { cancel(): void } | undefined;
  const stop = (): void => {
    timer?.cancel();
    socket?.close();
    socket = undefined;
  };
  const finish = (resolution: Resolution): void => {
    stop();
    done(resolution);
  };
  const ask = (at: number): void => {
    const server = tries[at];
    if (server === undefined) {
      finish({ result: "timeout" });
      return;
    }
    const message = dnsQuery(asker.random.integer(0, 65_535), { name, type });
    const next = (): void => {
      stop();
      ask(at + 1);
    };
    const peer = { ip: parseIp(server), port: 53 };
    socket = asker.netns.sockets.openUdp(
      { peer, ...(asker.owner !== undefined && { owner: asker.owner }) },
      {
        received(_socket, { payload }) {
          if (!isDns(payload) || !payload.response || payload.id !== message.id) return;
          finish({ result: payload.answers.length > 0 ? "answer" : "none", server, message: payload });
        },
        failed() {
          if (at + 1 < tries.length) next();
          else finish({ result: "refused", server });
        },
      },
    );
    timer = clock.after(config.timeout, next);
    socket.send(message);
  };
  timer = clock.after(0, () => ask(0));
  return { cancel: stop };
}

/** Tries the candidates of a name one after another, until one has an answer. */
export function resolve(
  asker: Asker,
  name: string,
  type: RecordType,
  config: ResolverConfig,
  done: (resolution: Resolution) => void,
): { cancel(): void } {
  const names = candidates(name, config);
  let running: { cancel(): void } | undefined;
  const ask = (at: number): void => {
    running = query(asker, names[at] ?? name, type, config, (resolution) => {
      if (resolution.result !== "none" || at + 1 >= names.length) done(resolution);
      else ask(at + 1);
    });
  };
  ask(0);
  return { cancel: () => running?.cancel() };
}

/** How a host name came to be an address, or why not (in the words of gai_strerror(3)). */
export type HostLookup =
  | { readonly ip: string; readonly canonicalName: string }
  | { readonly problem: "Name or service not known" | "Temporary failure in name resolution" };

/** getaddrinfo(3), for IPv4: an address as it is, /etc/hosts, then DNS. */
export function lookupHost(
  asker: Asker & { readonly files: Files },
  host: string,
  done: (found: HostLookup) => void,
): { cancel(): void } {
  const { clock } = asker.netns.network.sim;
  const known = tryParseIp(host) !== undefined ? host : hostsEntry(asker.files.read("/etc/hosts") ?? "", host);
  if (known !== undefined) return clock.after(0, () => done({ ip: known, canonicalName: host }));
  const config = parseResolvConf(asker.files.read("/etc/resolv.conf") ?? "");
  return resolve(asker, host, "A", config, (resolution) => {
    if (resolution.result !== "answer") {
      const gone = resolution.result === "none" && resolution.message.rcode !== "SERVFAIL";
      done({ problem: gone ? "Name or service not known" : "Temporary failure in name resolution" });
      return;
    }
    const address = resolution.message.answers.find((record) => record.type === "A");
    if (address) done({ ip: address.data, canonicalName: address.name.replace(/\.$/, "") });
    else done({ problem: "Name or service not known" });
  });
}

/** The IPv4 address that /etc/hosts has for a name. */
export function hostsEntry(hosts: string, name: string): string | undefined {
  for (const line of hosts.split("\n")) {
    const [ip, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (ip !== undefined && !ip.includes(":") && names.includes(name)) return ip;
  }
  return undefined;
}
