/** Owns `ip`: addresses, links, routes, neighbours and the bridge's forwarding table, as iproute2 prints them. */
import { type Cidr, formatCidr, formatIp, tryParseIp } from "../../net/address";
import type { Device } from "../../net/device";
import type { Netns } from "../../net/netns";
import type { Route } from "../../net/route";
import { type Call, Failed, type Tool, type Tools } from "../shell/tool";

type Objects = { readonly [name: string]: (call: Call, args: readonly string[]) => number };

const objects: Objects = {
  address: showAddresses,
  link: showLinks,
  route: routes,
  neighbour: neighbours,
};

const ip: Tool = (call) => {
  const args = call.args.filter((arg) => !/^-(4|br|brief|c|color|o|d|details|s)/.test(arg) || arg === "-br");
  const brief = call.args.some((arg) => /^-(br|brief)$/.test(arg));
  const [object, ...rest] = args.filter((arg) => arg !== "-br");
  if (object === undefined) throw new Failed("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }", 255);
  const name = Object.keys(objects).find((each) => each.startsWith(object));
  const alias =
    object === "neigh" || object === "neighbor"
      ? "neighbour"
      : object === "addr" || object === "a"
        ? "address"
        : object === "r"
          ? "route"
          : name;
  const run = alias === undefined ? undefined : objects[alias];
  if (!run) throw new Failed(`Object "${object}" is unknown, try "ip help".`, 1);
  if (brief && alias === "address") return briefAddresses(call);
  return run(
    call,
    rest.filter((arg) => arg !== "show" && arg !== "list" && arg !== "ls"),
  );
};

function devicesOf(call: Call, args: readonly string[]): readonly Device[] {
  const at = args.indexOf("dev");
  const name = at >= 0 ? args[at + 1] : args.find((arg) => !["up", "add", "set"].includes(arg));
  const all = [...call.place.netns.devices.values()];
  if (name === undefined) return all;
  const found = all.filter((device) => device.name === name);
  if (found.length === 0) throw new Failed(`Device "${name}" does not exist.`, 1);
  return found;
}

/** `3: eth0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP …` and the line of its MAC address. */
function linkLines(device: Device): string {
  const loopback = device.link.type === "loopback";
  const bridgeDown = device.link.type === "bridge" && !hasPorts(device);
  const flags = loopback ? ["LOOPBACK"] : ["BROADCAST", "MULTICAST"];
  if (bridgeDown) flags.unshift("NO-CARRIER");
  if (device.up) flags.push("UP", ...(bridgeDown ? [] : ["LOWER_UP"]));
  const state = loopback || device.link.type === "vxlan" ? "UNKNOWN" : device.up && !bridgeDown ? "UP" : "DOWN";
  const peer = device.link.type === "veth" && device.link.peer ? `@if${device.link.peer.index}` : "";
  const queue = device.link.type === "physical" ? "fq_codel" : "noqueue";
  const master = device.master ? ` master ${device.master.name}` : "";
  const head = `${device.index}: ${device.name}${peer}: <${flags.join(",")}> mtu ${device.mtu} qdisc ${queue}${master} state ${state} group default qlen 1000`;
  const kind = loopback
    ? "link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00"
    : `link/ether ${device.mac} brd ff:ff:ff:ff:ff:ff`;
  return `${head}\n    ${kind}${device.link.type === "veth" && device.link.peer ? ` link-netnsid 0` : ""}\n`;
}

function hasPorts(bridge: Device): boolean {
  return [...bridge.netns.devices.values()].some((device) => device.master === bridge);
}

function showLinks(call: Call, args: readonly string[]): number {
  for (const device of devicesOf(call, args)) call.out(linkLines(device));
  return 0;
}

function showAddresses(call: Call, args: readonly string[]): number {
  for (const device of devicesOf(call, args)) {
    call.out(linkLines(device));
    for (const address of device.addresses) {
      const local = device.link.type === "loopback";
      const broadcast =
        local || address.length >= 31 || typeof address.ip !== "number" ? "" : ` brd ${formatIp(broadcastOf(address))}`;
      const family = typeof address.ip === "number" ? "inet" : "inet6";
      call.out(
        `    ${family} ${formatCidr(address)}${broadcast} scope ${local ? "host" : "global"} ${device.name}\n       valid_lft forever preferred_lft forever\n`,
      );
    }
  }
  return 0;
}

