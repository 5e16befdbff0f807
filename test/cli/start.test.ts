/** Tests `kubebook start` as a learner runs it: the compiled command, a real browser's bundle, a real kernel. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Kernel, KernelConnection, type KernelMessage, ServerConnection } from "@jupyterlab/services";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

const command = join(__dirname, "..", "..", "kernel-lib", "dist", "cli", "main.js");
/** The first start puts the front end together. */
const patience = 120_000;

let work: string;
const running: ChildProcess[] = [];
const connections: Kernel.IKernelConnection[] = [];
const listeners: Server[] = [];

beforeAll(() => {
  for (const level of ["debug", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), "kubebook-start-"));
});

afterEach(async () => {
  for (const connection of connections.splice(0)) connection.dispose();
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await new Promise((resolve) => child.on("exit", resolve));
  }
  for (const listener of listeners.splice(0)) listener.close();
  rmSync(work, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  /** The printed address; undefined when it ended without one. */
  readonly url: URL | undefined;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly exit: Promise<number | null>;
}

/** Starts the command; back when it has printed a line or ended. */
async function start(...options: string[]): Promise<Started> {
  // A process group of its own, as a shell gives a command.
  const child = spawn(process.execPath, [command, "start", "--no-open", "--work", work, ...options], {
    detached: true,
  });
  running.push(child);
  let [stdout, stderr] = ["", ""];
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  const exit = new Promise<number | null>((resolve) => child.on("close", resolve));
  await new Promise<void>((resolve) => {
    child.stdout?.on("data", (text) => {
      stdout += text;
      if (stdout.includes("\n")) resolve();
    });
    void exit.then(() => resolve());
  });
  const line = stdout.split("\n")[0] ?? "";
  return {
    child,
    url: line.startsWith("http://") ? new URL(line) : undefined,
    stdout: () => stdout,
    stderr: () => stderr,
    exit,
  };
}

function addressOf({ url, stderr }: Started): URL {
  if (url === undefined) throw new Error(`no address was printed: ${stderr()}`);
  return url;
}

async function api<T>(url: URL, method: string, path: string, body?: unknown): Promise<T> {
  const headers = { Authorization: `token ${url.searchParams.get("token")}` };
  const reply = await fetch(url.origin + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  expect(reply.status, `${method} ${path}`).toBeLessThan(300);
  return (reply.status === 204 ? undefined : await reply.json()) as T;
}

/** A session with its real kernel, and JupyterLab's own connection to it. */
async function connect(url: URL): Promise<Kernel.IKernelConnection> {
  const wanted = { path: "scratch.ipynb", type: "notebook", name: "", kernel: { name: "kubebook" } };
  const { kernel } = await api<{ kernel: Kernel.IModel }>(url, "POST", "/api/sessions", wanted);
  const serverSettings = ServerConnection.makeSettings({
    baseUrl: `${url.origin}/`,
    token: url.searchParams.get("token") ?? "",
    appendToken: true,
  });
  const connection = new KernelConnection({ model: kernel, serverSettings });
  connections.push(connection);
  return connection;
}

async function run(connection: Kernel.IKernelConnection, code: string): Promise<string> {
  const future = connection.requestExecute({ code });
  let shown = "";
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === "execute_result")
      shown = String((content as KernelMessage.IExecuteResultMsg["content"]).data["text/plain"]);
    if (header.msg_type === "stream") shown += (content as KernelMessage.IStreamMsg["content"]).text;
  };
  const reply = await future.done;
  return reply?.content.status === "ok" ? shown.trim() : `${reply?.content.status}`;
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(what: () => boolean, why: string): Promise<void> {
  for (let turn = 0; !what(); turn += 1) {
    if (turn > 500) throw new Error(`it never came: ${why}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("kubebook start", { timeout: patience }, () => {
  test("prints one line with the address, runs a kernel that survives interrupt, restart and death, and leaves nothing behind", async () => {
    const started = await start();
    const url = addressOf(started);
    expect(started.stdout()).toBe(`${url.href}\n`);
    expect(url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/lab(?:\/tree\/[\w.-]+\.ipynb)?\?token=[0-9a-f]{48}$/);
    expect(started.stderr()).not.toContain(url.searchParams.get("token"));
    const runtime = join(work, ".kubebook", "server.json");
    expect(statSync(runtime).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(runtime, "utf8"))).toEqual({ pid: started.child.pid, url: url.href });

    const page = await fetch(url);
    expect(page.headers.get("set-cookie")).toMatch(/^kubebook-\d+=.*_xsrf=/);
    expect(await page.text()).not.toContain(url.searchParams.get("token"));

    const connection = await connect(url);
    expect(await run(connection, "const kept = 40; kept + 2")).toBe("42");
    const busy = run(connection, "while (true) {}");
    await until(() => connection.status === "busy", "the endless loop");
    await connection.interrupt();
    expect(await busy).toBe("error");
    expect(await run(connection, "kept")).toBe("40");

    await connection.restart();
    expect(await run(connection, "const kept = 'new'; kept")).toBe("'new'");

    const first = Number(await run(connection, "process.pid"));
    const states: string[] = [];
    connection.statusChanged.connect((_, status) => void states.push(status));
    process.kill(first, "SIGKILL");
    await until(() => states.includes("autorestarting") && connection.status === "idle", "the new kernel");
    const second = Number(await run(connection, "process.pid"));
    expect(second).not.toBe(first);

    // Ctrl-C at a terminal reaches every process of the command, kernels too.
    process.kill(-(started.child.pid ?? 0), "SIGINT");
    expect(await started.exit).toBe(0);
    expect(isAlive(second)).toBe(false);
    expect(existsSync(runtime)).toBe(false);
  });

  test("a second time in the same folder says that it runs, and where, and does not disturb it", async () => {
    const first = await start();
    const second = await start("--port", "0");
    expect(addressOf(second).href).toBe(addressOf(first).href);
    expect(await second.exit).toBe(0);
    expect(second.stderr()).toMatch(/already running in this folder \(process \d+\)/);
    await api(addressOf(first), "GET", "/api/status");
  });

  test("twice at once gives one server", async () => {
    const [one, two] = await Promise.all([start(), start()]);
    expect(addressOf(one).href).toBe(addressOf(two).href);
    const ended = await Promise.race([one.exit.then(() => two), two.exit.then(() => one)]);
    await api(addressOf(ended), "GET", "/api/status");
  });

  test("after a server was killed starts anew; the killed one's kernels have ended by themselves", async () => {
    const first = await start();
    const pid = Number(await run(await connect(addressOf(first)), "process.pid"));
    first.child.kill("SIGKILL");
    await first.exit;
    await until(() => !isAlive(pid), "the end of the kernel");
    const second = await start();
    expect(addressOf(second).href).not.toBe(addressOf(first).href);
    await api(addressOf(second), "GET", "/api/status");
  });

  test("with a port that is taken says so in Jupyter's words; without one it takes another", async () => {
    const taken = await new Promise<number>((resolve) => {
      const listener = createServer().listen(0, "127.0.0.1", () => {
        const address = listener.address();
        resolve(typeof address === "object" && address !== null ? address.port : 0);
      });
      listeners.push(listener);
    });
    const refused = await start("--port", String(taken));
    expect(await refused.exit).toBe(1);
    expect(refused.stdout()).toBe("");
    expect(refused.stderr()).toContain(`could not be started because port ${taken} is not available`);
    expect(existsSync(join(work, ".kubebook", "server.json"))).toBe(false);
    const other = await start();
    expect(Number(addressOf(other).port)).toBeGreaterThanOrEqual(8888);
  });

  test("with a port that is none, or a chapter that is none, says which there are", async () => {
    for (const port of ["70000", "x", "-1", "1.5"]) {
      const refused = await start("--port", port);
      expect(await refused.exit, port).not.toBe(0);
      expect(refused.stderr()).toContain("A port is a number from 0 to 65535.");
    }
    const refused = await start("--chapter", "99");
    expect(await refused.exit).toBe(2);
    expect(refused.stderr()).toMatch(/^no chapter 99; did you mean 9\?\nThe chapters are:\n/);
    expect(existsSync(join(work, ".kubebook", "server.json"))).toBe(false);
  });
});
