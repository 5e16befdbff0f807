/** Owns `ps`: procps's on nodes and in Debian's images, BusyBox's in the others. */
import { rfc3339 } from "../../api/time";
import { type Call, Failed, type Tool } from "../shell/tool";
import { type ProcessInfo, processesOf } from "./processes";

/** A column of `ps -o`. */
interface Field {
  readonly title: string;
  readonly width: number;
  readonly left?: boolean;
  value(process: ProcessInfo): string;
}

const clock = (process: ProcessInfo): string => rfc3339(process.started).slice(11, 16);
const name = (process: ProcessInfo): string => {
  const [first = ""] = process.command.split(/[ :]/);
  return first.slice(first.lastIndexOf("/") + 1).slice(0, 15);
};

/** Processor time and memory of what runs here are not simulated: they show as 0. */
const fields: { readonly [name: string]: Field } = {
  pid: { title: "PID", width: 7, value: ({ pid }) => String(pid) },
  ppid: { title: "PPID", width: 7, value: ({ parent }) => String(parent) },
  user: { title: "USER", width: 8, left: true, value: ({ user }) => user },
  comm: { title: "COMMAND", width: 15, left: true, value: name },
  args: { title: "COMMAND", width: 27, left: true, value: ({ command }) => command },
  stime: { title: "STIME", width: 5, value: clock },
  time: { title: "TIME", width: 8, value: () => "00:00:00" },
  tty: { title: "TTY", width: 8, left: true, value: () => "?" },
  ...Object.fromEntries(
    (["net", "ipc", "uts", "mnt", "pid", "user", "cgroup"] as const).map((kind): [string, Field] => {
      const title = `${kind.toUpperCase()}NS`;
      return [`${kind}ns`, { title, width: 10, value: ({ namespaces }) => String(namespaces[kind]) }];
    }),
  ),
};

const sameField: { readonly [name: string]: string } = {
  cmd: "args",
  command: "args",
  ucmd: "comm",
  uname: "user",
  tname: "tty",
  ipcns: "ipcns",
  start: "stime",
};

/** `ps`, `ps aux`, `ps -ef`, `ps -o pid,netns,args -p PID`. */
export const ps: Tool = (call) => {
  const { place } = call;
  if (place.tools && place.container && !place.tools.includes("bash")) return busybox(call);
  let list = withSelf(call);
  let format = "";
  let chosen: Field[] | undefined;
  const args = [...call.args];
  while (args.length > 0) {
    const arg = args.shift() ?? "";
    const option = /^-?([a-zA-Z]+)(.*)$/.exec(arg)?.[1] ?? "";
    if (arg === "-o" || arg === "-eo" || arg === "-Ao")
      chosen = [...(chosen ?? []), ...chosenFields(args.shift() ?? "")];
    else if (arg === "-p" || arg === "p") {
      const wanted = (args.shift() ?? "").split(",");
      list = list.filter(({ pid }) => wanted.includes(String(pid)));
    } else if (!arg.startsWith("-") && /^[auxwf]+$/.test(arg)) format = arg.includes("u") ? "u" : "x";
    else if (arg.startsWith("-") && /^[eAfalww]+$/.test(option)) format = option.includes("f") ? "f" : format;
    else throw new Failed(`error: unsupported option '${arg}'\n\nUsage:\n ps [options]`);
  }
  if (chosen) call.out(table(chosen, list));
  else if (format === "u") call.out(aux(list));
  else if (format === "f") call.out(full(list));
  else
    call.out(
      [
        "    PID TTY          TIME CMD",
        ...list.map((one) => `${String(one.pid).padStart(7)} ?        00:00:00 ${name(one)}`),
        "",
      ].join("\n"),
    );
  return list.length > 0 ? 0 : 1;
};

/** The processes of the place, and ps itself: in a container it is one of them already. */
function withSelf(call: Call): readonly ProcessInfo[] {
  const { cluster, place } = call;
  const list = processesOf(cluster, place);
  const last = list.at(-1);
  if (place.container || !last) return list;
  const command = ["ps", ...call.args].join(" ");
  return [...list, { ...last, pid: last.pid + 7, parent: 702, user: place.user, command, started: cluster.now }];
}

function busybox(call: Call): number {
  const lines = processesOf(call.cluster, call.place).map(({ pid, user, command }) => {
    return `${String(pid).padStart(5)} ${user.padEnd(8)} ${"0:00".padStart(5)} ${command}\n`;
  });
  call.out(`PID   USER     TIME  COMMAND\n${lines.join("")}`);
  return 0;
}

function chosenFields(text: string): readonly Field[] {
  return text.split(",").map((word) => {
    const [key = "", title] = word.split("=");
    const known = sameField[key] ?? key;
    const field = Object.hasOwn(fields, known) ? fields[known] : undefined;
    if (!field) {
      throw new Failed(
        `error: unknown user-defined format specifier "${key}"\n\nUsage:\n ps [options]\n\n Try 'ps --help <simple|list|output|threads|misc|all>'\n  or 'ps --help <s|l|o|t|m|a>'\n for additional help text.\n\nFor more details see ps(1).`,
      );
    }
    if (title !== undefined) return { ...field, title };
    return key === "cmd" ? { ...field, title: "CMD" } : field;
  });
}

function table(chosen: readonly Field[], list: readonly ProcessInfo[]): string {
  const line = (value: (field: Field) => string): string =>
    chosen
      .map((field, at) => {
        const text = value(field);
        if (!field.left) return text.padStart(field.width);
        return at === chosen.length - 1 ? text : text.padEnd(field.width).slice(0, field.width);
      })
      .join(" ");
  const head = chosen.every(({ title }) => title === "") ? [] : [line(({ title }) => title)];
  return [...head, ...list.map((one) => line((field) => field.value(one))), ""].join("\n");
}

function aux(list: readonly ProcessInfo[]): string {
  const lines = list.map((one) => {
    const head = `${one.user.padEnd(8)} ${String(one.pid).padStart(7)}  0.0  0.0      0     0`;
    const state = one.command.startsWith("ps ") ? "R" : one.pid === 1 || one.parent <= 1 ? "Ss" : "S";
    return `${head} ?        ${state.padEnd(4)} ${clock(one)}   0:00 ${one.command}\n`;
  });
  return `USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n${lines.join("")}`;
}

function full(list: readonly ProcessInfo[]): string {
  const lines = list.map((one) => {
    const ids = `${String(one.pid).padStart(7)} ${String(one.parent).padStart(7)}`;
    return `${one.user.padEnd(8)} ${ids}  0 ${clock(one)} ?        00:00:00 ${one.command}\n`;
  });
  return `UID          PID    PPID  C STIME TTY          TIME CMD\n${lines.join("")}`;
}
