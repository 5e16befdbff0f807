/** Owns how a request's path finds its handler. */
import { type Answer, type Call, HttpError } from "./http";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/**
 * Who may call a route: `api` and `data` (files) want a visitor we know and a request that comes from our own pages;
 * a `page` sends strangers to the log-in, `static` is what pages load, `open` is for everybody.
 */
export type Access = "api" | "data" | "page" | "static" | "open";

export interface Route {
  readonly method: Method;
  readonly pattern: RegExp;
  readonly names: readonly string[];
  readonly access: Access;
  run(call: Call): Promise<Answer> | Answer;
}

/**
 * A route. In its pattern `:name` is one part of the path and `*name` any number of parts, none too:
 * `/api/kernels/:id/restart`, `/files/*path`.
 */
export function route(method: Method, pattern: string, run: Route["run"], access: Access = "api"): Route {
  const names: string[] = [];
  const source = pattern.replace(/\/\*(\w+)|:(\w+)|[.+?^${}()|[\]\\]/g, (found, rest?: string, part?: string) => {
    const name = rest ?? part;
    if (name === undefined) return `\\${found}`;
    names.push(name);
    return rest === undefined ? "([^/]+)" : "(?:/(.*))?";
  });
  return { method, pattern: new RegExp(`^${source}/?$`), names, access, run };
}

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/**
 * The first route for a path that is still percent-encoded; its named parts come decoded, once.
 * @throws HttpError 404 no such path, 405 the path has no such method, 400 an encoding that is none
 */
export function match(routes: readonly Route[], method: string, path: string): Match {
  const wanted = method === "HEAD" ? "GET" : method;
  let known = false;
  for (const candidate of routes) {
    const found = candidate.pattern.exec(path);
    if (found === null) continue;
    known = true;
    if (candidate.method !== wanted) continue;
    const params = candidate.names.map((name, index) => [name, decode(found[index + 1] ?? "")]);
    return { route: candidate, params: Object.fromEntries(params) as Record<string, string> };
  }
  throw known ? new HttpError(405, "Method Not Allowed") : new HttpError(404, "Not Found");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HttpError(400, "The path is not encoded as a URL");
  }
}
