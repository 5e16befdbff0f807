/** Owns the reading of `-o`: which format is asked for, with its template from the command line or a file. */
import { resolvePath } from "../../shell/filesystem";
import { Failed } from "../../shell/tool";
import type { Context } from "../context";

/** A column of `-o custom-columns`. */
export interface CustomColumn {
  readonly head: string;
  readonly path: string;
}

/** What `-o` asked for. */
export type Format =
  | { readonly format: "table"; readonly wide: boolean }
  | { readonly format: "yaml" | "json" | "name" }
  | { readonly format: "jsonpath" | "jsonpath-as-json" | "go-template"; readonly template: string }
  | { readonly format: "columns"; readonly columns: readonly CustomColumn[] };

const objectFormats =
  "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile";

const templated: Readonly<
  Record<string, { readonly format: "jsonpath" | "jsonpath-as-json" | "go-template"; readonly file: boolean }>
> = {
  jsonpath: { format: "jsonpath", file: false },
  "jsonpath-as-json": { format: "jsonpath-as-json", file: false },
  "jsonpath-file": { format: "jsonpath", file: true },
  "go-template": { format: "go-template", file: false },
  template: { format: "go-template", file: false },
  "go-template-file": { format: "go-template", file: true },
  templatefile: { format: "go-template", file: true },
};

/**
 * Reads `-o` and `--template`.
 * @param tables whether the verb can print tables (`get`), or objects only (`create`, `apply`)
 * @throws Failed in kubectl's words
 */
export function parseFormat(context: Context, tables = true): Format {
  const { flags } = context;
  const given = flags.text("output") ?? "";
  const text = given === "" && flags.given("template") ? "go-template" : given;
  if (text === "") return { format: "table", wide: false };
  if (text === "wide" && tables) return { format: "table", wide: true };
  if (text === "yaml" || text === "json" || text === "name") return { format: text };
  const equals = text.indexOf("=");
  const kind = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? (flags.text("template") ?? "") : text.slice(equals + 1);
  const template = Object.hasOwn(templated, kind) ? templated[kind] : undefined;
  if (template) {
    if (value === "") throw new Failed("error: template format specified but no template given");
    return { format: template.format, template: template.file ? fileOf(context, value) : value };
  }
  if (tables && kind === "custom-columns") return { format: "columns", columns: columnsOf(value) };
  if (tables && kind === "custom-columns-file") {
    if (value === "") throw new Failed("error: custom-columns-file format specified but no custom columns file given");
    return { format: "columns", columns: columnsOfFile(fileOf(context, value)) };
  }
  const allowed = tables ? `custom-columns,custom-columns-file,${objectFormats},wide,yaml` : `${objectFormats},yaml`;
  throw new Failed(
    `error: unable to match a printer suitable for the output format "${text}", allowed formats are: ${allowed}`,
  );
}

function fileOf({ call }: Context, path: string): string {
  const text = call.place.files.read(resolvePath(call.folder, path));
  if (text === undefined)
    throw new Failed(`error: error reading --template ${path}, open ${path}: no such file or directory`);
  return text;
}

function columnsOf(spec: string): readonly CustomColumn[] {
  if (spec === "") throw new Failed("error: custom-columns format specified but no custom columns given");
  return spec.split(",").map((column) => {
    const colon = column.indexOf(":");
    if (colon < 0) {
      throw new Failed(`error: unexpected custom-columns spec: ${column}, expected <header>:<json-path-expr>`);
    }
    return { head: column.slice(0, colon), path: column.slice(colon + 1) };
  });
}

/** Two lines: the heads, and below each its path. */
function columnsOfFile(text: string): readonly CustomColumn[] {
  const [heads = [], paths = []] = text.split("\n").map((line) =>
    line
      .trim()
      .split(/\s+/)
      .filter((word) => word !== ""),
  );
  if (heads.length !== paths.length) {
    throw new Failed(
      `error: number of headers (${heads.length}) and field specifications (${paths.length}) don't match`,
    );
  }
  return heads.map((head, at) => ({ head, path: paths[at] ?? "" }));
}
