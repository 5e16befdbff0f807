/** Owns `ip route`: showing routes, asking for one (`get`), and changing them. */
import {
  type Cidr,
  contains,
  formatCidr,
  formatIp,
  type Ip,
  networkOf,
  tryParseIp,
  widthOf,
} from "../../../net/address";
import { nexthopText, type Route, type RouteOptions } from "../../../net/route";
import { Failed } from "../../shell/tool";
import {
  changing,
  deviceNamed,
  explained,
  type IpCommand,
  ipFrom,
  isBusybox,
  needPrivilege,
  prefixFrom,
  refused,
} from "./words";

export function route(command: IpCommand): number {
  const { words, call } = command;
  const verb = words.peek();
  switch (verb) {
    case "get":
      words.take();
      return get(command);
    case "add":
    case "a":
    case "replace":
    case "change":
    case "chg":
    case "append":
      words.take();
      return write(command, verb === "a" ? "add" : verb);
    case "del":
    case "delete":
    case "d":
      words.take();
      return remove(command);
    case "flush":
      words.take();
      return flush(command);
    case "help":
      call.err(`${routeUsage}\n`);
      return 255;
    case "show":
    case "list":
    case "ls":
    case "sh":
    case "lst":
    case "s":
      words.take();
      return show(command);
    case undefined:
      return show(command);
    default:
      throw new Failed(`Command "${verb}" is unknown, try "ip route help".`, 255);
  }
}

const routeUsage = `Usage: ip route { list | flush } SELECTOR
       ip route get ADDRESS [ from ADDRESS ] [ oif STRING ]
       ip route { add | del | change | append | replace } ROUTE
SELECTOR := [ root PREFIX ] [ match PREFIX ] [ exact PREFIX ]
            [ table TABLE_ID ] [ proto RTPROTO ]
            [ type TYPE ] [ scope SCOPE ]
ROUTE := [ TYPE ] PREFIX [ proto RTPROTO ] [ scope SCOPE ] [ metric METRIC ]
         [ via ADDRESS ] [ dev STRING ] [ src ADDRESS ] [ mtu NUMBER ] [ onlink ]
         [ nexthop via ADDRESS [ dev STRING ] [ weight NUMBER ] ] ...
TYPE := { unicast | local | unreachable | prohibit | blackhole }`;

/** Which routes a `show` or `flush` is about. */
interface Selector {
  readonly table: "main" | "local";
  readonly device: string | undefined;
  matches(route: Route): boolean;
}

function selector({ netns, words, options }: IpCommand): Selector {
  let table: "main" | "local" = "main";
  let device: string | undefined;
  const tests: ((route: Route) => boolean)[] = [];
  while (!words.empty) {
    const word = words.value();
    switch (word) {
      case "table": {
        const name = words.value();
        if (name === "local" || name === "255") table = "local";
        else if (name !== "main" && name !== "254" && name !== "all") {
          throw new Failed(`Error: ipv4: FIB table does not exist.\nDump terminated`, 2);
        }
        break;
      }
      case "dev": {
        device = deviceNamed(netns, words.value()).name;
        break;
      }
      case "via": {
        const via = ipFrom(words.value());
        tests.push((each) => each.via === via);
        break;
      }
      case "proto": {
        const protocol = words.value();
        tests.push((each) => each.protocol === protocol);
        break;
      }
      case "type": {
        const type = words.value();
        tests.push((each) => each.type === type);
        break;
      }
      case "scope": {
        const scope = words.value();
        tests.push((each) => each.scope === scope);
        break;
      }
      default: {
        const exact = word === "exact" || !["root", "match", "to"].includes(word);
        const text = ["exact", "root", "match", "to"].includes(word) ? words.value() : word;
        const to = text === "default" ? everywhere(options.family) : prefixFrom(text);
        tests.push((each) =>
          word === "match"
            ? contains(each.to, to.ip)
            : word === "root"
              ? contains(to, each.to.ip)
              : !exact || samePrefix(each.to, to),
        );
      }
    }
  }
  return { table, device, matches: (each) => tests.every((test) => test(each)) };
}

function samePrefix(one: Cidr, other: Cidr): boolean {
  return one.length === other.length && networkOf(one).ip === networkOf(other).ip;
}

