/** Owns `bridge` and `brctl`: forwarding databases of bridges and tunnels, and the ports of bridges. */
import { formatIp, type Mac, tryParseIp } from "../../net/address";
import type { Device } from "../../net/device";
import type { Netns } from "../../net/netns";
import { second } from "../../sim/clock";
import { type Call, Failed, type Tool, type Tools } from "../shell/tool";
import { deviceNamed, macFrom, needPrivilege, Words } from "./ip/words";

const bridge: Tool = (call) => {
  const words = [...call.args];
  let details = false;
  let statistics = false;
  while (words[0]?.startsWith("-")) {
    const option = words.shift() ?? "";
    if (/^-d(etails)?$/.test(option)) details = true;
    else if (/^-s(tatistics)?$/.test(option)) statistics = true;
    else if (!/^-(c(olor)?|p(retty)?|o(neline)?|4|6)$/.test(option)) {
      throw new Failed(`Option "${option}" is unknown, try "bridge -help".`, 255);
    }
  }
  const object = words.shift();
  const verb = words[0];
  const rest = new Words(["show", "list", "lst"].includes(verb ?? "") ? words.slice(1) : words);
  switch (object) {
    case undefined:
      throw new Failed("Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { link | fdb }", 255);
    case "link":
      return showPorts(call, rest, details);
    case "fdb":
      if (verb === undefined || ["show", "list", "lst"].includes(verb)) return showFdb(call, rest, statistics);
      if (["add", "append", "replace", "del", "delete"].includes(verb)) return changeFdb(call, words);
      throw new Failed(`Command "${verb}" is unknown, try "bridge fdb help".`, 255);
    default:
      throw new Failed(`Object "${object}" is unknown, try "bridge help".`, 255);
  }
};

function showPorts(call: Call, words: Words, details: boolean): number {
  const { netns } = call.place;
  if (words.peek() === "set") {
    words.take();
    return setPort(call, words);
  }
  let only: Device | undefined;
  if (words.skip("dev")) only = deviceNamed(netns, words.value());
  for (const port of netns.devices.values()) {
    if (!port.master || (only && port !== only)) continue;
    const peer = port.link.type === "veth" ? port.link.peer : undefined;
    // The number is the other end's, and bridge looks it up in its own namespace (link.c).
    const behind = peer && [...netns.devices.values()].find((each) => each.index === peer.index);
    const name = peer ? `${port.name}@${behind?.name ?? `if${peer.index}`}` : port.name;
    const flags =
      port.up && port.carrier
        ? "BROADCAST,MULTICAST,UP,LOWER_UP"
        : port.up
          ? "NO-CARRIER,BROADCAST,MULTICAST,UP"
          : "BROADCAST,MULTICAST";
    const state = port.up && port.carrier ? "forwarding" : "disabled";
    call.out(
      `${port.index}: ${name}: <${flags}> mtu ${port.mtu} master ${port.master.name} state ${state} priority 32 cost 2 \n`,
    );
    if (details) {
      call.out(
        `    hairpin ${port.hairpin ? "on" : "off"} guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off vlan_tunnel off isolated off locked off \n`,
      );
    }
  }
  return 0;
}

/** `bridge link set dev NAME hairpin on`. */
function setPort(call: Call, words: Words): number {
  let port: Device | undefined;
  let hairpin: boolean | undefined;
  while (!words.empty) {
    const word = words.value();
    if (word === "dev") port = deviceNamed(call.place.netns, words.value());
    else if (word === "hairpin") hairpin = words.value() === "on";
    else words.value();
  }
  if (!port) throw new Failed("Device is a required argument.", 255);
  needPrivilege(call);
  if (!port.master) throw new Failed("RTNETLINK answers: Operation not supported", 255);
  if (hairpin !== undefined) port.hairpin = hairpin;
  return 0;
}

interface Line {
  readonly mac: Mac;
  readonly device: string;
  /** What follows the device. */
  readonly about: string;
  readonly bridge: string | undefined;
}

/** What a machine's bridges and tunnels know. Multicast groups that the kernel joins by itself are not told here. */
function* lines(netns: Netns, statistics: boolean): Generator<Line> {
  const { now } = netns.network.sim.clock;
  for (const device of netns.devices.values()) {
    const { link } = device;
    if (link.type === "vxlan") {
      for (const { mac, remote, permanent } of link.fdb.entries()) {
        yield {
          mac,
          device: device.name,
          about: `dst ${formatIp(remote)} self ${permanent ? "permanent" : ""}`,
          bridge: undefined,
        };
      }
    }
    if (link.type !== "bridge") continue;
    for (const { mac, port, permanent, local, seen } of link.entries(device)) {
      const age = Math.floor((now - seen) / second);
      const used = statistics ? `used ${age}/${age} ` : "";
      const state = local ? "permanent" : permanent ? "static" : "";
      yield { mac, device: port.name, about: `${used}master ${device.name} ${state}`, bridge: device.name };
    }
  }
}

function showFdb(call: Call, words: Words, statistics: boolean): number {
  const { netns } = call.place;
  let device: string | undefined;
  let master: string | undefined;
  while (!words.empty) {
    const word = words.value();
    if (word === "dev" || word === "brport") device = deviceNamed(netns, words.value()).name;
    else if (word === "br" || word === "bridge") master = deviceNamed(netns, words.value()).name;
    else if (word !== "dynamic" && word !== "state") device = deviceNamed(netns, word).name;
  }
  for (const line of lines(netns, statistics)) {
    if (device !== undefined && line.device !== device) continue;
    if (master !== undefined && line.bridge !== master) continue;
    call.out(`${line.mac} ${device === undefined ? `dev ${line.device} ` : ""}${line.about}\n`);
  }
  return 0;
}

