/** Owns asking the kernel, through our own client, what the protocol promises. One kernel serves most tests. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Dealer } from "zeromq";
import {
  type Kernel,
  KernelProcess,
  kernelCommand,
  kernelEntry,
  type Reply,
  startKernel,
} from "../../kernel-lib/course/kernel";
import type { Message } from "../../kernel-lib/course/protocol";
import { frameMessage, newMessage, unframe } from "../../kernel-lib/course/wire";

interface Ran {
  readonly reply: Reply;
  readonly messages: Message[];
  readonly types: string[];
  readonly stdout: string;
  readonly stderr: string;
  readonly traceback: string;
}

let cwd = "";
let kernel: Kernel;

beforeAll(async () => {
  expect(existsSync(kernelEntry()), "kernel-lib is not built: npm run build").toBe(true);
  cwd = mkdtempSync(join(tmpdir(), "kubebook-kernel-"));
  kernel = await startKernel({ cwd, env: { FORCE_COLOR: "3" } });
}, 60_000);
afterAll(async () => {
  await kernel.stop();
  rmSync(cwd, { recursive: true, force: true });
});

async function run(code: string, on: Kernel = kernel): Promise<Ran> {
  const messages: Message[] = [];
  const reply = await on.execute(code, (message) => messages.push(message));
  const stream = (name: string) =>
    messages
      .filter(({ header, content }) => header.msg_type === "stream" && content.name === name)
      .map(({ content }) => content.text)
      .join("");
  const shown = messages.filter(({ header }) => header.msg_type !== "status" && header.msg_type !== "execute_input");
  return {
    reply,
    messages: shown,
    types: shown.map(({ header }) => header.msg_type),
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    traceback: (reply.traceback ?? []).join("\n"),
  };
}

const result = ({ messages }: Ran) => messages.find(({ header }) => header.msg_type === "execute_result")?.content.data;

describe("values and text", () => {
  test("a last expression is an execute_result; text on both streams keeps its order", async () => {
    const ran = await run(`console.log("one"); console.error("two"); console.log("three"); ({ a: [1, "x"] })`);
    expect(ran.types).toEqual(["stream", "stream", "stream", "execute_result"]);
    expect(result(ran)).toEqual({ "text/plain": "{ a: [ 1, 'x' ] }" });
  });

  test("a shorthand property means what an earlier cell declared, and is a pattern where it is assigned to", async () => {
    await run("const first = await Promise.resolve(1); let second = 2;");
    expect(result(await run("JSON.stringify({ first, second })"))).toEqual({
      "text/plain": '\'{"first":1,"second":2}\'',
    });
    const own =
      "const inner = () => { const first = 5; return { first }; }; JSON.stringify([inner(), await Promise.resolve({ second })])";
    expect(result(await run(own))).toEqual({ "text/plain": '\'[{"first":5},{"second":2}]\'' });
    expect(result(await run("let third = 0; ({ third } = { third: 3 }); third"))).toEqual({ "text/plain": "3" });
  });

  test("text and displays keep their order", async () => {
    const show = `(globalThis as any)[Symbol.for("kubebook.display")]`;
    const ran = await run(
      `for (let i = 0; i < 3; i++) { console.log(i); ${show}({ data: { "text/html": String(i) } }); }`,
    );
    expect(ran.types).toEqual(["stream", "display_data", "stream", "display_data", "stream", "display_data"]);
  });

  test("a value says itself what it looks like, at once or later; an empty bundle shows nothing", async () => {
    const cell = (body: string) => `({ [Symbol.for("Jupyter.display")]: ${body} })`;
    expect(result(await run(cell(`() => ({ "text/html": "<i>" })`)))).toEqual({ "text/html": "<i>" });
    expect(result(await run(cell(`async () => ({ "text/html": "<b>" })`)))).toEqual({ "text/html": "<b>" });
    expect((await run(cell(`() => ({})`))).types).toEqual([]);
    expect((await run(cell(`() => { throw new Error("no picture"); }`))).reply).toMatchObject({
      ename: "Error",
      evalue: "no picture",
    });
    expect((await run(`null`)).types).toEqual([]);
  });

  test("a display is updated where it stands, and output is cleared", async () => {
    const show = `(globalThis as any)[Symbol.for("kubebook.display")]`;
    const ran = await run(`${show}({ data: { "text/plain": "1" }, displayId: "d" });
      ${show}({ data: { "text/plain": "2" }, displayId: "d", update: true }); ${show}({ clear: true, wait: true });`);
    expect(ran.messages.map(({ header, content }) => [header.msg_type, content])).toMatchObject([
      ["display_data", { data: { "text/plain": "1" }, transient: { display_id: "d" } }],
      ["update_display_data", { data: { "text/plain": "2" }, transient: { display_id: "d" } }],
      ["clear_output", { wait: true }],
    ]);
  });

  test("tslab's own display works", async () => {
    const ran = await run(`import * as tslab from "tslab"; tslab.display.html("<b>x</b>")`);
    expect(ran.messages[0]).toMatchObject({
      header: { msg_type: "display_data" },
      content: { data: { "text/html": "<b>x</b>" } },
    });
  });

  test("what is printed does not depend on the terminal, and the folder is the notebook's", async () => {
    const ran = await run(`console.log({ a: 1 }, process.env.FORCE_COLOR, process.cwd())`);
    expect(ran.stdout).toBe(`{ a: 1 } undefined ${cwd}\n`);
  });

  test("output beyond the limit is cut with a line that says so, and the next cell prints again", async () => {
    const ran = await run(`for (let i = 0; i < 30_000; i++) console.log("x".repeat(50)); 7`);
    expect(ran.stdout.length).toBe(1_048_576);
    expect(ran.stderr).toBe(
      "\n[kubebook] The output of this cell is cut here: it printed more than 1,048,576 characters.\n",
    );
    expect(ran.reply.status).toBe("ok");
    expect((await run(`console.log("again")`)).stdout).toBe("again\n");
  });

  test("a flood of displays is cut", async () => {
    const ran = await run(`for (let i = 0; i < 6000; i++) require("tslab").display.text("x")`);
    expect(ran.types.filter((type) => type === "display_data").length).toBe(5000);
    expect(ran.stderr).toContain("showed more than 5,000 things");
  });

  test("what a timer prints late goes to the cell that set it", async () => {
    const late: string[] = [];
    const first = kernel.execute(`setTimeout(() => console.log("late"), 60);\n1`, ({ header, content }) => {
      if (header.msg_type === "stream") late.push(String(content.text));
    });
    await first;
    const second = await run(`await new Promise((done) => setTimeout(done, 150)); console.log("second")`);
    expect(late).toEqual(["late\n"]);
    expect(second.stdout).toBe("second\n");
  });

  test("an error that nobody catches is told on stderr; cell and kernel go on", async () => {
    const rejected = await run(`Promise.reject(new TypeError("nobody"));\n"fine"`);
    expect(rejected.stderr).toMatch(/^Uncaught TypeError: nobody\n {4}at Cell \d+:1:16\n$/);
    expect(rejected.reply.status).toBe("ok");
    const thrown = await run(
      `setTimeout(() => { throw new Error("in a timer"); }, 1); await new Promise((done) => setTimeout(done, 50));`,
    );
    expect(thrown.stderr).toContain("Uncaught Error: in a timer");
  });
});

describe("errors", () => {
  /** The place that the traceback quotes, with the cell's number left out of it. */
  const quoted = (ran: Ran) =>
    ran.traceback
      .split("\n\n")
      .at(-1)
      ?.replace(/Cell \d+/, "Cell N");

  test.each([
    ["a plain throw", `\n\nthrow new RangeError("x");`, 'Cell N:3:7\n> 3 | throw new RangeError("x");\n  |       ^'],
    [
      "types erased before the line",
      `interface A {\n  readonly a: number;\n}\ntype B = A & { b?: A };\nfunction of(b: B): number {\n  return b.b!.a;\n}\nof({ a: 1 } as B);`,
      "Cell N:6:15\n> 6 |   return b.b!.a;\n  |               ^",
    ],
    [
      "a statement over several lines",
      `const list: number[] = [1, 2];\nlist\n  .map((n: number) => n + 1)\n  .forEach((n) => {\n    if (n > 2) throw new Error("three");\n  });`,
      `Cell N:5:22\n> 5 |     if (n > 2) throw new Error("three");\n  |                      ^`,
    ],
    [
      "after an await at the top",
      `enum Colour { Red }\nawait new Promise<void>((done) => setTimeout(done, 1));\nJSON.parse("{");`,
      `Cell N:3:6\n> 3 | JSON.parse("{");\n  |      ^`,
    ],
    [
      "an await in parentheses",
      `await (async () => {\n  await null;\n  throw new Error("inside");\n})();`,
      `Cell N:3:9\n> 3 |   throw new Error("inside");\n  |         ^`,
    ],
    [
      "a getter of a class, in a tab-indented line",
      `class Thing {\n\tget size(): number { throw new Error("no size"); }\n}\nnew Thing().size;`,
      `Cell N:2:29\n> 2 | \tget size(): number { throw new Error("no size"); }\n  | \t                           ^`,
    ],
  ])("the traceback points at the cell's own line: %s", async (_, code, expected) => {
    const ran = await run(code);
    expect(ran.types).toEqual(["error"]);
    expect(quoted(ran)).toBe(expected.replaceAll("\n  |", "\n    |"));
    expect(ran.traceback).not.toMatch(/node:|tslab|kubebook-cell|evalmachine/);
  });

  test("a function of an earlier cell that fails later is told by that cell's number", async () => {
    const { reply } = await run(`function laterFails(n: number): string {\n  return [n].at(5)!.toFixed();\n}`);
    const ran = await run(`1;\nlaterFails(2);`);
    const [defined, called] = [reply.execution_count, ran.reply.execution_count];
    expect(ran.traceback).toContain(`at laterFails (Cell ${defined}:2:20)\n    at Cell ${called}:2:1\n`);
    expect(quoted(ran)).toContain("> 2 |   return [n].at(5)!.toFixed();");
  });

  test("every type error is an error with its code, place and line", async () => {
    const ran = await run(`const a: number = "x";\nlet b: string = 3;`);
    const n = ran.reply.execution_count;
    expect(ran.reply).toMatchObject({
      status: "error",
      ename: "TS2322",
      evalue: "Type 'string' is not assignable to type 'number'.",
    });
    expect(ran.traceback).toBe(
      `Cell ${n}:1:7 - error TS2322: Type 'string' is not assignable to type 'number'.\n> 1 | const a: number = "x";\n    |       ^\n\n` +
        `Cell ${n}:2:5 - error TS2322: Type 'number' is not assignable to type 'string'.\n> 2 | let b: string = 3;\n    |     ^`,
    );
  });

  test("causes and values that are no errors are told", async () => {
    expect((await run(`throw new Error("outer", { cause: new TypeError("inner") })`)).traceback).toContain(
      "Caused by: TypeError: inner",
    );
    expect((await run(`throw { code: 7 }`)).reply).toMatchObject({ ename: "Uncaught", evalue: "{ code: 7 }" });
    expect((await run(`throw undefined`)).reply).toMatchObject({ status: "error", evalue: "undefined" });
  });

  test("an error's own stack names cells, and no file of ours", async () => {
    const ran = await run(`console.log(new Error("e").stack)`);
    expect(ran.stdout).toBe(`Error: e\n    at Cell ${ran.reply.execution_count}:1:13\n`);
  });
});

