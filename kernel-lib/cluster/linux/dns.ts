/** Owns the commands that ask DNS: nslookup as BusyBox and as BIND have it, dig, host. */
import { type DnsMessage, type RecordType, reverseName } from "../../apps/dns";
import { parseResolvConf, query, type Resolution, type ResolverConfig, resolve } from "../../apps/resolver";
import { tryParseIp } from "../../net/address";
import { unixDate } from "../calendar";
import { type Call, Failed, type Tool, type Tools } from "../shell/tool";

/** Asks; `search`: through the search list of resolv.conf. */
async function ask(
  call: Call,
  name: string,
  type: RecordType,
  config: ResolverConfig,
  search: boolean,
): Promise<Resolution | "stopped"> {
  let found: Resolution | undefined;
  const asker = { netns: call.place.netns, random: call.shell.random, owner: call.name };
  const end = await call.process.pause(
    (wake) => {
      const done = (resolution: Resolution): void => {
        found = resolution;
        wake();
      };
      const asked = search ? resolve(asker, name, type, config, done) : query(asker, name, type, config, done);
      return () => asked.cancel();
    },
    undefined,
    "foreground",
  );
  return end === "stopped" || !found ? "stopped" : found;
}

function configOf(call: Call): ResolverConfig {
  return parseResolvConf(call.place.files.read("/etc/resolv.conf") ?? "");
}

/** Which nslookup a place has: BusyBox' of before 1.29, BusyBox' of today, or BIND's. */
function styleOf(call: Call): "old-busybox" | "busybox" | "bind" {
  const reference = call.place.container?.spec.image.reference ?? "";
  if (/busyboxplus|busybox:1\.(1\d|2[0-8])(\D|$)/.test(reference)) return "old-busybox";
  return /library\/(busybox|alpine):|curlimages\/curl/.test(reference) ? "busybox" : "bind";
}

const nslookup: Tool = async (call) => {
  const given = call.args.filter((arg) => !arg.startsWith("-"));
  const type = /^-(?:type|query|q)=(.+)$/i.exec(call.args.find((arg) => /^-(type|query|q)=/i.test(arg)) ?? "")?.[1];
  if (given.length > 0) return lookUp(call, given, type);
  if (styleOf(call) !== "bind") {
    throw new Failed(
      "BusyBox: Usage: nslookup [HOST] [SERVER]\n\nQuery the nameserver for the IP address of the given HOST\noptionally using a specified DNS server",
    );
  }
  const { terminal } = call;
  let server: string | undefined;
  const typed = terminal ? undefined : call.stdin.split("\n");
  const next = (): string | undefined => (terminal ? terminal.readLine() : typed?.shift());
  let exitCode = 0;
  for (let line = next(); line !== undefined; line = next()) {
    const words = line.trim().split(/\s+/);
    if (terminal) call.out(`> ${line}\n`);
    if (words[0] === "exit") break;
    if (words[0] === "") continue;
    if (words[0] === "server" && words[1] !== undefined) {
      server = words[1];
      call.out(`Default server: ${server}\nAddress: ${server}#53\n`);
    } else exitCode = await lookUp(call, [...words, ...(words.length < 2 && server ? [server] : [])], type);
  }
  return exitCode;
};

async function lookUp(call: Call, [name = "", server]: readonly string[], type: string | undefined): Promise<number> {
  const config =
    server === undefined ? configOf(call) : { ...configOf(call), servers: [await addressOf(call, server)] };
  switch (styleOf(call)) {
    case "old-busybox":
      return oldBusybox(call, name, config);
    case "busybox":
      return busybox(call, name, config, type);
    case "bind":
      return bind(call, name, config, type);
  }
}

async function addressOf(call: Call, host: string): Promise<string> {
  if (tryParseIp(host) !== undefined) return host;
  const found = await ask(call, host, "A", configOf(call), true);
  const address = found !== "stopped" && found.result === "answer" ? addressesIn(found.message)[0] : undefined;
  if (address === undefined) throw new Failed(`nslookup: couldn't get address for '${host}': not found`);
  return address;
}

function addressesIn(message: DnsMessage): readonly string[] {
  return message.answers.filter((record) => record.type === "A").map((record) => record.data);
}

/** The name that an address leads back to. */
async function nameOf(call: Call, ip: string, config: ResolverConfig): Promise<string | undefined> {
  const found = await ask(call, reverseName(ip), "PTR", config, false);
  if (found === "stopped" || found.result !== "answer") return undefined;
  return found.message.answers.find((record) => record.type === "PTR")?.data.replace(/\.$/, "");
}

