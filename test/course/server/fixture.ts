/** Owns a server for tests: real HTTP and WebSockets, in a new folder, with kernels that run nothing. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Message } from "../../../kernel-lib/course/protocol";
import type { KernelHandle, LaunchKernel } from "../../../kernel-lib/course/server/runningkernel";
import { type RunningServer, serve } from "../../../kernel-lib/course/server/server";
import { newMessage } from "../../../kernel-lib/course/wire";

export const token = "a-token-that-only-the-learner-has";

/** A kernel without a process: it answers what it is asked in the same turn, once it is ready. */
export class FakeKernel implements KernelHandle {
  readonly session = `kernel-${Math.random()}`;
  readonly requests: Message[] = [];
  interrupts = 0;
  stopped = false;
  private become!: { ready: () => void; failed: (error: Error) => void };
  readonly ready = new Promise<void>((ready, failed) => {
    this.become = { ready, failed };
  });
  private readonly waiting: (readonly ["shell" | "control" | "stdin", Message])[] = [];
  private isReady = false;
  private readonly messageHandlers = new Set<Parameters<KernelHandle["onMessage"]>[0]>();
  private readonly exitHandlers = new Set<Parameters<KernelHandle["onExit"]>[0]>();

  constructor(
    readonly cwd: string,
    slow: boolean,
  ) {
    this.ready.catch(() => {});
    if (!slow) setImmediate(() => this.wake());
  }

  wake(): void {
    this.isReady = true;
    this.become.ready();
    for (const [channel, message] of this.waiting.splice(0)) this.send(channel, message);
  }

  send(channel: "shell" | "control" | "stdin", message: Message): void {
    if (!this.isReady) {
      this.waiting.push([channel, message]);
      return;
    }
    this.requests.push(message);
    const say = (type: string, content: Record<string, unknown>, where: "iopub" | "shell" | "control" = "iopub") => {
      const said = newMessage(type, content, this.session, message.header);
      for (const handler of this.messageHandlers) handler(where, said);
    };
    const { msg_type } = message.header;
    say("status", { execution_state: "busy" });
    if (msg_type === "execute_request") {
      const code = String(message.content.code);
      if (code === "die") this.die();
      if (code === "die" || code === "wait") return;
      say("stream", { name: "stdout", text: `${code}\n` });
      say("execute_reply", { status: "ok", execution_count: 1, user_expressions: {}, payload: [] }, "shell");
    } else if (msg_type === "kernel_info_request") {
      say(
        "kernel_info_reply",
        { status: "ok", protocol_version: "5.4", language_info: { name: "typescript" } },
        "shell",
      );
    }
    say("status", { execution_state: "idle" });
  }

  onMessage(handler: Parameters<KernelHandle["onMessage"]>[0]): () => void {
    this.messageHandlers.add(handler);
    return () => this.messageHandlers.delete(handler);
  }

  onExit(handler: Parameters<KernelHandle["onExit"]>[0]): () => void {
    this.exitHandlers.add(handler);
    return () => this.exitHandlers.delete(handler);
  }

  /** Ends what `wait` began. */
  finish(request: Message): void {
    for (const handler of this.messageHandlers) {
      handler("shell", newMessage("execute_reply", { status: "ok", execution_count: 1 }, this.session, request.header));
      handler("iopub", newMessage("status", { execution_state: "idle" }, this.session, request.header));
    }
  }

  /** Speaks by itself, as a timer in a cell does. */
  print(text: string, parent: Message): void {
    const said = newMessage("stream", { name: "stdout", text }, this.session, parent.header);
    for (const handler of this.messageHandlers) handler("iopub", said);
  }

  die(): void {
    this.become.failed(new Error("it died"));
    for (const handler of this.exitHandlers) handler(null, "SIGKILL", false);
  }

  async interrupt(): Promise<void> {
    this.interrupts += 1;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const handler of this.exitHandlers) handler(0, null, true);
  }
}

export interface TestServer extends RunningServer {
  readonly folder: string;
  /** The learner's folder. */
  readonly files: string;
  readonly kernels: FakeKernel[];
  readonly log: string[];
  readonly base: string;
  remove(): Promise<void>;
}

export interface TestServerOptions {
  readonly launch?: LaunchKernel;
  /** Kernels that are ready only when `wake` is called. */
  readonly slow?: boolean;
}

/** Starts a server over a new folder with `work`, `notebooks` and `assets` in it. */
export async function testServer(options: TestServerOptions = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), "kubebook-server-"));
  const files = join(folder, "work");
  const assets = join(folder, "assets");
  for (const name of ["work", "notebooks", "assets/static", "assets/themes"])
    mkdirSync(join(folder, name), { recursive: true });
  const schema = {
    type: "object",
    properties: { theme: { type: "string", default: "light" } },
    additionalProperties: false,
  };
  writeFileSync(
    join(assets, "settings.json"),
    JSON.stringify([{ id: "@test/extension:plugin", version: "1.0.0", schema }]),
  );
  writeFileSync(join(assets, "static", "main-ABCDEF12.js"), "export {};\n");
  const kernels: FakeKernel[] = [];
  const log: string[] = [];
  const launchFake: LaunchKernel = async ({ cwd }) => {
    const kernel = new FakeKernel(cwd, options.slow ?? false);
    kernels.push(kernel);
    return kernel;
  };
  const server = await serve({
    workDirectory: files,
    notebooksDirectory: join(folder, "notebooks"),
    assets,
    port: 0,
    token,
    page: ({ treePath }) => ({ html: `<title>${treePath ?? "lab"}</title>`, headers: { "Content-Type": "text/html" } }),
    kernel: { name: "kubebook", display_name: "TypeScript (kubebook)", language: "typescript" },
    launch: options.launch ?? launchFake,
    log: (line) => log.push(line),
  });
  const remove = async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...server, folder, files, kernels, log, base: `http://127.0.0.1:${server.port}`, remove };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON. */
  json<T = Record<string, unknown>>(): T;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
}

/** Asks over a plain socket: nothing is added, mended or normalised on the way, the path least of all. */
export function ask(
  server: TestServer,
  path: string,
  { method = "GET", headers = {}, body }: Ask = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", port: server.port, path, method, headers, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text,
            json: <T>() => JSON.parse(text) as T,
          });
        });
        incoming.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  });
}

/** Asks as a script that knows the token. */
export function call(server: TestServer, method: string, path: string, body?: unknown): Promise<Reply> {
  return ask(server, path, { method, headers: { Authorization: `token ${token}` }, body });
}

/** A browser's cookies after it opened the printed address. */
export async function logIn(server: TestServer): Promise<{ readonly cookie: string; readonly xsrf: string }> {
  const { headers } = await ask(server, `/lab?token=${token}`);
  const cookies = (headers["set-cookie"] ?? []).map((line) => line.split(";")[0] ?? "");
  const xsrf = cookies.find((line) => line.startsWith("_xsrf="))?.slice("_xsrf=".length) ?? "";
  return { cookie: cookies.join("; "), xsrf };
}

export const exampleNotebook = {
  cells: [
    { cell_type: "markdown", id: "text", metadata: {}, source: "# A chapter\n" },
    { cell_type: "code", id: "code", metadata: {}, source: "1 + 1", outputs: [], execution_count: null },
  ],
  metadata: { kernelspec: { name: "kubebook", display_name: "TypeScript (kubebook)", language: "typescript" } },
  nbformat: 4,
  nbformat_minor: 5,
};
