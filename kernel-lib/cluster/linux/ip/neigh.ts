/** Owns `ip neigh`: the neighbour table shown, written and emptied. */
import { formatIp, type Ip, type Mac } from "../../../net/address";
import type { Neighbor } from "../../../net/neighbor";
import { Failed } from "../../shell/tool";
import { deviceNamed, explained, type IpCommand, ipFrom, macFrom, needPrivilege, refused } from "./words";

export function neigh(command: IpCommand): number {
  const { words } = command;
  const verb = words.peek();
  switch (verb) {
    case "add":
    case "a":
    case "replace":
    case "change":
    case "chg":
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
    case "get":
      words.take();
      return get(command);
    case "show":
    case "list":
    case "ls":
    case "sh":
    case "s":
      words.take();
      return show(command);
    case undefined:
      return show(command);
    default:
      throw new Failed(`Command "${verb}" is unknown, try "ip neigh help".`, 255);
  }
}

interface Asked {
  readonly ip: Ip | undefined;
  readonly device: string | undefined;
  readonly mac: Mac | undefined;
  readonly state: string | undefined;
  readonly all: boolean;
}

function read({ netns, words }: IpCommand): Asked {
  let [ip, device, mac, state, all]: [
    Ip | undefined,
    string | undefined,
    Mac | undefined,
    string | undefined,
    boolean,
  ] = [undefined, undefined, undefined, undefined, false];
  while (!words.empty) {
    const word = words.value();
    if (word === "dev") device = deviceNamed(netns, words.value()).name;
    else if (word === "lladdr") {
      const text = words.value();
      mac = macFrom(text);
      if (mac === undefined) throw new Failed(`"${text}" is invalid lladdr.`, 1);
    } else if (word === "nud") {
      state = words.value().toUpperCase();
      if (!(state in states))
        throw new Failed(`Error: argument "${state.toLowerCase()}" is wrong: nud state is bad`, 255);
    } else if (word === "all") all = true;
    else if (word === "proxy" || word === "router" || word === "extern_learn") continue;
    else ip = ipFrom(word === "to" ? words.value() : word);
  }
  return { ip, device, mac, state, all };
}

const states: Readonly<Record<string, true>> = {
  PERMANENT: true,
  NOARP: true,
  REACHABLE: true,
  STALE: true,
  DELAY: true,
  PROBE: true,
  INCOMPLETE: true,
  FAILED: true,
};

function show(command: IpCommand): number {
  const { call, netns, options } = command;
  const { ip, device, state } = read(command);
  const found = netns.neighbors
    .list()
    .filter(
      (entry) =>
        (ip === undefined || entry.ip === ip) &&
        (device === undefined || entry.device === device) &&
        (state === undefined || entry.state === state) &&
        (options.family === undefined || (options.family === "IPv4") === (typeof entry.ip === "number")),
    );
  if (options.json) {
    call.out(
      `${JSON.stringify(
        found.map((entry) => ({
          dst: formatIp(entry.ip),
          dev: entry.device,
          ...(entry.mac === undefined ? {} : { lladdr: entry.mac }),
          state: [entry.state],
        })),
      )}\n`,
    );
    return 0;
  }
  for (const entry of found) call.out(line(entry, device !== undefined));
  return 0;
}

/** A device that was asked for is not named again. */
function line({ ip, device, mac, state }: Neighbor, asked: boolean): string {
  const where = asked ? "" : `dev ${device} `;
  const address = mac === undefined ? "" : `lladdr ${mac} `;
  return `${formatIp(ip)} ${where}${address}${state} \n`;
}

function find({ netns }: IpCommand, { ip, device }: Asked): Neighbor | undefined {
  return netns.neighbors.list().find((entry) => entry.ip === ip && entry.device === device);
}

function write(command: IpCommand, verb: string): number {
  const asked = read(command);
  const { ip, device, mac, state } = asked;
  if (ip === undefined || device === undefined) throw new Failed("Device and destination are required arguments.", 255);
  needPrivilege(command.call);
  const known = find(command, asked);
  if (known && verb === "add") throw refused("File exists");
  if (!known && (verb === "change" || verb === "chg")) throw refused("No such file or directory");
  const address = mac ?? known?.mac;
  if (address === undefined) throw explained("No link layer address given.");
  const kept = state ?? "PERMANENT";
  const wanted = (["PERMANENT", "NOARP", "REACHABLE", "STALE"] as const).find((each) => each === kept);
  command.netns.neighbors.set(device, ip, address, wanted ?? "STALE");
  return 0;
}

function remove(command: IpCommand): number {
  const { ip, device } = read(command);
  if (ip === undefined || device === undefined) throw new Failed("Device and destination are required arguments.", 255);
  needPrivilege(command.call);
  if (!command.netns.neighbors.delete(device, ip)) throw refused("No such file or directory");
  return 0;
}

/** All but the permanent entries, unless these are named by `nud permanent`. */
function flush(command: IpCommand): number {
  const { call, netns, options, words } = command;
  if (words.empty) throw new Failed("Flush requires arguments.", 1);
  const { ip, device, state } = read(command);
  needPrivilege(call);
  let count = 0;
  for (const entry of netns.neighbors.list()) {
    const kept = entry.state === "PERMANENT" || entry.state === "NOARP";
    if ((ip !== undefined && entry.ip !== ip) || (device !== undefined && entry.device !== device)) continue;
    if (state === undefined ? kept : entry.state !== state) continue;
    if (options.family !== undefined && (options.family === "IPv4") !== (typeof entry.ip === "number")) continue;
    netns.neighbors.delete(entry.device, entry.ip);
    count++;
  }
  if (!options.statistics) return 0;
  call.out(
    count === 0
      ? "Nothing to flush.\n"
      : `\n*** Round 1, deleting ${count} entries ***\n*** Flush is complete after 1 round ***\n`,
  );
  return 0;
}

function get(command: IpCommand): number {
  const asked = read(command);
  if (asked.ip === undefined || asked.device === undefined) {
    throw new Failed("Device and address are required arguments.", 255);
  }
  const known = find(command, asked);
  if (!known) throw refused("No such file or directory");
  command.call.out(line(known, false));
  return 0;
}
