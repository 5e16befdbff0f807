/** Owns what charts do with encodings: YAML, JSON, base64, sums, versions. */
import { sha1 } from "@noble/hashes/legacy";
import { sha256, sha512 } from "@noble/hashes/sha2";
import { bytesToHex } from "@noble/hashes/utils";
import { parse } from "yaml";
import type { TemplateFunction } from "../../gotemplate/index";
import { compactJson, sorted } from "../../kubectl/print/json";
import { printYaml } from "../../kubectl/print/yaml";
import { textOf } from "./text";

function octets(text: unknown): Uint8Array {
  return new TextEncoder().encode(textOf(text));
}

function base64(text: unknown): string {
  return btoa(String.fromCharCode(...octets(text)));
}

/** A value as YAML without the last line break. */
function yamlOf(value: unknown): string {
  return printYaml(plain(value)).replace(/\n$/, "");
}

/** Without methods, which no encoding knows. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]) => (typeof each === "function" ? [] : [[key, plain(each)]])),
  );
}

/** What cannot be read is a map that says why, as Helm has it. */
function read(parseText: () => unknown, empty: unknown): unknown {
  try {
    return parseText() ?? empty;
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    return Array.isArray(empty) ? [why] : { Error: why };
  }
}

interface Version {
  readonly numbers: readonly [number, number, number];
  readonly pre: string;
}

function versionOf(text: string): Version {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$/.exec(text.trim());
  if (!match) throw new Error("invalid semantic version");
  return { numbers: [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)], pre: match[4] ?? "" };
}

function compare(one: Version, other: Version): number {
  for (const at of [0, 1, 2] as const)
    if (one.numbers[at] !== other.numbers[at]) return one.numbers[at] - other.numbers[at];
  if (one.pre === other.pre) return 0;
  if (one.pre === "" || other.pre === "") return one.pre === "" ? 1 : -1;
  return one.pre.localeCompare(other.pre, "en", { numeric: true });
}

/** `>=1.19-0`, `^1.2`, `~1.2.3`, `1.x`, several with spaces or commas, alternatives with `||`. */
function satisfies(constraint: string, text: string): boolean {
  const version = versionOf(text);
  return constraint.split("||").some((part) => {
    const terms = part
      .trim()
      .replace(/([<>=!~^]+)\s+/g, "$1")
      .split(/[\s,]+/);
    return terms.every((term) => term === "" || holds(term, version));
  });
}

function holds(term: string, version: Version): boolean {
  const [, operator = "", rest = ""] = /^(=|!=|>=|=>|<=|=<|>|<|~>|~|\^)?(.*)$/.exec(term) ?? [];
  if (rest === "*" || rest === "") return true;
  const open = /\.?[xX*].*$/.test(rest) || (rest.match(/\./g)?.length ?? 0) < 2;
  const wanted = versionOf(rest.replace(/\.?[xX*].*$/, ""));
  // A version before its release counts only for a constraint that names one too.
  if (version.pre !== "" && wanted.pre === "") return false;
  const order = compare(version, wanted);
  const [major, minor] = wanted.numbers;
  const parts = rest
    .replace(/[-+].*$/, "")
    .split(".")
    .filter((each) => /^\d+$/.test(each)).length;
  const sameFrom = (count: number): boolean =>
    [0, 1, 2].slice(0, count).every((at) => version.numbers[at as 0] === wanted.numbers[at as 0]);
  switch (operator) {
    case "!=":
      return order !== 0;
    case ">":
      return order > 0 && !(open && sameFrom(parts));
    case ">=":
    case "=>":
      return order >= 0;
    case "<":
      return order < 0;
    case "<=":
    case "=<":
      return order <= 0 || (open && sameFrom(parts));
    case "~":
    case "~>":
      return order >= 0 && sameFrom(Math.min(parts, 2));
    case "^":
      return order >= 0 && sameFrom(major > 0 ? 1 : minor > 0 ? 2 : 3);
    default:
      return open ? sameFrom(parts) : order === 0;
  }
}

export const encodingFunctions: Readonly<Record<string, TemplateFunction>> = {
  toYaml: yamlOf,
  mustToYaml: yamlOf,
  toYamlPretty: yamlOf,
  fromYaml: (text) => read(() => parse(textOf(text)), {}),
  fromYamlArray: (text) => read(() => parse(textOf(text)), []),
  toJson: (value) => compactJson(plain(value)),
  mustToJson: (value) => compactJson(plain(value)),
  toRawJson: (value) => JSON.stringify(sorted(plain(value))),
  toPrettyJson: (value) => JSON.stringify(sorted(plain(value)), undefined, 2),
  fromJson: (text) => read(() => JSON.parse(textOf(text)), {}),
  fromJsonArray: (text) => read(() => JSON.parse(textOf(text)), []),
  b64enc: base64,
  b64dec: (text) => {
    try {
      return new TextDecoder().decode(Uint8Array.from(atob(textOf(text)), (character) => character.charCodeAt(0)));
    } catch {
      return "illegal base64 data at input byte 0";
    }
  },
  sha1sum: (text) => bytesToHex(sha1(octets(text))),
  sha256sum: (text) => bytesToHex(sha256(octets(text))),
  sha512sum: (text) => bytesToHex(sha512(octets(text))),
  semverCompare: (constraint, version) => satisfies(textOf(constraint), textOf(version)),
  semver: (text) => {
    const { numbers, pre } = versionOf(textOf(text));
    return { Major: numbers[0], Minor: numbers[1], Patch: numbers[2], Prerelease: pre, Original: textOf(text) };
  },
};
