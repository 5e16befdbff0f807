/** Owns the small answers that JupyterLab asks for at its start: version, status, who I am, languages, kernels' descriptions. */

import type { Contents } from "./contents";
import { HttpError, isObject, json } from "./http";
import { type Kernels, kernelModel } from "./kernels";
import { isHidden, normal } from "./paths";
import { type Route, route } from "./router";

/** The version of Jupyter Server whose API this is. */
const version = "2.17.0";

/** What the REST API says of a kernel's description (Jupyter client, "Kernel specs"). */
export interface KernelDescription {
  readonly name: string;
  readonly display_name: string;
  readonly language: string;
  /** An SVG picture. */
  readonly logo?: string;
}

export function statusRoutes(kernels: Kernels, contents: Contents, kernel: KernelDescription, started: Date): Route[] {
  return [
    route("GET", "/api", () => json({ version })),
    route("GET", "/api/status", () => {
      const running = kernels.list();
      const times = [started, ...running.map(({ lastActivity }) => lastActivity)].map((time) => time.getTime());
      const connections = running.map(kernelModel).reduce((sum, model) => sum + model.connections, 0);
      const last_activity = new Date(Math.max(...times)).toISOString();
      return json({ started: started.toISOString(), last_activity, connections, kernels: running.length });
    }),
    route("GET", "/api/me", ({ query }) => json({ identity, permissions: permissions(query.get("permissions")) })),
    route("GET", "/api/nbconvert", () => json({})),
    route("GET", "/api/resolvePath", async ({ query }) => {
      const path = normal(query.get("path") ?? "");
      const known = !isHidden(path) && (await contents.exists(path));
      return json({ resolved: known ? [{ scope: "server", path }] : [] });
    }),
    route("POST", "/api/events", async (call) => {
      const body = await call.json();
      if (body === null) throw new HttpError(400, "No JSON data provided");
      throw new HttpError(400, `The schema ID, ${String(body.schema_id)}, is not registered`);
    }),
    ...kernelspecRoutes(kernel),
    route("GET", "/lab/api/translations", () =>
      json({ data: { en: { displayName: "English", nativeName: "English" } }, message: "" }),
    ),
    route("GET", "/lab/api/translations/:language", ({ params }) => {
      const english = /^(?:en|en[-_]\w+|default)$/.test(params.language ?? "");
      return json({ data: {}, message: english ? "" : `Language pack '${params.language}' not installed!` });
    }),
  ];
}

const identity = {
  username: "learner",
  name: "Learner",
  display_name: "Learner",
  initials: "L",
  avatar_url: null,
  color: null,
};

/** There is one user, who may do everything. @throws HttpError 400 */
function permissions(asked: string | null): Readonly<Record<string, unknown>> {
  if (asked === null || asked === "") return {};
  const bad = new HttpError(
    400,
    `permissions should be a JSON dict of {"resource": ["action",]}, got ${JSON.stringify(asked)}`,
  );
  let wanted: unknown;
  try {
    wanted = JSON.parse(asked);
  } catch {
    throw bad;
  }
  if (!isObject(wanted) || !Object.values(wanted).every(Array.isArray)) throw bad;
  return wanted;
}

function kernelspecRoutes({ name, display_name, language, logo }: KernelDescription): Route[] {
  const resources = logo === undefined ? {} : { "logo-svg": `/kernelspecs/${name}/logo-svg.svg` };
  const spec = { argv: [], env: {}, display_name, language, interrupt_mode: "message", metadata: {} };
  const model = { name, spec, resources };
  return [
    route("GET", "/api/kernelspecs", () => json({ default: name, kernelspecs: { [name]: model } })),
    route("GET", "/api/kernelspecs/:name", ({ params }) => {
      if (params.name !== name) throw new HttpError(404, `Kernel spec ${params.name} not found`);
      return json(model);
    }),
    route(
      "GET",
      `/kernelspecs/${name}/logo-svg.svg`,
      () => {
        if (logo === undefined) throw new HttpError(404, "Not Found");
        return { status: 200, headers: { "Content-Type": "image/svg+xml", "Cache-Control": "no-cache" }, body: logo };
      },
      "data",
    ),
  ];
}
