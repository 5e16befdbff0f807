/** Owns `ip link`: showing devices as iproute2 and BusyBox print them, and changing them. */
import { formatIp, type Mac, parseIp } from "../../../net/address";
import type { Device } from "../../../net/device";
import { newDummy } from "../../../net/dummy";
import { type Call, Failed } from "../../shell/tool";
import { namedNetns } from "./names";
import {
  changing,
  deviceNamed,
  deviceShown,
  explained,
  type IpCommand,
  isBusybox,
  macFrom,
  needPrivilege,
  refused,
} from "./words";

export function link(command: IpCommand): number {
  const { words } = command;
  const verb = words.peek();
  switch (verb) {
    case "set":
      words.take();
      return set(command);
    case "add":
    case "a":
      words.take();
      return add(command);
    case "del":
    case "delete":
      words.take();
      return remove(command);
    case "help":
      command.call.err(`${linkUsage}\n`);
      return 255;
    case "show":
    case "list":
    case "ls":
    case "sh":
    case "s":
      words.take();
  }
  return show(command);
}

const linkUsage = `Usage: ip link add  [link DEV | parentdev NAME] [ name ] NAME
\t\t    [ address LLADDR ]
\t\t    [ mtu MTU ]
\t\t    type TYPE [ ARGS ]
       ip link delete { DEVICE | dev DEVICE }
       ip link set { DEVICE | dev DEVICE } [ { up | down } ]
\t\t[ address LLADDR ] [ mtu MTU ] [ master DEVICE ] [ nomaster ]
       ip link show [ DEVICE ] [up] [master DEV] [type TYPE]`;

function show({ call, options, netns, words }: IpCommand): number {
  const wanted = selectDevices({ call, options, netns, words });
  if (options.json) {
    call.out(`${JSON.stringify(wanted.map((device) => linkData(device)))}\n`);
    return 0;
  }
  for (const device of wanted) {
    if (options.brief) {
      const flags = `<${flagsOf(device).join(",")}>`;
      call.out(`${fullName(device).padEnd(16)} ${stateOf(device).padEnd(14)} ${device.mac} ${flags} \n`);
    } else call.out(oneLine(linkText(call, device, options, true), options.oneline));
  }
  return 0;
}

/** `-o`: the lines of an object on one line, each end of line a backslash. */
export function oneLine(text: string, wanted: boolean): string {
  return wanted ? `${text.replace(/\n$/, "").replaceAll("\n", "\\")}\n` : text;
}

/** The devices that a `show` is about: one by name, those that are up, those of a type or of a bridge. */
export function selectDevices({ netns, words }: IpCommand): readonly Device[] {
  let wanted = [...netns.devices.values()];
  while (!words.empty) {
    if (words.skip("up")) wanted = wanted.filter((device) => device.up);
    else if (words.skip("type")) {
      const type = words.value();
      wanted = wanted.filter((device) => device.link.type === type);
    } else if (words.skip("master")) {
      const master = deviceShown(netns, words.value());
      wanted = wanted.filter((device) => device.master === master);
    } else {
      words.skip("dev");
      wanted = [deviceShown(netns, words.value())];
    }
  }
  return wanted;
}

/** `eth0@if7`: the other end of a veth pair by its number, or by its name where that is in the same namespace. */
function fullName(device: Device): string {
  const peer = device.link.type === "veth" ? device.link.peer : undefined;
  if (!peer) return device.name;
  return `${device.name}@${peer.netns === device.netns ? peer.name : `if${peer.index}`}`;
}

const flagsOfKind: Readonly<Record<string, readonly string[]>> = {
  loopback: ["LOOPBACK"],
  dummy: ["BROADCAST", "NOARP"],
};

function flagsOf(device: Device): readonly string[] {
  const flags = flagsOfKind[device.link.type] ?? ["BROADCAST", "MULTICAST"];
  if (!device.up) return flags;
  return device.carrier ? [...flags, "UP", "LOWER_UP"] : ["NO-CARRIER", ...flags, "UP"];
}

function stateOf(device: Device): string {
  if (!device.up) return "DOWN";
  if (["loopback", "vxlan", "dummy"].includes(device.link.type)) return "UNKNOWN";
  if (device.carrier) return "UP";
  // The kernel takes a link to a device of the same number for none (net/core/link_watch.c, default_operstate).
  const below = device.link.type === "veth" ? device.link.peer?.index : undefined;
  return below !== undefined && below !== device.index ? "LOWERLAYERDOWN" : "DOWN";
}

