/** Owns reading manifests: YAML or JSON text → objects, with kubectl's words for what is wrong. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  LineCounter,
  parseAllDocuments,
  type ScalarTag,
  type Tags,
  visit,
} from "yaml";
import { metadataProblem } from "./decode";
import { findKind, type Resource } from "./kinds";

/** One object of a file, not yet decoded. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly object: Readonly<Record<string, unknown>>;
  /** The line (from 1) where its document begins. */
  readonly line: number;
}

/** What kubectl prints (after `error: `) about a file that it cannot read; exit code 1. */
export class ManifestError extends Error {}

const sizeLimit = 3 * 1024 * 1024;
/** Aliases may make a document at most so much bigger (go-yaml's own guard is of the same kind). */
const aliasLimit = 100;

/**
 * All objects of a file, Lists taken apart. `source` is how the errors name it (`x.yaml`, `STDIN`).
 * @throws ManifestError: the first document that cannot be read
 */
export function parseManifests(text: string, source: string): readonly Manifest[] {
  if (text.length > sizeLimit) throw new ManifestError(`error parsing ${source}: the file is larger than 3 MiB`);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    uniqueKeys: false,
    schema: "yaml-1.1",
    customTags: goTags,
  });
  const found: Manifest[] = [];
  if (!Array.isArray(documents)) throw new ManifestError("no objects passed to apply");
  for (const document of documents) {
    const line = lines.linePos(document.range?.[0] ?? 0).line;
    const value = contentOf(document, source, text, lines);
    if (value !== null && value !== undefined) found.push(...objectsOf(value, source, line));
  }
  return found;
}

/** What go-yaml takes for a number with a point or an exponent: not `e1`, not `.` (the library's tests allow both). */
const goFloat = /^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$/;

/** YAML 1.1 as go-yaml reads it: octal and yes/no as there, but no dates and no base-60 numbers. */
function goTags(tags: Tags): Tags {
  const others = tags.flatMap((tag): Tags => {
    if (typeof tag === "string" || !("test" in tag)) return [tag];
    const { tag: name, format, test } = tag as ScalarTag;
    if (name === "tag:yaml.org,2002:timestamp" || format === "TIME") return [];
    const decimal = name === "tag:yaml.org,2002:float" && !test?.test(".inf");
    return decimal ? [{ ...(tag as ScalarTag), test: goFloat, resolve: asFloat }] : [tag];
  });
  return [newOctal, ...others];
}

/** `0o17`, and hexadecimals with a large X, which go-yaml has beside YAML 1.1's own. */
const newOctal: ScalarTag = {
  tag: "tag:yaml.org,2002:int",
  default: true,
  test: /^[-+]?0(?:o[0-7]+|X[0-9a-fA-F]+)$/,
  resolve: (text) => Number(text.replace(/^[-+]/, "")) * (text.startsWith("-") ? -1 : 1),
};

function asFloat(text: string): number {
  return Number(text.replaceAll("_", ""));
}

function contentOf(document: Document.Parsed, source: string, text: string, lines: LineCounter): unknown {
  const head = `error parsing ${source}: error converting YAML to JSON: yaml: `;
  if (document.errors.length > 0) throw new ManifestError(head + goProblem(document.errors, text, lines));
  visit(document, {
    Pair: (_, pair) => {
      const key = pair.key;
      if (isScalar(key) && key.value === "__proto__") {
        const line = lines.linePos(key.range?.[0] ?? 0).line;
        throw new ManifestError(`${head}line ${line}: invalid map key: "__proto__"`);
      }
      if (isMap(key) || isAlias(key)) throw new ManifestError(`${head}invalid map key: ${String(key)}`);
      return undefined;
    },
    Scalar: (_, { value }) => {
      if (typeof value !== "number" || Number.isFinite(value)) return;
      const name = Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
      throw new ManifestError(
        `error parsing ${source}: error converting YAML to JSON: json: unsupported value: ${name}`,
      );
    },
  });
  try {
    return sortedKeys(document.toJS({ maxAliasCount: aliasLimit }), new Map());
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    const anchor = /Unresolved alias.*: (.+)$/.exec(error.message)?.[1];
    if (anchor !== undefined) throw new ManifestError(`${head}unknown anchor '${anchor}' referenced`);
    throw new ManifestError(`${head}document contains excessive aliasing`);
  }
}

