/** Owns `ls` as GNU's prints it: owners are the place's own, and dates are virtual. */
import { rfc3339 } from "../../api/time";
import type { Time } from "../../sim/clock";
import { type Links, resolvePath } from "./filesystem";
import { type Call, Failed, type Tool } from "./tool";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** Half a mean year: a date that is older, or lies ahead, is shown with its year. */
const recent: Time = 15_778_476 * 1_000_000;
const block = 4096;

interface Entry {
  readonly name: string;
  readonly kind: "file" | "folder" | "link";
  readonly mode: number;
  readonly size: number;
  readonly modified: Time;
  readonly target?: string;
  /** A folder's folders count, as each links back to it. */
  readonly links: number;
}

interface Options {
  readonly flags: string;
  readonly operands: readonly string[];
}

const known = /^[alAdhRrtSF1ipGQngo]$/;

function optionsOf(args: readonly string[]): Options {
  let flags = "";
  const operands: string[] = [];
  const words: Readonly<Record<string, string>> = {
    all: "a",
    "almost-all": "A",
    recursive: "R",
    reverse: "r",
    directory: "d",
  };
  const ignored = /^--(color|time-style|group-directories-first|full-time)/;
  let rest = false;
  for (const arg of args) {
    if (rest || arg === "-" || !arg.startsWith("-")) operands.push(arg);
    else if (arg === "--") rest = true;
    else if (arg.startsWith("--")) {
      const flag = words[arg.slice(2)];
      if (flag === undefined && !ignored.test(arg)) {
        throw new Failed(`ls: unrecognized option '${arg}'\nTry 'ls --help' for more information.`, 2);
      }
      flags += flag ?? "";
    } else {
      const wrong = [...arg.slice(1)].find((letter) => !known.test(letter));
      if (wrong) throw new Failed(`ls: invalid option -- '${wrong}'\nTry 'ls --help' for more information.`, 2);
      flags += arg.slice(1);
    }
  }
  return { flags, operands: operands.length > 0 ? operands : ["."] };
}

/** What is at a path; undefined if nothing is. */
function entryAt(call: Call, links: Links, path: string, name: string): Entry | undefined {
  const { files } = call.place;
  const target = links.target(path);
  if (target !== undefined) {
    return { name, kind: "link", mode: 0o777, size: 0, modified: call.cluster.now, target, links: 1 };
  }
  const link = files.link(path);
  if (link && !/^\.\.?$|\/$/.test(name)) {
    const { target, modified } = link;
    return { name, kind: "link", mode: 0o777, size: target.length, modified, target, links: 1 };
  }
  const file = files.entry(path);
  if (file) {
    const size = new TextEncoder().encode(file.text).length;
    return { name, kind: "file", mode: file.mode, size, modified: file.modified, links: 1 };
  }
  if (!files.isFolder(path) && !links.list(path)) return undefined;
  const isInside = (each: string): boolean => files.isFolder(`${path}/${each}`) && !files.link(`${path}/${each}`);
  const inside = (files.list(path) ?? []).filter(isInside).length;
  const mode = path === "/tmp" ? 0o1777 : 0o755;
  return { name, kind: "folder", mode, size: block, modified: files.folderTime(path) ?? 0, links: 2 + inside };
}

/** `drwxr-xr-x`, with `t` for a folder whose files only their owners may remove. */
function modeText({ kind, mode }: Entry): string {
  const bits = [..."rwxrwxrwx"].map((letter, at) => (mode & (1 << (8 - at)) ? letter : "-")).join("");
  const sticky = mode & 0o1000 ? `${bits.slice(0, 8)}${bits.endsWith("x") ? "t" : "T"}` : bits;
  return `${{ file: "-", folder: "d", link: "l" }[kind]}${sticky}`;
}

function dateText(now: Time, modified: Time): string {
  const text = rfc3339(modified);
  const day = `${months[Number(text.slice(5, 7)) - 1]} ${String(Number(text.slice(8, 10))).padStart(2)}`;
  const isRecent = modified <= now && now - modified < recent;
  return `${day} ${isRecent ? text.slice(11, 16) : text.slice(0, 4).padStart(5)}`;
}

function sizeText(size: number, human: boolean): string {
  if (!human || size < 1024) return String(size);
  const units = ["", "K", "M", "G"];
  const power = Math.min(Math.floor(Math.log2(size) / 10), 3);
  const value = size / 1024 ** power;
  return `${value < 10 ? (Math.ceil(value * 10) / 10).toFixed(1) : Math.ceil(value)}${units[power]}`;
}

function ordered(entries: readonly Entry[], flags: string): readonly Entry[] {
  const by = [...entries];
  if (flags.includes("S")) by.sort((one, other) => other.size - one.size);
  else if (flags.includes("t")) by.sort((one, other) => other.modified - one.modified);
  return flags.includes("r") ? by.reverse() : by;
}