/** A dummy device is given its queue when it first goes up; kube-proxy's never does. */
function queueOf({ link: { type }, up }: Device): string {
  if (type === "dummy" && !up) return "noop";
  return type === "physical" ? "fq_codel" : "noqueue";
}

/** A device's two lines; `mode`: `ip link` tells its link mode, `ip addr` does not. */
export function linkText(call: Call, device: Device, options: IpCommand["options"], mode: boolean): string {
  const loopback = device.link.type === "loopback";
  const queue = queueOf(device);
  const length = device.link.type === "dummy" && device.link.queue === 0 ? "" : " qlen 1000";
  const master = device.master ? ` master ${device.master.name}` : "";
  const kind = loopback ? `link/loopback ${device.mac}` : `link/ether ${device.mac}`;
  const lower = `${kind} brd ${loopback ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff"}`;
  const peer = device.link.type === "veth" ? device.link.peer : undefined;
  const elsewhere = peer !== undefined && peer.netns !== device.netns;
  const begin = `${device.index}: ${fullName(device)}: `;
  const about = `mtu ${device.mtu} qdisc ${queue}${master} state ${stateOf(device)}`;
  if (isBusybox(call)) {
    const flags = [...flagsOf(device), ...(elsewhere && device.up ? ["M-DOWN"] : [])].join(",");
    return `${begin}<${flags}> ${about} qlen 1000\n    ${lower}\n`;
  }
  const netns = elsewhere ? ` ${netnsWords(call, device)}` : "";
  const head = `${begin}<${flagsOf(device).join(",")}> ${about}${mode ? " mode DEFAULT" : ""} group default${length}\n`;
  const details = options.details ? detailsOf(device) : "";
  return `${head}    ${lower}${netns}${details}\n${options.statistics ? statisticsOf(device) : ""}`;
}

/** Where the other end is: by name on a machine that knows one, else by number. */
function netnsWords(call: Call, device: Device): string {
  const peer = device.link.type === "veth" ? device.link.peer : undefined;
  const known = namedNetns(call.cluster, device.netns).find(({ netns }) => netns === peer?.netns);
  return known ? `link-netns ${known.name}` : "link-netnsid 0";
}

function statisticsOf({ counters }: Device): string {
  const { rxBytes, rxPackets, rxDropped, txBytes, txPackets, txDropped } = counters;
  // Columns as wide as their widest value, at least as wide as the titles (ipaddress.c, size_columns).
  const width = Math.max(10, String(rxBytes).length, String(txBytes).length);
  const packets = Math.max(7, String(rxPackets).length, String(txPackets).length);
  const dropped = Math.max(7, String(rxDropped).length, String(txDropped).length);
  const line = (titles: readonly string[], widths: readonly number[]): string =>
    titles.map((title, at) => title.padStart(widths[at] ?? 7)).join(" ");
  const widths = [width, packets, 6, dropped, 7, 7];
  const values = (bytes: number, count: number, lost: number): string =>
    line([bytes, count, 0, lost, 0, 0].map(String), widths);
  const titles = (way: string, last: readonly string[]): string =>
    `    ${way}:${line(["bytes", "packets", "errors", "dropped", ...last], [width - 3, packets, 6, dropped, 7, 7])}           \n`;
  return (
    titles("RX", [" missed", "  mcast"]) +
    `    ${values(rxBytes, rxPackets, rxDropped)} \n` +
    titles("TX", ["carrier", "collsns"]) +
    `    ${values(txBytes, txPackets, txDropped)} \n`
  );
}

/** What `-d` adds: what kind of device it is, and how it is set up. */
function detailsOf(device: Device): string {
  const { link: behind, master } = device;
  const limits = {
    loopback: "minmtu 0 maxmtu 0",
    physical: "minmtu 68 maxmtu 65535",
    veth: "minmtu 68 maxmtu 65535",
    bridge: "minmtu 68 maxmtu 65535",
    vxlan: "minmtu 68 maxmtu 65535",
    dummy: "minmtu 0 maxmtu 0",
  }[behind.type];
  const seen = master ? 1 : 0;
  const lines = [` promiscuity ${seen}  allmulti ${seen} ${limits} `];
  if (behind.type === "veth" || behind.type === "dummy") lines.push(`    ${behind.type} `);
  if (behind.type === "vxlan") {
    const learning = behind.learning ? "" : "nolearning ";
    const where = `local ${formatIp(behind.local)} dev ${behind.underlay}`;
    lines.push(
      `    vxlan id ${behind.vni} ${where} srcport 0 0 dstport ${behind.port} ${learning}ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx `,
    );
  }
  if (behind.type === "bridge") lines.push(`    ${bridgeDetails(device)} `);
  if (master) lines.push(`    bridge_slave ${portDetails(device)} `);
  const queues = behind.type === "veth" ? 2 : 1;
  const sizes = "gso_max_size 65536 gso_max_segs 65535 tso_max_size 524280 tso_max_segs 65535 gro_max_size 65536 ";
  return `${lines.join("\n")}addrgenmode eui64 numtxqueues ${queues} numrxqueues ${queues} ${sizes}`;
}

