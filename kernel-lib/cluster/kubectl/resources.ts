/** Owns the reading of `pods`, `pods,svc`, `pod/a svc/b`, `-l`, `-f`: which objects a command line means. */
import { StatusError } from "../../api/errors";
import { findCategory, findResource, isServed, type KubeObject, type Resource } from "../../api/kinds";
import { type Manifest, ManifestError, parseManifests, resourceFor } from "../../api/manifest";
import { matchesAll, parseSelector } from "../../api/selectors";
import { deprecationOf } from "../../api/warnings";
import { resolvePath } from "../shell/filesystem";
import { Failed } from "../shell/tool";
import type { Context } from "./context";

/** What somebody asked for: a whole type, or one object of it. */
export interface Asked {
  readonly resource: Resource;
  readonly name: string | undefined;
}

/** The resources of one word; several with commas or for a category. @throws Failed */
export function typesOf(word: string): readonly Resource[] {
  return word.split(",").flatMap((name) => {
    const category = findCategory(name);
    if (category.length > 0) return category;
    const found = findResource(name);
    if (!found) throw new Failed(`error: the server doesn't have a resource type "${name.replace(/\..*$/, "")}"`);
    return [found];
  });
}

/** Reads `TYPE [NAME…]` or `TYPE/NAME…`. @throws Failed */
export function readArguments(args: readonly string[]): readonly Asked[] {
  const slashed = args.filter((arg) => arg.includes("/")).length;
  if (slashed === 0) {
    const [types = "", ...names] = args;
    if (args.length === 0) return [];
    const resources = typesOf(types);
    if (names.length === 0) return resources.map((resource) => ({ resource, name: undefined }));
    if (resources.length > 1 && !types.includes(",")) throw new Failed("error: you must specify only one resource");
    return resources.flatMap((resource) => names.map((name) => ({ resource, name })));
  }
  if (slashed < args.length) {
    throw new Failed(
      "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
    );
  }
  return args.flatMap((arg) => {
    const [type = "", name = "", ...more] = arg.split("/");
    if (more.length > 0) throw new Failed(`error: arguments in resource/name form may not have more than one slash`);
    if (type === "" || name === "") {
      throw new Failed("error: arguments in resource/name form must have a single resource and name");
    }
    return typesOf(type).map((resource) => ({ resource, name }));
  });
}

/** How a list is narrowed. */
export interface Narrowing {
  readonly allNamespaces?: boolean;
}

/** The objects that were asked for; what is missing is told on stderr, as kubectl does, and makes `failed` true. */
export function findObjects(
  context: Context,
  asked: readonly Asked[],
  { allNamespaces = false }: Narrowing = {},
): { readonly objects: readonly KubeObject[]; readonly failed: boolean } {
  const { api, flags, namespace } = context;
  const labelSelector = flags.text("selector");
  const fieldSelector = flags.text("field-selector");
  const objects: KubeObject[] = [];
  let failed = false;
  for (const { resource, name } of asked) {
    if (!isServed(resource, api.store)) {
      throw new Failed(`error: the server doesn't have a resource type "${resource.plural}"`);
    }
    if (name !== undefined && (labelSelector !== undefined || fieldSelector !== undefined)) {
      throw new Failed("error: name cannot be provided when a selector is specified");
    }
    if (name !== undefined && allNamespaces && resource.namespaced) {
      throw new Failed("error: a resource cannot be retrieved by name across all namespaces");
    }
    try {
      const deprecation = deprecationOf(resource.kind);
      if (deprecation !== undefined) context.warn(deprecation);
      if (name !== undefined) objects.push(api.get(resource.kind, namespace, name));
      else {
        objects.push(
          ...api.list(resource.kind, {
            ...(resource.namespaced && !allNamespaces && { namespace }),
            ...(labelSelector !== undefined && { labelSelector }),
            ...(fieldSelector !== undefined && { fieldSelector }),
          }),
        );
      }
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (error.reason === "NotFound" && flags.is("ignore-not-found")) continue;
      context.err(`${statusMessage(withSelectors(error, resource, labelSelector, fieldSelector))}\n`);
      failed = true;
    }
  }
  return { objects, failed };
}

