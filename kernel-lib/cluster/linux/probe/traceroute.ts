/** Owns traceroute: probes with a growing time to live, and who says that it was over. */
import { formatIp, type Ip } from "../../../net/address";
import type { IcmpError } from "../../../net/packet";
import { millisecond, second, type Time } from "../../../sim/clock";
import { type Call, Failed, type Tool } from "../../shell/tool";
import { readFlags } from "../flags";
import { isBusybox } from "../ip/words";
import { findHost, nameOf } from "../names";
import { type Probe, Prober } from "./prober";

interface Asked {
  readonly host: string;
  readonly family: "IPv4" | "IPv6" | undefined;
  readonly icmp: boolean;
  readonly numeric: boolean;
  readonly first: number;
  readonly hops: number;
  readonly queries: number;
  readonly wait: Time;
  readonly port: number;
  readonly together: number;
  /** Octets of a packet with its IP header. */
  readonly size: number;
  readonly dontFragment: boolean;
}

const usage = `Usage:
  traceroute [ -46dFITnreAUDV ] [ -f first_ttl ] [ -g gate,... ] [ -i device ] [ -m max_ttl ] [ -N squeries ] [ -p port ] [ -t tos ] [ -l flow_label ] [ -w MAX,HERE,NEAR ] [ -q nqueries ] [ -s src_addr ] [ -z sendwait ] [ --fwmark=num ] host [ packetlen ]`;

function readArguments(call: Call, busybox: boolean): Asked {
  const flags = readFlags(call.args, {
    tool: "traceroute",
    letters: "46dFITnreAUDf:g:i:m:N:p:q:s:t:w:z:lv",
    usage,
    exitCode: 2,
    unknown: (option) => `Bad option \`-${option}' (argc 1)`,
    missing: (option) => `Option \`-${option}' (argc 1) requires an argument: \`-${option} …'`,
  });
  const [host, length] = flags.words;
  if (host === undefined)
    throw busybox
      ? new Failed("BusyBox v1.37.0 () multi-call binary.\n\nUsage: traceroute [-46IFlnrv] HOST [BYTES]", 1)
      : new Failed(usage, 2);
  if (flags.has("T")) throw new Failed("traceroute: -T (TCP) is not simulated here: use UDP, or -I for ICMP", 1);
  const number = (letter: string, usual: number): number => {
    const text = (flags.given.get(letter) ?? String(usual)).split(",")[0] ?? "";
    if (!/^\d+(\.\d+)?$/.test(text))
      throw new Failed(`Cannot handle \`-${letter}' option with arg \`${text}' (argc 1)`, 2);
    return Number(text);
  };
  const hops = number("m", 30);
  if (hops < 1 || hops > 255) throw new Failed(`max hops cannot be more than 255`, 2);
  const queries = number("q", 3);
  if (queries < 1 || queries > 10) throw new Failed("no more than 10 probes per hop", 2);
  return {
    host,
    family: flags.has("6") ? "IPv6" : flags.has("4") ? "IPv4" : undefined,
    icmp: flags.has("I"),
    numeric: flags.has("n"),
    first: number("f", 1),
    hops,
    queries,
    wait: Math.round(number("w", 5) * second),
    port: number("p", 33_434),
    together: busybox ? 1 : number("N", 16),
    size: length === undefined ? (busybox ? 46 : 60) : Number(length),
    dontFragment: flags.has("F"),
  };
}

export const traceroute: Tool = async (call) => {
  const busybox = isBusybox(call);
  const asked = readArguments(call, busybox);
  const found = await findHost(call, asked.host, asked.family);
  if (found === "stopped") return 130;
  if ("problem" in found) {
    if (busybox) throw new Failed(`traceroute: bad address '${asked.host}'`, 1);
    throw new Failed(
      `${asked.host}: ${found.problem}\nCannot handle "host" cmdline arg \`${asked.host}' on position 1 (argc ${call.args.length})`,
      2,
    );
  }
  const { ip } = found;
  call.out(`traceroute to ${asked.host} (${formatIp(ip)}), ${asked.hops} hops max, ${asked.size} byte packets\n`);
  const prober = new Prober(call, ip, { icmp: asked.icmp, pathMtu: asked.dontFragment ? "do" : "dont" });
  const names = new Map<Ip, string | undefined>();
  try {
    return await trace(call, asked, prober, async (who) => {
      if (asked.numeric) return formatIp(who);
      if (!names.has(who)) names.set(who, await nameOf(call, who));
      return `${names.get(who) ?? formatIp(who)} (${formatIp(who)})`;
    });
  } finally {
    prober.close();
  }
};

/** Sends some probes ahead, and prints each hop when all of it is known. */
async function trace(call: Call, asked: Asked, prober: Prober, nameFor: (ip: Ip) => Promise<string>): Promise<number> {
  const { clock } = call.cluster.sim;
  const probes: Probe[] = [];
  const header = prober.headerSize;
  let last = asked.hops;
  for (let hop = asked.first; hop <= last; hop++) {
    for (;;) {
      const reached = probes.findIndex(({ answer }) => answer?.final === true);
      if (reached >= 0) last = Math.min(last, asked.first + Math.floor(reached / asked.queries));
      const wanted = (last - asked.first + 1) * asked.queries;
      while (
        probes.length < wanted &&
        probes.filter((each) => pending(each, clock.now, asked.wait)).length < asked.together
      ) {
        const at = probes.length;
        const ttl = asked.first + Math.floor(at / asked.queries);
        const problem = prober.send(probes, { ttl, port: asked.port + at, size: Math.max(0, asked.size - header) });
        if (problem !== undefined) throw new Failed(`connect: ${problem}`, 1);
      }
      const own = probes.slice((hop - asked.first) * asked.queries, (hop - asked.first + 1) * asked.queries);
      const open = probes.filter((each) => pending(each, clock.now, asked.wait));
      if (own.length === asked.queries && own.every((each) => !pending(each, clock.now, asked.wait))) break;
      const until = Math.min(...open.map(({ at }) => at + asked.wait));
      if ((await prober.wait(Math.max(0, until - clock.now))) === "stopped") return 130;
    }
    const own = probes.slice((hop - asked.first) * asked.queries, (hop - asked.first + 1) * asked.queries);
    call.out(await line(hop, own, nameFor));
    if (own.some(({ answer }) => answer?.final)) last = hop;
  }
  return 0;
}

function pending({ at, answer }: Probe, now: Time, wait: Time): boolean {
  return answer === undefined && now < at + wait;
}

const marks: Readonly<Partial<Record<IcmpError, string>>> = {
  "net-unreachable": " !N",
  "host-unreachable": " !H",
  "admin-prohibited": " !X",
};

async function line(hop: number, probes: readonly Probe[], nameFor: (ip: Ip) => Promise<string>): Promise<string> {
  let text = `${String(hop).padStart(2)} `;
  let before: Ip | undefined;
  for (const { answer, at } of probes) {
    if (!answer) {
      text += " *";
      continue;
    }
    if (answer.from !== before) text += ` ${await nameFor(answer.from)}`;
    before = answer.from;
    const mark =
      answer.type === "fragmentation-needed" || answer.type === "packet-too-big"
        ? ` !F-${answer.mtu ?? 0}`
        : ((answer.type && marks[answer.type]) ?? "");
    text += `  ${((answer.at - at) / millisecond).toFixed(3)} ms${mark}`;
  }
  return `${text}\n`;
}