/** What the kernel says of a bridge; no spanning tree, no VLANs, the defaults of a new one. */
function bridgeDetails(bridge: Device): string {
  const id = `8000.${bridge.mac}`;
  const { sysctl } = bridge.netns;
  return [
    "bridge forward_delay 1500 hello_time 200 max_age 2000 ageing_time 30000 stp_state 0 priority 32768 vlan_filtering 0",
    `vlan_protocol 802.1Q bridge_id ${id} designated_root ${id} root_port 0 root_path_cost 0`,
    "topology_change 0 topology_change_detected 0 hello_timer    0.00 tcn_timer    0.00",
    "topology_change_timer    0.00 gc_timer    0.00 vlan_default_pvid 1 vlan_stats_enabled 0 vlan_stats_per_port 0",
    "group_fwd_mask 0 group_address 01:80:c2:00:00:00 mcast_snooping 1",
    `nf_call_iptables ${sysctl.bridgeNfCallIptables ? 1 : 0} nf_call_ip6tables 0 nf_call_arptables 0`,
  ].join(" ");
}

function portDetails(port: Device): string {
  const bridge = port.master;
  const number = bridge?.link.type === "bridge" ? bridge.link.ports.indexOf(port) + 1 : 1;
  const id = `8000.${bridge?.mac ?? ""}`;
  return [
    `state forwarding priority 32 cost 2 hairpin ${port.hairpin ? "on" : "off"} guard off root_block off fastleave off`,
    `learning on flood on port_id 0x${(0x8000 + number).toString(16)} port_no 0x${number.toString(16)}`,
    `designated_port ${0x8000 + number} designated_cost 0 designated_bridge ${id} designated_root ${id}`,
  ].join(" ");
}

export function linkData(device: Device): Readonly<Record<string, unknown>> {
  const loopback = device.link.type === "loopback";
  const peer = device.link.type === "veth" ? device.link.peer : undefined;
  return {
    ifindex: device.index,
    ...(peer && peer.netns !== device.netns ? { link_index: peer.index } : {}),
    ifname: device.name,
    flags: flagsOf(device),
    mtu: device.mtu,
    qdisc: queueOf(device),
    ...(device.master ? { master: device.master.name } : {}),
    operstate: stateOf(device),
    linkmode: "DEFAULT",
    group: "default",
    txqlen: 1000,
    link_type: loopback ? "loopback" : "ether",
    address: device.mac,
    broadcast: loopback ? "00:00:00:00:00:00" : "ff:ff:ff:ff:ff:ff",
  };
}

export function briefState(device: Device): string {
  return `${fullName(device).padEnd(16)} ${stateOf(device).padEnd(14)} `;
}

/** `ip link set [dev] NAME { up | down | mtu N | address MAC | master BRIDGE | nomaster | type bridge_slave hairpin on }`. */
function set({ call, netns, words }: IpCommand): number {
  let device: Device | undefined;
  const changes: ((device: Device) => void)[] = [];
  while (!words.empty) {
    const word = words.value();
    if (word === "up" || word === "down") changes.push((each) => setUp(each, word === "up"));
    else if (word === "mtu") {
      const mtu = numberFrom(words.value(), "mtu");
      changes.push((each) => setMtu(each, mtu));
    } else if (word === "address") {
      const text = words.value();
      const mac = macFrom(text);
      if (mac === undefined) throw new Failed(`"${text}" is invalid lladdr.`, 1);
      changes.push((each) => setMac(each, mac));
    } else if (word === "master") {
      const bridge = deviceNamed(netns, words.value());
      changes.push((each) => changing(() => netns.attach(each.name, bridge.name)));
    } else if (word === "nomaster") changes.push(detach);
    else if (word === "type") {
      words.value();
      while (!words.empty) {
        if (words.value() !== "hairpin") continue;
        const hairpin = words.value() === "on";
        changes.push((each) => {
          each.hairpin = hairpin;
        });
      }
    } else if (word === "dev" || device === undefined)
      device = deviceNamed(netns, word === "dev" ? words.value() : word);
    else throw new Failed(`Error: either "dev" is duplicate, or "${word}" is a garbage.`, 255);
  }
  if (!device) throw new Failed('Not enough of information: "dev" argument is required.', 255);
  needPrivilege(call);
  for (const change of changes) change(device);
  return 0;
}

