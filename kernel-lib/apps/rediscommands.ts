/** Owns what Redis does with a command: its data, and its answers in Redis' words. */
import type { Reply } from "./resp";

/** Strings by key, as far as the guestbook and a curious learner need them. */
export type RedisData = Map<string, string>;

interface Command {
  /** How many words it takes, itself included; negative: at least so many. */
  readonly arity: number;
  readonly writes?: boolean;
  readonly run: (data: RedisData, words: readonly string[]) => Reply;
}

const ok: Reply = { status: "OK" };

const commands: { readonly [name: string]: Command } = {
  ping: { arity: -1, run: (_data, [, text]) => (text === undefined ? { status: "PONG" } : { bulk: text }) },
  echo: { arity: 2, run: (_data, [, text = ""]) => ({ bulk: text }) },
  select: { arity: 2, run: () => ok },
  get: { arity: 2, run: (data, [, key = ""]) => ({ bulk: data.get(key) ?? null }) },
  set: {
    arity: -3,
    writes: true,
    run(data, [, key = "", value = "", ...more]) {
      if (more.length > 0) return { error: "ERR syntax error" };
      data.set(key, value);
      return ok;
    },
  },
  append: {
    arity: 3,
    writes: true,
    run(data, [, key = "", text = ""]) {
      const value = (data.get(key) ?? "") + text;
      data.set(key, value);
      return { integer: value.length };
    },
  },
  incr: {
    arity: 2,
    writes: true,
    run(data, [, key = ""]) {
      const value = data.get(key) ?? "0";
      if (!/^-?\d{1,15}$/.test(value)) return { error: "ERR value is not an integer or out of range" };
      data.set(key, String(Number(value) + 1));
      return { integer: Number(value) + 1 };
    },
  },
  del: {
    arity: -2,
    writes: true,
    run: (data, [, ...keys]) => ({ integer: keys.filter((key) => data.delete(key)).length }),
  },
  exists: { arity: -2, run: (data, [, ...keys]) => ({ integer: keys.filter((key) => data.has(key)).length }) },
  keys: {
    arity: 2,
    run(data, [, pattern = ""]) {
      const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
      const wanted = new RegExp(`^${parts.join(".*")}$`);
      return { array: [...data.keys()].filter((key) => wanted.test(key)).map((bulk) => ({ bulk })) };
    },
  },
  dbsize: { arity: 1, run: (data) => ({ integer: data.size }) },
  command: { arity: -1, run: () => ({ array: [] }) },
};

/** Whether a command changes data: a replica refuses it, a leader passes it on. */
export function writes(words: readonly string[]): boolean {
  return find(words)?.writes === true;
}

/** The answer to a command; `data` is changed. Names are read without case, as Redis does. */
export function execute(data: RedisData, words: readonly string[]): Reply {
  const [name = ""] = words;
  const command = find(words);
  if (!command) {
    const given = words.slice(1).map((word) => `\`${word}\`, `);
    return { error: `ERR unknown command \`${name}\`, with args beginning with: ${given.join("")}` };
  }
  const { arity } = command;
  if (arity >= 0 ? words.length !== arity : words.length < -arity) {
    return { error: `ERR wrong number of arguments for '${name.toLowerCase()}' command` };
  }
  return command.run(data, words);
}

function find([name = ""]: readonly string[]): Command | undefined {
  const word = name.toLowerCase();
  return Object.hasOwn(commands, word) ? commands[word] : undefined;
}
