/** Owns the stub resolver of a program: /etc/hosts, /etc/resolv.conf, the search path, time-outs and retries. */
import { tryParseIp } from "../net/address";
import { second, type Time } from "../sim/clock";
import { type DnsMessage, nameProblem, type Question, type Rcode, type RecordType } from "./dns";
import { type Asker, type ExchangeOptions, exchange } from "./dnsexchange";
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

/** How servers are asked. */
export type QueryConfig = Pick<ResolverConfig, "servers" | "timeout" | "attempts"> & {
  /** A server that fails (SERVFAIL, REFUSED, NOTIMP) has answered; else the next one is asked, as the C library does. */
  readonly failureAnswers?: boolean;
  /** Default 53. */
  readonly port?: number;
} & Omit<ExchangeOptions, "timeout">;

/** Answers with these mean that another server may know (res_send(3)). */
const failures: readonly Rcode[] = ["SERVFAIL", "REFUSED", "NOTIMP"];

/**
 * Asks one server or several for a name exactly as given, `attempts` times each with a time-out (res_send(3)).
 * @param done called once, from the clock
 */
export function query(
  asker: Asker,
  name: string,
  type: RecordType,
  config: QueryConfig,
  done: (resolution: Resolution) => void,
): { cancel(): void } {
  return queryAll(asker, [{ name, type }], config, (found) => {
    const [message] = "messages" in found ? found.messages : [];
    if (!("messages" in found)) done(found);
    else if (message) done({ result: message.answers.length > 0 ? "answer" : "none", server: found.server, message });
  });
}

type Answers =
  | { readonly server: string; readonly messages: readonly DnsMessage[] }
  | Extract<Resolution, { readonly result: "timeout" | "refused" }>;

/** Several questions at once, from one socket, as the C library asks for A and AAAA. */
function queryAll(
  asker: Asker,
  questions: readonly Question[],
  config: QueryConfig,
  done: (found: Answers) => void,
): { cancel(): void } {
  const tries = Array.from({ length: config.attempts }, () => config.servers).flat();
  let running: { cancel(): void } | undefined;
  let failure: Answers | undefined;
  const ask = (at: number): void => {
    const server = tries[at];
    if (server === undefined) {
      done(failure ?? { result: "timeout" });
      return;
    }
    const last = at + 1 >= tries.length;
    running = exchange(asker, { ip: server, port: config.port ?? 53 }, questions, config, (outcome) => {
      if (outcome.result === "answers") {
        const failed = outcome.messages.some(({ rcode }) => failures.includes(rcode));
        if (!failed || config.failureAnswers || last) done({ server, messages: outcome.messages });
        else {
          failure = { server, messages: outcome.messages };
          ask(at + 1);
        }
      } else if (outcome.result === "timeout" || !last) ask(at + 1);
      else done(failure ?? { result: "refused", server });
    });
  };
  const { clock } = asker.netns.network.sim;
  const begin = clock.after(0, () => ask(0));
  return {
    cancel: () => {
      begin.cancel();
      running?.cancel();
    },
  };
}

/**
 * Whether a candidate is the name as it is, before the search list: after it the list is tried whatever came of it, while
 * nobody's answer within the list ends the search (res_nsearch of glibc).
 */
function isBeforeSearch(name: string, at: number, names: readonly string[]): boolean {
  return at === 0 && names.length > 1 && names[0] === `${name}.`;
}

/** Tries the candidates of a name one after another, until one has an answer. */
export function resolve(
  asker: Asker,
  name: string,
  type: RecordType,
  config: ResolverConfig & QueryConfig,
  done: (resolution: Resolution) => void,
): { cancel(): void } {
  const names = candidates(name, config);
  let running: { cancel(): void } | undefined;
  const ask = (at: number): void => {
    running = query(asker, names[at] ?? name, type, config, (resolution) => {
      const { result } = resolution;
      const goesOn = result === "none" || (result !== "answer" && isBeforeSearch(name, at, names));
      if (goesOn && at + 1 < names.length) ask(at + 1);
      else done(resolution);
    });
  };
  ask(0);
  return { cancel: () => running?.cancel() };
}

/** How a host name came to be an address, or why not (in the words of gai_strerror(3)). */
export type HostLookup =
  | { readonly ip: string; readonly canonicalName: string }
  | { readonly problem: "Name or service not known" | "Temporary failure in name resolution" };

/** getaddrinfo(3): an address as it is, /etc/hosts, then DNS: A and AAAA of each candidate. An IPv4 address comes first. */
export function lookupHost(
  asker: Asker & { readonly files: Files },
  host: string,
  done: (found: HostLookup) => void,
): { cancel(): void } {
  const { clock } = asker.netns.network.sim;
  const known = tryParseIp(host) !== undefined ? host : hostsEntry(asker.files.read("/etc/hosts") ?? "", host);
  if (known !== undefined) return clock.after(0, () => done({ ip: known, canonicalName: host }));
  if (nameProblem(host) !== undefined) return clock.after(0, () => done({ problem: "Name or service not known" }));
  const config = parseResolvConf(asker.files.read("/etc/resolv.conf") ?? "");
  const names = candidates(host, config);
  let failed = false;
  let running: { cancel(): void } | undefined;
  const ask = (at: number): void => {
    const name = names[at] ?? host;
    const both = [{ name, type: "A" } as const, { name, type: "AAAA" } as const];
    running = queryAll(asker, both, config, (found) => {
      if (!("messages" in found)) {
        failed = true;
        if (isBeforeSearch(host, at, names) && at + 1 < names.length) ask(at + 1);
        else done({ problem: "Temporary failure in name resolution" });
        return;
      }
      failed ||= found.messages.some(({ rcode }) => failures.includes(rcode));
      const records = found.messages.flatMap(({ answers }) => answers);
      const address = records.find(({ type }) => type === "A") ?? records.find(({ type }) => type === "AAAA");
      if (address) done({ ip: address.data, canonicalName: address.name.replace(/\.$/, "") });
      else if (at + 1 < names.length) ask(at + 1);
      else done({ problem: failed ? "Temporary failure in name resolution" : "Name or service not known" });
    });
  };
  ask(0);
  return { cancel: () => running?.cancel() };
}

/** The IPv4 address that /etc/hosts has for a name. */
export function hostsEntry(hosts: string, name: string): string | undefined {
  for (const line of hosts.split("\n")) {
    const [ip, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (ip !== undefined && !ip.includes(":") && names.includes(name)) return ip;
  }
  return undefined;
}
