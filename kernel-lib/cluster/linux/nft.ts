/** Owns nft: tables, chains, sets and rules listed and changed, as version 1.0.6 does it. */
import { sameKey } from "../../net/nft/elements";
import { tableText, type Wanted } from "../../net/nft/listing";
import type { Nftables } from "../../net/nft/nftables";
import { type ListCommand, parseCommands, type Request } from "../../net/nft/parse";
import type { TextStyle } from "../../net/nft/parttext";
import { type Command, kernelError, NftError } from "../../net/nft/ruleset";
import type { Table } from "../../net/nft/tables";
import { type Call, Failed, type Tool } from "../shell/tool";
import { readFlags } from "./flags";
import { mayAdministrate } from "./ip/words";

const help = `Usage: nft [ options ] [ cmds... ]

Options (general):
  -h, --help                      Show this help
  -v, --version                   Show version information

Options (ruleset input handling):
  -f, --file <filename>           Read input from <filename>
  -c, --check                     Check commands validity without actually applying the changes.

Options (ruleset list formatting):
  -a, --handle                    Output rule handle.
  -s, --stateless                 Omit stateful information of ruleset.
  -t, --terse                     Omit contents of sets.
  -S, --service                   Translate ports to service names as described in /etc/services.
  -n, --numeric                   Print fully numerical output.
`;

const rules = {
  tool: "nft",
  letters: "hvf:castSnj",
  long: {
    help: "h",
    version: "v",
    file: "f",
    check: "c",
    handle: "a",
    stateless: "s",
    terse: "t",
    service: "S",
    numeric: "n",
    json: "j",
  },
  // Options stand before commands.
  stopAtWord: true,
} as const;

/** What is read, and what errors call it. */
interface Source {
  readonly text: string;
  readonly file: string | undefined;
}

export const nft: Tool = (call) => {
  const flags = readFlags(call.args, rules);
  if (flags.has("h")) {
    call.out(help);
    return 0;
  }
  if (flags.has("v")) {
    call.out("nftables v1.0.6 (Lester Gooch #5)\n");
    return 0;
  }
  const file = flags.given.get("f");
  if (file === undefined && flags.words.length === 0) throw new Failed("nft: no command specified");
  if (flags.has("j")) throw new Failed("Error: JSON support not compiled-in");
  if (!mayAdministrate(call)) {
    throw new Failed(
      "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed: Operation not permitted",
    );
  }
  const source = file === undefined ? { text: flags.words.join(" "), file: undefined } : read(call, file);
  const style: TextStyle = {
    handles: flags.has("a"),
    stateless: flags.has("s"),
    terse: flags.has("t"),
    services: flags.has("S"),
    numeric: flags.has("n"),
  };
  try {
    run(call.place.netns.nft, source.text, style, flags.has("c"), (text) => call.out(text));
  } catch (error) {
    if (error instanceof NftError) throw new Failed(complaint(error, source));
    throw error;
  }
  return 0;
};

function read(call: Call, name: string): Source {
  if (name === "-") return { text: call.stdin, file: "/dev/stdin" };
  const path = name.startsWith("/") ? name : `${call.folder.replace(/\/$/, "")}/${name}`;
  const text = call.place.files.read(path);
  if (text === undefined) {
    throw new Failed(`internal:0:0-0: Error: Could not open file "${name}": No such file or directory\n\n`);
  }
  return { text, file: name };
}

/** Carries out the changes, all or none; then answers the questions. */
function run(kernel: Nftables, text: string, style: TextStyle, onlyCheck: boolean, out: (text: string) => void): void {
  const requests = parseCommands(text, kernel);
  const changes = requests.flatMap((request) => changesOf(kernel, request));
  if (onlyCheck) {
    kernel.check(changes);
    return;
  }
  kernel.apply(changes, true);
  for (const request of requests) if (isQuestion(request)) out(answer(kernel, request, style));
}

function isQuestion(request: Request): request is ListCommand {
  return request.do === "list" || request.do === "get";
}

function changesOf(kernel: Nftables, request: Request): readonly Command[] {
  if (isQuestion(request)) return [];
  if (request.what !== "ruleset") return [request];
  return kernel
    .tables(request.family)
    .map(({ family, name }) => ({ do: "delete", what: "table", family, table: name }));
}

/** `file:3:17-20: Error: …`, the line, and marks below what is wrong in it. */
function complaint({ message, at }: NftError, { text, file }: Source): string {
  if (!at) return `netlink: Error: ${message}`;
  const line = text.split("\n")[at.line - 1] ?? "";
  const place = file === undefined ? "" : `${file}:${at.line}:${at.from + 1}-${Math.max(at.to, at.from + 1)}: `;
  // Tabs stay, so that the marks stand below.
  const space = line.slice(0, at.from).replace(/[^\t]/g, " ").padEnd(at.from);
  return `${place}Error: ${message}\n${line}\n${space}${"^".repeat(Math.max(1, at.to - at.from))}`;
}

// ── Questions ────────────────────────────────────────────────────────────────────────────────────────────────────────

function answer(kernel: Nftables, question: ListCommand, style: TextStyle): string {
  const { what, family } = question;
  switch (what) {
    case "tables":
      return kernel
        .tables(family)
        .map(({ title, handle }) => `table ${title}${style.handles ? ` # handle ${handle}` : ""}\n`)
        .join("");
    case "ruleset":
      return kernel
        .tables(family)
        .map((table) => tableText(table, style))
        .join("");
    case "chains":
    case "sets":
    case "maps": {
      const wanted: Wanted = {
        short: true,
        ...(what === "chains" ? { chain: () => true } : { set: ({ isMap }) => isMap === (what === "maps") }),
      };
      const tables = question.table === undefined ? kernel.tables(family) : [tableOf(kernel, question)];
      return tables.map((table) => tableText(table, style, wanted)).join("");
    }
    case "table":
      return tableText(tableOf(kernel, question), style);
    default:
      return one(tableOf(kernel, question), question, style);
  }
}

const missing = "No such file or directory";

function tableOf(kernel: Nftables, { family = "ip", table = "", at }: ListCommand): Table {
  const found = kernel.table(family, table);
  if (!found) throw new NftError(missing, at.table);
  return found;
}

/** One chain, set, map or element, in its table. */
function one(table: Table, { what, name = "", key, at }: ListCommand, style: TextStyle): string {
  if (what === "chain") {
    const found = table.chains.get(name);
    if (!found) throw new NftError(missing, at.name);
    return tableText(table, style, { chain: (chain) => chain === found });
  }
  const found = table.sets.get(name);
  if (!found || (what !== "element" && found.isMap !== (what === "map"))) throw new NftError(missing, at.name);
  if (what !== "element") return tableText(table, style, { set: (set) => set === found });
  const there = (key ?? []).map((element) => found.elements.exact(element.key, found.now())?.element);
  if (there.includes(undefined)) throw kernelError(missing, at.all);
  const element: NonNullable<Wanted["element"]> = (each) =>
    there.some((other) => other && sameKey(other.key, each.key));
  return tableText(table, style, { set: (set) => set === found, element });
}
