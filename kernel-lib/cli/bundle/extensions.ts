/** Owns the list of JupyterLab extensions that go into the front end, as their packages describe themselves. */
import * as fs from "node:fs";
import * as path from "node:path";

/** One JupyterLab extension package, from the `jupyterlab` field of its package.json. */
export interface Extension {
  readonly name: string;
  readonly version: string;
  readonly directory: string;
  /** The module with the plugins, as an import path. */
  readonly plugins?: string;
  /** The module with the MIME renderers, as an import path. */
  readonly renderers?: string;
  /** The module that imports the styles, as an import path. */
  readonly style?: string;
  /** The folder with the settings schemas. */
  readonly schemas?: string;
  /** The style sheet of a theme. */
  readonly theme?: string;
}

/** The settings of one plugin, as `GET /lab/api/settings` wants them. */
export interface PluginSchema {
  readonly id: string;
  readonly version: string;
  readonly schema: unknown;
}

interface PackageFile {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly styleModule?: string;
  readonly jupyterlab?: {
    readonly extension?: boolean | string;
    readonly mimeExtension?: boolean | string;
    readonly schemaDir?: string;
    readonly themePath?: string;
  };
}

function readPackage(directory: string): PackageFile {
  return JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8")) as PackageFile;
}

/** `true` means the package's main module; a text names a module inside it. */
function modulePath(name: string, field: boolean | string | undefined): string | undefined {
  if (typeof field === "string") return path.posix.join(name, field);
  return field === true ? name : undefined;
}

/** Without its undefined members, so that optional means absent. */
function present<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

/** The extensions among the direct dependencies of the package at `root`, in the order of their names. */
export function findExtensions(root: string): Extension[] {
  const names = Object.keys(readPackage(root).dependencies ?? {}).filter((name) => name.startsWith("@jupyterlab/"));
  return names.sort().flatMap((name) => {
    const directory = path.join(root, "node_modules", name);
    const { version, jupyterlab, styleModule } = readPackage(directory);
    if (!jupyterlab) return [];
    const inside = (file: string | undefined) => (file === undefined ? undefined : path.join(directory, file));
    return present<Extension>({
      name,
      version,
      directory,
      plugins: modulePath(name, jupyterlab.extension),
      renderers: modulePath(name, jupyterlab.mimeExtension),
      style: modulePath(name, styleModule),
      schemas: inside(jupyterlab.schemaDir),
      theme: inside(jupyterlab.themePath),
    });
  });
}

/** The module behind `kubebook:extensions`: styles first, then every extension with its plugins and renderers. */
export function extensionsModule(extensions: readonly Extension[]): string {
  const lines: string[] = extensions.flatMap(({ style }) => (style ? [`import ${JSON.stringify(style)};`] : []));
  const lists: Record<"plugins" | "renderers", string[]> = { plugins: [], renderers: [] };
  for (const extension of extensions) {
    for (const kind of ["plugins", "renderers"] as const) {
      const from = extension[kind];
      if (from === undefined) continue;
      const local = `${kind}${lists[kind].length}`;
      lines.push(`import * as ${local} from ${JSON.stringify(from)};`);
      lists[kind].push(`{ name: ${JSON.stringify(extension.name)}, module: ${local} }`);
    }
  }
  for (const [kind, list] of Object.entries(lists)) lines.push(`export const ${kind} = [${list.join(", ")}];`);
  return lines.join("\n");
}

/** The settings schemas of all extensions. The id is the package and the file's name: `@jupyterlab/x-extension:plugin`. */
export function readSchemas(extensions: readonly Extension[]): PluginSchema[] {
  return extensions.flatMap(({ name, version, schemas }) => {
    if (schemas === undefined) return [];
    const files = fs.readdirSync(schemas).filter((file) => file.endsWith(".json") && file !== "package.json.orig");
    return files.sort().map((file) => ({
      id: `${name}:${path.basename(file, ".json")}`,
      version,
      schema: JSON.parse(fs.readFileSync(path.join(schemas, file), "utf8")) as unknown,
    }));
  });
}