/** Lines of one list of entries; `owner` as the place has it. */
function lines(call: Call, entries: readonly Entry[], flags: string): string {
  const shown = (entry: Entry): string => `${entry.name}${flags.includes("F") && entry.kind === "folder" ? "/" : ""}`;
  if (!flags.includes("l")) return entries.map((entry) => `${shown(entry)}\n`).join("");
  const { place, cluster } = call;
  const owner = (entry: Entry): string => (isOwn(call, entry) ? place.user : "root");
  const rows = entries.map((entry) => ({
    entry,
    links: String(entry.links),
    owner: owner(entry),
    size: sizeText(entry.size, flags.includes("h")),
  }));
  const width = (of: "links" | "owner" | "size"): number => Math.max(0, ...rows.map((row) => row[of].length));
  const [links, owners, sizes] = [width("links"), width("owner"), width("size")];
  return rows
    .map(({ entry, ...row }) => {
      const who = `${row.owner.padEnd(owners)} ${row.owner.padEnd(owners)}`;
      const head = `${modeText(entry)} ${row.links.padStart(links)} ${who} ${row.size.padStart(sizes)}`;
      const arrow = entry.target === undefined ? "" : ` -> ${entry.target}`;
      return `${head} ${dateText(cluster.now, entry.modified)} ${shown(entry)}${arrow}\n`;
    })
    .join("");
}

/** On the workstation what is in the learner's home, or was put into /tmp, is the learner's; everything else is root's. */
function isOwn(call: Call, entry: Entry): boolean {
  const { place } = call;
  const path = resolvePath(call.folder, entry.name);
  const home = place.env.get("HOME") ?? "/root";
  return place.user === "root" || path === home || path.startsWith(`${home}/`) || path.startsWith("/tmp/");
}

/** `ls [-laAdhRrtSF1] [PATH…]`. */
export function lsOf(linksOf: (call: Call) => Links): Tool {
  return (call) => {
    const { flags, operands } = optionsOf(call.args);
    const links = linksOf(call);
    const plain: Entry[] = [];
    const folders: string[] = [];
    const isBusybox = call.place.container !== undefined && !call.place.tools?.includes("bash");
    let exitCode = 0;
    for (const operand of operands) {
      const entry = entryAt(call, links, resolvePath(call.folder, operand), operand);
      if (!entry) {
        call.err(`ls: ${isBusybox ? operand : `cannot access '${operand}'`}: No such file or directory\n`);
        exitCode = isBusybox ? 1 : 2;
      } else if (isListed(call, entry, operand, flags)) folders.push(operand);
      else plain.push(entry);
    }
    call.out(lines(call, ordered(plain, flags), flags));
    const titled = operands.length > 1 || flags.includes("R");
    let first = plain.length === 0;
    while (folders.length > 0) {
      const folder = folders.shift() ?? "";
      if (titled) call.out(`${first ? "" : "\n"}${folder}:\n`);
      first = false;
      const inside = listFolder(call, links, folder, flags);
      if (flags.includes("R")) {
        const below = inside.filter(({ kind, name }) => kind === "folder" && name !== "." && name !== "..");
        folders.unshift(...below.map(({ name }) => `${folder.replace(/\/$/, "")}/${name}`));
      }
    }
    return exitCode;
  };
}

/** What is in a folder is shown instead of itself, through a link, too; but `-l` shows the link, unless it ends with `/`. */
function isListed(call: Call, { kind }: Entry, operand: string, flags: string): boolean {
  if (flags.includes("d")) return false;
  if (kind !== "link" || (flags.includes("l") && !operand.endsWith("/"))) return kind === "folder";
  return call.place.files.isFolder(resolvePath(call.folder, operand));
}

function listFolder(call: Call, links: Links, folder: string, flags: string): readonly Entry[] {
  const path = resolvePath(call.folder, folder);
  const all = links.list(path) ?? call.place.files.list(path) ?? [];
  const names = /[aA]/.test(flags) ? all : all.filter((name) => !name.startsWith("."));
  const dots = flags.includes("a") ? [".", ".."] : [];
  const entries = ordered(
    [...dots, ...names].flatMap((name) => entryAt(call, links, resolvePath(path, name), name) ?? []),
    flags,
  );
  if (flags.includes("l")) {
    const blocks = entries.reduce(
      (sum, { kind, size }) => sum + (kind === "link" ? 0 : Math.ceil(size / block) * 4),
      0,
    );
    call.out(`total ${blocks}\n`);
  }
  const there: Call = { ...call, folder: path };
  call.out(lines(there, entries, flags));
  return entries;
}
