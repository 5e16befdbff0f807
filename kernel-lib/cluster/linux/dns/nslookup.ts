/** Owns nslookup as BIND has it: one lookup, or a prompt with `server`, `set` and names. */
import { type DnsMessage, type DnsRecord, type RecordType, recordTypes, reverseName } from "../../../apps/dns";
import { tryParseIp } from "../../../net/address";
import type { Call, Tool } from "../../shell/tool";
import { bare, bindAsk, configOf, serverAddress } from "./ask";

/** What `set` and options change. */
interface Settings {
  servers: readonly string[];
  search: boolean;
  ndots: number;
  /** Undefined: addresses of both families. */
  type: RecordType | undefined;
  tcp: boolean;
  port: number;
  seconds: number;
  tries: number;
  debug: boolean;
}

export const bindNslookup: Tool = async (call) => {
  const config = configOf(call);
  const settings: Settings = {
    ...{ servers: config.servers, search: true, ndots: config.ndots, type: undefined },
    ...{ tcp: false, port: 53, seconds: 5, tries: 3, debug: false },
  };
  const words: string[] = [];
  for (const arg of call.args) {
    if (arg.startsWith("-") && arg.length > 1) set(call, settings, arg.slice(1));
    else if (arg !== "-" || words.length > 0) words.push(arg);
  }
  const interactive = words.length === 0 || call.args.includes("-");
  const server = interactive ? words[0] : words[1];
  if (server !== undefined) settings.servers = [await serverAddress(call, server)];
  if (!interactive) return lookUp(call, settings, words[0] ?? "");
  return prompt(call, settings);
};

async function prompt(call: Call, settings: Settings): Promise<number> {
  const { terminal } = call;
  const typed = terminal ? undefined : call.stdin.split("\n");
  const next = (): string | undefined => (terminal ? terminal.readLine() : typed?.shift());
  let exitCode = 0;
  for (let line = next(); line !== undefined; line = next()) {
    if (terminal) call.out(`> ${line}\n`);
    const [word, argument] = line.trim().split(/\s+/);
    if (!word) continue;
    const command = word.toLowerCase();
    if (command === "exit") break;
    if (command === "set" && argument !== undefined) set(call, settings, argument);
    else if (command === "server" || command === "lserver") {
      try {
        if (argument !== undefined) settings.servers = [await serverAddress(call, argument)];
        for (const each of settings.servers) {
          call.out(`Default server: ${argument ?? each}\nAddress: ${each}#${settings.port}\n`);
        }
      } catch (error) {
        call.out(`${(error as Error).message}\n`);
      }
    } else if (command === "help" || command === "?") {
      call.out(`The '${word}' command is not yet implemented.\n`);
    } else if (["finger", "root", "ls", "view"].includes(command)) {
      call.out(`The '${word}' command is not implemented.\n`);
    } else exitCode = await lookUp(call, settings, word, argument);
  }
  return exitCode;
}

function set(call: Call, settings: Settings, option: string): void {
  const [, name = "", value] = /^([^=]*)(?:=(.*))?$/.exec(option.toLowerCase()) ?? [];
  const on = !name.startsWith("no");
  const plain = on ? name : name.slice(2);
  if (["type", "ty", "querytype", "query", "qu", "q"].includes(name) && value !== undefined) {
    const type = value.toUpperCase();
    if (!Object.hasOwn(recordTypes, type)) call.out(`unknown query type: ${value}\n`);
    else settings.type = type as RecordType;
  } else if (name === "all") {
    for (const each of settings.servers) call.out(`Default server: ${each}\nAddress: ${each}#${settings.port}\n`);
    const { tcp, debug, search, seconds, tries, port, ndots, type } = settings;
    const list = configOf(call).search.join("/");
    call.out(`\nSet options:\n  ${tcp ? "vc" : "novc"}\t\t\t${debug ? "debug" : "nodebug"}\t\tnod2\n`);
    call.out(`  ${search ? "search" : "nosearch"}\t\trecurse\n`);
    call.out(`  timeout = ${seconds}\t\tretry = ${tries}\tport = ${port}\tndots = ${ndots}\n`);
    call.out(`  querytype = ${(type ?? "A").padEnd(8)}\tclass = IN\n  srchlist = ${list}\n`);
  } else if (["port", "po"].includes(name)) settings.port = Number(value);
  else if (["timeout", "t"].includes(name)) settings.seconds = Number(value);
  else if (["retry", "ret"].includes(name)) settings.tries = Math.max(1, Number(value));
  else if (name === "ndots") settings.ndots = Number(value);
  else if (plain === "vc") settings.tcp = on;
  else if (plain === "search" || plain === "sea" || plain === "def") settings.search = on;
  else if (plain === "debug" || plain === "deb") settings.debug = on;
  else if (!["recurse", "rec", "d2", "fail"].includes(plain) && !["class", "cl"].includes(name)) {
    call.out(`*** Invalid option: ${option}\n`);
  }
}

