/** Owns what the commands of `ip` and `bridge` have in common: their options, the words of a command, their complaints. */
import { type Cidr, type Ip, type Mac, tryParseCidr, tryParseIp } from "../../../net/address";
import type { Device } from "../../../net/device";
import type { Netns } from "../../../net/netns";
import { type Call, Failed } from "../../shell/tool";

/** The options before the object: `ip -4 -d -br`. */
export interface IpOptions {
  readonly family: "IPv4" | "IPv6" | undefined;
  readonly brief: boolean;
  readonly details: boolean;
  readonly statistics: boolean;
  readonly json: boolean;
  /** Everything of an object on one line (`-o`). */
  readonly oneline: boolean;
}

/** One command on an object. */
export interface IpCommand {
  readonly call: Call;
  readonly options: IpOptions;
  readonly netns: Netns;
  readonly words: Words;
}

/** The words of a command, taken one by one. */
export class Words {
  readonly #words: string[];

  constructor(words: readonly string[]) {
    this.#words = [...words];
  }

  get empty(): boolean {
    return this.#words.length === 0;
  }

  peek(): string | undefined {
    return this.#words[0];
  }

  take(): string | undefined {
    return this.#words.shift();
  }

  /** What must follow. @throws Failed as iproute2's `incomplete_command` says it */
  value(): string {
    const word = this.#words.shift();
    if (word === undefined) throw new Failed('Command line is not complete. Try option "help"', 255);
    return word;
  }

  /** Takes the next word if it is this one, or a beginning of it that is long enough. */
  skip(word: string): boolean {
    if (this.#words[0] !== word) return false;
    this.#words.shift();
    return true;
  }
}

/** What the kernel refused. */
export function refused(why: string): Failed {
  return new Failed(`RTNETLINK answers: ${why}`, 2);
}

/** A refusal that the kernel explains itself. */
export function explained(why: string): Failed {
  return new Failed(`Error: ${why}`, 2);
}

/** Runs what changes the kernel; its complaints are RangeErrors in its own words. */
export function changing<T>(change: () => T): T {
  try {
    return change();
  } catch (error) {
    if (error instanceof RangeError) throw new Failed(error.message, 2);
    throw error;
  }
}

/** @throws Failed `Cannot find device "x"` */
export function deviceNamed(netns: Netns, name: string): Device {
  const device = netns.devices.get(name);
  if (!device) throw new Failed(`Cannot find device "${name}"`, 1);
  return device;
}

/** @throws Failed `Device "x" does not exist.`, as only `show` says it */
export function deviceShown(netns: Netns, name: string): Device {
  const device = netns.devices.get(name);
  if (!device) throw new Failed(`Device "${name}" does not exist.`, 1);
  return device;
}

export function ipFrom(text: string): Ip {
  const ip = tryParseIp(text);
  if (ip === undefined) throw new Failed(`Error: any valid address is expected rather than "${text}".`, 1);
  return ip;
}

/** A prefix; a short one as iproute2 fills it (`10.9` is 10.9.0.0). */
export function prefixFrom(text: string): Cidr {
  const [address = "", length] = text.split("/");
  const numbers = address.split(".");
  const filled = /^\d+(\.\d+){0,2}$/.test(address) ? [...numbers, "0", "0", "0"].slice(0, 4).join(".") : address;
  const cidr = tryParseCidr(length === undefined ? filled : `${filled}/${length}`);
  if (!cidr) throw new Failed(`Error: any valid prefix is expected rather than "${text}".`, 1);
  return cidr;
}

/** A MAC address in lower case; undefined if it is none. */
export function macFrom(text: string): Mac | undefined {
  const octets = text.toLowerCase().split(":");
  if (octets.length !== 6 || !octets.every((octet) => /^[0-9a-f]{1,2}$/.test(octet))) return undefined;
  return octets.map((octet) => octet.padStart(2, "0")).join(":");
}

/** What may change the kernel: root on a machine. In a pod there is no NET_ADMIN unless the pod asks for it. */
export function needPrivilege(call: Call): void {
  if (mayAdministrate(call)) return;
  throw refused("Operation not permitted");
}

export function mayAdministrate({ place, cluster }: Call): boolean {
  if (place.user !== "root") return false;
  const { container } = place;
  if (!container) return true;
  const spec = cluster.store.get("Pod", container.spec.pod)?.spec.containers;
  const context = spec?.find(({ name }) => name === container.spec.name)?.securityContext;
  const added = context?.capabilities?.add ?? [];
  return context?.privileged === true || added.some((name) => /^(CAP_)?(NET_ADMIN|ALL)$/.test(name));
}

/** Whether a place has BusyBox' tools, which print other things. */
export function isBusybox({ place }: Call): boolean {
  const reference = place.container?.spec.image.reference ?? "";
  return /(library\/(busybox|alpine)|radial\/busyboxplus|curlimages\/curl|library\/nginx:.*alpine)/.test(reference);
}
