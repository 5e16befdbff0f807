/** Owns the printing of objects in every format but a table. */
import { type Kind, type KubeObject, resourceOf } from "../../../api/kinds";
import { ExecError, fillGoTemplate, ParseError, type TemplateFunction } from "../../gotemplate/index";
import { Failed } from "../../shell/tool";
import type { Context } from "../context";
import type { CustomColumn, Format } from "./format";
import { compactJson, goSyntax, goValue, printJson, printTypedJson } from "./json";
import { fillTemplate, findValues, JsonPathError, valuesOf } from "./jsonpath";
import { alignRows } from "./text";
import { printYaml } from "./yaml";

/** `pod`, `deployment.apps`: how kubectl names a type before a slash. */
export function typeName(kind: Kind): string {
  const resource = resourceOf(kind);
  return resource.group === "" ? resource.singular : `${resource.singular}.${resource.group}`;
}

/**
 * Prints objects in any format but a table. `list`: as a List even if it is one; `typed`: kubectl made them itself.
 * @throws Failed in kubectl's words
 */
export function printObjects(
  context: Context,
  format: Format,
  objects: readonly KubeObject[],
  list: boolean,
  typed = false,
): void {
  const one = !list && objects.length === 1 ? objects[0] : undefined;
  const whole = one ?? { apiVersion: "v1", items: objects, kind: "List", metadata: { resourceVersion: "" } };
  switch (format.format) {
    case "yaml":
      context.out(`${context.documents.count++ > 0 ? "---\n" : ""}${printYaml(whole)}`);
      break;
    case "json":
      context.out(typed ? printTypedJson(whole) : printJson(whole));
      break;
    case "name":
      context.out(objects.map((object) => `${typeName(object.kind)}/${object.metadata.name}\n`).join(""));
      break;
    case "jsonpath":
      context.out(jsonPath(format.template, whole, (template) => fillTemplate(template, whole)));
      break;
    case "jsonpath-as-json":
      context.out(jsonPath(format.template, whole, (template) => printJson(valuesOf(template, whole))));
      break;
    case "go-template":
      goTemplate(context, format.template, whole);
      break;
    case "columns":
      context.out(pathsRead(() => customColumns(format.columns, objects, context.flags.is("no-headers"))));
      break;
    case "table":
      break;
  }
}

/** Prints one object. */
export function printObject(context: Context, format: Format, object: KubeObject, typed = false): void {
  printObjects(context, format, [object], false, typed);
}

function jsonPath(template: string, whole: unknown, fill: (template: string) => string): string {
  try {
    return fill(template);
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    if (error.parsing) throw new Failed(`error: error parsing jsonpath ${template}, ${error.message}`);
    const debugging = `\ttemplate was:\n\t\t${template}\n\tobject given to jsonpath engine was:\n\t\t${goSyntax(whole)}\n\n`;
    const problem = `Error executing template: ${error.message}. Printing more information for debugging the template:`;
    throw new Failed(`error: error executing jsonpath ${JSON.stringify(template)}: ${problem}\n${debugging}`);
  }
}

function pathsRead<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof JsonPathError ? new Failed(`error: ${error.message}`) : error;
  }
}

/** What kubectl's templates have beside Go's own functions. */
const functions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  [
    "exists",
    (value, ...keys) => {
      let at: unknown = value;
      for (const key of keys) {
        if (typeof at !== "object" || at === null || !Object.hasOwn(at, String(key))) return false;
        at = (at as Readonly<Record<string, unknown>>)[String(key)];
      }
      return true;
    },
  ],
  [
    "base64decode",
    (text) => {
      try {
        return new TextDecoder().decode(Uint8Array.from(atob(String(text)), (character) => character.charCodeAt(0)));
      } catch {
        throw new Error("illegal base64 data at input byte 0");
      }
    },
  ],
]);

function goTemplate(context: Context, template: string, whole: unknown): void {
  try {
    context.out(fillGoTemplate("output", template, whole, functions));
  } catch (error) {
    if (error instanceof ParseError) throw new Failed(`error: error parsing template ${template}, ${error.message}`);
    if (!(error instanceof ExecError)) throw error;
    context.out(
      `Error executing template: ${error.message}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${template}\n\traw data was:\n\t\t${compactJson(whole)}\n\tobject given to template engine was:\n\t\t${goValue(whole)}\n\n`,
    );
    throw new Failed(`error: error executing template ${JSON.stringify(template)}: ${error.message}`);
  }
}

function customColumns(columns: readonly CustomColumn[], objects: readonly KubeObject[], headless: boolean): string {
  const rows = objects.map((object) =>
    columns.map(({ path }) => {
      const values = findValues(path, object);
      return values.length === 0 ? "<none>" : values.map(goValue).join(",");
    }),
  );
  return alignRows(headless ? rows : [columns.map(({ head }) => head), ...rows]);
}
