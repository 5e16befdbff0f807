/** Tests the REST API against the reference: a real Jupyter Server is asked the same, over a folder with the same files. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { asNotebook, writeNotebook } from "../../../kernel-lib/course/server/notebookfile";
import { requireOrSkip } from "../../judges";
import { call, exampleNotebook, type TestServer, testServer, token } from "./fixture";

const python = process.env.KUBEBOOK_PYTHON ?? "python3";
const available = spawnSync(python, ["-c", "import jupyter_server"]).status === 0;

let reference: ChildProcess | undefined;
let server: TestServer | undefined;
let folder: string;

afterEach(async () => {
  reference?.kill("SIGKILL");
  await server?.remove();
  rmSync(folder, { recursive: true, force: true });
});

function fill(root: string): void {
  mkdirSync(join(root, "folder"), { recursive: true });
  writeFileSync(join(root, "plain.txt"), "plain\n");
  writeFileSync(join(root, "folder", "inside.csv"), "a,b\n");
  writeFileSync(join(root, "latin.bin"), Buffer.from([0xe9, 0x74, 0xe9]));
  writeFileSync(join(root, "picture.svg"), "<svg/>");
  writeFileSync(join(root, "table.csv"), "a,b\n1,2\n");
  writeFileSync(join(root, ".hidden"), "hidden");
  writeFileSync(join(root, "broken.ipynb"), '{"cells": [}');
  writeFileSync(join(root, "good.ipynb"), writeNotebook(asNotebook(exampleNotebook)));
}

/** Starts the reference on a port of its choice; its own files stay in `folder`. */
async function startReference(root: string): Promise<string> {
  const home = join(folder, "jupyter");
  const env = {
    ...process.env,
    HOME: home,
    JUPYTER_CONFIG_DIR: home,
    JUPYTER_RUNTIME_DIR: home,
    JUPYTER_DATA_DIR: home,
  };
  const options = [`--IdentityProvider.token=${token}`, "--port=0", "--no-browser", "--allow-root", "--ip=127.0.0.1"];
  const own = ["--FileContentsManager.delete_to_trash=False", "--ServerApp.jpserver_extensions={}"];
  const child = spawn(python, ["-m", "jupyter_server", ...options, ...own, `--ServerApp.root_dir=${root}`], { env });
  reference = child;
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (text) => {
      said += text;
      const port = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(said)?.[1];
      if (port !== undefined) resolve(`http://127.0.0.1:${port}`);
    });
    child.on("exit", () => reject(new Error(`the reference ended: ${said}`)));
  });
}

const notebook = { type: "notebook", format: "json", content: exampleNotebook };
const text = { type: "file", format: "text", content: "new\n" };

