/** Owns `/api/contents`: files, checkpoints and trust, as JupyterLab asks for them. */
import type { Contents } from "./contents";
import type { FileModel, Wanted } from "./filemodel";
import { type Answer, type Call, empty, HttpError, json, megabyte } from "./http";
import { textField } from "./kernels";
import { readNotebook } from "./notebookfile";
import { isHidden, normal } from "./paths";
import { type Route, route } from "./router";

/** The largest document that is taken in one piece; JupyterLab sends larger ones in chunks. */
const mostBytes = 128 * megabyte;

export function contentsRoutes(contents: Contents): Route[] {
  return [...checkpointRoutes(contents), ...documentRoutes(contents)];
}

function checkpointRoutes(contents: Contents): Route[] {
  const { checkpoints } = contents;
  const path = (call: Call) => normal(call.params.path ?? "");
  return [
    route("GET", "/api/contents/*path/checkpoints", async (call) => json(await checkpoints.list(path(call)))),
    route("POST", "/api/contents/*path/checkpoints", async (call) => {
      const checkpoint = await checkpoints.create(path(call));
      return json(checkpoint, 201, { Location: `${urlOf(path(call))}/checkpoints/${checkpoint.id}` });
    }),
    route("POST", "/api/contents/*path/checkpoints/:id", async (call) => {
      await checkpoints.restore(path(call), call.params.id ?? "");
      return empty();
    }),
    route("DELETE", "/api/contents/*path/checkpoints/:id", async (call) => {
      await checkpoints.remove(path(call), call.params.id ?? "");
      return empty();
    }),
    route("POST", "/api/contents/*path/trust", async (call) => {
      const model = await contents.read(path(call), { type: "notebook", content: true });
      await contents.trust.trust(readNotebook(JSON.stringify(model.content), path(call)));
      return empty(201);
    }),
  ];
}

function documentRoutes(contents: Contents): Route[] {
  const path = (call: Call) => normal(call.params.path ?? "");
  return [
    route("GET", "/api/contents/*path", async (call) =>
      answer(await contents.read(path(call), wanted(call.query)), 200, false),
    ),
    route("POST", "/api/contents/*path", async (call) => {
      if ((await contents.exists(path(call))) && !(await contents.isFolder(path(call)))) {
        throw new HttpError(400, "Cannot POST to files, use PUT instead.");
      }
      const body = await call.json();
      const from = textField(body, "copy_from");
      if (from !== undefined) {
        if (isHidden(from) || isHidden(path(call)))
          throw new HttpError(400, `Cannot copy file or directory '${normal(from)}'`);
        return answer(await contents.copy(from, path(call)), 201);
      }
      const type = textField(body, "type");
      const known = type === undefined || type === "" ? undefined : kindOf(type);
      return answer(await contents.newUntitled(path(call), known, textField(body, "ext") ?? ""), 201);
    }),
    route("PUT", "/api/contents/*path", async (call) => {
      const body = await call.json(mostBytes);
      if (body === null) return answer(await contents.newUntitled(path(call), undefined, ""), 201);
      if (body.copy_from) throw new HttpError(400, "Cannot copy with PUT, only POST");
      // Of an upload only the first chunk makes the file.
      const begun = typeof body.chunk === "number" && body.chunk !== 1;
      const existed = begun || (await contents.exists(path(call)));
      const type = textField(body, "type");
      const model = type === undefined || type === "" ? body : { ...body, type: kindOf(type) };
      return answer(await contents.save(path(call), model), existed ? 200 : 201);
    }),
    route("PATCH", "/api/contents/*path", async (call) => {
      const body = await call.json();
      if (body === null) throw new HttpError(400, "JSON body missing");
      return answer(await contents.rename(path(call), textField(body, "path") ?? path(call)));
    }),
    route("DELETE", "/api/contents/*path", async (call) => {
      await contents.remove(path(call));
      return empty();
    }),
  ];
}

/** Types that we do not know are files, as Jupyter Server has it. */
function kindOf(type: string): FileModel["type"] {
  return type === "directory" || type === "notebook" ? type : "file";
}

/** @throws HttpError 400 in Jupyter's words */
function wanted(query: URLSearchParams): Wanted {
  const type = query.get("type");
  const format = query.get("format");
  const content = query.get("content") ?? "1";
  const hash = query.get("hash") ?? "0";
  if (format !== null && format !== "text" && format !== "base64")
    throw new HttpError(400, `Format '${format}' is invalid`);
  if (content !== "0" && content !== "1") throw new HttpError(400, `Content '${content}' is invalid`);
  if (hash !== "0" && hash !== "1")
    throw new HttpError(400, `Hash argument '${hash}' is invalid. It must be '0' or '1'.`);
  return {
    content: content === "1",
    hash: hash === "1",
    ...(type === null ? {} : { type: kindOf(type) }),
    ...(format === null ? {} : { format }),
  };
}

function urlOf(path: string): string {
  return `/api/contents/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** A model; what was written says where it is. */
function answer(model: FileModel, status = 200, written = true): Answer {
  const location = written ? { Location: urlOf(model.path) } : {};
  return json(model, status, { "Last-Modified": new Date(model.last_modified).toUTCString(), ...location });
}
