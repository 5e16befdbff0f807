/** Owns names and addresses as the C library finds them for a tool: by family, and from an address back to its name. */
import { reverseName } from "../../apps/dns";
import { parseResolvConf, query, type Resolution, resolve } from "../../apps/resolver";
import { formatIp, type Ip, tryParseIp } from "../../net/address";
import type { Call } from "../shell/tool";
import { lookUp } from "./http";

export interface Target {
  readonly ip: Ip;
  /** The device of a link-local address (`fe80::1%eth0`). */
  readonly device?: string;
}

/** The address of a host: a number, or what the resolver says. */
export async function findHost(
  call: Call,
  host: string,
  family: "IPv4" | "IPv6" | undefined,
): Promise<Target | { readonly problem: string } | "stopped"> {
  const [address = "", device] = host.split("%");
  const ip = tryParseIp(address);
  if (ip !== undefined) {
    const wrong = family !== undefined && (family === "IPv4") !== (typeof ip === "number");
    if (wrong) return { problem: "Address family for hostname not supported" };
    return device === undefined ? { ip } : { ip, device };
  }
  const written = hostsFile(call).find(
    ([each, names]) =>
      names.includes(host) && (family === undefined || (family === "IPv4") === (typeof each === "number")),
  );
  if (written) return { ip: written[0] };
  if (family === "IPv6") {
    const found = await ask(call, (done) => resolve(askerOf(call), host, "AAAA", configOf(call), done));
    if (found === "stopped") return "stopped";
    if (found.result !== "answer") return { problem: problemOf(found) };
    const record = found.message.answers.find(({ type }) => type === "AAAA");
    const six = record === undefined ? undefined : tryParseIp(record.data);
    return six === undefined ? { problem: "No address associated with hostname" } : { ip: six };
  }
  const found = await lookUp(call, host);
  if (found === "stopped") return "stopped";
  if (found === "timeout") return { problem: "Temporary failure in name resolution" };
  if ("problem" in found) return found;
  return { ip: tryParseIp(found.ip) ?? 0 };
}

/** The name of an address (getnameinfo): of /etc/hosts, else what DNS says; undefined if it has none. */
export async function nameOf(call: Call, ip: Ip): Promise<string | undefined> {
  const written = hostsFile(call).find(([each]) => each === ip);
  if (written) return written[1][0];
  const config = configOf(call);
  if (config.servers.length === 0) return undefined;
  const found = await ask(call, (done) => query(askerOf(call), reverseName(formatIp(ip)), "PTR", config, done));
  if (found === "stopped" || found.result !== "answer") return undefined;
  return found.message.answers.find(({ type }) => type === "PTR")?.data.replace(/\.$/, "");
}

function hostsFile(call: Call): readonly (readonly [Ip, readonly string[]])[] {
  const lines = (call.place.files.read("/etc/hosts") ?? "").split("\n");
  return lines.flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const ip = tryParseIp(address);
    return ip === undefined ? [] : [[ip, names] as const];
  });
}

function configOf(call: Call): ReturnType<typeof parseResolvConf> {
  return parseResolvConf(call.place.files.read("/etc/resolv.conf") ?? "");
}

function askerOf(call: Call): Parameters<typeof query>[0] {
  return { netns: call.place.netns, random: call.shell.random, owner: call.name };
}

async function ask(
  call: Call,
  begin: (done: (found: Resolution) => void) => { cancel(): void },
): Promise<Resolution | "stopped"> {
  let found: Resolution | undefined;
  const end = await call.process.pause(
    (wake) => {
      const asked = begin((resolution) => {
        found = resolution;
        wake();
      });
      return () => asked.cancel();
    },
    undefined,
    "foreground",
  );
  return end === "stopped" || !found ? "stopped" : found;
}

function problemOf(found: Resolution): string {
  return found.result === "none" ? "Name or service not known" : "Temporary failure in name resolution";
}
