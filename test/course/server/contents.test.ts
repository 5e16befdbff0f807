/** Tests the contents API: what JupyterLab's own client does with it, and that a learner's file is never lost. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Drive, ServerConnection } from "@jupyterlab/services";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, exampleNotebook, type TestServer, testServer, token } from "./fixture";

let server: TestServer;
let drive: Drive;

beforeAll(async () => {
  server = await testServer();
  const serverSettings = ServerConnection.makeSettings({ baseUrl: `${server.base}/`, token });
  drive = new Drive({ serverSettings });
});

afterAll(() => server.remove());

const onDisk = (name: string) => readFileSync(join(server.files, name), "utf8");
const message = async (reply: ReturnType<typeof call>) => (await reply).json<{ message: string }>().message;

describe("JupyterLab's client", () => {
  test("makes, saves, reads, renames, copies and deletes a notebook", async () => {
    const made = await drive.newUntitled({ type: "notebook" });
    expect(made.path).toBe("Untitled.ipynb");
    expect((await drive.newUntitled({ type: "notebook" })).path).toBe("Untitled1.ipynb");
    await drive.save("Untitled.ipynb", { type: "notebook", format: "json", content: exampleNotebook });
    const read = await drive.get("Untitled.ipynb", { content: true, hash: true });
    expect(read.content.cells[0].source).toBe("# A chapter\n");
    expect(read.hash).toBe(createHash("sha256").update(onDisk("Untitled.ipynb")).digest("hex"));
    expect(read.hash_algorithm).toBe("sha256");
    expect((await drive.rename("Untitled.ipynb", "mine.ipynb")).path).toBe("mine.ipynb");
    expect((await drive.copy("mine.ipynb", "")).path).toBe("mine-Copy1.ipynb");
    expect((await drive.copy("mine-Copy1.ipynb", "")).path).toBe("mine-Copy2.ipynb");
    await drive.delete("mine.ipynb");
    await expect(drive.get("mine.ipynb")).rejects.toMatchObject({ response: { status: 404 } });
  });

  test("makes folders and files, lists them, and downloads by address", async () => {
    const folder = await drive.newUntitled({ type: "directory" });
    expect(folder.path).toBe("Untitled Folder");
    expect((await drive.newUntitled({ type: "directory" })).path).toBe("Untitled Folder 1");
    const file = await drive.newUntitled({ type: "file", ext: "yaml", path: folder.path });
    expect(file.path).toBe("Untitled Folder/untitled.yaml");
    await drive.save(file.path, { type: "file", format: "text", content: "kind: Service\n" });
    const listing = await drive.get(folder.path, { content: true });
    expect(listing.content).toMatchObject([{ name: "untitled.yaml", type: "file", size: 14, content: null }]);
    const reply = await fetch(await drive.getDownloadUrl(file.path), { headers: { Authorization: `token ${token}` } });
    expect(await reply.text()).toBe("kind: Service\n");
    expect((await drive.copy(folder.path, "")).path).toBe("Untitled Folder-Copy1");
    expect(onDisk("Untitled Folder-Copy1/untitled.yaml")).toBe("kind: Service\n");
  });

  test("uploads a large file in chunks, which takes its place when it is whole", async () => {
    writeFileSync(join(server.files, "big.bin"), "the old one");
    const bytes = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 256));
    const chunk = (number: number, from: number, to: number) =>
      drive.save("big.bin", {
        type: "file",
        format: "base64",
        content: bytes.subarray(from, to).toString("base64"),
        chunk: number,
      } as Partial<Awaited<ReturnType<Drive["get"]>>>);
    await chunk(1, 0, 1000);
    await chunk(2, 1000, 2000);
    expect(onDisk("big.bin")).toBe("the old one");
    await chunk(-1, 2000, 3000);
    expect(readFileSync(join(server.files, "big.bin"))).toEqual(bytes);
    const read = await drive.get("big.bin", { content: true });
    expect(read.format).toBe("base64");
    expect(Buffer.from(read.content, "base64")).toEqual(bytes);
    // A new name, whose model must be there after the first chunk.
    const first = { type: "file", format: "text", content: "a", chunk: 1 };
    expect((await call(server, "PUT", "/api/contents/other.bin", first)).json()).toMatchObject({
      name: "other.bin",
      size: 1,
    });
  });

  test("keeps one checkpoint of a notebook from its first save, and goes back to it", async () => {
    await drive.save("kept.ipynb", { type: "notebook", format: "json", content: exampleNotebook });
    const [first] = await drive.listCheckpoints("kept.ipynb");
    const changed = { ...exampleNotebook, cells: [] };
    await drive.save("kept.ipynb", { type: "notebook", format: "json", content: changed });
    expect(JSON.parse(onDisk("kept.ipynb")).cells).toEqual([]);
    await drive.restoreCheckpoint("kept.ipynb", first?.id ?? "");
    expect(JSON.parse(onDisk("kept.ipynb")).cells).toHaveLength(2);
    await drive.rename("kept.ipynb", "moved.ipynb");
    expect(await drive.listCheckpoints("moved.ipynb")).toHaveLength(1);
    await drive.deleteCheckpoint("moved.ipynb", "checkpoint");
    expect(await drive.listCheckpoints("moved.ipynb")).toEqual([]);
    await expect(drive.restoreCheckpoint("moved.ipynb", "checkpoint")).rejects.toMatchObject({
      response: { status: 404 },
    });
    expect((await drive.createCheckpoint("moved.ipynb")).id).toBe("checkpoint");
  });

  test("sees by hash and time that a file was changed behind its back", async () => {
    writeFileSync(join(server.files, "shared.txt"), "one");
    const before = await drive.get("shared.txt", { content: false, hash: true });
    await new Promise((resolve) => setTimeout(resolve, 5));
    writeFileSync(join(server.files, "shared.txt"), "two");
    const after = await drive.get("shared.txt", { content: false, hash: true });
    expect(after.hash).not.toBe(before.hash);
    expect(new Date(after.last_modified).getTime()).toBeGreaterThan(new Date(before.last_modified).getTime());
    expect(after.content).toBeNull();
  });
});

describe("a notebook file", () => {
  test("is written as nbformat writes it: sorted keys, lists of lines, one space, a line end", async () => {
    await call(server, "PUT", "/api/contents/format.ipynb", {
      type: "notebook",
      format: "json",
      content: exampleNotebook,
    });
    const text = onDisk("format.ipynb");
    expect(text.startsWith('{\n "cells": [\n  {\n   "cell_type": "markdown",\n')).toBe(true);
    expect(text).toContain('"source": [\n    "# A chapter\\n"\n   ]');
    expect(text.endsWith(' "nbformat": 4,\n "nbformat_minor": 5\n}\n')).toBe(true);
  });

  test("that is not JSON is refused with its line, in Jupyter's words, and stays as it is", async () => {
    const broken = '{\n "cells": [\n  {,}\n ]\n}\n';
    writeFileSync(join(server.files, "broken.ipynb"), broken);
    const reply = await call(server, "GET", "/api/contents/broken.ipynb");
    expect(reply.status).toBe(400);
    expect(reply.json<{ message: string }>().message).toMatch(
      /^Unreadable Notebook: broken\.ipynb NotJSONError\(.*broken\.ipynb:3:4: /,
    );
    expect((await call(server, "GET", "/api/contents/broken.ipynb?type=file")).json()).toMatchObject({
      content: broken,
    });
    expect(onDisk("broken.ipynb")).toBe(broken);
  });

  test("that is not JSON is kept in the trash when a notebook is saved over it", async () => {
    writeFileSync(join(server.files, "over.ipynb"), "my precious text");
    await call(server, "PUT", "/api/contents/over.ipynb", {
      type: "notebook",
      format: "json",
      content: exampleNotebook,
    });
    const trash = join(server.files, ".kubebook", "trash");
    const kept = readdirSync(trash).filter((name) => name.endsWith("-over.ipynb"));
    expect(kept.map((name) => readFileSync(join(trash, name), "utf8"))).toEqual(["my precious text"]);
  });

  test("is not overwritten by what is no notebook", async () => {
    await call(server, "PUT", "/api/contents/good.ipynb", {
      type: "notebook",
      format: "json",
      content: exampleNotebook,
    });
    const before = onDisk("good.ipynb");
    for (const content of [
      null,
      "text",
      {},
      { nbformat: 4 },
      { nbformat: 4, cells: [{}] },
      { nbformat: 3, worksheets: [] },
    ]) {
      const reply = await call(server, "PUT", "/api/contents/good.ipynb", {
        type: "notebook",
        format: "json",
        content,
      });
      if (content === null) continue;
      expect(reply.status, JSON.stringify(content)).toBe(400);
      expect(onDisk("good.ipynb")).toBe(before);
    }
  });

  test("of another version or shape is refused in words", async () => {
    const refused = async (content: unknown) => {
      writeFileSync(join(server.files, "shape.ipynb"), JSON.stringify(content));
      return message(call(server, "GET", "/api/contents/shape.ipynb"));
    };
    expect(await refused([])).toMatch(/^Unreadable Notebook: shape.ipynb ValidationError/);
    expect(await refused({ nbformat: 3 })).toContain("nbformat 3 is not supported");
    expect(await refused({ nbformat: 4 })).toContain("'cells' is a required property");
    expect(await refused({ nbformat: 4, cells: [{ cell_type: "code", source: 1 }] })).toContain(
      "the 'source' of cell 0",
    );
  });

  test("is trusted when its outputs were made here, and not when somebody else made them", async () => {
    const output = { output_type: "display_data", data: { "text/html": ["<b>", "bold</b>"] }, metadata: {} };
    const [text, code] = exampleNotebook.cells;
    const made = (trusted: boolean) => ({
      ...exampleNotebook,
      cells: [text, { ...code, outputs: [output], metadata: { trusted } }],
    });
    const trusted = async (name: string) =>
      (await drive.get(name, { content: true })).content.cells[1].metadata.trusted as boolean;
    await drive.save("here.ipynb", { type: "notebook", format: "json", content: made(true) });
    expect(await trusted("here.ipynb")).toBe(true);
    expect(onDisk("here.ipynb")).not.toContain("trusted");
    const stranger = {
      ...exampleNotebook,
      cells: [{ ...code, outputs: [{ ...output, data: { "text/html": "<script>" } }] }],
    };
    writeFileSync(join(server.files, "there.ipynb"), JSON.stringify({ ...stranger, cells: [text, ...stranger.cells] }));
    expect(await trusted("there.ipynb")).toBe(false);
    await drive.save("there.ipynb", {
      type: "notebook",
      format: "json",
      content: (await drive.get("there.ipynb", { content: true })).content,
    });
    expect(await trusted("there.ipynb")).toBe(false);
    expect((await call(server, "POST", "/api/contents/there.ipynb/trust")).status).toBe(201);
    expect(await trusted("there.ipynb")).toBe(true);
  });
});

describe("a mistake is answered in Jupyter's words", () => {
  beforeAll(() => {
    writeFileSync(join(server.files, "latin.txt"), Buffer.from([0xe9, 0x74, 0xe9]));
    writeFileSync(join(server.files, "plain.txt"), "plain");
    mkdirSync(join(server.files, "folder"), { recursive: true });
  });

  const cases: readonly [string, string, string, unknown, number, string | RegExp][] = [
    ["nothing there", "GET", "none.txt", undefined, 404, "file or directory 'none.txt' does not exist"],
    ["a folder as a notebook", "GET", "folder?type=notebook", undefined, 400, "folder is a directory, not a notebook"],
    ["a file as a folder", "GET", "plain.txt?type=directory", undefined, 400, "plain.txt is not a directory"],
    ["a format that is none", "GET", "plain.txt?format=x", undefined, 400, "Format 'x' is invalid"],
    ["bytes as text", "GET", "latin.txt?format=text", undefined, 400, "latin.txt is not UTF-8 encoded"],
    ["a wish for half the content", "GET", "plain.txt?content=2", undefined, 400, "Content '2' is invalid"],
    [
      "a wish for half a hash",
      "GET",
      "plain.txt?hash=x",
      undefined,
      400,
      "Hash argument 'x' is invalid. It must be '0' or '1'.",
    ],
    ["POST to a file", "POST", "plain.txt", {}, 400, "Cannot POST to files, use PUT instead."],
    ["new in no folder", "POST", "nowhere", {}, 404, "No such directory: nowhere"],
    ["a copy by PUT", "PUT", "x.txt", { copy_from: "plain.txt" }, 400, "Cannot copy with PUT, only POST"],
    [
      "a text without a format",
      "PUT",
      "x.txt",
      { type: "file", content: "" },
      400,
      "Must specify format of file contents as 'text' or 'base64'",
    ],
    [
      "base64 that is none",
      "PUT",
      "x.txt",
      { type: "file", format: "base64", content: "?" },
      400,
      /^Encoding error saving x\.txt/,
    ],
    ["a folder in place of a file", "PUT", "plain.txt", { type: "directory" }, 400, "Not a directory: plain.txt"],
    [
      "a file in place of a folder",
      "PUT",
      "folder",
      { type: "file", format: "text", content: "" },
      400,
      "folder is a directory, not a file",
    ],
    [
      "a hidden file",
      "PUT",
      ".x",
      { type: "file", format: "text", content: "" },
      400,
      "Cannot create file or directory '.x'",
    ],
    [
      "a notebook in chunks",
      "PUT",
      "x.ipynb",
      { type: "notebook", chunk: 1, content: "" },
      400,
      'File type "notebook" is not supported for large file transfer',
    ],
    [
      "a chunk of nothing begun",
      "PUT",
      "y.bin",
      { type: "file", format: "text", chunk: 2, content: "" },
      400,
      "No upload of y.bin has begun",
    ],
    ["a name that is taken", "PATCH", "plain.txt", { path: "latin.txt" }, 409, "File already exists: latin.txt"],
    ["a rename without a name", "PATCH", "plain.txt", undefined, 400, "JSON body missing"],
    ["a rename of nothing", "PATCH", "none.txt", { path: "some.txt" }, 404, /does not exist/],
    ["deleting everything", "DELETE", "", undefined, 400, "Can't delete root"],
    ["deleting a hidden file", "DELETE", ".x", undefined, 400, "Cannot delete file or directory '.x'"],
    [
      "a name too long",
      "PUT",
      "x".repeat(300),
      { type: "file", format: "text", content: "" },
      400,
      /^File name too long/,
    ],
  ];

  for (const [what, method, path, body, status, words] of cases) {
    test(what, async () => {
      const reply = await call(server, method, `/api/contents/${path}`, body);
      expect(reply.status).toBe(status);
      const said = reply.json<{ message: string }>().message;
      if (typeof words === "string") expect(said).toBe(words);
      else expect(said).toMatch(words);
    });
  }
});

describe("nothing is lost", () => {
  test("a deleted folder lies in the trash with all that was in it", async () => {
    mkdirSync(join(server.files, "notes"));
    writeFileSync(join(server.files, "notes", "a.txt"), "kept");
    expect((await call(server, "DELETE", "/api/contents/notes")).status).toBe(204);
    expect(existsSync(join(server.files, "notes"))).toBe(false);
    const trash = join(server.files, ".kubebook", "trash");
    const [kept] = readdirSync(trash).filter((name) => name.endsWith("-notes"));
    expect(readFileSync(join(trash, kept ?? "", "a.txt"), "utf8")).toBe("kept");
  });

  test("many saves at once leave one of them whole, and no file of ours beside it", async () => {
    const texts = Array.from({ length: 20 }, (_, index) => String(index).repeat(10_000));
    const saves = texts.map((content) =>
      call(server, "PUT", "/api/contents/busy.txt", { type: "file", format: "text", content }),
    );
    for (const reply of await Promise.all(saves)) expect(reply.status).toBeLessThan(300);
    expect(texts).toContain(onDisk("busy.txt"));
    expect(readdirSync(server.files).filter((name) => name.includes("busy"))).toEqual(["busy.txt"]);
  });

  test("many new files at once get a name each", async () => {
    const made = await Promise.all(
      Array.from({ length: 5 }, () => call(server, "POST", "/api/contents/folder", { type: "file" })),
    );
    expect(new Set(made.map((reply) => reply.json<{ path: string }>().path)).size).toBe(5);
  });

  test("a save through a link inside the folder changes what it leads to, and keeps the file's permissions", async () => {
    writeFileSync(join(server.files, "target.txt"), "old", { mode: 0o640 });
    symlinkSync("target.txt", join(server.files, "alias.txt"));
    await call(server, "PUT", "/api/contents/alias.txt", { type: "file", format: "text", content: "new" });
    expect(onDisk("target.txt")).toBe("new");
    expect(statSync(join(server.files, "target.txt")).mode & 0o777).toBe(0o640);
  });
});
