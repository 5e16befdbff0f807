/** Owns `ip`: its options and objects, as iproute2 and BusyBox read them. */
import { Failed, type Tool } from "../../shell/tool";
import { address } from "./address";
import { link } from "./link";
import { namedNetns } from "./names";
import { neigh } from "./neigh";
import { netns } from "./netns";
import { route } from "./route";
import { type IpCommand, type IpOptions, Words } from "./words";

type Run = (command: IpCommand) => number | Promise<number>;

/** Objects in the order in which a beginning of a name is looked for (ip.c). */
const objects: readonly (readonly [string, Run])[] = [
  ["address", address],
  ["route", route],
  ["neighbor", neigh],
  ["neighbour", neigh],
  ["link", link],
  ["netns", netns],
];

const usage = `Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
       ip [ -force ] -batch filename
where  OBJECT := { address | link | neighbour | netns | route }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -j[son] |
                    -4 | -6 | -o[neline] | -br[ief] }`;

export const ip: Tool = (call) => {
  const words = [...call.args];
  let options: IpOptions = {
    family: undefined,
    brief: false,
    details: false,
    statistics: false,
    json: false,
    oneline: false,
  };
  let { netns: here } = call.place;
  while (words[0]?.startsWith("-")) {
    const option = (words.shift() ?? "").replace(/^--/, "-");
    if (option === "-4") options = { ...options, family: "IPv4" };
    else if (option === "-6") options = { ...options, family: "IPv6" };
    else if (option === "-f" || option === "-family") {
      options = { ...options, family: words.shift() === "inet6" ? "IPv6" : "IPv4" };
    } else if (isBeginning(option, "-brief", 3)) options = { ...options, brief: true };
    else if (isBeginning(option, "-details", 2)) options = { ...options, details: true };
    else if (isBeginning(option, "-statistics", 2) || option === "-stats") options = { ...options, statistics: true };
    else if (isBeginning(option, "-json", 2)) options = { ...options, json: true };
    else if (isBeginning(option, "-oneline", 2)) options = { ...options, oneline: true };
    else if (option === "-V" || option === "-Version") {
      call.out("ip utility, iproute2-6.1.0, libbpf 1.1.2\n");
      return 0;
    } else if (option === "-n" || option === "-netns") here = named(call, words.shift());
    else if (!/^-(c(olor)?(=.*)?|p(retty)?|h(uman)?|r(esolve)?|t(imestamp)?|N)$/.test(option)) {
      throw new Failed(`Option "${option}" is unknown, try "ip -help".`, 255);
    }
  }
  const object = words.shift();
  if (object === undefined) throw new Failed(usage, 255);
  if (object === "help") {
    call.err(`${usage}\n`);
    return 255;
  }
  const run = objects.find(([name]) => name.startsWith(object))?.[1];
  if (!run) throw new Failed(`Object "${object}" is unknown, try "ip help".`, 1);
  return run({ call, options, netns: here, words: new Words(words) });
};

function isBeginning(option: string, whole: string, least: number): boolean {
  return option.length >= least && whole.startsWith(option);
}

function named(call: Parameters<Tool>[0], name: string | undefined): IpCommand["netns"] {
  const found = namedNetns(call.cluster, call.place.netns).find((each) => each.name === name);
  if (!found) throw new Failed(`Cannot open network namespace "${name ?? ""}": No such file or directory`, 255);
  return found.netns;
}