function everywhere(family: "IPv4" | "IPv6" | undefined): Cidr {
  return { ip: family === "IPv6" ? 0n : 0, length: 0 };
}

function show(command: IpCommand): number {
  const { call, netns, options } = command;
  const { table, device, matches } = selector(command);
  const found = netns.routes
    .list(options.family ?? "IPv4", table)
    .filter((each) => matches(each) && (device === undefined || each.device === device));
  if (options.json) {
    call.out(`${JSON.stringify(found.map(routeData))}\n`);
    return 0;
  }
  // A device that was asked for is not named again.
  const text = isBusybox(call) ? busyboxText : routeText;
  for (const each of found) {
    const down = each.device !== undefined && netns.devices.get(each.device)?.carrier === false;
    call.out(`${text(each, device)}${down ? "linkdown " : ""}\n`);
  }
  return 0;
}

function prefixText(to: Cidr): string {
  if (to.length === 0) return "default";
  return to.length === widthOf(to.ip) ? formatIp(to.ip) : formatCidr(networkOf(to));
}

/** A route as iproute2 prints it; each word is followed by a space. */
export function routeText(each: Route, without?: string): string {
  const words = [prefixText(each.to)];
  if (each.type !== "unicast") words.unshift(each.type);
  if (each.via !== undefined) words.push("via", formatIp(each.via));
  if (each.device !== undefined && each.device !== without) words.push("dev", each.device);
  if (each.protocol !== "boot") words.push("proto", each.protocol);
  if (each.scope !== "global" && typeof each.to.ip === "number") words.push("scope", each.scope);
  if (each.source !== undefined) words.push("src", formatIp(each.source));
  if (each.metric !== 0) words.push("metric", String(each.metric));
  if (each.onlink) words.push("onlink");
  if (each.mtu !== undefined) words.push("mtu", String(each.mtu));
  // iproute2 ends an IPv6 line with the router's preference, which has no space after it.
  if (typeof each.to.ip === "bigint") return `${words.join(" ")} pref medium${nexthopText(each)}`;
  return `${words.join(" ")} ${nexthopText(each)}`;
}

/** BusyBox leaves protocols out, and has two spaces before `src`. */
function busyboxText(each: Route, without?: string): string {
  const words = [prefixText(each.to)];
  if (each.type !== "unicast") words.unshift(each.type);
  if (each.via !== undefined) words.push("via", formatIp(each.via));
  if (each.device !== undefined && each.device !== without) words.push("dev", each.device);
  if (each.scope !== "global") words.push("scope", each.scope);
  if (each.source !== undefined) words.push("", "src", formatIp(each.source));
  if (each.metric !== 0) words.push("", "metric", String(each.metric));
  return `${words.join(" ")} `;
}

function routeData(each: Route): Readonly<Record<string, unknown>> {
  return {
    ...(each.type === "unicast" ? {} : { type: each.type }),
    dst: prefixText(each.to),
    ...(each.via === undefined ? {} : { gateway: formatIp(each.via) }),
    ...(each.device === undefined ? {} : { dev: each.device }),
    ...(each.protocol === "boot" ? {} : { protocol: each.protocol }),
    ...(each.scope === "global" ? {} : { scope: each.scope }),
    ...(each.source === undefined ? {} : { prefsrc: formatIp(each.source) }),
    ...(each.metric === 0 ? {} : { metric: each.metric }),
    flags: each.onlink ? ["onlink"] : [],
    ...(each.nexthops && {
      nexthops: each.nexthops.map(({ via, device: dev, weight }) => ({
        gateway: formatIp(via),
        dev,
        weight,
        flags: [],
      })),
    }),
  };
}

