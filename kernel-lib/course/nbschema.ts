/** Owns what a notebook file must look like: the rules of nbformat's 4.5 schema, and that no two cells share an id. */

/** A rule that a notebook breaks, and where. */
export interface NotebookMistake {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

type Path = NotebookMistake["path"];
/** Looks at one value; adds what is wrong with it to the list. */
type Check = (value: unknown, path: Path, mistakes: NotebookMistake[]) => void;

/** Everything in which a value is not a notebook of nbformat 4.5. */
export function notebookMistakes(value: unknown): readonly NotebookMistake[] {
  const mistakes: NotebookMistake[] = [];
  checkNotebook(value, [], mistakes);
  if (mistakes.length > 0) return mistakes;
  const seen = new Map<string, number>();
  for (const [index, { id }] of (value as { cells: readonly { id: string }[] }).cells.entries()) {
    const other = seen.get(id);
    if (other !== undefined)
      mistakes.push({ path: ["cells", index, "id"], message: `cell ${other + 1} has this id too` });
    seen.set(id, index);
  }
  return mistakes;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A check by a yes-or-no question. */
function must(what: string, holds: (value: unknown) => boolean): Check {
  return (value, path, mistakes) => {
    if (!holds(value)) mistakes.push({ path, message: `${path.at(-1) ?? "a notebook"} must be ${what}` });
  };
}

const anything: Check = () => {};
const text = must("text", (value) => typeof value === "string");
const isTexts = (value: unknown) => Array.isArray(value) && value.every((line) => typeof line === "string");
const texts = must("a list of texts", isTexts);
const lines = must("text or a list of texts", (value) => typeof value === "string" || isTexts(value));
const object = must("an object", isObject);
const count = must(
  "a whole number or null",
  (value) => value === null || (Number.isInteger(value) && Number(value) >= 0),
);

/** An object with these fields and no others (but where `open`); a name that ends with ? may be missing. */
function fields(rules: Readonly<Record<string, Check>>, open = false): Check {
  return (value, path, mistakes) => {
    if (!isObject(value)) return object(value, path, mistakes);
    for (const [name, check] of Object.entries(rules)) {
      const plain = name.replace("?", "");
      if (Object.hasOwn(value, plain)) check(value[plain], [...path, plain], mistakes);
      else if (plain === name) mistakes.push({ path, message: `the field ${name} is missing` });
    }
    if (open) return;
    for (const name of Object.keys(value)) {
      if (name in rules || `${name}?` in rules) continue;
      mistakes.push({ path: [...path, name], message: `a field ${name} is not known here` });
    }
  };
}

function list(check: Check): Check {
  return (value, path, mistakes) => {
    if (!Array.isArray(value)) mistakes.push({ path, message: `${path.at(-1)} must be a list` });
    else for (const [index, item] of value.entries()) check(item, [...path, index], mistakes);
  };
}

function mapOf(check: (name: string) => Check): Check {
  return (value, path, mistakes) => {
    if (!isObject(value)) return object(value, path, mistakes);
    for (const [name, field] of Object.entries(value)) check(name)(field, [...path, name], mistakes);
  };
}

/** One of several shapes, told apart by a field. */
function oneOf(field: string, shapes: Readonly<Record<string, Check>>): Check {
  return (value, path, mistakes) => {
    const kind = isObject(value) ? value[field] : undefined;
    const shape = typeof kind === "string" && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
    if (shape !== undefined) shape(value, path, mistakes);
    else mistakes.push({ path, message: `${field} must be one of ${Object.keys(shapes).join(", ")}` });
  };
}

const isTag = (tag: unknown) => typeof tag === "string" && tag !== "" && !tag.includes(",");
const tags = must("a list of different words without commas", (value) => {
  return Array.isArray(value) && value.every(isTag) && new Set(value).size === value.length;
});
const id = must("1 to 64 letters, digits, - or _", (value) => /^[a-zA-Z0-9_-]{1,64}$/.test(String(value)));
const metadata = fields(
  { "tags?": tags, "name?": must("text", (value) => typeof value === "string" && value !== "") },
  true,
);
const bundle = mapOf((mime) => (/^application\/(.*\+)?json$/.test(mime) ? anything : lines));
const textCell = fields({
  id,
  cell_type: text,
  metadata,
  source: lines,
  "attachments?": mapOf(() => bundle),
});
const output = oneOf("output_type", {
  stream: fields({ output_type: text, name: text, text: lines }),
  display_data: fields({ output_type: text, data: bundle, metadata: object }),
  execute_result: fields({ output_type: text, data: bundle, metadata: object, execution_count: count }),
  error: fields({ output_type: text, ename: text, evalue: text, traceback: texts }),
});
const codeCell = fields({
  id,
  cell_type: text,
  metadata,
  source: lines,
  outputs: list(output),
  execution_count: count,
});
const checkNotebook = fields({
  nbformat: must("4", (value) => value === 4),
  nbformat_minor: must(
    "5 or more (older notebooks have no cell ids)",
    (value) => Number.isInteger(value) && Number(value) >= 5,
  ),
  metadata: fields(
    {
      "kernelspec?": fields({ name: text, display_name: text }, true),
      "language_info?": fields({ name: text }, true),
    },
    true,
  ),
  cells: list(oneOf("cell_type", { markdown: textCell, raw: textCell, code: codeCell })),
});