const noEntry = "RTNETLINK answers: No such file or directory";

function changeFdb(call: Call, [verb = "", ...given]: readonly string[]): number {
  const words = new Words(given);
  const { netns } = call.place;
  let text: string | undefined;
  let name: string | undefined;
  let target: string | undefined;
  let master = false;
  while (!words.empty) {
    const word = words.value();
    if (word === "dev") name = words.value();
    else if (word === "dst") target = words.value();
    else if (word === "master") master = true;
    else if (["vni", "port", "via", "vlan", "src_vni"].includes(word)) words.value();
    else if (
      !["self", "local", "permanent", "static", "dynamic", "temp", "use", "router", "extern_learn"].includes(word)
    ) {
      text = word === "to" ? words.value() : word;
    }
  }
  if (text === undefined || name === undefined) throw new Failed("Device and address are required arguments.", 255);
  const device = netns.devices.get(name);
  if (!device) throw new Failed(`Cannot find device "${name}"`, 255);
  const mac = macFrom(text);
  if (mac === undefined) throw new Failed(`Invalid mac address ${text}`, 255);
  if (target !== undefined && tryParseIp(target) === undefined) {
    throw new Failed(`Error: any valid address is expected rather than "${target}".`, 1);
  }
  needPrivilege(call);
  const { link } = device;
  if (link.type === "vxlan" && !master) return changeTunnel(device, verb, mac, target);
  const bridgeDevice = device.master ?? (link.type === "bridge" ? device : undefined);
  if (bridgeDevice?.link.type !== "bridge") throw new Failed("RTNETLINK answers: Operation not supported", 255);
  const known = bridgeDevice.link.entries(bridgeDevice).find((entry) => entry.mac === mac && !entry.local);
  if (verb === "del" || verb === "delete") {
    if (known?.port !== device || !bridgeDevice.link.delete(mac)) throw new Failed(noEntry, 255);
  } else {
    if (verb === "add" && known) throw new Failed("RTNETLINK answers: File exists", 255);
    bridgeDevice.link.set(mac, device);
  }
  return 0;
}

/** Only the entry of zeros (and of groups) may have several remotes: for others `append` leaves the first (vxlan_fdb_append). */
function changeTunnel(device: Device, verb: string, mac: Mac, target: string | undefined): number {
  const { link } = device;
  if (link.type !== "vxlan") return 0;
  const { fdb } = link;
  const remote = target === undefined ? undefined : tryParseIp(target);
  if (verb === "del" || verb === "delete") {
    const known = fdb.entries().some((entry) => entry.mac === mac && (remote === undefined || entry.remote === remote));
    if (!known || !fdb.delete(mac, remote)) throw new Failed(noEntry, 255);
    return 0;
  }
  if (remote === undefined) throw new Failed("RTNETLINK answers: Invalid argument", 255);
  const known = fdb.entries().some((entry) => entry.mac === mac);
  if (verb === "add" && known) throw new Failed("RTNETLINK answers: File exists", 255);
  const many = mac === "00:00:00:00:00:00" || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
  if (verb === "append" && known) {
    if (many) fdb.append(mac, remote);
    return 0;
  }
  fdb.set(mac, remote);
  return 0;
}

/** `brctl show`, of bridge-utils and BusyBox. */
const brctl: Tool = (call) => {
  const [command, name] = call.args;
  const { netns } = call.place;
  if (command === undefined) throw new Failed("never heard of command []\nUsage: brctl [commands]", 1);
  const bridges = [...netns.devices.values()].filter(
    ({ link, name: each }) => link.type === "bridge" && (name === undefined || each === name),
  );
  if (name !== undefined && bridges.length === 0) throw new Failed(`bridge ${name} does not exist!`, 1);
  if (command === "show") {
    call.out("bridge name\tbridge id\t\tSTP enabled\tinterfaces\n");
    for (const { name: title, mac, link } of bridges) {
      const ports = link.type === "bridge" ? link.ports.map((port) => port.name) : [];
      call.out(`${title}\t\t8000.${mac.replaceAll(":", "")}\tno\t\t${ports.join("\n\t\t\t\t\t\t\t")}\n`);
    }
    return 0;
  }
  if (command === "showmacs") {
    const [only] = bridges;
    if (name === undefined || only?.link.type !== "bridge")
      throw new Failed("Incorrect number of arguments for command\nUsage: brctl showmacs <bridge>", 1);
    call.out("port no\tmac addr\t\tis local?\tageing timer\n");
    const { now } = call.cluster.sim.clock;
    for (const { mac, port, local, seen } of only.link.entries(only)) {
      const number = only.link.ports.indexOf(port) + 1;
      call.out(
        `${String(number).padStart(3)}\t${mac}\t${local ? "yes" : "no"}\t\t${((local ? 0 : now - seen) / second).toFixed(2).padStart(7)}\n`,
      );
    }
    return 0;
  }
  throw new Failed(`never heard of command [${command}]\nUsage: brctl [commands]`, 1);
};

export const bridgeTools: Tools = { bridge, brctl };
