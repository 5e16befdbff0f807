/** Owns what was run in this kernel's life, for a front end's history. */

interface Entry {
  readonly line: number;
  readonly input: string;
  output: string | null;
}

/** The session number of the one session that a kernel in memory has. */
const session = 1;
const keep = 10_000;

/** The inputs of a session, in order, and what they gave. */
export class History {
  readonly #entries: Entry[] = [];
  #dropped = 0;

  /** Adds the input of an execution. */
  add(line: number, input: string): void {
    this.#entries.push({ line, input, output: null });
    if (this.#entries.length <= keep) return;
    this.#entries.shift();
    this.#dropped += 1;
  }

  /** Notes the result of an execution, as text. */
  result(line: number, output: string): void {
    const entry = this.#entries.at(line - 1 - this.#dropped);
    if (entry?.line === line) entry.output = output;
  }

  /** Answers a history_request (Jupyter messaging, "History"): tail, range or search. */
  reply(request: Record<string, unknown>): Record<string, unknown> {
    const withOutput = request.output === true;
    const history = this.#select(request).map(({ line, input, output }) => [
      session,
      line,
      withOutput ? [input, output] : input,
    ]);
    return { status: "ok", history };
  }

  #select(request: Record<string, unknown>): readonly Entry[] {
    const number = (value: unknown, otherwise: number) => (typeof value === "number" ? value : otherwise);
    const last = number(request.n, Number.POSITIVE_INFINITY);
    switch (request.hist_access_type) {
      case "range": {
        const asked = number(request.session, 0);
        if (asked !== 0 && asked !== session) return [];
        const start = number(request.start, 1);
        const stop = number(request.stop, Number.POSITIVE_INFINITY);
        return this.#entries.filter((entry) => entry.line >= start && entry.line < stop);
      }
      case "search": {
        const pattern = globPattern(typeof request.pattern === "string" ? request.pattern : "*");
        let found = this.#entries.filter((entry) => pattern.test(entry.input));
        if (request.unique === true) {
          const latest = new Map(found.map((entry) => [entry.input, entry]));
          found = found.filter((entry) => latest.get(entry.input) === entry);
        }
        return tail(found, last);
      }
      default:
        return tail(this.#entries, last);
    }
  }
}

function tail(entries: readonly Entry[], count: number): readonly Entry[] {
  return count <= 0 ? [] : entries.slice(-Math.min(count, entries.length));
}

/** A shell pattern with `*` and `?`, matched against a whole input, as IPython's history does. */
function globPattern(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^]*")
    .replaceAll("?", "[^]");
  return new RegExp(`^${source}$`);
}
