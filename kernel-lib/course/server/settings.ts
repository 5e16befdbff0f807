/** Owns the learner's JupyterLab settings: `/lab/api/settings` over the extensions' schemas and files in our state. */
import { mkdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeWhole } from "./atomic";
import { empty, HttpError, isObject, json } from "./http";
import { type Route, route } from "./router";

/** A plugin's settings as its package describes them; the front end's bundle holds the list in `settings.json`. */
interface PluginSchema {
  readonly id: string;
  readonly version: string;
  readonly schema: unknown;
}

/** What JupyterLab gets for one plugin. */
interface PluginSettings extends PluginSchema {
  readonly raw: string;
  readonly settings: unknown;
  readonly warning?: string;
  readonly last_modified: string | null;
  readonly created: string | null;
}

export class Settings {
  private schemas: Promise<ReadonlyMap<string, PluginSchema>> | undefined;

  /**
   * @param assets the front end's folder
   * @param state the server's own folder: the learner's settings are in `settings` in it
   */
  constructor(
    private readonly assets: string,
    private readonly state: string,
    private readonly log: (line: string) => void,
  ) {}

  async ids(): Promise<string[]> {
    return [...(await this.load()).keys()];
  }

  /** @throws HttpError 404 */
  async get(id: string): Promise<PluginSettings> {
    const plugin = (await this.load()).get(id);
    if (plugin === undefined) throw new HttpError(404, `Schema not found: ${id}`);
    const file = this.fileFor(id);
    const info = await stat(file).catch(() => null);
    const times = { last_modified: info?.mtime.toISOString() ?? null, created: info?.birthtime.toISOString() ?? null };
    if (info === null) return { ...plugin, raw: "{}", settings: {}, ...times };
    const raw = await readFile(file, "utf8");
    try {
      const settings = await parseSettings(raw);
      await validate(plugin.schema, settings);
      return { ...plugin, raw, settings, ...times };
    } catch (error) {
      // The file stays as it is; a plugin must not fail to start because of it.
      const warning = `Failed loading settings (${id}): ${error instanceof Error ? error.message : String(error)}`;
      this.log(warning);
      return { ...plugin, raw: "{}", settings: {}, warning, ...times };
    }
  }

  /** Keeps a plugin's settings as the learner wrote them, comments included. @throws HttpError 404, 400 */
  async put(id: string, raw: string): Promise<void> {
    const plugin = (await this.load()).get(id);
    if (plugin === undefined) throw new HttpError(404, `Schema not found: ${id}`);
    try {
      await validate(plugin.schema, await parseSettings(raw));
    } catch (error) {
      throw new HttpError(400, `Failed validating input: ${error instanceof Error ? error.message : String(error)}`);
    }
    await mkdir(dirname(this.fileFor(id)), { recursive: true });
    await writeWhole(this.fileFor(id), raw);
  }

  /** Of an id that is known to have a schema, so it holds nothing but `@scope/package:plugin`. */
  private fileFor(id: string): string {
    const [name = "", plugin = ""] = id.split(":");
    return join(this.state, "settings", ...name.split("/"), `${plugin}.jupyterlab-settings`);
  }

  private load(): Promise<ReadonlyMap<string, PluginSchema>> {
    this.schemas ??= readSchemas(join(this.assets, "settings.json"));
    return this.schemas;
  }
}

async function readSchemas(file: string): Promise<ReadonlyMap<string, PluginSchema>> {
  const list = JSON.parse(await readFile(file, "utf8").catch(() => "[]")) as readonly PluginSchema[];
  const known = list.filter(({ id }) => /^(?:@[\w-]+\/)?[\w-][\w.-]*:[\w-][\w.-]*$/.test(id));
  return new Map(known.map((plugin) => [plugin.id, plugin]));
}

/** Settings are JSON5: with comments, as people write them. */
async function parseSettings(raw: string): Promise<unknown> {
  const { default: JSON5 } = await import("json5");
  const settings: unknown = raw.trim() === "" ? {} : JSON5.parse(raw);
  if (!isObject(settings)) throw new Error("settings are an object");
  return settings;
}

/** @throws Error in the words of the schema's validator; a schema that it cannot compile allows everything */
async function validate(schema: unknown, settings: unknown): Promise<void> {
  const { Ajv } = await import("ajv");
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  let holds: ReturnType<typeof ajv.compile>;
  try {
    holds = ajv.compile(isObject(schema) ? schema : {});
  } catch {
    return;
  }
  if (!holds(settings)) throw new Error(ajv.errorsText(holds.errors, { dataVar: "settings" }));
}

/** `/lab/api/settings`. */
export function settingsRoutes(settings: Settings): Route[] {
  return [
    route("GET", "/lab/api/settings", async ({ query }) => {
      const ids = await settings.ids();
      if (query.get("ids_only") === "true") return json({ settings: ids.map((id) => ({ id })) });
      return json({ settings: await Promise.all(ids.map((id) => settings.get(id))) });
    }),
    route("GET", "/lab/api/settings/*id", async ({ params }) => json(await settings.get(params.id ?? ""))),
    route("PUT", "/lab/api/settings/*id", async (call) => {
      const body = await call.json();
      if (typeof body?.raw !== "string") {
        throw new HttpError(400, "Invalid format for JSON payload. Must be in the form {'raw': ...}");
      }
      await settings.put(call.params.id ?? "", body.raw);
      return empty();
    }),
  ];
}