/** Method, path below `/api/contents`, body: asked in this order, so that later ones see what earlier ones did. */
const asked: readonly (readonly [string, string, unknown?])[] = [
  ["GET", ""],
  ["GET", "/"],
  ["GET", "/folder"],
  ["GET", "/folder?content=0"],
  ["GET", "/plain.txt"],
  ["GET", "/plain.txt?content=0"],
  ["GET", "/plain.txt?content=0&hash=1"],
  ["GET", "/plain.txt?format=base64"],
  ["GET", "/plain.txt?type=directory"],
  ["GET", "/plain.txt?type=notebook"],
  ["GET", "/plain.txt?type=odd"],
  ["GET", "/plain.txt?format=odd"],
  ["GET", "/plain.txt?content=7"],
  ["GET", "/plain.txt?hash=7"],
  ["GET", "/picture.svg"],
  ["GET", "/table.csv"],
  ["GET", "/latin.bin"],
  ["GET", "/latin.bin?format=text"],
  ["GET", "/folder?type=notebook"],
  ["GET", "/good.ipynb"],
  ["GET", "/good.ipynb?hash=1&content=0"],
  ["GET", "/good.ipynb?type=file"],
  ["GET", "/broken.ipynb"],
  ["GET", "/broken.ipynb?content=0"],
  ["GET", "/none.txt"],
  ["GET", "/none/none.txt"],
  ["GET", "/.hidden"],
  ["POST", "", {}],
  ["POST", "", { type: "notebook" }],
  ["POST", "", { type: "notebook" }],
  ["POST", "", { type: "directory" }],
  ["POST", "", { type: "directory" }],
  ["POST", "/folder", { type: "file", ext: ".md" }],
  ["POST", "", { copy_from: "plain.txt" }],
  ["POST", "", { copy_from: "plain.txt" }],
  ["POST", "/folder", { copy_from: "good.ipynb" }],
  ["POST", "", { copy_from: "good.ipynb" }],
  ["POST", "", { copy_from: "folder" }],
  ["POST", "", { copy_from: "none.txt" }],
  ["POST", "/plain.txt", {}],
  ["POST", "/none", {}],
  ["PUT", "/new.txt", text],
  ["PUT", "/new.txt", text],
  ["PUT", "/new.txt", { type: "file", content: "" }],
  ["PUT", "/new.txt", { type: "file", format: "base64", content: "bmV3" }],
  ["PUT", "/new.txt", { copy_from: "plain.txt" }],
  ["PUT", "/new.txt", { content: "x", format: "text" }],
  ["PUT", "/new.txt", { type: "file" }],
  ["PUT", "/.new", text],
  ["PUT", "/saved.ipynb", notebook],
  ["GET", "/saved.ipynb?hash=1"],
  ["GET", "/saved.ipynb/checkpoints"],
  ["POST", "/saved.ipynb/checkpoints"],
  ["PUT", "/made", { type: "directory" }],
  ["PUT", "/plain.txt", { type: "directory" }],
  ["PUT", "/big.bin", { type: "file", format: "text", chunk: 1, content: "one " }],
  ["PUT", "/big.bin", { type: "file", format: "text", chunk: 2, content: "two " }],
  ["PUT", "/big.bin", { type: "file", format: "text", chunk: -1, content: "three" }],
  ["GET", "/big.bin"],
  ["PUT", "/big.ipynb", { type: "notebook", format: "json", chunk: 1, content: {} }],
  ["PATCH", "/saved.ipynb", { path: "folder/moved.ipynb" }],
  ["GET", "/folder/moved.ipynb/checkpoints"],
  ["POST", "/folder/moved.ipynb/checkpoints/checkpoint"],
  ["DELETE", "/folder/moved.ipynb/checkpoints/checkpoint"],
  ["DELETE", "/folder/moved.ipynb/checkpoints/checkpoint"],
  ["PATCH", "/plain.txt", { path: "new.txt" }],
  ["PATCH", "/plain.txt", { path: ".new" }],
  ["PATCH", "/none.txt", { path: "some.txt" }],
  ["PATCH", "/plain.txt"],
  ["DELETE", "/new.txt"],
  ["DELETE", "/new.txt"],
  ["DELETE", "/.hidden"],
  ["DELETE", ""],
  ["GET", ""],
];

/** Times, permissions and spaces in base64 differ with the machine; all else must not. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(comparable);
    return items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== "object" || value === null) return typeof value === "string" ? value.replace(/\n$/, "") : value;
  const kept = Object.entries(value).filter(
    ([key]) => !["created", "last_modified", "message", "reason", "traceback"].includes(key),
  );
  return Object.fromEntries(kept.map(([key, member]) => [key, comparable(member)]));
}

test("answers every request to the contents API as Jupyter Server does", { timeout: 90_000 }, async (context) => {
  requireOrSkip(context, available, `Python's jupyter_server (${python}) is not here`);
  folder = mkdtempSync(join(tmpdir(), "kubebook-reference-"));
  const root = join(folder, "root");
  fill(root);
  const [own, base] = await Promise.all([testServer(), startReference(root)]);
  server = own;
  fill(own.files);
  const headers = { Authorization: `token ${token}`, "Content-Type": "application/json" };
  for (const [method, path, body] of asked) {
    const what = `${method} ${path} ${JSON.stringify(body) ?? ""}`;
    const theirs = await fetch(`${base}/api/contents${path}`, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const ours = await call(own, method, `/api/contents${path}`, body);
    expect.soft(ours.status, what).toBe(theirs.status);
    const said = await theirs.text();
    const read = (answer: string): unknown =>
      answer.startsWith("{") || answer.startsWith("[") ? comparable(JSON.parse(answer)) : null;
    if (theirs.ok) expect.soft(read(ours.text), what).toEqual(read(said));
    // Its own words hold its paths, and for what is not there it has two; all else we say as it does.
    if ((theirs.status === 400 || theirs.status === 409) && !said.includes(root)) {
      const words = (answer: string) => (JSON.parse(answer) as { message: string }).message.replaceAll("'/", "'");
      expect.soft(words(ours.text), what).toBe(words(said));
    }
    expect.soft(ours.headers.location, what).toBe(theirs.headers.get("location") ?? undefined);
  }
});
