/** Owns the server: one door for HTTP and WebSockets, in front of contents, kernels, sessions, settings and the course. */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { Work } from "../work";
import { Channels } from "./channels";
import { Contents } from "./contents";
import { contentsRoutes } from "./contentsroutes";
import { fileRoutes } from "./files";
import { Gate } from "./gate";
import { type Answer, errorAnswer, HttpError, megabyte, parseBody, readBody, redirect, send } from "./http";
import { Kernels, kernelRoutes } from "./kernels";
import { type MakeLabPage, pageRoutes, welcome, withoutToken } from "./pages";
import { panelRoutes } from "./panel";
import { Root } from "./paths";
import { match, type Route } from "./router";
import type { LaunchKernel } from "./runningkernel";
import { Sessions, sessionRoutes } from "./sessions";
import { Settings, settingsRoutes } from "./settings";
import { type KernelDescription, statusRoutes } from "./status";
import { Trust } from "./trust";
import { Workspaces, workspaceRoutes } from "./workspaces";

export interface ServerOptions {
  /** The learner's folder: the root of what is served. Made if it is missing. */
  readonly workDirectory: string;
  /** The chapters as they are published. */
  readonly notebooksDirectory: string;
  /** The front end's bundle. */
  readonly assets: string;
  /** 0: any free one. */
  readonly port: number;
  /** Default: a random one. */
  readonly token?: string;
  readonly page: MakeLabPage;
  readonly kernel: KernelDescription;
  readonly launch: LaunchKernel;
  /** Where lines for whoever runs the server go; never with a token in them. */
  readonly log?: (line: string) => void;
}

export interface RunningServer {
  /** With the token. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly work: Work;
  /** Ends kernels and connections. */
  stop(): Promise<void>;
}

/** The server's own folder in the learner's: settings, workspaces, trash. A dot file, so contents never show it. */
export function stateDirectory(workDirectory: string): string {
  return join(workDirectory, ".kubebook");
}

/**
 * Starts the server, on 127.0.0.1 and nowhere else.
 * @throws the system's error with `code` "EADDRINUSE" or "EACCES" where the port cannot be had
 */
export async function serve(options: ServerOptions): Promise<RunningServer> {
  const { workDirectory, log = () => {} } = options;
  const state = stateDirectory(workDirectory);
  await mkdir(state, { recursive: true, mode: 0o700 });
  const token = options.token ?? randomBytes(24).toString("hex");
  const root = new Root(workDirectory);
  const kernels = new Kernels(root, options.kernel.name, options.launch, log);
  const work = new Work(options.notebooksDirectory, workDirectory, state, log);
  const channels = new Channels(log);
  const server = createServer();
  const port = () => (server.address() as AddressInfo).port;
  const gate = new Gate(token, port);
  const door = new Door(gate, routesOf(options, { gate, root, state, kernels, work }), log);
  server.on("request", (request, response) => void door.answer(request, response));
  server.on("upgrade", (request, socket, head) => upgrade(request, socket, head, { gate, kernels, channels, log }));
  await listen(server, options.port);
  return {
    url: `http://127.0.0.1:${port()}/lab?token=${token}`,
    port: port(),
    token,
    work,
    async stop() {
      channels.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await kernels.stopAll();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Parts {
  readonly gate: Gate;
  readonly root: Root;
  readonly state: string;
  readonly kernels: Kernels;
  readonly work: Work;
}

function routesOf({ assets, page, kernel, log = () => {} }: ServerOptions, parts: Parts): Route[] {
  const { gate, root, state, kernels, work } = parts;
  const contents = new Contents(root, new Trust(state), state);
  return [
    ...contentsRoutes(contents),
    ...kernelRoutes(kernels),
    ...sessionRoutes(new Sessions(kernels)),
    ...statusRoutes(kernels, contents, kernel, new Date()),
    ...settingsRoutes(new Settings(assets, state, log)),
    ...workspaceRoutes(new Workspaces(state)),
    ...panelRoutes(work),
    ...fileRoutes(root, assets),
    ...pageRoutes(gate, page),
  ];
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve());
  });
}

