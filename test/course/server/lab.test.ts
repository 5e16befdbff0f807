/** Tests what JupyterLab keeps on the server and asks at its start: settings, workspaces, languages, themes, the course. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KernelSpecManager, ServerConnection, SettingManager, WorkspaceManager } from "@jupyterlab/services";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask, call, exampleNotebook, logIn, type TestServer, testServer, token } from "./fixture";

let server: TestServer;
let serverSettings: ServerConnection.ISettings;

beforeAll(async () => {
  server = await testServer();
  serverSettings = ServerConnection.makeSettings({ baseUrl: `${server.base}/`, appUrl: "lab", token });
});

afterAll(() => server.remove());

describe("settings", () => {
  const id = "@test/extension:plugin";
  const put = (raw: unknown, at = id) => call(server, "PUT", `/lab/api/settings/${at}`, { raw });

  test("are kept as they were written, comments included, and come back by JupyterLab's client", async () => {
    const settings = new SettingManager({ serverSettings });
    expect((await settings.list("ids")).ids).toEqual([id]);
    expect(await settings.fetch(id)).toMatchObject({ id, raw: "{}", version: "1.0.0", schema: { type: "object" } });
    const raw = "{\n  // my colours\n  theme: 'dark',\n}";
    await settings.save(id, raw);
    expect(await settings.fetch(id)).toMatchObject({ raw, settings: { theme: "dark" } });
    expect((await settings.list()).values[0]).toMatchObject({ id, raw });
  });

  test("that are not JSON5, not an object, or not what the schema allows are refused", async () => {
    for (const raw of ["{theme", "[1]", "{ theme: 5 }", "{ colour: 'red' }", "'text'"]) {
      const reply = await put(raw);
      expect(reply.status, raw).toBe(400);
      expect(reply.json<{ message: string }>().message).toMatch(/^Failed validating input: /);
    }
    expect((await put(5)).json()).toMatchObject({
      message: "Invalid format for JSON payload. Must be in the form {'raw': ...}",
    });
  });

  test("of a plugin that is not there are 404, wherever the name points", async () => {
    for (const at of [
      "@test/extension:other",
      "../../x:y",
      "%2e%2e%2fx:y",
      "@test/extension:..%2f..%2fx",
      "__proto__:x",
      "x",
    ]) {
      expect((await put("{}", at)).status, at).toBe(404);
      expect((await call(server, "GET", `/lab/api/settings/${at}`)).status, at).toBe(404);
    }
  });

  test("that somebody broke in their file do not keep JupyterLab from starting, and stay in the file", async () => {
    const file = join(server.files, ".kubebook", "settings", "@test", "extension", "plugin.jupyterlab-settings");
    writeFileSync(file, "{ broken");
    const one = (await call(server, "GET", `/lab/api/settings/${id}`)).json<{ raw: string; warning: string }>();
    expect(one.raw).toBe("{}");
    expect(one.warning).toMatch(/^Failed loading settings \(@test\/extension:plugin\): JSON5/);
    expect(readFileSync(file, "utf8")).toBe("{ broken");
  });
});

describe("workspaces", () => {
  test("are saved, listed, fetched and removed by JupyterLab's client", async () => {
    const workspaces = new WorkspaceManager({ serverSettings });
    expect(await workspaces.fetch("default")).toMatchObject({ data: {}, metadata: { id: "/default" } });
    const saved = { data: { "layout-restorer:data": { main: 1 } }, metadata: { id: "default" } };
    await workspaces.save("default", saved as unknown as Parameters<typeof workspaces.save>[1]);
    await workspaces.save("Größe/2", { data: {}, metadata: { id: "Größe/2" } } as unknown as Parameters<
      typeof workspaces.save
    >[1]);
    expect((await workspaces.fetch("default")).data).toEqual(saved.data);
    expect((await workspaces.list()).ids).toEqual(expect.arrayContaining(["default", "Größe/2"]));
    await workspaces.remove("default");
    expect((await workspaces.fetch("default")).data).toEqual({});
    await expect(workspaces.remove("default")).rejects.toMatchObject({ response: { status: 404 } });
  });

  test("of another name than they say, or of none, are refused", async () => {
    const body = { data: {}, metadata: { id: "other" } };
    const reply = await call(server, "PUT", "/lab/api/workspaces/mine", body);
    expect(reply.json()).toMatchObject({ message: "Workspace metadata ID mismatch: expected 'mine' got 'other'" });
    expect((await call(server, "PUT", "/lab/api/workspaces", body)).status).toBe(400);
    expect((await call(server, "PUT", "/lab/api/workspaces/mine", {})).status).toBe(400);
  });
});

describe("what JupyterLab asks at its start", () => {
  test("is answered: kernels that there are, who I am, languages, exporters, paths", async () => {
    const specs = new KernelSpecManager({ serverSettings, standby: "never" });
    await specs.ready;
    expect(specs.specs?.default).toBe("kubebook");
    expect(specs.specs?.kernelspecs.kubebook).toMatchObject({
      display_name: "TypeScript (kubebook)",
      language: "typescript",
    });
    specs.dispose();
    const get = async (path: string) => (await call(server, "GET", path)).json();
    expect(await get("/api")).toHaveProperty("version");
    expect(await get("/api/status")).toMatchObject({ kernels: 0, connections: 0 });
    expect(await get(`/api/me?permissions=${encodeURIComponent('{"contents":["read"]}')}`)).toMatchObject({
      identity: { username: "learner" },
      permissions: { contents: ["read"] },
    });
    expect((await call(server, "GET", "/api/me?permissions=x")).status).toBe(400);
    expect(await get("/lab/api/translations")).toMatchObject({ data: { en: { displayName: "English" } } });
    expect(await get("/lab/api/translations/en")).toEqual({ data: {}, message: "" });
    expect(await get("/lab/api/translations/xx")).toMatchObject({ message: "Language pack 'xx' not installed!" });
    expect(await get("/api/nbconvert")).toEqual({});
    writeFileSync(join(server.files, "a.txt"), "");
    expect(await get("/api/resolvePath?path=a.txt")).toEqual({ resolved: [{ scope: "server", path: "a.txt" }] });
    expect(await get("/api/resolvePath?path=../../etc/passwd")).toEqual({ resolved: [] });
    expect((await call(server, "POST", "/api/events", { schema_id: "x" })).status).toBe(400);
  });

  test("comes to a browser by its cookie: pages, scripts that it may keep, styles of themes", async () => {
    const { cookie } = await logIn(server);
    const get = (path: string, headers = {}) => ask(server, path, { headers: { Cookie: cookie, ...headers } });
    expect((await get("/")).headers.location).toBe("/lab");
    for (const path of [
      "/lab",
      "/lab/",
      "/lab/tree/sub/a%20b.ipynb",
      "/lab/workspaces/x",
      "/lab/workspaces/x/tree/a.ipynb",
    ]) {
      expect((await get(path)).status, path).toBe(200);
    }
    expect((await get("/lab/tree/sub/a%20b.ipynb")).text).toBe("<title>sub/a b.ipynb</title>");
    const script = await get("/static/lab/main-ABCDEF12.js");
    expect(script.headers["content-type"]).toBe("text/javascript; charset=UTF-8");
    expect(script.headers["cache-control"]).toContain("immutable");
    expect((await get("/static/lab/main-ABCDEF12.js", { "If-None-Match": script.headers.etag })).status).toBe(304);
    mkdirSync(join(server.folder, "assets", "themes", "@test", "theme"), { recursive: true });
    writeFileSync(join(server.folder, "assets", "themes", "@test", "theme", "index.css"), ":root{}");
    const theme = await get("/lab/api/themes/@test/theme/index.css");
    expect([theme.status, theme.headers["content-type"], theme.text]).toEqual([
      200,
      "text/css; charset=UTF-8",
      ":root{}",
    ]);
    const head = await ask(server, "/static/lab/main-ABCDEF12.js", { method: "HEAD", headers: { Cookie: cookie } });
    expect([head.status, head.text, head.headers["content-length"]]).toEqual([200, "", "11"]);
  });
});

test("the course panel lists a chapter, opens it as a copy, and resets it", async () => {
  writeFileSync(join(server.folder, "notebooks", "05-services.ipynb"), JSON.stringify(exampleNotebook));
  const chapters = async () => (await call(server, "GET", "/kubebook/api/chapters")).json<{ state: string }[]>();
  const act = async (verb: string) => (await call(server, "POST", `/kubebook/api/chapters/05-services/${verb}`)).json();
  expect(await chapters()).toMatchObject([{ name: "05-services", state: "new", path: "05-services.ipynb" }]);
  expect(await act("open")).toEqual({ path: "05-services.ipynb" });
  expect(await chapters()).toMatchObject([{ state: "opened" }]);
  const content = { ...exampleNotebook, cells: [{ ...exampleNotebook.cells[1], execution_count: 1 }] };
  await call(server, "PUT", "/api/contents/05-services.ipynb", { type: "notebook", format: "json", content });
  expect(await chapters()).toMatchObject([{ state: "done" }]);
  expect(await act("reset")).toEqual({ path: "05-services.ipynb" });
  expect(await act("update")).toEqual({ path: "05-services.ipynb" });
  expect((await call(server, "GET", "/api/contents/05-services.before-reset-1.ipynb")).status).toBe(200);
  for (const name of ["none", "..%2F..%2Fx", "05-services.before-reset-1"]) {
    expect((await call(server, "POST", `/kubebook/api/chapters/${name}/open`)).status).toBe(404);
  }
});
