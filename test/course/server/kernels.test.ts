/** Tests kernels, sessions and their WebSockets: by JupyterLab's own client where it can tell, else by plain sockets. */

import { realpathSync } from "node:fs";
import { join } from "node:path";
import { type Kernel, KernelConnection, type KernelMessage, ServerConnection } from "@jupyterlab/services";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import WebSocket from "ws";
import type { Message } from "../../../kernel-lib/course/protocol";
import { decode, encode, v1 } from "../../../kernel-lib/course/server/socketmessage";
import { newMessage } from "../../../kernel-lib/course/wire";
import { call, type TestServer, type TestServerOptions, testServer, token } from "./fixture";

let server: TestServer;
const opened: Kernel.IKernelConnection[] = [];
const sockets: WebSocket[] = [];

beforeAll(() => {
  // JupyterLab's client tells the console what it does.
  for (const level of ["debug", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});

afterEach(async () => {
  for (const connection of opened.splice(0)) connection.dispose();
  for (const socket of sockets.splice(0)) socket.terminate();
  await server.remove();
});

const start = async (options?: TestServerOptions) => {
  server = await testServer(options);
};

interface KernelModel {
  readonly id: string;
  readonly execution_state: string;
  readonly connections: number;
}

interface SessionModel {
  readonly id: string;
  readonly path: string;
  readonly kernel: KernelModel;
}

async function openSession(path = "a.ipynb"): Promise<SessionModel> {
  const reply = await call(server, "POST", "/api/sessions", {
    path,
    type: "notebook",
    name: "",
    kernel: { name: "kubebook" },
  });
  expect(reply.status).toBe(201);
  return reply.json<SessionModel>();
}

/** JupyterLab's own connection. */
function connectLab(id: string): Kernel.IKernelConnection {
  const serverSettings = ServerConnection.makeSettings({ baseUrl: `${server.base}/`, token, appendToken: true });
  const connection = new KernelConnection({ model: { id, name: "kubebook" }, serverSettings });
  opened.push(connection);
  return connection;
}

interface Client {
  readonly session: string;
  readonly socket: WebSocket;
  readonly got: Message[];
  execute(code: string): Message;
  texts(): string[];
}

/** A client that shows every frame. */
async function connectPlain(id: string, session: string, protocol = v1): Promise<Client> {
  const address = `ws://127.0.0.1:${server.port}/api/kernels/${id}/channels?session_id=${session}&token=${token}`;
  const socket = new WebSocket(address, protocol === "" ? [] : [protocol]);
  sockets.push(socket);
  const got: Message[] = [];
  socket.on("message", (data: Buffer, binary) => got.push(decode(data, binary, socket.protocol).message));
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  expect(socket.protocol).toBe(protocol);
  return {
    session,
    socket,
    got,
    execute(code) {
      const request = newMessage("execute_request", { code, silent: false }, session);
      socket.send(encode("shell", request, protocol));
      return request;
    },
    texts: () => got.filter(({ header }) => header.msg_type === "stream").map(({ content }) => String(content.text)),
  };
}

async function until(what: () => boolean, why: string): Promise<void> {
  for (let turn = 0; !what(); turn += 1) {
    if (turn > 400) throw new Error(`it never came: ${why}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const hasReply = (client: Client, type = "execute_reply") => client.got.some(({ header }) => header.msg_type === type);

describe("a session", () => {
  test("is answered at once, and what is sent before the kernel is ready waits for it in order", async () => {
    await start({ slow: true });
    const { kernel } = await openSession();
    expect(kernel.execution_state).toBe("starting");
    const client = await connectPlain(kernel.id, "one");
    for (const code of ["a", "b", "c"]) client.execute(code);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.got).toEqual([]);
    server.kernels[0]?.wake();
    await until(() => client.texts().length === 3, "the three outputs");
    expect(client.texts()).toEqual(["a\n", "b\n", "c\n"]);
  });

  test("is the same one for the same path, asked for twice at once too, and follows a rename", async () => {
    await start();
    const [first, second] = await Promise.all([openSession("a.ipynb"), openSession("a.ipynb")]);
    expect(second.id).toBe(first.id);
    expect(server.kernels).toHaveLength(1);
    const moved = await call(server, "PATCH", `/api/sessions/${first.id}`, { path: "b.ipynb" });
    expect(moved.json()).toMatchObject({ id: first.id, path: "b.ipynb", kernel: { id: first.kernel.id } });
    expect((await openSession("b.ipynb")).id).toBe(first.id);
    expect((await openSession("a.ipynb")).id).not.toBe(first.id);
  });

  test("runs its kernel in the document's folder", async () => {
    await start();
    await call(server, "PUT", "/api/contents/sub", { type: "directory" });
    await openSession("sub/a.ipynb");
    await openSession("not-there/a.ipynb");
    expect(server.kernels.map(({ cwd }) => cwd)).toEqual([join(realpathSync(server.files), "sub"), server.files]);
  });

  test("gets another kernel by PATCH, and the old one ends; deleted, its kernel ends too", async () => {
    await start();
    const session = await openSession();
    const changed = await call(server, "PATCH", `/api/sessions/${session.id}`, { kernel: { name: "kubebook" } });
    expect(changed.json<SessionModel>().kernel.id).not.toBe(session.kernel.id);
    expect(server.kernels.map(({ stopped }) => stopped)).toEqual([true, false]);
    expect((await call(server, "DELETE", `/api/sessions/${session.id}`)).status).toBe(204);
    expect(server.kernels.map(({ stopped }) => stopped)).toEqual([true, true]);
    expect((await call(server, "GET", `/api/sessions/${session.id}`)).status).toBe(404);
    expect((await call(server, "GET", "/api/kernels")).json()).toEqual([]);
  });

  test("of a kernel that is not installed is refused in Jupyter's words; one whose kernel is shut down is gone", async () => {
    await start();
    const body = { path: "py.ipynb", type: "notebook", kernel: { name: "python3" } };
    const reply = await call(server, "POST", "/api/sessions", body);
    expect(reply.status).toBe(501);
    expect(reply.json()).toMatchObject({
      message:
        "The 'python3' kernel is not available. Please pick another suitable kernel instead, or install that kernel.",
      short_message: "python3 not found",
    });
    const { kernel } = await openSession();
    await call(server, "DELETE", `/api/kernels/${kernel.id}`);
    expect((await call(server, "GET", "/api/sessions")).json()).toEqual([]);
    expect((await call(server, "GET", `/api/kernels/${kernel.id}`)).json()).toMatchObject({
      message: `Kernel does not exist: ${kernel.id}`,
    });
  });
});

describe("JupyterLab's client", () => {
  test("runs code, hears its output and state, interrupts and restarts", async () => {
    await start();
    const { kernel } = await openSession();
    const connection = connectLab(kernel.id);
    const info = (await connection.info) as KernelMessage.IInfoReply;
    expect(info.status).toBe("ok");
    const outputs: string[] = [];
    const future = connection.requestExecute({ code: "hello" });
    future.onIOPub = (said) => {
      if (said.header.msg_type === "stream") outputs.push((said as KernelMessage.IStreamMsg).content.text);
    };
    expect((await future.done)?.content.status).toBe("ok");
    expect(outputs).toEqual(["hello\n"]);
    await connection.interrupt();
    expect(server.kernels[0]?.interrupts).toBe(1);
    const states: string[] = [];
    connection.statusChanged.connect((_, status) => void states.push(status));
    await connection.restart();
    expect((await connection.requestExecute({ code: "again" }).done)?.content.status).toBe("ok");
    expect(server.kernels.map(({ stopped }) => stopped)).toEqual([true, false]);
    // Asked for, a restart is no accident: nothing says that the kernel died.
    expect(states).not.toContain("autorestarting");
  });

  test("is told when the kernel dies, gets a new one, and goes on in it", async () => {
    await start();
    const { kernel } = await openSession();
    const connection = connectLab(kernel.id);
    await connection.info;
    const states: string[] = [];
    connection.statusChanged.connect((_, status) => void states.push(status));
    connection.requestExecute({ code: "die" }).done.catch(() => {});
    await until(() => states.includes("autorestarting"), "the word that it restarts");
    await until(() => server.kernels.length === 2, "the second kernel");
    expect((await connection.requestExecute({ code: "again" }).done)?.content.status).toBe("ok");
    expect((await call(server, "GET", `/api/kernels/${kernel.id}`)).json()).toMatchObject({ execution_state: "idle" });
  });
});

describe("a kernel that keeps dying", () => {
  test("is restarted five times, then left dead, and is off the lists", async () => {
    await start();
    const { kernel } = await openSession();
    const client = await connectPlain(kernel.id, "one");
    const states = () =>
      client.got.filter(({ header }) => header.msg_type === "status").map(({ content }) => content.execution_state);
    for (let life = 0; life < 6; life += 1) {
      await until(() => server.kernels.length === life + 1, `life ${life}`);
      server.kernels[life]?.die();
    }
    await until(() => states().includes("dead"), "the end");
    expect(states().filter((state) => state === "restarting")).toHaveLength(5);
    expect(server.kernels).toHaveLength(6);
    expect((await call(server, "GET", "/api/kernels")).json()).toEqual([]);
    expect((await call(server, "GET", "/api/sessions")).json()).toEqual([]);
  });

  test("also when it cannot even be launched, and the server lives", async () => {
    await start({
      launch: async () => {
        throw new Error("spawn nowhere ENOENT");
      },
    });
    const { kernel } = await openSession();
    await until(() => server.log.filter((line) => line.includes("ENOENT")).length === 6, "six tries");
    expect((await call(server, "GET", `/api/kernels/${kernel.id}`)).status).toBe(404);
    expect((await openSession()).kernel.id).not.toBe(kernel.id);
  });
});

describe("several clients of a kernel", () => {
  test("all hear what it shows, and each gets its own replies alone", async () => {
    await start();
    const { kernel } = await openSession();
    const [one, two] = [await connectPlain(kernel.id, "one"), await connectPlain(kernel.id, "two", "")];
    const request = one.execute("from one");
    await until(() => hasReply(one) && two.texts().length === 1, "output for both");
    expect(two.texts()).toEqual(["from one\n"]);
    expect(hasReply(two)).toBe(false);
    expect(one.got.find(({ header }) => header.msg_type === "execute_reply")?.parent_header.msg_id).toBe(
      request.header.msg_id,
    );
    expect((await call(server, "GET", `/api/kernels/${kernel.id}`)).json()).toMatchObject({ connections: 2 });
  });

  test("one that comes back gets what it missed, its reply too, once and in order", async () => {
    await start();
    const { kernel } = await openSession();
    const [one, two] = [await connectPlain(kernel.id, "one"), await connectPlain(kernel.id, "two")];
    const request = one.execute("wait");
    await until(
      () => server.kernels[0]?.requests.some(({ header }) => header.msg_id === request.header.msg_id) === true,
      "it runs",
    );
    one.socket.close();
    const connections = async () =>
      (await call(server, "GET", `/api/kernels/${kernel.id}`)).json<KernelModel>().connections;
    while ((await connections()) > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    server.kernels[0]?.print("late 1\n", request);
    server.kernels[0]?.print("late 2\n", request);
    server.kernels[0]?.finish(request);
    await until(() => two.texts().length === 2, "the other one heard it");
    const again = await connectPlain(kernel.id, "one");
    await until(() => hasReply(again), "the missed reply");
    expect(again.texts()).toEqual(["late 1\n", "late 2\n"]);
    again.execute("new");
    await until(() => again.texts().includes("new\n"), "new output");
    expect(again.texts()).toEqual(["late 1\n", "late 2\n", "new\n"]);
  });

  test("one that opens a second socket takes the place of its first", async () => {
    await start();
    const { kernel } = await openSession();
    const first = await connectPlain(kernel.id, "one");
    const second = await connectPlain(kernel.id, "one");
    await until(() => first.socket.readyState === WebSocket.CLOSED, "the first closes");
    second.execute("once");
    await until(() => hasReply(second), "the reply");
    const third = await connectPlain(kernel.id, "one");
    third.execute("twice");
    await until(() => hasReply(third), "the reply");
    expect(third.texts()).toEqual(["twice\n"]);
  });
});

describe("what a kernel does", () => {
  test("is busy while somebody's code runs, idle after it, and not moved by what pages ask on their own", async () => {
    await start();
    const { kernel } = await openSession();
    const client = await connectPlain(kernel.id, "one");
    const state = async () =>
      (await call(server, "GET", `/api/kernels/${kernel.id}`)).json<KernelModel & { last_activity: string }>();
    client.socket.send(encode("shell", newMessage("kernel_info_request", {}, "one"), v1));
    await until(() => hasReply(client, "kernel_info_reply"), "the info");
    const before = await state();
    expect(before.execution_state).toBe("idle");
    const request = client.execute("wait");
    await until(
      () => client.got.some(({ parent_header }) => parent_header.msg_id === request.header.msg_id),
      "it is busy",
    );
    expect((await state()).execution_state).toBe("busy");
    server.kernels[0]?.finish(request);
    await until(() => hasReply(client), "it ends");
    expect((await state()).execution_state).toBe("idle");
    expect((await state()).last_activity > before.last_activity).toBe(true);
  });

  test("is not disturbed by frames that are no messages", async () => {
    await start();
    const { kernel } = await openSession();
    const client = await connectPlain(kernel.id, "one");
    const odd = [Buffer.alloc(0), Buffer.alloc(8, 0xff), Buffer.from("text"), Buffer.alloc(64)];
    for (const bytes of odd) client.socket.send(bytes);
    client.socket.send("{}");
    client.execute("still here");
    await until(() => hasReply(client), "the reply");
    expect(client.texts()).toEqual(["still here\n"]);
    expect(server.log.filter((line) => line.startsWith("a WebSocket message was ignored"))).toHaveLength(5);
  });

  test("ends with the server: every kernel is stopped and every socket closed", async () => {
    await start();
    const [a, b] = [await openSession("a.ipynb"), await openSession("b.ipynb")];
    const client = await connectPlain(a.kernel.id, "one");
    await connectPlain(b.kernel.id, "two");
    await server.stop();
    await until(() => client.socket.readyState === WebSocket.CLOSED, "the socket");
    expect(server.kernels.map(({ stopped }) => stopped)).toEqual([true, true]);
    await expect(call(server, "GET", "/api/status")).rejects.toThrow(/ECONNREFUSED/);
  });
});