/** Without a type: A, and AAAA of the name that A led to. */
async function lookUp(call: Call, settings: Settings, name: string, at?: string): Promise<number> {
  const servers = at === undefined ? settings.servers : [await serverAddress(call, at)];
  const { search, ndots, port, seconds, tries, tcp } = settings;
  const config = { ...configOf(call), servers, ndots };
  const options = { config, port, tries, seconds, search, servfailStops: true, exchange: { tcp } };
  const reverse = tryParseIp(name) !== undefined;
  const type = reverse ? "PTR" : (settings.type ?? "A");
  const byDefault = settings.type === undefined;
  const found = await bindAsk(call, reverse ? reverseName(name) : name, type, {
    ...options,
    search: search && !reverse,
  });
  if (found === "stopped") return 130;
  if (found === "nobody") {
    call.out("\n");
    return 1;
  }
  const { message, server } = found;
  if (!byDefault || type === "A") call.out(`Server:\t\t${server}\nAddress:\t${server}#${port}\n\n`);
  if (message.rcode !== "NOERROR") {
    call.out(`** server can't find ${bare(message.question.name)}: ${message.rcode}\n\n`);
    return 1;
  }
  if (!message.authoritative && (!byDefault || type === "A")) call.out("Non-authoritative answer:\n");
  call.out(message.answers.map(recordText).join(""));
  const answered = message.answers.length > 0;
  if (!byDefault || type !== "A") {
    if (!answered) call.out(`*** Can't find ${bare(message.question.name)}: No answer\n`);
    if (!message.authoritative) call.out("\nAuthoritative answers can be found from:\n");
    call.out("\n");
    return answered ? 0 : 1;
  }
  const final = lastName(message);
  const six = await bindAsk(call, final, "AAAA", { ...options, search: false });
  if (six === "stopped") return 130;
  if (six !== "nobody") {
    if (six.message.rcode !== "NOERROR") call.out(`** server can't find ${bare(final)}: ${six.message.rcode}\n`);
    else if (six.message.answers.length > 0) call.out(six.message.answers.map(recordText).join(""));
    else if (!answered) call.out(`*** Can't find ${bare(message.question.name)}: No answer\n`);
  }
  call.out("\n");
  return six !== "nobody" && (answered || six.message.answers.length > 0) && six.message.rcode === "NOERROR" ? 0 : 1;
}

/** Where a chain of aliases ends. */
export function lastName({ question, answers }: DnsMessage): string {
  let { name } = question;
  for (const _ of answers) {
    const alias = answers.find((record) => record.type === "CNAME" && record.name.toLowerCase() === name.toLowerCase());
    if (!alias) break;
    name = alias.data;
  }
  return name;
}

const words: { readonly [T in RecordType]?: string } = {
  CNAME: "canonical name",
  NS: "nameserver",
  PTR: "name",
  SRV: "service",
  TXT: "text",
  MX: "mail exchanger",
};

/** A record in nslookup's form. */
export function recordText({ name, type, data }: DnsRecord): string {
  if (type === "A" || type === "AAAA") return `Name:\t${bare(name)}\nAddress: ${data}\n`;
  if (type !== "SOA") return `${bare(name)}\t${words[type] ?? `rdata_${recordTypes[type]}`} = ${data}\n`;
  const [origin = "", mail = "", ...numbers] = data.split(" ");
  const lines = ["serial", "refresh", "retry", "expire", "minimum"].map((word, at) => `\t${word} = ${numbers[at]}\n`);
  return `${bare(name)}\n\torigin = ${bare(origin)}\n\tmail addr = ${bare(mail)}\n${lines.join("")}`;
}