/** Keys in order, as they come out of kubectl's way from YAML to JSON: the first mistake is the first of these. */
function sortedKeys(value: unknown, seen: Map<object, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const copy = Array.isArray(value)
    ? value.map((each) => sortedKeys(each, seen))
    : Object.fromEntries(
        Object.entries(value)
          .sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0))
          .map(([key, each]) => [key, sortedKeys(each, seen)]),
      );
  seen.set(value, copy);
  return copy;
}

interface Wording {
  readonly match: RegExp;
  readonly words: string;
  /** libyaml's scanner and parser count lines differently, and go-yaml prints what they say. */
  readonly by: "scanner" | "parser";
}

const wordings: readonly Wording[] = [
  { match: /^Tabs/, words: "found character that cannot start any token", by: "scanner" },
  { match: /^Plain value cannot start/, words: "found character that cannot start any token", by: "scanner" },
  { match: /^Nested mappings/, words: "mapping values are not allowed in this context", by: "scanner" },
  { match: /^Implicit keys? need/, words: "could not find expected ':'", by: "scanner" },
  { match: /^Missing closing .?quote/, words: "found unexpected end of stream", by: "scanner" },
  { match: /end with a \]/, words: "did not find expected ',' or ']'", by: "parser" },
  { match: /end with a \}/, words: "did not find expected ',' or '}'", by: "parser" },
  { match: /./, words: "did not find expected key", by: "parser" },
];

/** The first error in go-yaml's words; lines are counted from the document's own start, as kubectl reads them. */
function goProblem(errors: Document.Parsed["errors"], text: string, lines: LineCounter): string {
  const [problem, second] = errors as [(typeof errors)[number], (typeof errors)[number] | undefined];
  const wording = wordings.find(({ match }) => match.test(problem.message)) as Wording;
  const start = text.lastIndexOf("\n---", problem.pos[0]);
  const before = start < 0 ? 0 : lines.linePos(start + 1).line;
  const multiline =
    /^Implicit key/.test(problem.message) || (second !== undefined && /^Implicit key/.test(second.message));
  const line = lines.linePos(problem.pos[0]).line - before + (multiline ? 1 : 0);
  if (wording.by === "parser") return `line ${Math.max(1, line - 1)}: ${wording.words}`;
  return line === 1 ? wording.words : `line ${line}: ${wording.words}`;
}

function objectsOf(value: unknown, source: string, line: number): readonly Manifest[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const given = Array.isArray(value) ? "array" : typeof value;
    const text = `json: cannot unmarshal ${given} into Go value of type unstructured.detector`;
    throw new ManifestError(`unable to decode ${JSON.stringify(source)}: ${text}`);
  }
  const object = value as Readonly<Record<string, unknown>>;
  const { apiVersion, kind, items } = object;
  if (typeof apiVersion !== "string" || typeof kind !== "string" || apiVersion === "" || kind === "") {
    const problems = (["apiVersion", "kind"] as const).flatMap((field) => {
      if (!object[field]) return [`${field} not set`];
      return typeof object[field] === "string" ? [] : [`${field} isn't string type`];
    });
    const why = problems.length > 1 ? `[${problems.join(", ")}]` : problems.join();
    const help = "if you choose to ignore these errors, turn validation off with --validate=false";
    throw new ManifestError(`error validating ${JSON.stringify(source)}: error validating data: ${why}; ${help}`);
  }
  if (kind === "List" && Array.isArray(items)) return items.flatMap((item) => objectsOf(item, source, line));
  const problem = metadataProblem(object.metadata);
  if (problem !== undefined) throw new ManifestError(`unable to decode ${JSON.stringify(source)}: ${problem}`);
  return [{ apiVersion, kind, object, line }];
}

/**
 * The resource that a manifest is of.
 * @param serves whether this cluster has a resource
 * @throws ManifestError `resource mapping not found for name: "x" …: no matches for kind "X" in version "v1"`
 */
export function resourceFor(
  manifest: Manifest,
  source: string,
  serves: (resource: Resource) => boolean = () => true,
): Resource {
  const found = findKind(manifest.apiVersion, manifest.kind);
  if (found && serves(found)) return found;
  const meta = manifest.object.metadata as { readonly name?: string; readonly namespace?: string } | undefined;
  const name = `name: ${JSON.stringify(meta?.name ?? "")} namespace: ${JSON.stringify(meta?.namespace ?? "")}`;
  const text = `resource mapping not found for ${name} from ${JSON.stringify(source)}: no matches for kind`;
  const help = "ensure CRDs are installed first";
  throw new ManifestError(
    `${text} ${JSON.stringify(manifest.kind)} in version ${JSON.stringify(manifest.apiVersion)}\n${help}`,
  );
}
