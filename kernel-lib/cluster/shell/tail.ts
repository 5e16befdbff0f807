/** Owns `tail` where it follows a file (`-f`, `-F`); without that it is the shell's own. */
import { second } from "../../sim/clock";
import { type Call, Failed, originally, type Tool } from "./tool";

/** How often it looks. */
const period = second;

interface Following {
  readonly files: readonly string[];
  /** `-F`: a file that is not there, or is another one, is waited for. */
  readonly retries: boolean;
  readonly lines: number;
  /** `-n +N`: from this line on. */
  readonly fromStart: boolean;
}

/** `tail -f FILE`, `-F`, `-n N`, `-n +N`, `-N`, `--follow[=name]`, `--retry`, `--lines=N`; undefined: it does not follow. */
function readArgs(args: readonly string[]): Following | undefined {
  let [follows, retries, count] = [false, false, "10"];
  const files: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    const short = /^-([fFqvs]*)(n?)(\+?\d*)$/.exec(arg);
    if (arg === "--") {
      files.push(...args.slice(at + 1));
      break;
    }
    const long = /^--(follow|retry|lines)(?:=(.*))?$/.exec(arg);
    if (long) {
      if (long[1] === "lines") count = long[2] ?? args[++at] ?? "";
      else follows ||= long[1] === "follow";
      retries ||= long[1] === "retry" || long[2] === "name";
    } else if (short && arg !== "-") {
      const [, letters = "", n, number] = short;
      follows ||= /[fF]/.test(letters);
      retries ||= letters.includes("F");
      if (number) count = number;
      else if (n) count = args[++at] ?? "";
    } else files.push(arg);
  }
  if (!follows || files.length === 0) return undefined;
  if (!/^\+?\d+$/.test(count)) throw new Failed(`tail: invalid number '${count}'`);
  return { files, retries, lines: Number(count.replace("+", "")), fromStart: count.startsWith("+") };
}

/** The last lines of a text, or those from one on. */
function part(text: string, { lines, fromStart }: Following): string {
  const all = text.split(/(?<=\n)/);
  return (fromStart ? all.slice(Math.max(lines - 1, 0)) : lines === 0 ? [] : all.slice(-lines)).join("");
}

export const tail: Tool = async (call) => {
  const following = readArgs(call.args);
  if (!following) return originally(call, call.args);
  return follow(call, following);
};

/** Until it is told to stop, or every file that it follows is gone for good. */
async function follow(call: Call, following: Following): Promise<number> {
  const busybox = call.place.tools?.includes("vi") ?? false;
  const shown = new Map<string, number | undefined>();
  let last = "";
  const show = (name: string, text: string): void => {
    if (text === "") return;
    if (following.files.length > 1 && last !== name) call.out(`${last === "" ? "" : "\n"}==> ${name} <==\n`);
    last = name;
    call.out(text);
  };
  for (const name of following.files) {
    const text = textOf(call, name);
    shown.set(name, text?.length);
    if (text !== undefined) show(name, part(text, following));
    else {
      const why = busybox ? `can't open '${name}'` : `cannot open '${name}' for reading`;
      call.err(`tail: ${why}: No such file or directory\n`);
    }
  }
  const isFollowed = (name: string): boolean => following.retries || shown.get(name) !== undefined;
  if (!following.files.some(isFollowed)) {
    if (!busybox) call.err("tail: no files remaining\n");
    return 1;
  }
  while (await call.process.sleep(period)) {
    for (const name of following.files.filter(isFollowed)) {
      const [before, text] = [shown.get(name), textOf(call, name)];
      if (text === undefined || text.length === before) continue;
      const quoted = busybox
        ? `${name} has appeared; following end of new file`
        : `'${name}' has appeared;  following new file`;
      if (before === undefined) call.err(`tail: ${quoted}\n`);
      // A file that is shorter than before was cut: it is read from its beginning.
      if (before !== undefined && text.length < before) call.err(`tail: ${name}: file truncated\n`);
      show(name, before === undefined || text.length < before ? text : text.slice(before));
      shown.set(name, text.length);
    }
  }
  return 130;
}

function textOf(call: Call, name: string): string | undefined {
  return call.place.files.read(name.startsWith("/") ? name : `${call.folder}/${name}`);
}