/** A list that the server refuses is told with its selectors (cli-runtime pkg/resource: Selector.Visit). */
function withSelectors(
  error: StatusError,
  resource: Resource,
  labelSelector: string | undefined,
  fieldSelector: string | undefined,
): StatusError {
  if (error.reason !== "BadRequest" || (!labelSelector && !fieldSelector)) return error;
  const what = `"${resource.group}/${resource.version}, Resource=${resource.plural}"`;
  const which = `label selector "${labelSelector ?? ""}", field selector "${fieldSelector ?? ""}"`;
  return new StatusError("BadRequest", `Unable to find ${what} that match ${which}: ${error.message}`, error.details);
}

/** One object of a file: its manifest, its resource, and what the errors call its source. */
export interface FromFile {
  readonly manifest: Manifest;
  readonly resource: Resource;
  readonly source: string;
}

/** The objects of the files of `-f`. @throws Failed in kubectl's words */
export function readFiles(context: Context): readonly FromFile[] {
  const found: FromFile[] = [];
  const selector = parseSelector(context.flags.text("selector") ?? "");
  const serves = (resource: Resource): boolean => isServed(resource, context.api.store);
  for (const given of context.flags.texts("filename").flatMap((text) => text.split(","))) {
    for (const [source, text] of textsOf(context, given)) {
      try {
        for (const manifest of parseManifests(text, source)) {
          if (!selected(manifest, selector)) continue;
          found.push({ manifest, resource: resourceFor(manifest, source, serves), source });
        }
      } catch (error) {
        if (!(error instanceof ManifestError)) throw error;
        throw new Failed(`error: ${error.message}`);
      }
    }
  }
  return found;
}

function selected({ object }: Manifest, selector: ReturnType<typeof parseSelector>): boolean {
  const meta = object.metadata as { readonly labels?: Readonly<Record<string, string>> } | undefined;
  return matchesAll(selector, meta?.labels ?? {});
}

function textsOf(context: Context, given: string): readonly (readonly [string, string])[] {
  const { call } = context;
  if (given === "-") return [["STDIN", call.terminal ? typed(context) : call.stdin]];
  const path = resolvePath(call.folder, given);
  const { files } = call.place;
  const text = files.read(path);
  if (text !== undefined) return [[given, text]];
  const names = files.list(path);
  if (!names) throw new Failed(`error: the path "${given}" does not exist`);
  const wanted = names.filter((name) => /\.(json|ya?ml)$/.test(name));
  if (wanted.length === 0)
    throw new Failed(`error: error reading [${given}]: recognized file extensions are [.json .yaml .yml]`);
  return wanted.map((name) => [`${given.replace(/\/$/, "")}/${name}`, files.read(`${path}/${name}`) ?? ""]);
}

function typed(context: Context): string {
  const lines: string[] = [];
  for (let line = context.call.terminal?.readLine(); line !== undefined; line = context.call.terminal?.readLine()) {
    lines.push(line);
  }
  return lines.join("\n");
}

/** An API error as kubectl's last line says it (cmd/util/helpers.go, StandardErrorMessage and checkErr). */
export function statusMessage(error: StatusError): string {
  const { details } = error;
  if (error.reason === "Invalid" && details?.kind) {
    const head = `The ${details.kind} "${details.name ?? ""}" is invalid`;
    const causes = (details.causes ?? []).map((cause) => `${cause.field}: ${cause.message}`);
    if (causes.length === 1) return `${head}: ${causes[0]}`;
    if (causes.length > 1) return `${head}: \n${[...new Set(causes)].map((cause) => `* ${cause}`).join("\n")}`;
  }
  if (error.reason === "Invalid" && !details?.kind) return `The request is invalid: ${error.message}`;
  return error.reason === "Unknown"
    ? `Error from server: ${error.message}`
    : `Error from server (${error.reason}): ${error.message}`;
}
