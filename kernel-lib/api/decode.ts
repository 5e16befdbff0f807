/** Owns the way in: JSON from a client becomes an object of a kind, strictly, as the API server's decoder does it. */
import { badRequest } from "./errors";
import type { Resource } from "./kinds";
import { metallbSchema } from "./metallb";
import { schemaText } from "./schema/text";

type Field = { readonly type: string; readonly list: boolean; readonly map: boolean };
type Json = Readonly<Record<string, unknown>>;

const types = new Map<string, ReadonlyMap<string, Field>>();
for (const line of `${schemaText}${metallbSchema.trimStart()}`.trim().replace(/\n /g, " ").split("\n")) {
  const [name, ...words] = line.split(" ") as [string, ...string[]];
  types.set(name, new Map(words.map(fieldOf)));
}

function fieldOf(word: string): [string, Field] {
  const colon = word.indexOf(":");
  const text = word.slice(colon + 1);
  const list = text.endsWith("[]");
  const inner = list ? text.slice(0, -2) : text;
  const map = inner.startsWith("{");
  return [word.slice(0, colon), { type: map ? inner.slice(1, -1) : inner, list, map }];
}

/** Go's integers of 64 bits; all others are int32. */
const wide = new Set(
  (
    "terminationGracePeriodSeconds activeDeadlineSeconds runAsUser runAsGroup fsGroup expirationSeconds generation " +
    "tolerationSeconds observedGeneration deletionGracePeriodSeconds"
  ).split(" "),
);

/** Deeper than any real manifest: a guard against endless nesting. */
const deepest = 64;

interface Walk {
  readonly unknown: string[];
  /** The names of the fields on the way, as Go's decoder prints them (without indexes). */
  readonly way: string[];
}

/** What is done about unknown fields: refuse the object, say it and leave them out, or just leave them out. */
export type FieldValidation = "Strict" | "Warn" | "Ignore";

/**
 * A fresh object that holds only fields its kind has.
 * @param warn told about each unknown field, where they are warned of
 * @throws StatusError BadRequest: a field of a wrong type, or (strict decoding) unknown fields, all of them
 */
export function decode(
  resource: Resource,
  value: unknown,
  fieldValidation: FieldValidation = "Strict",
  warn: (text: string) => void = () => {},
): Json {
  const walk: Walk = { unknown: [], way: [] };
  const head = `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: `;
  let object: Json;
  try {
    object = structure(resource.kind, value, "", walk) as Json;
  } catch (error) {
    if (error instanceof WrongType) throw badRequest(head + error.message);
    throw error;
  }
  const unknown = walk.unknown.map((path) => `unknown field ${JSON.stringify(path)}`);
  if (unknown.length > 0 && fieldValidation === "Strict") {
    throw badRequest(`${head}strict decoding error: ${unknown.join(", ")}`);
  }
  if (fieldValidation === "Warn") for (const text of unknown) warn(text);
  return object;
}

/** What keeps `metadata` from being read, in the decoder's words; kubectl looks at it before it asks the server. */
export function metadataProblem(metadata: unknown): string | undefined {
  if (metadata === undefined || metadata === null) return undefined;
  const walk: Walk = { unknown: [], way: ["metadata"] };
  try {
    if (typeof metadata !== "object" || Array.isArray(metadata)) {
      throw wrong(metadata, "metadataOnlyObject", walk, "v1.ObjectMeta");
    }
    structure("ObjectMeta", metadata, "metadata", walk);
    return undefined;
  } catch (error) {
    if (error instanceof WrongType) return error.message;
    throw error;
  }
}

class WrongType extends Error {}

function structure(type: string, value: unknown, path: string, walk: Walk): unknown {
  const fields = types.get(type);
  if (!fields) return plain(value, walk);
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw wrong(value, type, walk, type);
  if (walk.way.length > deepest) throw new WrongType("exceeded max depth");
  const result: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(value)) {
    const field = fields.get(name);
    const where = path ? `${path}.${name}` : name;
    if (!field) {
      walk.unknown.push(where);
      continue;
    }
    if (given === null || given === undefined) continue;
    walk.way.push(name);
    result[name] = read(field, given, where, type, walk);
    walk.way.pop();
  }
  return result;
}

function read(field: Field, value: unknown, path: string, owner: string, walk: Walk): unknown {
  if (field.list) {
    if (!Array.isArray(value)) throw wrong(value, owner, walk, `[]${goType(field, path)}`);
    const item = { ...field, list: false };
    return value.map((each, at) => read(item, each, `${path}[${at}]`, owner, walk));
  }
  if (field.map) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw wrong(value, owner, walk, `map[string]${goType(field, path)}`);
    }
    const item = { ...field, map: false };
    const pairs = Object.entries(value).filter(([key]) => key !== "__proto__");
    return Object.fromEntries(pairs.map(([key, each]) => [key, read(item, each ?? "", `${path}.${key}`, owner, walk)]));
  }
  return scalar(field, value, path, owner, walk);
}

function scalar(field: Field, value: unknown, path: string, owner: string, walk: Walk): unknown {
  switch (field.type) {
    case "string":
      if (typeof value !== "string") throw wrong(value, owner, walk, "string");
      return value;
    case "boolean":
      if (typeof value !== "boolean") throw wrong(value, owner, walk, "bool");
      return value;
    case "number":
      if (typeof value !== "number" || !Number.isInteger(value)) throw wrong(value, owner, walk, goType(field, path));
      return value;
    case "port":
      if (typeof value === "string" || (typeof value === "number" && Number.isInteger(value))) return value;
      throw wrong(value, owner, walk, "intstr.IntOrString");
    case "quantity":
      if (typeof value === "number") return String(value);
      if (typeof value === "string" && isQuantity(value)) return value;
      throw new WrongType(quantityMessage);
    case "any":
      return plain(value, walk);
    default:
      return structure(field.type, value, path, walk);
  }
}

/** k8s.io/apimachinery pkg/api/resource: the message of ErrFormatWrong. */
const quantityMessage = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

function isQuantity(text: string): boolean {
  return /^[+-]?(\d+(\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?$/.test(text);
}

function plain(value: unknown, walk: Walk, depth = 0): unknown {
  if (depth > deepest) throw new WrongType("exceeded max depth");
  if (Array.isArray(value)) return value.map((each) => plain(each, walk, depth + 1));
  if (typeof value !== "object" || value === null) return value;
  const pairs = Object.entries(value).filter(([key]) => key !== "__proto__");
  return Object.fromEntries(pairs.map(([key, each]) => [key, plain(each, walk, depth + 1)]));
}

function goType(field: Field, path: string): string {
  if (field.type === "number") return wide.has(path.slice(path.lastIndexOf(".") + 1)) ? "int64" : "int32";
  if (field.type === "boolean") return "bool";
  if (field.type === "quantity") return "resource.Quantity";
  return field.type === "string" ? "string" : `v1.${field.type}`;
}

/** encoding/json's UnmarshalTypeError, as the API server passes it on. */
function wrong(value: unknown, owner: string, walk: Walk, goal: string): WrongType {
  const given = Array.isArray(value) ? "array" : value === null ? "null" : jsonName(value);
  const field = walk.way.length > 0 ? `struct field ${owner}.${walk.way.join(".")}` : "value";
  return new WrongType(`json: cannot unmarshal ${given} into Go ${field} of type ${goal}`);
}

function jsonName(value: unknown): string {
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return Number.isInteger(value) ? "number" : `number ${value}`;
  return typeof value;
}