/** BusyBox before 1.29: getaddrinfo, and getnameinfo of what comes back. */
async function oldBusybox(call: Call, name: string, config: ResolverConfig): Promise<number> {
  const [server = ""] = config.servers;
  const line = async (at: number, ip: string): Promise<string> => {
    const back = await nameOf(call, ip, config);
    return `Address ${at}: ${ip}${back ? ` ${back}` : ""}\n`;
  };
  call.out(`Server:    ${server}\n${await line(1, server)}\n`);
  const reverse = tryParseIp(name) !== undefined;
  const found = reverse ? undefined : await ask(call, name, "A", config, true);
  if (found === "stopped") return 130;
  const addresses = reverse ? [name] : found?.result === "answer" ? addressesIn(found.message) : [];
  if (addresses.length === 0) {
    call.err(`nslookup: can't resolve '${name}'\n`);
    return 1;
  }
  call.out(`Name:      ${name}\n`);
  for (const [at, ip] of addresses.entries()) call.out(await line(at + 1, ip));
  return 0;
}

/** BusyBox of today: its own resolver, each name of the search list in turn, A and AAAA. */
async function busybox(call: Call, name: string, config: ResolverConfig, type: string | undefined): Promise<number> {
  const [server = ""] = config.servers;
  const reverse = tryParseIp(name) !== undefined;
  const wanted = (reverse ? "PTR" : (type?.toUpperCase() ?? "A")) as RecordType;
  const names = reverse
    ? [reverseName(name)]
    : name.includes(".")
      ? [name]
      : config.search.map((domain) => `${name}.${domain}`);
  let answered = false;
  let exitCode = 0;
  let text = "";
  for (const each of names) {
    const found = await ask(call, `${each.replace(/\.$/, "")}.`, wanted, config, false);
    if (found === "stopped") return 130;
    if (found.result === "timeout" || found.result === "refused") {
      call.out(
        found.result === "timeout"
          ? ";; connection timed out; no servers could be reached\n\n"
          : `nslookup: read: Connection refused\n`,
      );
      return 1;
    }
    if (!answered) text += `Server:\t\t${server}\nAddress:\t${server}:53\n\n`;
    answered = true;
    if (found.result === "answer") text += `${recordsOf(found.message, each)}\n`;
    else if (found.message.rcode !== "NOERROR") {
      text += `** server can't find ${each}: ${found.message.rcode}\n\n`;
      exitCode = 1;
    } else text += `*** Can't find ${each}: No answer\n\n`;
  }
  call.out(text);
  return exitCode;
}

function recordsOf(message: DnsMessage, _asked: string): string {
  return message.answers
    .map((record) => {
      const name = record.name.replace(/\.$/, "");
      if (record.type === "A" || record.type === "AAAA") return `Name:\t${name}\nAddress: ${record.data}\n`;
      if (record.type === "CNAME") return `${name}\tcanonical name = ${record.data}\n`;
      if (record.type === "PTR") return `${name}\tname = ${record.data}\n`;
      if (record.type === "SRV") return `${name}\tservice = ${record.data}\n`;
      return `${name}\t${record.type} ${record.data}\n`;
    })
    .join("");
}

/** BIND's nslookup. */
async function bind(call: Call, name: string, config: ResolverConfig, type: string | undefined): Promise<number> {
  const [server = ""] = config.servers;
  const reverse = tryParseIp(name) !== undefined;
  const wanted = (reverse ? "PTR" : (type?.toUpperCase() ?? "A")) as RecordType;
  const found = await ask(call, reverse ? reverseName(name) : name, wanted, config, !reverse);
  if (found === "stopped") return 130;
  if (found.result === "timeout") {
    call.out(`;; communications error to ${server}#53: timed out\n`.repeat(3));
    call.out(";; no servers could be reached\n\n");
    return 1;
  }
  if (found.result === "refused") {
    call.out(`;; communications error to ${server}#53: connection refused\n`.repeat(3));
    call.out(";; no servers could be reached\n\n");
    return 1;
  }
  if (!reverse) call.out(`Server:\t\t${server}\nAddress:\t${server}#53\n\n`);
  if (found.result === "answer") {
    call.out(`${recordsOf(found.message, name)}\n`);
    return 0;
  }
  if (found.message.rcode === "NOERROR") {
    call.out(`*** Can't find ${name}: No answer\n\n`);
    return 1;
  }
  call.out(`** server can't find ${reverse ? reverseName(name).replace(/\.$/, "") : name}: ${found.message.rcode}\n\n`);
  return 1;
}

