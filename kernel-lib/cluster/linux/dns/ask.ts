/** Owns how DNS tools ask: BIND's way through servers and the search list, and what is said when nobody answers. */
import { type DnsMessage, nameProblem, type RecordType } from "../../../apps/dns";
import { type ExchangeOptions, exchange } from "../../../apps/dnsexchange";
import { candidates, parseResolvConf, type ResolverConfig, resolve } from "../../../apps/resolver";
import { tryParseIp } from "../../../net/address";
import { second } from "../../../sim/clock";
import { type Call, Failed } from "../../shell/tool";

/** How a tool of BIND's asks. */
export interface BindOptions {
  readonly config: ResolverConfig;
  readonly port: number;
  /** How often each server is asked, and how long it has. */
  readonly tries: number;
  readonly seconds: number;
  /** Whether the search list is gone through. */
  readonly search: boolean;
  /** Whether SERVFAIL is an answer; else the next server is asked. */
  readonly servfailStops: boolean;
  readonly exchange: Omit<ExchangeOptions, "timeout">;
  /** Told of each name that is tried. */
  readonly trying?: (name: string) => void;
}

export type Asked =
  | { readonly message: DnsMessage; readonly server: string; readonly tcp: boolean }
  | "stopped"
  | "nobody";

export function configOf(call: Call): ResolverConfig {
  return parseResolvConf(call.place.files.read("/etc/resolv.conf") ?? "");
}

/** Waits for something that calls back from the clock; undefined: the command was stopped. */
export async function waitFor<T>(
  call: Call,
  begin: (done: (result: T) => void) => { cancel(): void },
): Promise<T | undefined> {
  let found: { readonly result: T } | undefined;
  const end = await call.process.pause(
    (wake) => {
      const asked = begin((result) => {
        found = { result };
        wake();
      });
      return () => asked.cancel();
    },
    undefined,
    "foreground",
  );
  return end === "stopped" ? undefined : found?.result;
}

/** Asks as BIND's tools do; each server that does not answer is told of. */
export async function bindAsk(call: Call, name: string, type: RecordType, options: BindOptions): Promise<Asked> {
  const problem = nameProblem(name);
  if (problem !== undefined) throw new Failed(`${call.name}: '${name}' is not a legal name (${problem})`, 10);
  const { config, search } = options;
  const names = search ? candidates(name, config) : [`${name.replace(/\.$/, "")}.`];
  let last: Asked = "nobody";
  for (const each of names) {
    options.trying?.(each);
    last = await askServers(call, each, type, options);
    if (last === "stopped" || last === "nobody" || last.message.rcode !== "NXDOMAIN") return last;
  }
  return last;
}

async function askServers(call: Call, name: string, type: RecordType, options: BindOptions): Promise<Asked> {
  const { config, port, tries, seconds } = options;
  const asker = { netns: call.place.netns, random: call.shell.random, owner: call.name };
  let failed: Asked | undefined;
  for (const server of Array.from({ length: tries }, () => config.servers).flat()) {
    const outcome = await waitFor(call, (done: Parameters<typeof exchange>[4]) =>
      exchange(asker, { ip: server, port }, [{ name, type }], { ...options.exchange, timeout: seconds * second }, done),
    );
    if (outcome === undefined) return "stopped";
    if (outcome.result === "answers") {
      const [message] = outcome.messages;
      if (!message) continue;
      const asked = { message, server, tcp: outcome.tcp };
      if (message.rcode !== "SERVFAIL" || options.servfailStops) return asked;
      failed = asked;
      if (config.servers.length === 1) break;
      continue;
    }
    const why = { timeout: "timed out", refused: "connection refused", unreachable: "network unreachable" };
    call.out(`;; communications error to ${server}#${port}: ${why[outcome.result]}\n`);
  }
  if (failed) return failed;
  call.out(";; no servers could be reached\n");
  return "nobody";
}

/** The address of a server that somebody named. */
export async function serverAddress(call: Call, host: string): Promise<string> {
  if (tryParseIp(host) !== undefined) return host;
  const asker = { netns: call.place.netns, random: call.shell.random, owner: call.name };
  const found = await waitFor(call, (done: Parameters<typeof resolve>[4]) =>
    resolve(asker, host, "A", configOf(call), done),
  );
  const record = found?.result === "answer" ? found.message.answers.find(({ type }) => type === "A") : undefined;
  if (!record) throw new Failed(`${call.name}: couldn't get address for '${host}': not found`, 10);
  return record.data;
}

/** A name as the tools print it: without its last dot. */
export function bare(name: string): string {
  return name === "." ? name : name.replace(/\.$/, "");
}
