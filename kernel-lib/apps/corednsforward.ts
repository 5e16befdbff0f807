/** Owns CoreDNS' plugin `forward`: who is asked for names that nobody here knows, and what is said if none answers. */
import { formatSocketAddress, tryParseIp } from "../net/address";
import { second } from "../sim/clock";
import { zoneOf } from "./clusterdns";
import { emptyAnswer, type Plugin, type Setup } from "./corednschain";
import { type Directive, zoneName } from "./corefile";
import { exchange, type Outcome } from "./dnsexchange";
import { parseResolvConf } from "./resolver";

export interface Upstream {
  readonly ip: string;
  readonly port: number;
}

/** How long one upstream has, and all together (plugin/pkg/proxy, plugin/forward). */
const readTimeout = 2 * second;
const deadline = 5 * second;

/** The upstreams of a `forward` line: addresses, or a file in the form of resolv.conf. */
export function upstreamsOf(
  directive: Directive,
  { program, fail }: Pick<Setup, "program" | "fail">,
): readonly Upstream[] {
  const [from, ...to] = directive.args;
  if (from === undefined || to.length === 0)
    throw fail(directive, "Wrong argument count or unexpected line ending after 'forward'");
  const found = to.flatMap((each): readonly Upstream[] => {
    const text = each.replace(/^dns:\/\//, "");
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+|[^[]*:[^[]*:.*?))(?::(\d+))?$/.exec(text) ?? [];
    const ip = bracketed ?? plain ?? text;
    if (tryParseIp(ip) !== undefined) return [{ ip, port: Number(port ?? 53) }];
    const file = program.files.read(each);
    if (file === undefined) throw fail(directive, `not an IP address or file: "${each}"`);
    return /^\s*nameserver\s/m.test(file)
      ? parseResolvConf(file).servers.map((server) => ({ ip: server, port: 53 }))
      : [];
  });
  if (found.length === 0) throw fail(directive, "no nameservers found");
  if (found.length > 15) throw fail(directive, `more than 15 TOs configured: ${found.length}`);
  return found;
}

/** `forward FROM TO… { policy …; force_tcp; except … }`. */
export const forward: Plugin = (directive, setup) => {
  const { program, fail } = setup;
  const upstreams = upstreamsOf(directive, setup);
  const from = zoneName(directive.args[0] ?? ".");
  let policy = "random";
  let tcp = false;
  let preferUdp = false;
  let except: readonly string[] = [];
  const plain = [
    "max_fails",
    "expire",
    "health_check",
    "max_concurrent",
    "tls",
    "tls_servername",
    "next",
    "failfast_all_unhealthy_upstreams",
  ];
  for (const { name, args } of directive.block) {
    if (name === "policy") policy = args[0] ?? "";
    else if (name === "force_tcp") tcp = true;
    else if (name === "prefer_udp") preferUdp = true;
    else if (name === "except") except = args.map(zoneName);
    else if (!plain.includes(name)) throw fail(directive, `unknown property '${name}'`);
  }
  if (!["random", "round_robin", "sequential"].includes(policy)) throw fail(directive, `unknown policy '${policy}'`);
  let turn = 0;
  const ordered = (): readonly Upstream[] => {
    if (policy === "sequential" || upstreams.length === 1) return upstreams;
    const first = policy === "random" ? program.random.integer(0, upstreams.length - 1) : turn++ % upstreams.length;
    return [...upstreams.slice(first), ...upstreams.slice(0, first)];
  };
  return (next) => (asked, done) => {
    const { name } = asked.question;
    if (zoneOf([from], name) === undefined || zoneOf(except, name) !== undefined) {
      next(asked, done);
      return;
    }
    const list = ordered();
    const begin = program.clock.now;
    const ask = (at: number, problem: string): void => {
      const upstream = list[at];
      if (!upstream || program.clock.now - begin >= deadline || program.ended) {
        done(emptyAnswer("SERVFAIL"), problem);
        return;
      }
      const asker = { netns: program.netns, random: program.random, owner: "coredns" };
      const options = { timeout: readTimeout, tcp: tcp || (asked.transport === "tcp" && !preferUdp) };
      const running = exchange(asker, upstream, [asked.question], options, (outcome) => {
        program.disown(owned);
        const [message] = outcome.result === "answers" ? outcome.messages : [];
        if (message) {
          const { rcode, authoritative, recursionAvailable, answers, authority, additional } = message;
          done({ rcode, authoritative, recursionAvailable, answers, authority, additional });
        } else ask(at + 1, problemOf(outcome, upstream));
      });
      const owned = program.own({ close: () => running.cancel() });
    };
    ask(0, "no healthy proxies");
  };
};

/** In Go's words for a socket's error. */
function problemOf({ local, tcp, result }: Outcome, { ip, port }: Upstream): string {
  const protocol = tcp ? "tcp" : "udp";
  const peer = formatSocketAddress(tryParseIp(ip) ?? 0, port);
  if (result === "unreachable") return `dial ${protocol} ${peer}: connect: network is unreachable`;
  const way = `${formatSocketAddress(local.ip, local.port)}->${peer}`;
  if (result === "timeout") return `read ${protocol} ${way}: i/o timeout`;
  return tcp ? `dial tcp ${peer}: connect: connection refused` : `read udp ${way}: read: connection refused`;
}