function get({ call, netns, options, words }: IpCommand): number {
  let target: Ip | undefined;
  let device: string | undefined;
  let from: Ip | undefined;
  while (!words.empty) {
    const word = words.value();
    if (word === "oif" || word === "dev") device = deviceNamed(netns, words.value()).name;
    else if (word === "from") from = ipFrom(words.value());
    else if (["iif", "mark", "uid", "ipproto", "sport", "dport", "tos"].includes(word)) words.value();
    else if (word !== "fibmatch") {
      const text = word === "to" ? words.value() : word;
      target = tryParseIp(text.split("/")[0] ?? "");
      if (target === undefined) throw new Failed(`Error: any valid prefix is expected rather than "${text}".`, 1);
    }
  }
  if (target === undefined) throw new Failed("need at least a destination address", 1);
  const plain = device === undefined ? netns.routes.lookup(target) : netns.routes.lookupBy(device, target);
  const type = plain?.route.type;
  if (type === "blackhole") throw refused("Invalid argument");
  if (type === "unreachable") throw refused("No route to host");
  if (type === "prohibit") throw refused("Permission denied");
  const found = device === undefined ? netns.routeGet(target) : undefined;
  const source = from ?? found?.source ?? (plain && sourceBy(netns, plain.device, plain.nextHop, plain.route));
  if (!plain) throw refused("Network is unreachable");
  const said = [formatIp(target)];
  const local = plain.route.type === "local";
  if (local || plain.route.type === "broadcast") said.unshift(plain.route.type);
  if (from !== undefined) said.push("from", formatIp(from));
  else if (typeof target === "bigint" && !isBusybox(call)) said.push("from", "::");
  if (plain.route.via !== undefined || plain.route.nexthops) said.push("via", formatIp(plain.nextHop));
  said.push("dev", local ? "lo" : plain.device);
  if (local && typeof target === "bigint") said.push("table", "local");
  if (typeof target === "bigint" && plain.route.protocol !== "boot") said.push("proto", plain.route.protocol);
  if (source !== undefined && from === undefined) said.push("src", formatIp(source));
  if (isBusybox(call)) {
    call.out(`${said.join(" ").replace(" src ", "  src ")} \n`);
    return 0;
  }
  if (typeof target === "bigint") {
    call.out(`${said.join(" ")} metric ${plain.route.metric} pref medium\n`);
    return 0;
  }
  const cache = local ? "cache <local> " : plain.route.type === "broadcast" ? "cache <local,brd> " : "cache ";
  call.out(
    options.oneline
      ? `${said.join(" ")} uid ${uid(call.place.user)} \\    ${cache}\n`
      : `${said.join(" ")} uid ${uid(call.place.user)} \n    ${cache}\n`,
  );
  return 0;
}

function uid(user: string): number {
  return user === "root" ? 0 : 1000;
}

function sourceBy(netns: IpCommand["netns"], device: string, nextHop: Ip, { source, type }: Route): Ip | undefined {
  if (source !== undefined) return source;
  if (type === "local") return nextHop;
  const found = netns.devices.get(device);
  return found && netns.sourceOn(found, nextHop);
}

const routeTypes = ["unicast", "local", "broadcast", "blackhole", "unreachable", "prohibit"] as const;

/** What `add`, `replace` and `del` are told. */
interface Told {
  readonly options: RouteOptions;
  readonly said: ReadonlySet<string>;
}

function read({ netns, words, options }: IpCommand): Told {
  let to: Cidr | undefined;
  const said = new Set<string>();
  let made: Omit<RouteOptions, "to"> = {};
  while (!words.empty) {
    const word = words.value();
    said.add(word);
    const type = routeTypes.find((each) => each === word);
    if (type !== undefined && to === undefined) made = { ...made, type };
    else if (word === "via") {
      const next = words.value();
      const via = ipFrom(next === "inet6" || next === "inet" ? words.value() : next);
      made = { ...made, via };
    } else if (word === "dev" || word === "oif") made = { ...made, device: deviceNamed(netns, words.value()).name };
    else if (word === "src") made = { ...made, source: ipFrom(words.value()) };
    else if (word === "metric" || word === "priority" || word === "preference")
      made = { ...made, metric: number(words.value(), "metric") };
    else if (word === "mtu") made = { ...made, mtu: number(words.value(), "mtu") };
    else if (word === "proto" || word === "protocol") made = { ...made, protocol: words.value() };
    else if (word === "scope") made = { ...made, scope: scopeFrom(words.value()) };
    else if (word === "onlink") made = { ...made, onlink: true };
    else if (word === "nexthop") made = { ...made, nexthops: [...(made.nexthops ?? []), nextHop(netns, words)] };
    else if (word === "table" || word === "advmss" || word === "pref") words.value();
    else {
      const text = word === "to" ? words.value() : word;
      if (to !== undefined) throw new Failed(`Error: either "to" is duplicate, or "${text}" is a garbage.`, 255);
      const family = options.family ?? (typeof made.via === "bigint" ? "IPv6" : "IPv4");
      to = text === "default" || text === "any" ? everywhere(family) : prefixFrom(text);
    }
  }
  if (to === undefined) throw new Failed(routeUsage, 255);
  if (to.length === 0 && typeof made.via === "bigint") to = everywhere("IPv6");
  if (networkOf(to).ip !== to.ip) throw explained("Invalid prefix for given prefix length.");
  return { options: { ...made, to }, said };
}