describe("order", () => {
  test("what is queued behind an error is aborted; what is sent after it runs", async () => {
    const ran = await Promise.all([run(`throw 1`), run(`2`), run(`3`)]);
    expect(ran.map(({ reply }) => reply.status)).toEqual(["error", "aborted", "aborted"]);
    expect(ran[1]?.types).toEqual([]);
    expect((await run(`4`)).reply.status).toBe("ok");
  });

  test("without stop_on_error the queue goes on", async () => {
    const first = kernel.execute(`throw 1`, () => {}, { stopOnError: false });
    const second = run(`2`);
    expect([(await first).status, (await second).reply.status]).toEqual(["error", "ok"]);
  });

  test("silent executions show and count nothing", async () => {
    const before = (await run(`1`)).reply.execution_count ?? 0;
    const types: string[] = [];
    await kernel.execute(`2`, ({ header }) => types.push(header.msg_type), { silent: true });
    expect(types).toEqual(["status", "status"]);
    expect((await run(`3`)).reply.execution_count).toBe(before + 1);
  });
});

describe("interrupt", () => {
  test.each([
    ["a loop", `while (true) {}`],
    ["a loop after an await", `await new Promise((done) => setTimeout(done, 5)); while (true) {}`],
    ["a loop of awaits that never rest", `while (true) { await 1; }`],
    ["an await that never ends", `await new Promise(() => {});`],
    ["a loop in a timer", `setTimeout(() => { for (;;); }, 5); await new Promise(() => {});`],
    ["a loop in finally", `try { while (true) {} } finally { while (true) {} }`],
    ["a flood of text", `while (true) console.log("x");`],
  ])("%s is stopped, and the state survives", async (_, code) => {
    await run(`var kept = { at: 41 };`);
    const running = run(code);
    await new Promise((done) => setTimeout(done, 250));
    await kernel.interrupt();
    expect((await running).reply).toMatchObject({ status: "error", ename: "Interrupted" });
    expect(result(await run(`kept.at + 1`))).toEqual({ "text/plain": "42" });
  });

  test("code that awaits does not go on when it is woken after the interrupt", async () => {
    await run(`var turns = 0;`);
    const running = run(`for (;;) { await new Promise((done) => setTimeout(done, 10)); turns += 1; }`);
    await new Promise((done) => setTimeout(done, 200));
    await kernel.interrupt();
    await running;
    const turns = result(await run(`turns`));
    await new Promise((done) => setTimeout(done, 100));
    expect(result(await run(`turns`))).toEqual(turns);
  });

  test("what a library still does for an interrupted cell is not heard, and it can see the interrupt", async () => {
    const heard: string[] = [];
    const code = `const signal = (globalThis as any)[Symbol.for("kubebook.signal")]() as AbortSignal;
      const timer = setInterval(() => { console.log(signal.aborted); if (signal.aborted) clearInterval(timer); }, 10);
      await new Promise(() => {});`;
    const running = kernel.execute(code, ({ header, content }) => {
      if (header.msg_type === "stream") heard.push(String(content.text));
    });
    await new Promise((done) => setTimeout(done, 200));
    await kernel.interrupt();
    await running;
    await new Promise((done) => setTimeout(done, 100));
    expect(new Set(heard.join("").trim().split("\n"))).toEqual(new Set(["false"]));
  });

  test.skipIf(process.platform === "win32")("SIGINT stops a loop after an await too", async () => {
    const other = await startKernel({ cwd, interruptMode: "signal" });
    try {
      await run(`var a = 1`, other);
      for (const code of [`while (true) {}`, `await null; while (true) {}`, `await new Promise(() => {});`]) {
        const running = run(code, other);
        await new Promise((done) => setTimeout(done, 250));
        await other.interrupt();
        expect((await running).reply.ename).toBe("Interrupted");
      }
      expect(result(await run(`a`, other))).toEqual({ "text/plain": "1" });
    } finally {
      await other.stop();
    }
  });
});

