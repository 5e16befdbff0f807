/** Owns what CoreDNS writes of queries: the plugins `log` and `errors`. */
import { formatIp } from "../net/address";
import { second } from "../sim/clock";
import { zoneOf } from "./clusterdns";
import type { Asked, Plugin } from "./corednschain";
import { zoneName } from "./corefile";
import { type DnsAnswer, recordTypes } from "./dns";
import { dnsResponse } from "./dnsmessage";
import { encodeDns } from "./dnswire";

const common =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}';
const combined = common.replace('"{type}', '"{>opcode} {type}');

/** `log [NAMES…] [FORMAT] { class … }`: a line for each query, after its answer. */
export const log: Plugin = (directive, { program, zones, log: write, fail }) => {
  const words = [...directive.args];
  const hasFormat = words.length > 1 && (words.at(-1) ?? "").includes("{");
  const format = (hasFormat ? (words.pop() ?? "") : "{common}")
    .replace("{common}", common)
    .replace("{combined}", combined);
  const names = words.length > 0 ? words.map(zoneName) : zones;
  const classes: string[] = [];
  for (const { name, args } of directive.block) {
    const known = ["success", "denial", "error", "all"];
    const wrong = args.find((each) => !known.includes(each));
    if (name !== "class" && name !== "minDuration") throw fail(directive, `unknown property '${name}'`);
    if (name === "class" && wrong !== undefined) throw fail(directive, `unknown class: ${wrong}`);
    if (name === "class") classes.push(...args);
  }
  return (next) => (asked, done) => {
    const begin = program.clock.now;
    next(asked, (answer, problem) => {
      const wanted = classes.length === 0 || classes.includes("all") || classes.includes(classOf(answer));
      if (wanted && zoneOf(names, asked.question.name) !== undefined) {
        write("INFO", fill(format, asked, answer, program.clock.now - begin));
      }
      done(answer, problem);
    });
  };
};

function classOf({ rcode, answers }: DnsAnswer): string {
  if (rcode === "NXDOMAIN" || (rcode === "NOERROR" && answers.length === 0)) return "denial";
  return rcode === "NOERROR" ? "success" : "error";
}

function fill(format: string, asked: Asked, answer: DnsAnswer, took: number): string {
  const { message, question, client, local, transport } = asked;
  const address = (ip: typeof client.ip): string => (typeof ip === "bigint" ? `[${formatIp(ip)}]` : formatIp(ip));
  const response = dnsResponse(message, answer, transport);
  const flags = [
    "qr",
    ...(response.authoritative ? ["aa"] : []),
    ...(response.truncated ? ["tc"] : []),
    ...(response.recursionDesired ? ["rd"] : []),
    ...(response.recursionAvailable ? ["ra"] : []),
  ];
  const values: Readonly<Record<string, string>> = {
    type: Object.hasOwn(recordTypes, question.type) ? question.type : "None",
    name: question.name,
    class: "IN",
    proto: transport,
    remote: address(client.ip),
    local: address(local.ip),
    size: String(message.size),
    port: String(client.port),
    duration: `${took / second}s`,
    rcode: answer.rcode,
    rsize: String(encodeDns(dnsResponse(message, answer, "tcp"), false).length),
    ">rflags": flags.join(","),
    ">bufsize": String(message.udpSize ?? 512),
    ">do": "false",
    ">id": String(message.id),
    ">opcode": "0",
  };
  return format.replace(/\{([^{}]+)\}/g, (whole, name: string) => values[name] ?? (name.startsWith("/") ? "-" : whole));
}

/** `errors`: a line for each query that could not be answered. */
export const errors: Plugin =
  (_directive, { log: write }) =>
  (next) =>
  (asked, done) => {
    next(asked, (answer, problem) => {
      const { name, type } = asked.question;
      if (problem !== undefined) write("ERROR", `plugin/errors: ${rcodeNumber(answer)} ${name} ${type}: ${problem}`);
      done(answer, problem);
    });
  };

function rcodeNumber({ rcode }: DnsAnswer): number {
  return ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"].indexOf(rcode);
}
