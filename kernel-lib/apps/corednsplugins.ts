/** Owns CoreDNS' plugins that answer or change answers: kubernetes, hosts, cache, rewrite, loadbalance, loop, whoami. */
import { formatIp, isLoopback, tryParseIp } from "../net/address";
import { second, type Time } from "../sim/clock";
import { kubernetesReply, zoneOf } from "./clusterdns";
import type { ZoneOptions } from "./clusternames";
import { emptyAnswer, type Plugin } from "./corednschain";
import { forward, upstreamsOf } from "./corednsforward";
import { errors, log } from "./corednslog";
import { type Directive, durationOf, zoneName } from "./corefile";
import { type DnsAnswer, type DnsRecord, reverseName } from "./dns";

/** The zones of a `fallthrough` line; without a name all. */
function fallthroughOf(block: readonly Directive[]): readonly string[] {
  const lines = block.filter(({ name }) => name === "fallthrough");
  return lines.flatMap(({ args }) => (args.length > 0 ? args.map(zoneName) : ["."]));
}

const kubernetes: Plugin = (directive, { store, zones: own, ask, fail }) => {
  const zones = directive.args.length > 0 ? directive.args.map(zoneName) : own;
  const options: { -readonly [K in keyof ZoneOptions]: ZoneOptions[K] } = {
    ...{ store, zones, pods: "disabled", ttl: 5 },
    fallthrough: fallthroughOf(directive.block),
  };
  const elsewhere = [
    "endpoint",
    "tls",
    "kubeconfig",
    "labels",
    "namespace_labels",
    "endpoint_pod_names",
    "noendpoints",
    "ignore",
    "fallthrough",
  ];
  for (const { name, args } of directive.block) {
    const [value = ""] = args;
    if (name === "pods") {
      if (value !== "insecure" && value !== "verified" && value !== "disabled") {
        throw fail(directive, `wrong value for pods: ${value},  must be one of: disabled, verified, insecure`);
      }
      options.pods = value;
    } else if (name === "ttl") {
      const ttl = Number(value);
      if (!Number.isInteger(ttl) || ttl < 0 || ttl > 3600)
        throw fail(directive, `ttl must be in range [0, 3600]: ${value}`);
      options.ttl = ttl;
    } else if (name === "namespaces") options.namespaces = args;
    else if (!elsewhere.includes(name)) throw fail(directive, `unknown property '${name}'`);
  }
  return (next) => (asked, done) => {
    const reply = kubernetesReply(options, asked.question);
    if (reply.kind === "next") next(asked, done);
    else if (reply.kind === "answer") done(reply.answer);
    else ask({ ...asked, question: reply.question }, (outside) => done(reply.finish(outside)));
  };
};

/** Addresses by name, of lines as in /etc/hosts. */
function hostLines(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [ip = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (tryParseIp(ip) === undefined) continue;
    for (const each of names) found.set(zoneName(each), [...(found.get(zoneName(each)) ?? []), ip]);
  }
  return found;
}

const hosts: Plugin = (directive, { program, zones: own, fail }) => {
  const [path = "/etc/hosts", ...given] = directive.args;
  const zones = given.length > 0 ? given.map(zoneName) : own;
  const inline = directive.block.filter(({ name }) => tryParseIp(name) !== undefined);
  const through = fallthroughOf(directive.block);
  let ttl = 3600;
  let reverse = true;
  for (const { name, args } of directive.block) {
    if (name === "ttl") ttl = Number(args[0]);
    else if (name === "no_reverse") reverse = false;
    else if (name !== "reload" && name !== "fallthrough" && tryParseIp(name) === undefined) {
      throw fail(directive, `unknown property '${name}'`);
    }
  }
  const lines = inline.map(({ name, args }) => [name, ...args].join(" ")).join("\n");
  return (next) => (asked, done) => {
    const { type } = asked.question;
    const name = asked.question.name.toLowerCase();
    if (zoneOf(zones, name) === undefined && type !== "PTR") return next(asked, done);
    const known = hostLines(`${program.files.read(path) ?? ""}\n${lines}`);
    const ips = known.get(name) ?? known.get(`*.${name.split(".").slice(1).join(".")}`);
    const record = (data: string): DnsRecord => ({ name: asked.question.name, type, ttl, data });
    const answer = (answers: readonly DnsRecord[]): void => {
      done({ ...emptyAnswer("NOERROR"), authoritative: true, answers });
    };
    if (type === "PTR") {
      const names = [...known].filter(([, list]) => list.some((ip) => reverseName(ip) === name)).map(([each]) => each);
      return reverse && names.length > 0 ? answer(names.map(record)) : next(asked, done);
    }
    const fitting = (ips ?? []).filter((ip) => ip.includes(":") === (type === "AAAA"));
    if ((type === "A" || type === "AAAA") && fitting.length > 0) return answer(fitting.map(record));
    if (ips) return answer([]);
    if (zoneOf(through, name) !== undefined) return next(asked, done);
    // It has no SOA to say "no" with, so it fails.
    return done(emptyAnswer("SERVFAIL"));
  };
};

