/** Tests that the server lets in its user and nobody else: each test is an attack that has worked on some server. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { isLoopbackHost, isOwnOrigin, safeNext } from "../../../kernel-lib/course/server/gate";
import { ask, call, logIn, type TestServer, testServer, token } from "./fixture";

let server: TestServer;
let own: string;
const secret = "nobody may read this";

beforeAll(async () => {
  server = await testServer();
  own = `127.0.0.1:${server.port}`;
  writeFileSync(join(server.files, "notes.txt"), "a note");
  writeFileSync(
    join(server.files, "picture.svg"),
    "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
  );
  writeFileSync(join(server.files, "page.html"), "<script>alert(1)</script>");
  writeFileSync(join(server.files, ".hidden.txt"), secret);
  // A sibling whose name begins as the root's does, and links that lead out.
  mkdirSync(join(server.folder, "work-of-others"));
  writeFileSync(join(server.folder, "work-of-others", "secret.txt"), secret);
  symlinkSync(join(server.folder, "work-of-others"), join(server.files, "link"));
  symlinkSync(join(server.folder, "work-of-others", "secret.txt"), join(server.files, "link.txt"));
  symlinkSync(join(server.files, ".kubebook"), join(server.files, "state"));
  symlinkSync(join(server.files, ".hidden.txt"), join(server.files, "shown.txt"));
  symlinkSync(join(server.folder, "work-of-others", "not-there.txt"), join(server.files, "dangling.txt"));
});

afterAll(() => server.remove());

describe("a stranger", () => {
  test("gets 403 from every part of the API, also for what is not there", async () => {
    const paths = ["/api/contents", "/api/kernels", "/api/sessions", "/api/status", "/api/me", "/lab/api/settings"];
    const more = [
      "/lab/api/workspaces",
      "/kubebook/api/chapters",
      "/files/notes.txt",
      "/static/lab/main-ABCDEF12.js",
      "/api/nothing",
    ];
    for (const path of [...paths, ...more]) expect((await ask(server, path)).status, path).toBe(403);
  });

  test("is not let in by a wrong token, by query, header, or beside a good cookie", async () => {
    const { cookie } = await logIn(server);
    for (const wrong of ["", "x", `${token}x`, token.slice(0, -1), "undefined"]) {
      expect((await ask(server, `/api/status?token=${wrong}`)).status).toBe(403);
      expect((await ask(server, "/api/status", { headers: { Authorization: `token ${wrong}` } })).status).toBe(403);
      const own = { Cookie: cookie, "Sec-Fetch-Site": "same-origin" };
      expect((await ask(server, "/api/status", { headers: own })).status).toBe(200);
      expect((await ask(server, `/api/status?token=${wrong}`, { headers: own })).status).toBe(403);
    }
  });

  test("is sent from a page to the log-in, which never sends on to another host", async () => {
    const reply = await ask(server, "/lab/tree/notes.txt");
    expect(reply.status).toBe(302);
    expect(reply.headers.location).toBe("/login?next=%2Flab%2Ftree%2Fnotes.txt");
    const { cookie } = await logIn(server);
    const evil = [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "///evil.example",
      "/%09/evil.example/..//x",
    ];
    const more = [
      "\\\\evil.example",
      "javascript:alert(1)",
      "/\t/evil.example",
      "/../..//evil.example",
      "evil.example",
    ];
    for (const next of [...evil, ...more]) {
      const { headers } = await ask(server, `/login?next=${encodeURIComponent(next)}`, { headers: { Cookie: cookie } });
      expect(new URL(headers.location ?? "", server.base).origin, next).toBe(server.base);
    }
    const good = await ask(server, `/login?next=${encodeURIComponent("/lab/tree/a b.ipynb?x=1")}`, {
      headers: { Cookie: cookie },
    });
    expect(good.headers.location).toBe("/lab/tree/a%20b.ipynb?x=1");
  });

  test("cannot make the token's own redirect lead to another host", async () => {
    for (const path of [
      "//evil.example/lab",
      "/lab/..//evil.example",
      "/lab/tree//evil.example",
      '/lab/tree/"><script>',
    ]) {
      const { text, headers } = await ask(server, `${path}?token=${token}`);
      const to = /;url=([^"]*)"/.exec(text)?.[1] ?? headers.location ?? "/";
      expect(new URL(to, server.base).origin).toBe(server.base);
      expect(text).not.toContain("<script>");
    }
    expect(safeNext("//evil.example")).toBe("/lab");
  });

  test("logs in with the token in the form, and not without the form's own secret", async () => {
    const form = await ask(server, "/login");
    const xsrf = /name="_xsrf" value="(\w+)"/.exec(form.text)?.[1] ?? "";
    const headers = { Cookie: `_xsrf=${xsrf}`, "Content-Type": "application/x-www-form-urlencoded" };
    const send = (body: string, cookie = headers.Cookie) =>
      ask(server, "/login?next=%2Flab", { method: "POST", headers: { ...headers, Cookie: cookie }, body });
    expect((await send(`_xsrf=${xsrf}&password=wrong`)).status).toBe(401);
    expect((await send(`password=${token}`)).status).toBe(403);
    expect((await send(`_xsrf=&password=${token}`, "")).status).toBe(403);
    const good = await send(`_xsrf=${xsrf}&password=${token}`);
    expect(good.status).toBe(302);
    expect(good.headers["set-cookie"]?.[0]).toMatch(/; HttpOnly; SameSite=Strict$/);
  });
});

describe("a good token", () => {
  test("becomes cookies, and leaves the address", async () => {
    const reply = await ask(server, `/lab/tree/notes.txt?token=${token}&reset`);
    expect(reply.text).toContain('content="0;url=/lab/tree/notes.txt?reset="');
    expect(reply.text).not.toContain(token);
    const [session, xsrf] = reply.headers["set-cookie"] ?? [];
    expect(session).toMatch(/^kubebook-\d+=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(session).not.toContain(token);
    expect(xsrf).toMatch(/^_xsrf=[0-9a-f]+; Path=\/; SameSite=Strict$/);
  });

  test("stands in no log line and no error reply", async () => {
    await ask(server, `/api/nothing?token=${token}`);
    await ask(server, `/api/contents/none?token=${token}`, { headers: { Host: "evil.example" } });
    const broken = await ask(server, `/api/contents?token=${token}`, { method: "PUT", body: "{" });
    expect(broken.status).toBe(400);
    expect(broken.text).not.toContain(token);
    expect(server.log.length).toBeGreaterThan(2);
    expect(server.log.join("\n")).not.toContain(token);
  });
});

describe("a page on another host", () => {
  test("does not reach us by a name of its own that points at 127.0.0.1 (DNS rebinding)", async () => {
    const hosts = [
      "evil.example",
      `evil.example:${server.port}`,
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "0.0.0.0",
    ];
    for (const host of [...hosts, "127.0.0.1@evil.example", "[::2]", "127.1", "2130706433", "localhost:x"]) {
      const reply = await ask(server, "/api/status", { headers: { Host: host, Authorization: `token ${token}` } });
      expect([400, 403], host).toContain(reply.status);
    }
    for (const host of [own, "localhost:9000", "127.0.0.2", "[::1]:8888", "LOCALHOST"])
      expect(isLoopbackHost(host)).toBe(true);
  });

  test("has an Origin that is not ours, however much it looks like it", async () => {
    const { cookie, xsrf } = await logIn(server);
    const evil = [
      "http://evil.example",
      `http://${own}.evil.example`,
      `http://evil.example/?${own}`,
      `http://x@${own}`,
      "null",
    ];
    for (const origin of [
      ...evil,
      `https://${own}`,
      `http://${own}0`,
      "http://127.0.0.1",
      `http://localhost:${server.port}`,
      "",
    ]) {
      const headers = { Origin: origin, Cookie: cookie, "X-XSRFToken": xsrf };
      expect((await ask(server, "/api/status", { headers })).status, origin).toBe(404);
      expect(isOwnOrigin(origin, own)).toBe(false);
    }
    const headers = { Origin: `http://${own}`, Cookie: cookie, "X-XSRFToken": xsrf };
    expect((await ask(server, "/api/status", { headers })).status).toBe(200);
  });

  test("opens no WebSocket: not by Origin, not without one, not by Host", async () => {
    const { cookie } = await logIn(server);
    const started = await call(server, "POST", "/api/kernels", {});
    const path = `/api/kernels/${started.json<{ id: string }>().id}/channels`;
    const status = (headers: Record<string, string>, at = path) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(`ws://${own}${at}`, { headers });
        socket.on("open", () => {
          socket.close();
          resolve(101);
        });
        socket.on("unexpected-response", (_, { statusCode }) => resolve(statusCode ?? 0));
        socket.on("error", () => {});
      });
    const origin = `http://${own}`;
    expect(await status({ Cookie: cookie, Origin: origin })).toBe(101);
    expect(await status({ Authorization: `token ${token}` })).toBe(101);
    expect(await status({ Cookie: cookie, Origin: `${origin}.evil.example` })).toBe(404);
    expect(await status({ Cookie: cookie, Origin: "null" })).toBe(404);
    expect(await status({ Cookie: cookie })).toBe(403);
    expect(await status({ Origin: origin })).toBe(403);
    expect(await status({ Cookie: cookie, Origin: "http://evil.example", Host: "evil.example" })).toBe(403);
    expect(await status({ Origin: origin }, "/api/events/subscribe")).toBe(403);
    expect(await status({ Cookie: cookie, Origin: origin }, "/api/events/subscribe")).toBe(101);
    expect(await status({ Cookie: cookie, Origin: origin }, "/api/kernels/none/channels")).toBe(404);
  });

  test("includes none of our files or answers as a script or picture", async () => {
    const { cookie } = await logIn(server);
    for (const path of ["/files/notes.txt", "/api/contents", "/kubebook/api/chapters", "/lab/api/settings"]) {
      for (const site of ["cross-site", "same-site"]) {
        const reply = await ask(server, path, { headers: { Cookie: cookie, "Sec-Fetch-Site": site } });
        expect(reply.status, `${path} ${site}`).toBe(403);
      }
      // An old browser that says nothing but where it comes from.
      const evil = { Cookie: cookie, Referer: `http://evil.example/http://${own}/` };
      expect((await ask(server, path, { headers: evil })).status).toBe(403);
      expect((await ask(server, path, { headers: { Cookie: cookie } })).status).toBe(403);
      expect((await ask(server, path, { headers: { Cookie: cookie, "Sec-Fetch-Site": "same-origin" } })).status).toBe(
        200,
      );
      expect((await ask(server, path, { headers: { Cookie: cookie, Referer: `http://${own}/lab` } })).status).toBe(200);
    }
  });

  test("writes nothing with the cookie alone (XSRF)", async () => {
    const { cookie, xsrf } = await logIn(server);
    const body = { type: "file", format: "text", content: "evil" };
    const put = (headers: Record<string, string>) =>
      ask(server, "/api/contents/new.txt", { method: "PUT", headers, body });
    expect((await put({ Cookie: cookie })).json()).toMatchObject({ message: "'_xsrf' argument missing from PUT" });
    expect((await put({ Cookie: cookie, "X-XSRFToken": "wrong" })).status).toBe(403);
    const [session] = cookie.split("; ");
    expect((await put({ Cookie: `${session}; _xsrf=`, "X-XSRFToken": "" })).status).toBe(403);
    expect((await call(server, "GET", "/api/contents/new.txt")).status).toBe(404);
    expect((await put({ Cookie: cookie, "X-XSRFToken": xsrf })).status).toBe(201);
  });

  test("may not frame us, and gets no leave to read an answer", async () => {
    const preflight = { Origin: "http://evil.example", "Access-Control-Request-Method": "PUT" };
    const replies = [
      await ask(server, "/login"),
      await call(server, "GET", "/api/status"),
      await call(server, "GET", "/files/notes.txt"),
      await ask(server, "/api/contents", { method: "OPTIONS", headers: preflight }),
    ];
    for (const { headers } of replies) {
      expect(headers["access-control-allow-origin"]).toBeUndefined();
      expect(headers["cross-origin-resource-policy"]).toBe("same-origin");
      expect(headers["content-security-policy"]).toMatch(/frame-ancestors '(?:self|none)'/);
      expect(headers["x-content-type-options"]).toBe("nosniff");
    }
  });
});

describe("a path", () => {
  const out = [
    "../work-of-others/secret.txt",
    "..%2Fwork-of-others%2Fsecret.txt",
    "%2e%2e/work-of-others/secret.txt",
    "%2e%2e%2fwork-of-others%2fsecret.txt",
    "..%252fwork-of-others%252fsecret.txt",
    "x/../../work-of-others/secret.txt",
    "..\\work-of-others\\secret.txt",
    "..%5Cwork-of-others%5Csecret.txt",
    "-of-others/secret.txt",
    "link/secret.txt",
    "link.txt",
    "dangling.txt",
    "/etc/passwd",
    "%2Fetc%2Fpasswd",
    "C:/Windows/win.ini",
    "C:%5CWindows%5Cwin.ini",
    "%5C%5Cserver%5Cshare",
    "//server/share",
    "notes.txt%00.png",
    "%00",
    ".hidden.txt",
    "x/.hidden.txt",
    "shown.txt",
    ".kubebook/server.json",
    ".kubebook/trust.key",
    "state/trust.key",
    ".",
    "./.hidden.txt",
    "link",
  ];

  test("leads nowhere out of the root, to no hidden file and not to our own state", async () => {
    const bodies: string[] = [];
    for (const path of out) {
      for (const at of ["/files/", "/api/contents/", "/static/lab/", "/lab/api/themes/"]) {
        const reply = await call(server, "GET", at + path);
        expect(reply.status, at + path).toBe(404);
        bodies.push(reply.text);
      }
      const model = { type: "file", format: "text", content: "evil" };
      for (const [method, body] of [
        ["PUT", model],
        ["DELETE", undefined],
        ["PATCH", { path: "moved.txt" }],
      ] as const) {
        const reply = await call(server, method, `/api/contents/${path}`, body);
        expect([400, 404], `${method} ${path}`).toContain(reply.status);
        bodies.push(reply.text);
      }
      const inBody = decodeURIComponent(path);
      expect((await call(server, "PATCH", "/api/contents/notes.txt", { path: inBody })).status, `to ${path}`).not.toBe(
        200,
      );
      expect((await call(server, "POST", "/api/contents", { copy_from: inBody })).status, `copy ${path}`).not.toBe(201);
      expect((await call(server, "POST", `/api/contents/${path}/checkpoints`)).status).toBe(404);
    }
    expect(bodies.join()).not.toContain(secret);
    expect((await call(server, "GET", "/files/notes.txt")).text).toBe("a note");
  });

  test("out of the listing leads nothing either: links out, hidden files", async () => {
    const { content } = (await call(server, "GET", "/api/contents")).json<{ content: { name: string }[] }>();
    expect(content.map(({ name }) => name).filter((name) => !name.startsWith("new"))).toEqual([
      "notes.txt",
      "page.html",
      "picture.svg",
    ]);
  });

  test("names no folder of this machine in any error", async () => {
    for (const path of ["none.txt", "notes.txt/none", `${"x".repeat(300)}`, ...out]) {
      for (const at of ["/files/", "/api/contents/"]) {
        expect((await call(server, "GET", at + path)).text).not.toContain(server.folder);
      }
    }
    const taken = await call(server, "PUT", "/api/contents/notes.txt", { type: "directory" });
    expect(taken.json()).toMatchObject({ message: "Not a directory: notes.txt" });
  });

  test("that is none of ours at all is refused before it is looked at", async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(server.port, "127.0.0.1", () => {
        socket.write(
          `GET http://evil.example/api/status?token=${token} HTTP/1.1\r\nHost: ${own}\r\nConnection: close\r\n\r\n`,
        );
      });
      let text = "";
      socket.on("data", (data) => {
        text += data.toString();
      });
      socket.on("close", () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect((await call(server, "GET", "/api/contents/%E0%A4%A")).status).toBe(400);
  });
});

describe("what a file holds", () => {
  test("runs no script when it is opened by itself: SVG, HTML", async () => {
    for (const name of ["picture.svg", "page.html"]) {
      const policy = String((await call(server, "GET", `/files/${name}`)).headers["content-security-policy"]);
      expect(policy).toMatch(/(?:^|; )sandbox(?:;|$)/);
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/allow-scripts|script-src/);
    }
  });

  test("comes as a download where it is asked for, under its own name", async () => {
    const reply = await call(server, "GET", "/files/notes.txt?download=1");
    expect(reply.headers["content-disposition"]).toBe("attachment; filename*=utf-8''notes.txt");
  });
});

describe("a request", () => {
  test("with more than fits is cut off", async () => {
    const big = "x".repeat(1_100_000);
    const reply = await call(server, "POST", "/api/sessions", { path: big, type: "notebook" });
    expect(reply.status).toBe(413);
    const chunked = { method: "POST", headers: { Authorization: `token ${token}`, "Transfer-Encoding": "chunked" } };
    expect((await ask(server, "/api/sessions", { ...chunked, body: { path: big, type: "notebook" } })).status).toBe(
      413,
    );
    expect((await call(server, "GET", "/api/sessions")).json()).toEqual([]);
  });

  test("with broken JSON, with JSON that is no object, or with fields of another type gets 400", async () => {
    for (const body of ["{", "[1]", '"text"', "\u0000", "{'a': 1}"]) {
      const reply = await call(server, "POST", "/api/sessions", body);
      expect(reply.status, body).toBe(400);
      expect(typeof reply.json().message).toBe("string");
    }
    for (const body of [{ path: 1, type: "x" }, { path: "a", type: {} }, { path: "a", type: "x", kernel: "y" }, {}]) {
      expect((await call(server, "POST", "/api/sessions", body)).status).toBe(400);
    }
    expect((await call(server, "POST", "/api/sessions", '{"__proto__":{"path":"a"},"type":"x"}')).status).toBe(400);
  });

  test("with a method that a path has not gets 405", async () => {
    expect((await call(server, "DELETE", "/api/status")).status).toBe(405);
    expect((await call(server, "TRACE", "/api/status")).status).toBe(405);
  });
});