describe("packages", () => {
  test("kernel-lib, tslab and Node's types come from our own install, wherever the notebook lies", async () => {
    const ran =
      await run(`import { protocolVersion } from "kernel-lib/dist/course/protocol"; import * as tslab from "tslab"; import { join } from "node:path";
      [protocolVersion, tslab.versions.tslab, join("a", "b"), Buffer.from("x").length]`);
    expect(result(ran)).toEqual({ "text/plain": "[ '5.4', '1.0.22', 'a/b', 1 ]" });
    expect((await run(`import { noSuchThing } from "kernel-lib/dist/course/protocol"; noSuchThing`)).reply.ename).toBe(
      "TS2305",
    );
  });
});

describe("one process, many messages", () => {
  let process_: KernelProcess;
  beforeAll(async () => {
    process_ = await KernelProcess.start({ cwd });
  });
  afterAll(() => process_.stop());

  async function ask(
    type: string,
    content: Record<string, unknown>,
    channel: "shell" | "control" = "shell",
  ): Promise<Message> {
    const request = newMessage(type, content, "test");
    return new Promise((resolve) => {
      const off = process_.onMessage((from, message) => {
        if (from !== channel || message.parent_header.msg_id !== request.header.msg_id) return;
        off();
        resolve(message);
      });
      process_.send(channel, request);
    });
  }

  test("messages sent before the kernel is ready are answered", async () => {
    const reply = await ask("kernel_info_request", {});
    expect(reply.content).toMatchObject({
      status: "ok",
      protocol_version: "5.4",
      language_info: { name: "typescript" },
    });
  });

  test("completions and inspection count characters, and tell types and documentation", async () => {
    const code = `/** Doubles a 😀. */ function double(n: number): number { return 2 * n; }\n`;
    await ask("execute_request", { code });
    const complete = await ask("complete_request", { code: `"😀"; doub`, cursor_pos: 9 });
    expect(complete.content).toMatchObject({ matches: ["double"], cursor_start: 5, cursor_end: 9 });
    const inspect = await ask("inspect_request", { code: `"😀"; double(1)`, cursor_pos: 11, detail_level: 0 });
    expect(inspect.content.data).toEqual({
      "text/plain": "function double(n: number): number\n\nDoubles a 😀.",
      "text/markdown": "```typescript\nfunction double(n: number): number\n```\n\nDoubles a 😀.",
    });
    expect((await ask("inspect_request", { code: `   `, cursor_pos: 1 })).content).toMatchObject({
      status: "ok",
      found: false,
    });
  });

  test("user expressions are evaluated after the cell", async () => {
    const reply = await ask("execute_request", {
      code: `const u = 2;`,
      user_expressions: { good: "u + 1", bad: "u.x" },
    });
    expect(reply.content.user_expressions).toMatchObject({
      good: { status: "ok", data: { "text/plain": "3" } },
      bad: { status: "error", ename: "TS2339" },
    });
  });

  test("control answers while a cell computes", async () => {
    const running = ask("execute_request", { code: `while (true) {}` });
    await new Promise((done) => setTimeout(done, 200));
    expect((await ask("kernel_info_request", {}, "control")).header.msg_type).toBe("kernel_info_reply");
    await process_.interrupt();
    expect((await running).content).toMatchObject({ status: "error", ename: "Interrupted" });
  });

  test("an unknown message is survived, a comm is closed again", async () => {
    process_.send("shell", newMessage("no_such_request", {}, "test"));
    expect((await ask("comm_info_request", {})).content).toEqual({ status: "ok", comms: {} });
  });

  test("a kernel that dies is told of, and comes back", async () => {
    const died = new Promise((resolve) => process_.onExit((_code, signal, expected) => resolve([signal, expected])));
    const code = `process.kill(process.pid, "SIGKILL")`;
    process_.send("shell", newMessage("execute_request", { code }, "test"));
    expect(await died).toEqual(["SIGKILL", false]);
    expect(process_.state).toBe("dead");
    await process_.restart();
    expect((await ask("execute_request", { code: `double(1)` })).content).toMatchObject({
      ename: "TS2304",
      execution_count: 1,
    });
  });

  test("a restart takes even a kernel that computes", async () => {
    void ask("execute_request", { code: `while (true) {}` });
    await new Promise((done) => setTimeout(done, 200));
    await process_.restart();
    expect((await ask("execute_request", { code: `1` })).content).toMatchObject({ status: "ok", execution_count: 1 });
  });
});

