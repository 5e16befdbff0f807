/** Owns files as they are: the front end's own, and the learner's under `/files`, where nothing may run. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { type Answer, type Call, HttpError } from "./http";
import { mimeType } from "./mime";
import { fileError, Root } from "./paths";
import { type Route, route } from "./router";

/**
 * A document of the learner's may be anything: opened by itself it is shown in an origin of its own, without scripts,
 * without anything from elsewhere (CSP level 3, "sandbox").
 */
const sandbox = [
  "sandbox",
  "frame-ancestors 'self'",
  "default-src 'none'",
  "img-src 'self' data:",
  "media-src 'self' data:",
  "style-src 'unsafe-inline'",
  "font-src data:",
].join("; ");

/** Names with a digest of their content, as esbuild gives them: what they name never changes. */
const hashed = /-[A-Z0-9]{8}\.[a-z0-9]+$/;

/** `/files`, `/static/lab` and `/lab/api/themes`. */
export function fileRoutes(work: Root, assets: string): Route[] {
  return [
    route("GET", "/files/*path", (call) => learnersFile(work, call), "data"),
    route("GET", "/static/lab/*path", (call) => asset(new Root(`${assets}/static`), call), "static"),
    route("GET", "/lab/api/themes/*path", (call) => asset(new Root(`${assets}/themes`), call), "static"),
  ];
}

async function learnersFile(root: Root, call: Call): Promise<Answer> {
  const path = call.params.path ?? "";
  const download = call.query.has("download") || path.endsWith(".ipynb");
  const name = encodeURIComponent(basename(path)).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16)}`,
  );
  return serve(root, path, call, {
    "Content-Security-Policy": sandbox,
    "Cache-Control": "no-cache",
    ...(download ? { "Content-Disposition": `attachment; filename*=utf-8''${name}` } : {}),
  });
}

function asset(root: Root, call: Call): Promise<Answer> {
  const path = call.params.path ?? "";
  const lasts = hashed.test(path);
  return serve(root, path, call, { "Cache-Control": lasts ? "private, max-age=31536000, immutable" : "no-cache" });
}

async function serve(root: Root, path: string, call: Call, headers: Readonly<Record<string, string>>): Promise<Answer> {
  try {
    const file = await root.locate(path);
    const info = await stat(file);
    if (!info.isFile()) throw new HttpError(404, `file or directory '${path}' does not exist`);
    const etag = `"${info.size.toString(16)}-${Math.round(info.mtimeMs).toString(16)}"`;
    if (call.headers["if-none-match"] === etag) return { status: 304, headers: { ...headers, ETag: etag } };
    const type = file.endsWith(".ipynb") ? "application/x-ipynb+json" : (mimeType(file) ?? "application/octet-stream");
    const charset = /^text\/|json$|yaml$|svg/.test(type) ? "; charset=UTF-8" : "";
    return {
      status: 200,
      headers: {
        ...headers,
        ETag: etag,
        "Content-Type": type + charset,
        "Content-Length": String(info.size),
        "Last-Modified": info.mtime.toUTCString(),
      },
      body: createReadStream(file, { end: Math.max(0, info.size - 1) }),
    };
  } catch (error) {
    throw fileError(error, path);
  }
}