function numberFrom(text: string, name: string): number {
  if (!/^\d+$/.test(text)) throw new Failed(`Error: argument "${text}" is wrong: Invalid "${name}" value\n`, 255);
  return Number(text);
}

function setUp(device: Device, up: boolean): void {
  device.up = up;
}

function setMtu(device: Device, mtu: number): void {
  if (device.link.type !== "loopback" && mtu < 68) throw explained("mtu less than device minimum.");
  if (mtu > 65_535 && device.link.type !== "loopback") throw explained("mtu greater than device maximum.");
  device.mtu = mtu;
}

function setMac(device: Device, mac: Mac): void {
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) throw refused("Cannot assign requested address");
  device.mac = mac;
}

function detach(device: Device): void {
  const { master } = device;
  if (master?.link.type === "bridge") master.link.removePort(device);
  device.master = undefined;
}

/** `ip link add [name] NAME type { bridge | veth peer name NAME | vxlan id N dev DEV … }`. */
function add({ call, netns, words }: IpCommand): number {
  let name: string | undefined;
  let mac: Mac | undefined;
  let mtu: number | undefined;
  let type: string | undefined;
  while (!words.empty && type === undefined) {
    const word = words.value();
    if (word === "address") mac = macFrom(words.value());
    else if (word === "mtu") mtu = numberFrom(words.value(), "mtu");
    else if (word === "type") type = words.value();
    else name = word === "name" || word === "dev" ? words.value() : word;
  }
  if (type === undefined) throw new Failed('Not enough information: "type" argument is required', 255);
  needPrivilege(call);
  const options = { ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) };
  const named = (what: string): string => name ?? freeName(netns, what);
  switch (type) {
    case "bridge":
      changing(() => netns.addBridge(named("bridge"), options)).up = false;
      return 0;
    case "dummy":
      changing(() => netns.addDevice(named("dummy"), newDummy(), options)).up = false;
      return 0;
    case "veth": {
      while (!words.empty && !words.skip("name")) words.take();
      const peer = words.take() ?? freeName(netns, "veth");
      const one = { netns, name: named("veth"), ...options };
      for (const each of [one.name, peer]) if (netns.devices.has(each)) throw refused("File exists");
      for (const end of netns.network.vethPair(one, { netns, name: peer })) end.up = false;
      return 0;
    }
    case "vxlan": {
      const given = new Map<string, string>();
      while (!words.empty) {
        const word = words.value();
        given.set(word, ["nolearning", "learning"].includes(word) ? "" : words.value());
      }
      const id = given.get("id") ?? given.get("vni");
      if (id === undefined) throw new Failed("vxlan: missing virtual network identifier", 255);
      const underlay = given.get("dev") ?? "eth0";
      const below = deviceNamed(netns, underlay);
      const local = given.has("local") ? parseIp(given.get("local") ?? "") : (below.addresses[0]?.ip ?? 0);
      const port = Number(given.get("dstport") ?? 8472);
      const learning = !given.has("nolearning");
      const made = { vni: Number(id), local, underlay, port, learning, ...options };
      changing(() => netns.addVxlan(named("vxlan"), made)).up = false;
      return 0;
    }
    default:
      throw new Failed("Error: Unknown device type.", 2);
  }
}

function freeName(netns: IpCommand["netns"], prefix: string): string {
  for (let number = 0; ; number++) if (!netns.devices.has(`${prefix}${number}`)) return `${prefix}${number}`;
}

function remove({ call, netns, words }: IpCommand): number {
  words.skip("dev");
  const device = deviceNamed(netns, words.value());
  needPrivilege(call);
  if (device.link.type === "loopback") throw refused("Operation not supported");
  netns.deleteDevice(device.name);
  return 0;
}