/** A request's address in its two parts. @throws HttpError 400 for what is no path of ours (`http://…`, `*`) */
function address(request: IncomingMessage): { path: string; query: URLSearchParams } {
  const target = request.url ?? "";
  if (!target.startsWith("/")) throw new HttpError(400, "Bad Request");
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  return { path, query: new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1)) };
}

/** Where every request goes through: who, from where, what, and then the route. */
class Door {
  constructor(
    private readonly gate: Gate,
    private readonly routes: readonly Route[],
    private readonly log: (line: string) => void,
  ) {}

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await send(await this.find(request), request, response);
    } catch (error) {
      // A client that goes away in the middle is no news.
      if (!response.headersSent) await send(errorAnswer(error), request, response).catch(() => {});
      else response.destroy();
    }
  }

  private async find(request: IncomingMessage): Promise<Answer> {
    const method = request.method ?? "GET";
    try {
      return await this.route(request, method);
    } catch (error) {
      this.log(refusalLine(error, `${method} ${(request.url ?? "").split("?")[0]}`));
      return errorAnswer(error);
    }
  }

  private async route(request: IncomingMessage, method: string): Promise<Answer> {
    const { headers } = request;
    this.gate.checkOrigin(headers);
    const { path, query } = address(request);
    const visitor = this.gate.visitor(headers, query);
    if (visitor === "nobody" && !isOpen(this.routes, method, path))
      return strangerAnswer(this.routes, method, path, query);
    const { route, params } = match(this.routes, method, path);
    if (visitor === "cookie" && route.access !== "open") this.gate.checkForgery(method, headers, query, route.access);
    if (visitor === "token" && route.access === "page" && query.has("token")) {
      return welcome(withoutToken(path, query), [...this.gate.cookies(), ...this.gate.forgeryCookie(headers)]);
    }
    const text = (limit = megabyte) => readBody(request, limit);
    const json = async (limit?: number) => parseBody(await text(limit));
    return route.run({ method, path, query, headers, params, visitor, text, json });
  }
}

/** For the log: of the address the path alone, as the query may hold the token; one line, whatever a client puts into it. */
function refusalLine(error: unknown, what: string): string {
  if (error instanceof HttpError) return `${error.status} ${what}: ${error.message}`.replace(/\p{Cc}/gu, " ");
  return `500 ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

function isOpen(routes: readonly Route[], method: string, path: string): boolean {
  try {
    return match(routes, method, path).route.access === "open";
  } catch {
    return false;
  }
}

/** A page sends who has no token to the log-in; for everything else, there or not, it is one refusal. */
function strangerAnswer(routes: readonly Route[], method: string, path: string, query: URLSearchParams): Answer {
  const page = routes.find(({ access, pattern }) => access === "page" && pattern.test(path));
  if (page === undefined || (method !== "GET" && method !== "HEAD")) throw new HttpError(403, "Forbidden");
  return redirect(`/login?next=${encodeURIComponent(withoutToken(path, query))}`);
}

interface SocketParts {
  readonly gate: Gate;
  readonly kernels: Kernels;
  readonly channels: Channels;
  readonly log: (line: string) => void;
}

function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, parts: SocketParts): void {
  const { gate, kernels, channels, log } = parts;
  socket.on("error", () => socket.destroy());
  try {
    const { path, query } = address(request);
    gate.checkSocket(request.headers, query);
    const id = /^\/api\/kernels\/([\w-]+)\/channels$/.exec(path)?.[1];
    if (id !== undefined) channels.openKernel(request, socket, head, kernels.get(id), query.get("session_id"));
    else if (path === "/api/events/subscribe") channels.openEvents(request, socket, head);
    else throw new HttpError(404, "Not Found");
  } catch (error) {
    const status = error instanceof HttpError ? error.status : 500;
    log(refusalLine(error, `WebSocket ${(request.url ?? "").split("?")[0]}`));
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  }
}