/** `nexthop via ADDRESS [ dev STRING ] [ weight NUMBER ]` */
function nextHop(netns: IpCommand["netns"], words: IpCommand["words"]): NonNullable<RouteOptions["nexthops"]>[number] {
  let via: Ip | undefined;
  let rest: { readonly device?: string; readonly weight?: number } = {};
  for (let next = words.peek(); next === "via" || next === "dev" || next === "weight"; next = words.peek()) {
    words.take();
    if (next === "via") via = ipFrom(words.value());
    else if (next === "dev") rest = { ...rest, device: deviceNamed(netns, words.value()).name };
    else rest = { ...rest, weight: number(words.value(), "weight") };
  }
  if (via === undefined) throw new Failed('Error: unexpected end of line after "nexthop"', 255);
  return { via, ...rest };
}

function number(text: string, name: string): number {
  if (!/^\d+$/.test(text)) throw new Failed(`Error: argument "${text}" is wrong: "${name}" value is invalid\n`, 255);
  return Number(text);
}

function scopeFrom(text: string): "global" | "link" | "host" {
  if (text === "global" || text === "link" || text === "host") return text;
  throw new Failed(`Error: argument "${text}" is wrong: invalid "scope" value\n`, 255);
}

function write(command: IpCommand, verb: string): number {
  const { call, netns } = command;
  const { options } = read(command);
  needPrivilege(call);
  const reaches = options.device !== undefined || options.via !== undefined || options.nexthops !== undefined;
  if (!reaches && (options.type === undefined || options.type === "unicast")) throw refused("No such device");
  const device = options.device === undefined ? undefined : netns.devices.get(options.device);
  if (device && !device.up)
    throw options.via === undefined ? refused("Network is down") : explained("Nexthop device is not up.");
  if (options.source !== undefined && !netns.routes.isLocal(options.source))
    throw explained("Invalid prefsrc address.");
  if (verb === "replace") changing(() => netns.routes.replace(options));
  else if (verb === "change" || verb === "chg") {
    if (!netns.routes.list(familyOf(options)).some((each) => samePrefix(each.to, options.to)))
      throw refused("No such file or directory");
    changing(() => netns.routes.replace(options));
  } else changing(() => netns.routes.add(options));
  return 0;
}

function familyOf({ to }: RouteOptions): "IPv4" | "IPv6" {
  return typeof to.ip === "number" ? "IPv4" : "IPv6";
}

function remove(command: IpCommand): number {
  const { call, netns } = command;
  const { options } = read(command);
  needPrivilege(call);
  const { to, device, type, metric, via } = options;
  if (!netns.routes.delete(to, device, type, metric, via)) throw refused("No such process");
  return 0;
}

function flush(command: IpCommand): number {
  const { call, netns, options, words } = command;
  if (words.empty) throw new Failed('"ip route flush" requires arguments.', 255);
  if (words.peek() === "cache") return 0;
  const { table, device, matches } = selector(command);
  needPrivilege(call);
  let count = 0;
  for (const each of netns.routes.list(options.family ?? "IPv4", table)) {
    if (!matches(each) || (device !== undefined && each.device !== device)) continue;
    if (netns.routes.delete(each.to, each.device, each.type, each.metric, each.via)) count++;
  }
  if (count === 0 && options.statistics) call.out("Nothing to flush.\n");
  return 0;
}
