/** Tests that one server at a time has a work folder, and that the marks of dead ones are seen through. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { announce, claim, release, untilServing } from "../../../kernel-lib/course/server/runtimefile";

let folder: string;
let file: string;
const servers: Server[] = [];
const noProcess = 2 ** 22 + 1; // beyond Linux's largest process id

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kubebook-runtime-"));
  file = join(folder, "state", "server.json");
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A server that knows its token, as ours does. */
async function serving(token: string): Promise<string> {
  const server = createServer((request, response) => {
    response.statusCode =
      request.url === "/api/status" && request.headers.authorization === `token ${token}` ? 200 : 403;
    response.end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/lab?token=${token}`;
}

test("the first has the place, for its user's eyes only; the second hears where the first serves", async () => {
  expect(await claim(file)).toBeNull();
  const url = await serving("secret");
  await announce(file, url);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await claim(file)).toEqual({ pid: process.pid, url });
  expect(await untilServing(file)).toEqual({ pid: process.pid, url });
  await release(file);
  expect(readdirSync(join(folder, "state"))).toEqual([]);
});

test("one that does not serve yet is waited for", async () => {
  expect(await claim(file)).toBeNull();
  expect(await claim(file)).toEqual({ pid: process.pid });
  const waiting = untilServing(file);
  const url = await serving("secret");
  await announce(file, url);
  expect(await waiting).toEqual({ pid: process.pid, url });
});

test("a dead one's place is free: its process is gone, its number is another's now, or its mark is no mark", async () => {
  const marks = [
    { pid: noProcess, url: await serving("secret") },
    { pid: noProcess },
    { pid: process.pid, url: (await serving("other")).replace("other", "secret") },
    { pid: process.pid, url: "http://127.0.0.1:1/lab?token=x" },
    { pid: process.pid, url: "no address" },
    { pid: "x" },
    "text",
  ];
  for (const mark of [...marks.map((one) => JSON.stringify(one)), "", "{"]) {
    await claim(file);
    writeFileSync(file, mark);
    expect(await claim(file), mark).toBeNull();
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ pid: process.pid });
    await release(file);
  }
});

test("who ends does not take another's place away", async () => {
  await claim(file);
  writeFileSync(file, JSON.stringify({ pid: noProcess }));
  await release(file);
  expect(readdirSync(join(folder, "state"))).toEqual(["server.json"]);
  expect(await untilServing(file)).toBeNull();
});
