/**
 * Owns `apt-get` and `apt` in containers of Ubuntu and Debian: what is installed is a file in the container, and
 * gone with it. The archive itself is not simulated: packages come without a packet.
 */
import type { Files } from "../../apps/files";
import { millisecond, second } from "../../sim/clock";
import { type Call, Failed, type Tool, type Tools } from "../shell/tool";

interface Package {
  readonly version: string;
  readonly section: string;
  /** Of its archive, and unpacked: kB. */
  readonly size: number;
  readonly unpacked: number;
  readonly commands: readonly string[];
  readonly needs?: readonly string[];
}

/** What Ubuntu 24.04 has of the tools that there are here. */
const packages: Readonly<Record<string, Package>> = {
  "bind9-dnsutils": {
    version: "1:9.18.39-0ubuntu0.24.04.2",
    section: "main",
    size: 156,
    unpacked: 397,
    commands: ["dig", "nslookup"],
    needs: ["bind9-host"],
  },
  "bind9-host": { version: "1:9.18.39-0ubuntu0.24.04.2", section: "main", size: 50, unpacked: 133, commands: ["host"] },
  curl: { version: "8.5.0-2ubuntu10.6", section: "main", size: 226, unpacked: 534, commands: ["curl"] },
  dnsutils: {
    version: "1:9.18.39-0ubuntu0.24.04.2",
    section: "universe",
    size: 4,
    unpacked: 18,
    commands: [],
    needs: ["bind9-dnsutils"],
  },
  iproute2: {
    version: "6.1.0-1ubuntu6.2",
    section: "main",
    size: 1120,
    unpacked: 3180,
    commands: ["ip", "ss", "bridge"],
  },
  "iputils-ping": { version: "3:20240117-1ubuntu0.1", section: "main", size: 45, unpacked: 118, commands: ["ping"] },
  "iputils-tracepath": {
    version: "3:20240117-1ubuntu0.1",
    section: "main",
    size: 14,
    unpacked: 52,
    commands: ["tracepath"],
  },
  "net-tools": {
    version: "2.10-0.1ubuntu4.4",
    section: "main",
    size: 204,
    unpacked: 811,
    commands: ["arp", "ifconfig", "netstat", "route"],
  },
  "netcat-openbsd": { version: "1.226-1ubuntu2", section: "main", size: 44, unpacked: 110, commands: ["nc"] },
  openssl: { version: "3.0.13-0ubuntu3.6", section: "main", size: 1003, unpacked: 2085, commands: ["openssl"] },
  "redis-tools": {
    version: "5:7.0.15-1ubuntu0.24.04.2",
    section: "universe",
    size: 156,
    unpacked: 570,
    commands: ["redis-cli"],
  },
  tcpdump: { version: "4.99.4-3ubuntu4", section: "main", size: 479, unpacked: 1349, commands: ["tcpdump"] },
  traceroute: { version: "1:2.1.5-1", section: "universe", size: 54, unpacked: 156, commands: ["traceroute"] },
  wget: { version: "1.21.4-1ubuntu4.1", section: "main", size: 334, unpacked: 938, commands: ["wget"] },
};

/** Commands that a package can bring. */
export const installable: ReadonlySet<string> = new Set(Object.values(packages).flatMap(({ commands }) => commands));

/** Whether a command is there because its package was installed. */
export function isInstalled({ files }: { readonly files: Files }, command: string): boolean {
  return Object.entries(packages).some(
    ([name, { commands }]) => commands.includes(command) && files.read(listOf(name)) !== undefined,
  );
}

/** A command that is there once it is installed; before that it is not found. */
export function onceInstalled(command: string, tool: Tool): Tool {
  return (call) => {
    if (!isInstalled(call.place, command)) throw new Failed(`bash: ${command}: command not found`, 127);
    return tool(call);
  };
}

const lists = "/var/lib/apt/lists/archive.ubuntu.com_ubuntu_dists_noble_InRelease";
const listOf = (name: string): string => `/var/lib/dpkg/info/${name}.list`;

async function aptGet(call: Call): Promise<number> {
  const words = call.args.filter((arg) => !arg.startsWith("-"));
  const [verb, ...names] = words;
  const yes = call.args.some((arg) => arg === "--yes" || arg === "--assume-yes" || /^-[a-z]*y/.test(arg));
  switch (verb) {
    case "update":
      return update(call);
    case "install":
      return install(call, names, yes);
    case "remove":
    case "purge":
      return remove(call, names);
    case "upgrade":
    case "dist-upgrade":
      call.out(`${reading}0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n`);
      return 0;
    case "clean":
    case "autoremove":
      return 0;
    case undefined:
      call.out(
        "apt 2.7.14 (amd64)\nUsage: apt-get [options] command\n       apt-get [options] install|remove pkg1 [pkg2 ...]\n",
      );
      return 0;
    default:
      throw new Failed(`E: Invalid operation ${verb}`, 100);
  }
}

const reading = "Reading package lists...\nBuilding dependency tree...\nReading state information...\n";

