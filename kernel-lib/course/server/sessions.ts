/** Owns the sessions: which document talks to which kernel, and `/api/sessions` over that. */
import { randomUUID } from "node:crypto";
import { empty, HttpError, type JsonObject, json } from "./http";
import { type Kernels, kernelModel, NoSuchKernel, noSuchKernelAnswer, objectField, textField } from "./kernels";
import { type Route, route } from "./router";

interface Session {
  readonly id: string;
  path: string;
  name: string;
  type: string;
  kernel: string;
}

export class Sessions {
  private readonly sessions = new Map<string, Session>();
  /** A path whose session is being made: a second request for it gets the same one. */
  private readonly coming = new Map<string, Promise<Session>>();

  constructor(private readonly kernels: Kernels) {}

  /** Those whose kernel lives; the others are forgotten here. */
  list(): Session[] {
    for (const { id, kernel } of this.sessions.values()) if (!this.kernels.has(kernel)) this.sessions.delete(id);
    return [...this.sessions.values()];
  }

  /** @throws HttpError 404 */
  get(id: string): Session {
    const session = this.list().find((one) => one.id === id);
    if (session === undefined) throw new HttpError(404, `Session not found: session_id='${id}'`);
    return session;
  }

  /** The session of a path, made if there is none. Returns before its kernel is ready. @throws NoSuchKernel, HttpError 400 */
  async open(body: JsonObject): Promise<Session> {
    const path = required(body, "path");
    const type = required(body, "type");
    const known = this.list().find((session) => session.path === path) ?? (await this.coming.get(path));
    if (known !== undefined) return known;
    const making = this.make(path, type, body).finally(() => this.coming.delete(path));
    this.coming.set(path, making);
    return making;
  }

  private async make(path: string, type: string, body: JsonObject): Promise<Session> {
    const wanted = objectField(body, "kernel");
    const kernel = await this.kernelFor(textField(wanted, "id"), textField(wanted, "name"), path);
    const session = { id: randomUUID(), path, name: textField(body, "name") ?? "", type, kernel };
    this.sessions.set(session.id, session);
    return session;
  }

  private async kernelFor(id: string | undefined, name: string | undefined, path: string): Promise<string> {
    if (id !== undefined && this.kernels.has(id)) return id;
    return (await this.kernels.start(name ?? this.kernels.kernelName, path)).id;
  }

  /** Follows a renamed document, or gives it another kernel and ends the old one. @throws NoSuchKernel, HttpError */
  async change(id: string, body: JsonObject): Promise<Session> {
    const session = this.get(id);
    const before = session.kernel;
    const wanted = objectField(body, "kernel");
    const kernelId = textField(wanted, "id");
    const kernelName = textField(wanted, "name");
    const path = textField(body, "path") ?? session.path;
    const type = textField(body, "type") ?? session.type;
    const name = textField(body, "name") ?? session.name;
    if (kernelId !== undefined) {
      if (!this.kernels.has(kernelId)) throw new HttpError(400, `No such kernel: ${kernelId}`);
      session.kernel = kernelId;
    } else if (kernelName !== undefined) {
      session.kernel = await this.kernelFor(undefined, kernelName, path);
    }
    Object.assign(session, { path, type, name });
    if (session.kernel !== before && this.kernels.has(before)) await this.kernels.stop(before);
    return session;
  }

  /** Ends a session and its kernel. @throws HttpError 404 */
  async close(id: string): Promise<void> {
    const { kernel } = this.get(id);
    this.sessions.delete(id);
    const shared = this.list().some((session) => session.kernel === kernel);
    if (!shared) await this.kernels.stop(kernel);
  }

  model(session: Session) {
    const { id, path, name, type } = session;
    const kernel = kernelModel(this.kernels.get(session.kernel));
    return { id, path, name, type, kernel, ...(type === "notebook" ? { notebook: { path, name } } : {}) };
  }
}

function required(body: JsonObject, field: string): string {
  const value = textField(body, field);
  if (value === undefined) throw new HttpError(400, `Missing field in JSON data: ${field}`);
  return value;
}

/** `/api/sessions`. */
export function sessionRoutes(sessions: Sessions): Route[] {
  const answered = async (work: Promise<Session>, status: number) => {
    try {
      const session = await work;
      return json(sessions.model(session), status, { Location: `/api/sessions/${session.id}` });
    } catch (error) {
      if (error instanceof NoSuchKernel) return noSuchKernelAnswer(error);
      throw error;
    }
  };
  const given = (body: JsonObject | null): JsonObject => {
    if (body === null) throw new HttpError(400, "No JSON data provided");
    return body;
  };
  return [
    route("GET", "/api/sessions", () => json(sessions.list().map((session) => sessions.model(session)))),
    route("POST", "/api/sessions", async (call) => answered(sessions.open(given(await call.json())), 201)),
    route("GET", "/api/sessions/:id", ({ params }) => json(sessions.model(sessions.get(params.id ?? "")))),
    route("PATCH", "/api/sessions/:id", async (call) =>
      answered(sessions.change(call.params.id ?? "", given(await call.json())), 200),
    ),
    route("DELETE", "/api/sessions/:id", async ({ params }) => {
      await sessions.close(params.id ?? "");
      return empty();
    }),
  ];
}
