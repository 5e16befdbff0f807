/** Owns nslookup as BusyBox has it: the one of before 1.29, by the C library, and today's with a resolver of its own. */
import { type DnsMessage, type DnsRecord, type RecordType, recordTypes, reverseName } from "../../../apps/dns";
import { exchange } from "../../../apps/dnsexchange";
import { candidates, type ResolverConfig, resolve } from "../../../apps/resolver";
import { tryParseIp } from "../../../net/address";
import { second } from "../../../sim/clock";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { bare, configOf, serverAddress, waitFor } from "./ask";
import { recordText } from "./nslookup";

const usage =
  "BusyBox v1.37.0 (2025-09-18 16:02:38 UTC) multi-call binary.\n\nUsage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n\nQuery DNS about HOST\n\nQUERY_TYPE: soa,ns,a,aaaa,cname,mx,txt,ptr,srv,any";
const oldUsage =
  "BusyBox v1.28.4 (2018-05-22 17:00:17 UTC) multi-call binary.\n\nUsage: nslookup HOST [SERVER]\n\nQuery the nameserver for the IP address of the given HOST";

/** Today's: A and AAAA (or each type asked for) of every name of the search list, all at once. */
export const busyboxNslookup: Tool = async (call) => {
  const types: RecordType[] = [];
  for (const arg of call.args.filter((each) => each.startsWith("-"))) {
    const type = /^-(?:type|querytype|q|t)=(.*)$/i.exec(arg)?.[1]?.toUpperCase();
    if (type === undefined) continue;
    if (!Object.hasOwn(recordTypes, type)) throw new Failed(`nslookup: invalid query type "${type.toLowerCase()}"`);
    types.push(type as RecordType);
  }
  const [host, server] = call.args.filter((arg) => !arg.startsWith("-"));
  if (host === undefined) throw new Failed(usage);
  const config = configOf(call);
  const servers = server === undefined ? config.servers : [await serverAddress(call, server)];
  const reverse = tryParseIp(host) !== undefined;
  const wanted: readonly RecordType[] = types.length > 0 ? types : reverse ? ["PTR"] : ["A", "AAAA"];
  const names = reverse ? [reverseName(host)] : namesOf(host, config);
  const questions = names.flatMap((name) => wanted.map((type) => ({ name: `${bare(name)}.`, type })));
  const asker = { netns: call.place.netns, random: call.shell.random, owner: call.name };
  for (const ip of servers) {
    const outcome = await waitFor(call, (done: Parameters<typeof exchange>[4]) =>
      exchange(asker, { ip, port: 53 }, questions, { timeout: 5 * second, ignoreTruncation: true }, done),
    );
    if (outcome === undefined) return 130;
    if (outcome.result === "refused") call.err("nslookup: read: Connection refused\n");
    if (outcome.result === "unreachable") call.err(`nslookup: write to '${ip}': Network unreachable\n`);
    if (outcome.result !== "answers") continue;
    call.out(`Server:\t\t${ip}\nAddress:\t${ip.includes(":") ? `[${ip}]` : ip}:53\n\n`);
    for (const message of outcome.messages) call.out(`${replyText(message)}\n`);
    return outcome.messages.some(({ rcode }) => rcode !== "NOERROR") ? 1 : 0;
  }
  call.out(";; connection timed out; no servers could be reached\n\n");
  return 1;
};

/** A name without a dot goes through the search list; one with a dot is asked for as it is. */
function namesOf(host: string, { search }: ResolverConfig): readonly string[] {
  if (host.includes(".") || search.length === 0) return [host];
  return search.map((domain) => `${host}.${domain}`);
}

function replyText(message: DnsMessage): string {
  if (message.rcode !== "NOERROR") return `** server can't find ${bare(message.question.name)}: ${message.rcode}\n`;
  const records = message.answers.map((record) => recordText({ ...record, data: dotless(record.type, record.data) }));
  return `${message.authoritative ? "" : "Non-authoritative answer:\n"}${records.join("")}`;
}

/** It prints names without their last dot. */
function dotless(type: RecordType, data: string): string {
  return type === "TXT" || type === "A" || type === "AAAA" ? data : bare(data);
}

/** Before 1.29: getaddrinfo, and getnameinfo of what comes back. */
export const oldBusyboxNslookup: Tool = async (call) => {
  const [host, at] = call.args.filter((arg) => !arg.startsWith("-"));
  if (host === undefined) throw new Failed(oldUsage);
  const given = configOf(call);
  const config = at === undefined ? given : { ...given, servers: [await serverAddress(call, at)] };
  const [server = ""] = config.servers;
  const line = async (number: number, ip: string): Promise<string> => {
    const back = await nameOf(call, ip, config);
    return `Address ${number}: ${ip}${back ? ` ${back}` : ""}\n`;
  };
  call.out(`Server:    ${server}\n${await line(1, server)}\n`);
  const found = tryParseIp(host) !== undefined ? [{ data: host }] : await addressesOf(call, host, config);
  if (found === undefined) return 130;
  const addresses = found.map(({ data }) => data);
  if (addresses.length === 0) {
    call.err(`nslookup: can't resolve '${host}'\n`);
    return 1;
  }
  call.out(`Name:      ${host}\n`);
  for (const [number, ip] of addresses.entries()) call.out(await line(number + 1, ip));
  return 0;
};

/** The address records of a name as the C library finds them; undefined: stopped. */
export async function addressesOf(
  call: Call,
  host: string,
  config: ResolverConfig,
): Promise<readonly DnsRecord[] | undefined> {
  const asker = { netns: call.place.netns, random: call.shell.random, owner: call.name };
  const found: DnsRecord[] = [];
  for (const type of ["A", "AAAA"] as const) {
    const one = await waitFor(call, (done: Parameters<typeof resolve>[4]) => resolve(asker, host, type, config, done));
    if (one === undefined) return undefined;
    if (one.result !== "answer") continue;
    found.push(...one.message.answers.filter((record) => record.type === type));
  }
  return found;
}

async function nameOf(call: Call, ip: string, config: ResolverConfig): Promise<string | undefined> {
  const asker = { netns: call.place.netns, random: call.shell.random, owner: call.name };
  const exact = { ...config, search: [], ndots: 0 };
  const found = await waitFor(call, (done: Parameters<typeof resolve>[4]) =>
    resolve(asker, candidates(reverseName(ip), exact)[0] ?? "", "PTR", exact, done),
  );
  if (found?.result !== "answer") return undefined;
  const record = found.message.answers.find(({ type }) => type === "PTR");
  return record && bare(record.data);
}