interface Cached {
  readonly answer: DnsAnswer;
  readonly since: Time;
  readonly until: Time;
}

/** `cache [TTL] [ZONES…] { disable success|denial [ZONES…] }`: answers are kept as long as their TTL, or what it says. */
const cache: Plugin = (directive, { program, zones: own, fail }) => {
  const [first, ...rest] = directive.args;
  const ttl = first !== undefined && /^\d+$/.test(first) ? Number(first) : undefined;
  const named = ttl === undefined ? directive.args : rest;
  const zones = named.length > 0 ? named.map(zoneName) : own;
  const off = { success: [] as string[], denial: [] as string[] };
  for (const { name, args } of directive.block) {
    const [what, ...list] = args;
    if (name === "disable") {
      if (what !== "success" && what !== "denial")
        throw fail(directive, `cache type for disable must be "success" or "denial"`);
      off[what].push(...(list.length > 0 ? list.map(zoneName) : ["."]));
    } else if (!["success", "denial", "prefetch", "serve_stale", "servfail", "keepttl"].includes(name)) {
      throw fail(directive, `unknown property '${name}'`);
    }
  }
  const kept = new Map<string, Cached>();
  return (next) => (asked, done) => {
    const { name, type } = asked.question;
    if (zoneOf(zones, name) === undefined) return next(asked, done);
    const key = `${name.toLowerCase()} ${type}`;
    const { now } = program.clock;
    const known = kept.get(key);
    if (known && now < known.until) {
      const aged = (record: DnsRecord): DnsRecord => {
        return { ...record, ttl: Math.max(0, record.ttl - Math.floor((now - known.since) / second)) };
      };
      const { answers, authority, additional } = known.answer;
      return done({
        ...known.answer,
        ...{ answers: answers.map(aged), authority: authority.map(aged), additional: additional.map(aged) },
      });
    }
    return next(asked, (answer, problem) => {
      const denial = answer.rcode === "NXDOMAIN" || (answer.rcode === "NOERROR" && answer.answers.length === 0);
      const kind = denial ? "denial" : "success";
      const least = Math.min(
        ...[...answer.answers, ...answer.authority].map((record) => record.ttl),
        ttl ?? (denial ? 1800 : 3600),
      );
      // A "no" without a SOA does not say for how long.
      const tells = denial ? answer.authority.some((record) => record.type === "SOA") : answer.rcode === "NOERROR";
      const keeps = tells && zoneOf(off[kind], name) === undefined;
      if (keeps && least > 0) {
        const since = program.clock.now;
        kept.set(key, { answer, since, until: since + least * second });
      }
      done(answer, problem);
    });
  };
};