describe("what a kernel must not do", () => {
  test("it takes no message that is not signed with its key", async () => {
    const directory = mkdtempSync(join(tmpdir(), "kubebook-key-"));
    const file = join(directory, "connection.json");
    const ports = { shell_port: 1, iopub_port: 2, stdin_port: 3, control_port: 4, hb_port: 5 };
    const connection = {
      transport: "ipc",
      ip: join(directory, "k"),
      ...ports,
      key: "right",
      signature_scheme: "hmac-sha256",
    };
    writeFileSync(file, JSON.stringify(connection));
    const [program = "", ...args] = kernelCommand().map((part) => part.replace("{connection_file}", file));
    const child = spawn(program, args, { cwd, stdio: "ignore" });
    const socket = new Dealer({ linger: 0, receiveTimeout: 20_000 });
    try {
      socket.connect(`ipc://${connection.ip}-1`);
      const forged = newMessage("kernel_info_request", {}, "forged");
      const signed = newMessage("kernel_info_request", {}, "signed");
      await socket.send(frameMessage(forged, "wrong"));
      await socket.send(frameMessage(forged, ""));
      await socket.send(frameMessage(signed, "right"));
      expect(unframe(await socket.receive(), "right").message.parent_header).toMatchObject({ session: "signed" });
    } finally {
      socket.close();
      child.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test.each(["1", "while (true) {}"])("it does not outlive the process that started it, running %s", async (code) => {
    const program = `
      const { KernelProcess } = require(${JSON.stringify(join(dirname(kernelEntry()), "..", "kernel.js"))});
      const { newMessage } = require(${JSON.stringify(join(dirname(kernelEntry()), "..", "wire.js"))});
      KernelProcess.start({ cwd: process.cwd() }).then(async (kernel) => {
        await kernel.ready;
        kernel.onMessage((channel, { header }) => {
          if (header.msg_type === "execute_input") setTimeout(() => console.log(kernel.pid), 100);
        });
        kernel.send("shell", newMessage("execute_request", { code: ${JSON.stringify(code)} }, "test"));
      });`;
    const temporary = mkdtempSync(join(tmpdir(), "kubebook-parent-"));
    const parent = spawn(process.execPath, ["-e", program], {
      cwd,
      env: { ...process.env, TMPDIR: temporary },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (text) => resolve(Number(text))));
    expect(isAlive(pid)).toBe(true);
    parent.kill("SIGKILL");
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
    if (process.platform !== "win32") expect(readdirSync(temporary)).toEqual([]);
    rmSync(temporary, { recursive: true, force: true });
  });

  test("it leaves no file behind when it is stopped", async () => {
    const temporary = mkdtempSync(join(tmpdir(), "kubebook-stop-"));
    const { TMPDIR } = process.env;
    process.env.TMPDIR = temporary;
    try {
      const other = await startKernel({ cwd });
      expect(readdirSync(temporary).length).toBe(1);
      await other.stop();
      expect(readdirSync(temporary)).toEqual([]);
    } finally {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      rmSync(temporary, { recursive: true, force: true });
    }
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("a kernel that cannot start says why", async () => {
  const command = [process.execPath, "-e", `console.error("no engine"); process.exit(4)`];
  await expect(startKernel({ cwd, command })).rejects.toThrow(/ended at its start \(exit code 4\):\nno engine/);
  await expect(startKernel({ cwd, command: [join(cwd, "nothing")] })).rejects.toThrow("cannot start the kernel");
  await expect(startKernel({ cwd: join(cwd, "nowhere") })).rejects.toThrow("folder does not exist");
});