/** BIND's dig: `dig [@server] [+short] [+search] name [type]`. */
const dig: Tool = async (call) => {
  const options = call.args.filter((arg) => arg.startsWith("+"));
  const words = call.args.filter((arg) => !/^[+@-]/.test(arg));
  const server = call.args.find((arg) => arg.startsWith("@"))?.slice(1);
  const config =
    server === undefined ? configOf(call) : { ...configOf(call), servers: [await addressOf(call, server)] };
  const reverse = call.args.includes("-x");
  const [given = "."] = words;
  const type = (
    reverse ? "PTR" : (words.find((word, at) => at > 0 && /^[A-Z]+$/i.test(word)) ?? "A").toUpperCase()
  ) as RecordType;
  const name = reverse ? reverseName(given) : given;
  const begin = call.cluster.sim.clock.now;
  const found = await ask(
    call,
    options.includes("+search") ? name : `${name.replace(/\.$/, "")}.`,
    type,
    config,
    options.includes("+search"),
  );
  if (found === "stopped") return 130;
  const [asked = ""] = config.servers;
  if (found.result === "timeout" || found.result === "refused") {
    const why = found.result === "timeout" ? "timed out" : "connection refused";
    call.out(`;; communications error to ${asked}#53: ${why}\n;; no servers could be reached\n`);
    return 9;
  }
  const { message } = found;
  if (options.includes("+short")) {
    call.out(message.answers.map((record) => `${record.data}\n`).join(""));
    return 0;
  }
  const lines = message.answers.map(
    (record) => `${record.name.replace(/\.?$/, ".")}\t\t${record.ttl}\tIN\t${record.type}\t${record.data}`,
  );
  const took = Math.round((call.cluster.sim.clock.now - begin) / 1000);
  const question = message.question.name.replace(/\.?$/, ".");
  call.out(`
; <<>> DiG 9.20.11 <<>> ${call.args.join(" ")}
;; global options: +cmd
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: ${message.rcode}, id: ${message.id}
;; flags: qr aa rd; QUERY: 1, ANSWER: ${lines.length}, AUTHORITY: 0, ADDITIONAL: 0
;; WARNING: recursion requested but not available

;; QUESTION SECTION:
;${question}\t\tIN\t${type}
${lines.length > 0 ? `\n;; ANSWER SECTION:\n${lines.join("\n")}\n` : ""}
;; Query time: ${took} msec
;; SERVER: ${asked}#53(${asked}) (UDP)
;; WHEN: ${unixDate(begin)}
;; MSG SIZE  rcvd: ${message.size}

`);
  return 0;
};

const host: Tool = async (call) => {
  const [name = ""] = call.args.filter((arg) => !arg.startsWith("-"));
  const reverse = tryParseIp(name) !== undefined;
  const found = await ask(call, reverse ? reverseName(name) : name, reverse ? "PTR" : "A", configOf(call), !reverse);
  if (found === "stopped") return 130;
  if (found.result === "timeout" || found.result === "refused") {
    call.out(
      `;; communications error to ${configOf(call).servers[0] ?? ""}#53: ${found.result === "timeout" ? "timed out" : "connection refused"}\n;; no servers could be reached\n`,
    );
    return 1;
  }
  if (found.result === "none") {
    call.out(`Host ${reverse ? reverseName(name).replace(/\.$/, "") : name} not found: 3(${found.message.rcode})\n`);
    return 1;
  }
  for (const record of found.message.answers) {
    const what =
      record.type === "PTR" ? "domain name pointer" : record.type === "CNAME" ? "is an alias for" : "has address";
    call.out(`${record.name.replace(/\.$/, "")} ${what} ${record.data}\n`);
  }
  return 0;
};

/** `getent hosts NAME`: as the C library resolves. */
const getent: Tool = async (call) => {
  const [database, name = ""] = call.args;
  if (database !== "hosts" && database !== "ahosts") return 2;
  const found = await ask(call, name, "A", configOf(call), true);
  if (found === "stopped" || found.result !== "answer") return 2;
  for (const ip of addressesIn(found.message))
    call.out(`${ip.padEnd(15)} ${found.message.question.name.replace(/\.$/, "")}\n`);
  return 0;
};

export const dnsTools: Tools = { nslookup, dig, host, getent };
