/** Owns `ip address`: showing, adding and taking away the addresses of devices. */
import { type Cidr, formatCidr, formatIp, isLinkLocal, lastOf, tryParseCidr } from "../../../net/address";
import type { Device } from "../../../net/device";
import { Failed } from "../../shell/tool";
import { briefState, linkData, linkText, oneLine, selectDevices } from "./link";
import { changing, deviceNamed, explained, type IpCommand, needPrivilege, prefixFrom } from "./words";

/** An address as it was written: by hand none has a broadcast address unless one is asked for; plugins and installers give one. */
interface Written extends Cidr {
  readonly byHand?: { readonly broadcast: boolean };
}

export function address(command: IpCommand): number {
  const { words } = command;
  switch (words.peek()) {
    case "add":
    case "a":
    case "replace":
    case "change":
      return add(command, words.take() ?? "");
    case "del":
    case "delete":
    case "d":
      words.take();
      return remove(command);
    case "flush":
      words.take();
      return flush(command);
    case "show":
    case "list":
    case "ls":
    case "sh":
    case "s":
      words.take();
  }
  return show(command);
}

function show(command: IpCommand): number {
  const { call, options } = command;
  const wanted = selectDevices(command);
  const of = (device: Device): readonly Written[] =>
    device.addresses.filter(
      ({ ip }) => options.family === undefined || (options.family === "IPv4") === (typeof ip === "number"),
    );
  const shown = wanted.filter((device) => options.family === undefined || of(device).length > 0);
  if (options.json) {
    call.out(`${JSON.stringify(shown.map((device) => dataOf(device, of(device))))}\n`);
    return 0;
  }
  for (const device of shown) {
    if (options.brief) {
      call.out(
        `${briefState(device)}${of(device)
          .map((each) => `${formatCidr(each)} `)
          .join("")}\n`,
      );
      continue;
    }
    if (options.oneline) {
      for (const each of of(device)) {
        call.out(oneLine(`${device.index}: ${device.name}    ${addressText(device, each).trimStart()}`, true));
      }
      continue;
    }
    // With a family only the first line of the device is printed (no link-layer address).
    const lines = linkText(call, device, options, false);
    call.out(options.family === undefined ? lines : `${lines.split("\n")[0]}\n`);
    for (const each of of(device)) call.out(addressText(device, each));
  }
  return 0;
}

function scopeOf(device: Device, { ip }: Cidr): string {
  if (device.link.type === "loopback") return "host";
  return isLinkLocal(ip) && typeof ip === "bigint" ? "link" : "global";
}

function hasBroadcast(device: Device, { ip, length, byHand }: Written): boolean {
  if (typeof ip !== "number" || length >= 31 || device.link.type === "loopback") return false;
  return byHand?.broadcast ?? true;
}

function addressText(device: Device, each: Written): string {
  const six = typeof each.ip === "bigint";
  const broadcast = hasBroadcast(device, each) ? ` brd ${formatIp(lastOf(each))}` : "";
  const name = six ? " " : ` ${device.name}`;
  return `    ${six ? "inet6" : "inet"} ${formatCidr(each)}${broadcast} scope ${scopeOf(device, each)}${name}\n       valid_lft forever preferred_lft forever\n`;
}

const forever = 4_294_967_295;

function dataOf(device: Device, addresses: readonly Written[]): Readonly<Record<string, unknown>> {
  const { linkmode: _, ...link } = linkData(device);
  const info = addresses.map((each) => ({
    family: typeof each.ip === "number" ? "inet" : "inet6",
    local: formatIp(each.ip),
    prefixlen: each.length,
    ...(hasBroadcast(device, each) ? { broadcast: formatIp(lastOf(each)) } : {}),
    scope: scopeOf(device, each),
    ...(typeof each.ip === "number" ? { label: device.name } : {}),
    valid_life_time: forever,
    preferred_life_time: forever,
  }));
  return { ...link, addr_info: info };
}

interface Asked {
  readonly prefix: Written;
  readonly device: Device;
}

/** `ADDRESS[/LENGTH] [brd +] dev NAME`. */
function asked({ netns, words }: IpCommand): Asked {
  let prefix: Cidr | undefined;
  let name: string | undefined;
  let broadcast = false;
  while (!words.empty) {
    const word = words.value();
    if (word === "dev") name = words.value();
    else if (word === "brd" || word === "broadcast") broadcast = words.value() !== "-";
    else if (["scope", "label", "metric", "valid_lft", "preferred_lft"].includes(word)) words.value();
    else if (["nodad", "noprefixroute", "home"].includes(word)) continue;
    else if (prefix !== undefined && word !== "local") {
      throw new Failed(`Error: either "local" is duplicate, or "${word}" is a garbage.`, 255);
    } else prefix = prefixFrom(word === "local" ? words.value() : word);
  }
  if (name === undefined) throw new Failed('Not enough information: "dev" argument is required.', 1);
  const device = deviceNamed(netns, name);
  if (prefix === undefined) throw explained("ipv4: Invalid prefix length.");
  return { prefix: { ...prefix, byHand: { broadcast } }, device };
}

function add(command: IpCommand, verb: string): number {
  const { call, netns } = command;
  const { prefix, device } = asked(command);
  needPrivilege(call);
  const known = device.addresses.some(({ ip, length }) => ip === prefix.ip && length === prefix.length);
  if (known && verb !== "add" && verb !== "a") return 0;
  if (known)
    throw explained(
      typeof prefix.ip === "number" ? "ipv4: Address already assigned." : "ipv6: address already assigned.",
    );
  changing(() => netns.addAddress(device.name, prefix));
  return 0;
}

function remove(command: IpCommand): number {
  const { prefix, device } = asked(command);
  needPrivilege(command.call);
  // Without a length any address with these numbers is meant.
  const known = device.addresses.find(
    ({ ip, length }) => ip === prefix.ip && (length === prefix.length || prefix.length >= 32),
  );
  if (!known) throw explained(typeof prefix.ip === "number" ? "ipv4: Address not found." : "ipv6: address not found.");
  changing(() => command.netns.deleteAddress(device.name, known));
  return 0;
}

function flush(command: IpCommand): number {
  const { call, netns, options, words } = command;
  if (words.empty) throw new Failed("Flush requires arguments.", 1);
  let to: Cidr | undefined;
  const rest: string[] = [];
  while (!words.empty) {
    const word = words.value();
    if (word === "to") to = tryParseCidr(words.value());
    else if (word !== "dev") rest.push(word);
  }
  needPrivilege(call);
  const devices = rest.length > 0 ? rest.map((name) => deviceNamed(netns, name)) : [...netns.devices.values()];
  for (const device of devices) {
    for (const each of [...device.addresses]) {
      if (options.family !== undefined && (options.family === "IPv4") !== (typeof each.ip === "number")) continue;
      if (to === undefined || to.ip === each.ip) netns.deleteAddress(device.name, each);
    }
  }
  return 0;
}
