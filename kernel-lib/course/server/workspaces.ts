/** Owns the workspaces: which documents lie open where in JupyterLab, kept by name. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "./atomic";
import { empty, HttpError, isObject, type JsonObject, json, megabyte } from "./http";
import { type Route, route } from "./router";

const extension = ".jupyterlab-workspace";

export class Workspaces {
  private readonly folder: string;

  /** @param state the server's own folder */
  constructor(state: string) {
    this.folder = join(state, "workspaces");
  }

  async list(): Promise<JsonObject[]> {
    const names = await readdir(this.folder).catch(() => []);
    const files = names.filter((name) => name.endsWith(extension)).sort();
    const all = await Promise.all(files.map((name) => this.read(join(this.folder, name))));
    return all.filter((workspace): workspace is JsonObject => workspace !== null);
  }

  /** An empty one where there is none of that name. */
  async get(name: string): Promise<JsonObject> {
    return (await this.read(this.fileFor(name))) ?? { data: {}, metadata: { id: slashed(name) } };
  }

  /** @throws HttpError 400 */
  async put(name: string, workspace: JsonObject): Promise<void> {
    const id = isObject(workspace.metadata) ? workspace.metadata.id : undefined;
    if (typeof id !== "string" || decoded(slashed(id)) !== slashed(name)) {
      throw new HttpError(400, `Workspace metadata ID mismatch: expected '${name}' got '${String(id)}'`);
    }
    await mkdir(this.folder, { recursive: true });
    await writeWhole(this.fileFor(name), JSON.stringify(workspace));
  }

  /** @throws HttpError 404 */
  async remove(name: string): Promise<void> {
    try {
      await rm(this.fileFor(name));
    } catch {
      throw new HttpError(404, `Workspace '${name}' not found`);
    }
  }

  /** Names hold anything; a file's is what of it is plain, and a digest that keeps two apart. */
  private fileFor(name: string): string {
    const plain = name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .slice(0, 60);
    const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
    return join(this.folder, `${plain}-${digest}${extension}`);
  }

  /** `null` where there is none, or a broken one: JupyterLab then starts with an empty page rather than none. */
  private async read(file: string): Promise<JsonObject | null> {
    try {
      const workspace: unknown = JSON.parse(await readFile(file, "utf8"));
      if (!isObject(workspace) || !isObject(workspace.metadata)) return null;
      const { mtime, birthtime } = await stat(file);
      const times = { last_modified: mtime.toISOString(), created: birthtime.toISOString() };
      return { ...workspace, metadata: { ...workspace.metadata, ...times } };
    } catch {
      return null;
    }
  }
}

function slashed(name: string): string {
  return name.startsWith("/") ? name : `/${name}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `/lab/api/workspaces`. */
export function workspaceRoutes(workspaces: Workspaces): Route[] {
  const named = (name: string | undefined, verb: string): string => {
    if (name === undefined || name === "") throw new HttpError(400, `Workspace name is required for ${verb}`);
    return name;
  };
  return [
    route("GET", "/lab/api/workspaces/*name", async ({ params }) => {
      if (params.name) return json(await workspaces.get(params.name));
      const values = await workspaces.list();
      const ids = values.map(({ metadata }) => (isObject(metadata) ? metadata.id : ""));
      return json({ workspaces: { ids, values } });
    }),
    route("PUT", "/lab/api/workspaces/*name", async (call) => {
      const name = named(call.params.name, "PUT");
      await workspaces.put(name, (await call.json(16 * megabyte)) ?? {});
      return empty();
    }),
    route("DELETE", "/lab/api/workspaces/*name", async ({ params }) => {
      await workspaces.remove(named(params.name, "DELETE"));
      return empty();
    }),
  ];
}