function broadcastOf(address: Cidr): number {
  return (Number(address.ip) | (2 ** (32 - address.length) - 1)) >>> 0;
}

function briefAddresses(call: Call): number {
  for (const device of call.place.netns.devices.values()) {
    const state =
      device.link.type === "loopback" || device.link.type === "vxlan" ? "UNKNOWN" : device.up ? "UP" : "DOWN";
    const peer = device.link.type === "veth" && device.link.peer ? `@if${device.link.peer.index}` : "";
    call.out(
      `${`${device.name}${peer}`.padEnd(16)} ${state.padEnd(14)} ${device.addresses.map(formatCidr).join(" ")} \n`,
    );
  }
  return 0;
}

function routes(call: Call, args: readonly string[]): number {
  const { netns } = call.place;
  if (args[0] === "get") return routeGet(call, netns, args[1] ?? "");
  const at = args.indexOf("dev");
  const device = at >= 0 ? args[at + 1] : undefined;
  for (const route of netns.routes.list()) {
    if (route.type === "local" || route.type === "broadcast" || (device !== undefined && route.device !== device))
      continue;
    call.out(`${routeLine(route)}\n`);
  }
  return 0;
}

function routeLine(route: Route): string {
  const everywhere = route.to.length === 0;
  const whole = route.to.length === (typeof route.to.ip === "number" ? 32 : 128);
  const to = everywhere ? "default" : whole ? formatIp(route.to.ip) : formatCidr(route.to);
  const words = [route.type === "unicast" ? to : `${route.type} ${to}`];
  if (route.via !== undefined) words.push(`via ${formatIp(route.via)}`);
  if (route.device !== undefined) words.push(`dev ${route.device}`);
  if (route.protocol !== "boot") words.push(`proto ${route.protocol}`);
  if (route.scope !== "global") words.push(`scope ${route.scope}`);
  if (route.source !== undefined) words.push(`src ${formatIp(route.source)}`);
  if (route.metric > 0) words.push(`metric ${route.metric}`);
  if (route.onlink) words.push("onlink");
  return `${words.join(" ")} `;
}

function routeGet(call: Call, netns: Netns, text: string): number {
  const target = tryParseIp(text);
  if (target === undefined) throw new Failed(`Error: any valid prefix is expected rather than "${text}".`, 1);
  const found = netns.routeGet(target);
  if (!found) throw new Failed("RTNETLINK answers: Network is unreachable", 2);
  const local = found.route.type === "local" ? "local " : "";
  const via = found.nextHop !== target && !local ? `via ${formatIp(found.nextHop)} ` : "";
  const source = found.source === undefined ? "" : `src ${formatIp(found.source)} `;
  call.out(`${local}${text} ${via}dev ${local ? "lo" : found.device} ${source}uid 0 \n    cache \n`);
  return 0;
}

function neighbours(call: Call, args: readonly string[]): number {
  const at = args.indexOf("dev");
  const device = at >= 0 ? args[at + 1] : undefined;
  for (const entry of call.place.netns.neighbors.list()) {
    if (device !== undefined && entry.device !== device) continue;
    const mac = entry.mac === undefined ? "" : `lladdr ${entry.mac} `;
    call.out(`${formatIp(entry.ip)} dev ${entry.device} ${mac}${entry.state.toUpperCase()} \n`);
  }
  return 0;
}

/** `bridge fdb show`, of VXLAN devices. */
const bridge: Tool = (call) => {
  for (const device of devicesOf(
    call,
    call.args.filter((arg) => !["fdb", "show", "list"].includes(arg)),
  )) {
    if (device.link.type !== "vxlan") continue;
    for (const [mac, remote] of device.link.fdb)
      call.out(`${mac} dev ${device.name} dst ${formatIp(remote)} self permanent\n`);
  }
  return 0;
};

export const ipTools: Tools = { ip, bridge };