async function update(call: Call): Promise<number> {
  const sources = [
    ["http://archive.ubuntu.com/ubuntu noble", "InRelease", "256 kB"],
    ["http://security.ubuntu.com/ubuntu noble-security", "InRelease", "126 kB"],
    ["http://archive.ubuntu.com/ubuntu noble-updates", "InRelease", "126 kB"],
    ["http://archive.ubuntu.com/ubuntu noble", "/main amd64 Packages", "1,808 kB"],
    ["http://archive.ubuntu.com/ubuntu noble", "/universe amd64 Packages", "19.3 MB"],
  ] as const;
  for (const [at, [source, what, size]] of sources.entries()) {
    await call.process.sleep(400 * millisecond);
    call.out(`Get:${at + 1} ${source}${what.startsWith("/") ? what : ` ${what}`} [${size}]\n`);
  }
  call.place.files.write(lists, "");
  call.out("Fetched 21.6 MB in 2s (10.8 MB/s)\nReading package lists...\n");
  return 0;
}

async function install(call: Call, names: readonly string[], yes: boolean): Promise<number> {
  const { files } = call.place;
  call.out(reading);
  const known = files.read(lists) !== undefined;
  const missing = names.filter((name) => !known || !Object.hasOwn(packages, name));
  if (missing.length > 0)
    throw new Failed(missing.map((name) => `E: Unable to locate package ${name}`).join("\n"), 100);
  const there = (name: string): boolean => files.read(listOf(name)) !== undefined;
  for (const name of names.filter(there)) {
    call.out(`${name} is already the newest version (${packages[name]?.version}).\n`);
  }
  const fresh = withNeeds(names).filter((name) => !there(name));
  const counts = `0 upgraded, ${fresh.length} newly installed, 0 to remove and 0 not upgraded.\n`;
  if (fresh.length === 0) {
    call.out(counts);
    return 0;
  }
  const extra = fresh.filter((name) => !names.includes(name));
  const sorted = [...fresh].sort();
  if (extra.length > 0)
    call.out(`The following additional packages will be installed:\n  ${[...extra].sort().join(" ")}\n`);
  call.out(`The following NEW packages will be installed:\n  ${sorted.join(" ")}\n${counts}`);
  const of = (name: string): Package => packages[name] as Package;
  const sum = (field: "size" | "unpacked"): number => fresh.reduce((total, name) => total + of(name)[field], 0);
  call.out(`Need to get ${amount(sum("size"))} of archives.\n`);
  call.out(`After this operation, ${amount(sum("unpacked"))} of additional disk space will be used.\n`);
  if (extra.length > 0 && !yes && !(await agreed(call))) {
    call.out("Abort.\n");
    return 1;
  }
  for (const [at, name] of fresh.entries()) {
    await call.process.sleep(150 * millisecond);
    const { version, section, size } = of(name);
    call.out(
      `Get:${at + 1} http://archive.ubuntu.com/ubuntu noble-updates/${section} amd64 ${name} amd64 ${version} [${amount(size)}]\n`,
    );
  }
  call.err("debconf: delaying package configuration, since apt-utils is not installed\n");
  call.out(`Fetched ${amount(sum("size"))} in 1s (${amount(sum("size"))}/s)\n`);
  for (const name of fresh) unpack(call, name, of(name));
  await call.process.sleep(second);
  for (const name of fresh) call.out(`Setting up ${name} (${of(name).version}) ...\n`);
  for (const name of fresh) {
    files.write(
      listOf(name),
      of(name)
        .commands.map((command) => `/usr/bin/${command}\n`)
        .join(""),
    );
  }
  return 0;
}

function unpack(call: Call, name: string, { version }: Package): void {
  call.out(`Selecting previously unselected package ${name}.\n`);
  call.out(`Preparing to unpack .../${name}_${version.replace(":", "%3a")}_amd64.deb ...\n`);
  call.out(`Unpacking ${name} (${version}) ...\n`);
}

/** Packages with what they need, needs first. */
function withNeeds(names: readonly string[]): readonly string[] {
  const all = names.flatMap((name) => [...withNeeds(packages[name]?.needs ?? []), name]);
  return [...new Set(all)];
}

async function agreed(call: Call): Promise<boolean> {
  const question = "Do you want to continue? [Y/n] ";
  const typed = (await call.terminal?.ask?.(question)) ?? call.terminal?.readLine() ?? call.stdin.split("\n")[0];
  if (!call.terminal?.ask) call.out(question);
  return typed !== undefined && /^y?$/i.test(typed.trim()) && (call.terminal !== undefined || call.stdin !== "");
}

function remove(call: Call, names: readonly string[]): number {
  call.out(reading);
  const { files } = call.place;
  const gone = names.filter((name) => files.read(listOf(name)) !== undefined);
  for (const name of names) if (!gone.includes(name)) call.out(`Package '${name}' is not installed, so not removed\n`);
  call.out(`0 upgraded, 0 newly installed, ${gone.length} to remove and 0 not upgraded.\n`);
  for (const name of gone) {
    files.remove(listOf(name));
    call.out(`Removing ${name} (${packages[name]?.version}) ...\n`);
  }
  return 0;
}

function amount(kilobytes: number): string {
  return kilobytes >= 10_000
    ? `${(kilobytes / 1000).toFixed(1)} MB`
    : `${kilobytes >= 1000 ? `${Math.floor(kilobytes / 1000)},${String(kilobytes % 1000).padStart(3, "0")}` : kilobytes} kB`;
}

export const aptTools: Tools = { "apt-get": aptGet, apt: aptGet };
