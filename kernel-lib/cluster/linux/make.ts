/** Owns make, as far as a Makefile of a few recipes needs it: variables, targets that depend on others, and their commands. */
import { resolvePath } from "../shell/filesystem";
import { Shelled } from "../shell/shelled";
import { type Call, Failed, type Tool } from "../shell/tool";

interface Rule {
  readonly needs: readonly string[];
  readonly commands: readonly string[];
}

interface Makefile {
  readonly variables: Map<string, string>;
  readonly rules: ReadonlyMap<string, Rule>;
  readonly phony: ReadonlySet<string>;
  readonly first: string | undefined;
}

function read(text: string, file: string): Makefile {
  const variables = new Map<string, string>();
  const rules = new Map<string, { needs: string[]; commands: string[] }>();
  const phony = new Set<string>();
  let current: { needs: string[]; commands: string[] }[] = [];
  let first: string | undefined;
  for (const [index, raw] of text.replace(/\\\n/g, " ").split("\n").entries()) {
    if (raw.startsWith("\t")) {
      for (const rule of current) rule.commands.push(raw.slice(1));
      continue;
    }
    const line = raw.replace(/(^|\s)#.*$/, "").trim();
    if (line === "") continue;
    const assigned = /^([\w.]+)\s*(\?|:{1,2})?=\s*(.*)$/.exec(line);
    const rule = /^([^:=]+?)\s*:(?!=)\s*(.*)$/.exec(line);
    if (assigned) {
      const [, name = "", kind, value = ""] = assigned;
      if (kind !== "?" || !variables.has(name)) variables.set(name, value);
      current = [];
    } else if (rule) {
      const targets = expand(rule[1] ?? "", variables).split(/\s+/);
      const needs = expand(rule[2] ?? "", variables)
        .split(/\s+/)
        .filter(Boolean);
      if (targets[0] === ".PHONY") {
        for (const name of needs) phony.add(name);
        current = [];
        continue;
      }
      current = targets.map((name) => {
        const known = rules.get(name) ?? { needs: [], commands: [] };
        known.needs.push(...needs);
        rules.set(name, known);
        return known;
      });
      first ??= targets.find((name) => !name.startsWith("."));
    } else throw new Failed(`${file}:${index + 1}: *** missing separator.  Stop.`, 2);
  }
  return { variables, rules, phony, first };
}

/** `$(KEY)`, `${KEY}`; `$$` is a dollar of the shell's. */
function expand(text: string, variables: ReadonlyMap<string, string>, depth = 0): string {
  if (depth > 20) return text;
  return text.replace(/\$(?:\$|\(([\w.@]+)\)|\{([\w.@]+)\}|([@<^\w]))/g, (whole, round, braces, letter) => {
    if (whole === "$$") return "$";
    return expand(variables.get(round ?? braces ?? letter) ?? "", variables, depth + 1);
  });
}

export const make: Tool = async (call) => {
  const given = new Map<string, string>();
  const goals: string[] = [];
  let file: string | undefined;
  let folder = call.folder;
  let [quiet, dry] = [false, false];
  const rest = [...call.args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const assigned = /^([\w.]+)[:?]?=(.*)$/s.exec(arg);
    if (assigned) given.set(assigned[1] ?? "", assigned[2] ?? "");
    else if (arg === "-f" || arg === "-C") {
      const value = rest.shift();
      if (value === undefined) throw new Failed(`make: option requires an argument -- '${arg[1]}'`, 2);
      if (arg === "-f") file = value;
      else folder = resolvePath(call.folder, value);
    } else if (arg === "-s") quiet = true;
    else if (arg === "-n") dry = true;
    else if (arg.startsWith("-")) throw new Failed(`make: unrecognized option '${arg}'`, 2);
    else goals.push(arg);
  }
  const { files } = call.place;
  const name =
    file ?? ["GNUmakefile", "makefile", "Makefile"].find((each) => files.read(resolvePath(folder, each)) !== undefined);
  const text = name === undefined ? undefined : files.read(resolvePath(folder, name));
  if (file !== undefined && text === undefined) {
    throw new Failed(`make: ${file}: No such file or directory\nmake: *** No rule to make target '${file}'.  Stop.`, 2);
  }
  const makefile = read(text ?? "", name ?? "Makefile");
  for (const [key, value] of call.env) if (!makefile.variables.has(key)) makefile.variables.set(key, value);
  for (const [key, value] of given) makefile.variables.set(key, value);
  if (goals.length === 0 && makefile.first === undefined) {
    throw new Failed(
      text === undefined
        ? "make: *** No targets specified and no makefile found.  Stop."
        : "make: *** No targets.  Stop.",
      2,
    );
  }
  const run = new Run(call, makefile, folder, { quiet, dry, name: name ?? "Makefile" });
  for (const goal of goals.length > 0 ? goals : [makefile.first ?? ""]) {
    const before = run.count;
    const code = await run.build(goal);
    if (code !== 0) return code;
    if (run.count === before) {
      const has = (makefile.rules.get(goal)?.commands.length ?? 0) > 0;
      call.out(has ? `make: '${goal}' is up to date.\n` : `make: Nothing to be done for '${goal}'.\n`);
    }
  }
  return 0;
};

/** One call of make: what has been made already is not made again. */
class Run {
  readonly #call: Call;
  readonly #makefile: Makefile;
  readonly #folder: string;
  readonly #how: { readonly quiet: boolean; readonly dry: boolean; readonly name: string };
  readonly #done = new Set<string>();
  /** How many commands have run. */
  count = 0;

  constructor(call: Call, makefile: Makefile, folder: string, how: { quiet: boolean; dry: boolean; name: string }) {
    this.#call = call;
    this.#makefile = makefile;
    this.#folder = folder;
    this.#how = how;
  }

  #modified(target: string): number | undefined {
    return this.#call.place.files.entry(resolvePath(this.#folder, target))?.modified;
  }

  async build(target: string, neededBy?: string): Promise<number> {
    if (this.#done.has(target)) return 0;
    this.#done.add(target);
    const { rules, phony, variables } = this.#makefile;
    const rule = rules.get(target);
    const made = phony.has(target) ? undefined : this.#modified(target);
    if (!rule) {
      if (made !== undefined) return 0;
      const by = neededBy === undefined ? "" : `, needed by '${neededBy}'`;
      throw new Failed(`make: *** No rule to make target '${target}'${by}.  Stop.`, 2);
    }
    for (const need of rule.needs) {
      const code = await this.build(need, target);
      if (code !== 0) return code;
    }
    const stale = rule.needs.some((need) => (this.#modified(need) ?? Number.POSITIVE_INFINITY) > (made ?? -1));
    if (made !== undefined && !stale) return 0;
    const own = new Map([...variables, ["@", target], ["<", rule.needs[0] ?? ""], ["^", rule.needs.join(" ")]]);
    for (const command of rule.commands) {
      const code = await this.#command(expand(command, own), target);
      if (code !== 0) return code;
    }
    return 0;
  }

  async #command(written: string, target: string): Promise<number> {
    const [, marks = "", text = ""] = /^\s*([@-]*)\s*(.*)$/s.exec(written) ?? [];
    if (text === "") return 0;
    if (this.#how.dry || !(marks.includes("@") || this.#how.quiet)) this.#call.out(`${text}\n`);
    this.count++;
    if (this.#how.dry) return 0;
    const inside: Call = { ...this.#call, folder: this.#folder };
    const code = await new Shelled(inside).run(text, undefined, true);
    if (code === 0 || marks.includes("-")) return 0;
    this.#call.err(`make: *** [${this.#how.name}: ${target}] Error ${code}\n`);
    return 2;
  }
}