/** `rewrite [continue|stop] name [exact|prefix|suffix|substring|regex] FROM TO`: another name is asked for. */
const rewrite: Plugin = (directive, { fail }) => {
  const words = directive.args.filter((word, at) => !(at === 0 && (word === "stop" || word === "continue")));
  const [field, ...rest] = words;
  if (field !== "name") throw fail(directive, `invalid rule type "${field ?? ""}"`);
  const kinds = ["exact", "prefix", "suffix", "substring", "regex"];
  const kind = kinds.includes(rest[0] ?? "") ? (rest.shift() as string) : "exact";
  const [from, to] = rest;
  if (from === undefined || to === undefined) throw fail(directive, `too few arguments for a name rule`);
  const changed = (name: string): string => {
    const lower = name.toLowerCase();
    const [old, now] = kind === "exact" || kind === "suffix" ? [zoneName(from), zoneName(to)] : [from, to];
    if (kind === "exact") return lower === old ? now : name;
    if (kind === "suffix") return lower.endsWith(old) ? `${lower.slice(0, -old.length)}${now}` : name;
    if (kind === "prefix") return lower.startsWith(old) ? `${now}${lower.slice(old.length)}` : name;
    if (kind === "substring") return lower.replaceAll(old, now);
    const pattern = new RegExp(old);
    return lower.replace(pattern, now.replace(/\{(\d+)\}/g, "$$$1"));
  };
  return (next) => (asked, done) => {
    const { name } = asked.question;
    const other = changed(name);
    if (other === name) return next(asked, done);
    return next({ ...asked, question: { ...asked.question, name: other } }, (answer, problem) => {
      // Who asked for one name must see that name answered.
      const back = (record: DnsRecord): DnsRecord => {
        return record.name.toLowerCase() === other.toLowerCase() ? { ...record, name } : record;
      };
      done({ ...answer, answers: answer.answers.map(back) }, problem);
    });
  };
};

/** `loadbalance`: addresses in another order each time. */
const loadbalance: Plugin =
  (_directive, { program }) =>
  (next) =>
  (asked, done) => {
    next(asked, (answer, problem) => {
      const mixed = [...answer.answers];
      const places = mixed.flatMap(({ type }, at) => (type === "A" || type === "AAAA" ? [at] : []));
      for (let left = places.length - 1; left > 0; left--) {
        const [one, other] = [places[left] as number, places[program.random.integer(0, left)] as number];
        [mixed[one], mixed[other]] = [mixed[other] as DnsRecord, mixed[one] as DnsRecord];
      }
      done(places.length > 1 ? { ...answer, answers: mixed } : answer, problem);
    });
  };

const pass: Plugin = () => (next) => next;

/** Says who asked. */
const whoami: Plugin = () => () => (asked, done) => {
  const { client, question, transport } = asked;
  const ip = formatIp(client.ip);
  const type = ip.includes(":") ? "AAAA" : "A";
  const additional: DnsRecord[] = [
    { name: question.name, type, ttl: 0, data: ip },
    { name: `_${transport}.${question.name}`, type: "SRV", ttl: 0, data: `0 0 ${client.port} .` },
  ];
  done({ ...emptyAnswer("NOERROR"), authoritative: true, additional });
};

/** In the order in which CoreDNS has compiled them in (plugin.cfg), whatever the order in the Corefile. */
export const plugins: Readonly<Record<string, Plugin>> = {
  errors,
  log,
  loadbalance,
  cache,
  rewrite,
  hosts,
  kubernetes,
  loop: pass,
  forward,
  whoami,
};

/** Plugins that concern the process and not one query. */
export const processPlugins = ["reload", "ready", "health", "prometheus", "bind", "bufsize", "debug", "pprof", "nsid"];

/** Whether what is forwarded comes back here: the loop that the plugin `loop` finds by a query of its own. */
export function loopOf(directives: readonly Directive[], setup: Parameters<typeof upstreamsOf>[1]): string | undefined {
  if (!directives.some(({ name }) => name === "loop")) return undefined;
  const line = directives.find(({ name }) => name === "forward");
  const back =
    line &&
    upstreamsOf(line, setup).find(({ ip, port }) => {
      const address = tryParseIp(ip);
      return (
        port === 53 && address !== undefined && (isLoopback(address) || setup.program.netns.routes.isLocal(address))
      );
    });
  return back && `${back.ip}:${back.port}`;
}

/** Seconds of `lameduck` in a `health` line. */
export function lameduckOf(directives: readonly Directive[]): number {
  const line = directives.find(({ name }) => name === "health")?.block.find(({ name }) => name === "lameduck");
  return durationOf(line?.args[0] ?? "0") ?? 0;
}
