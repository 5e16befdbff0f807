/** Owns the pages: JupyterLab's, and the log-in for who comes without a token. */

import { type Gate, parseCookies, safeNext, sameSecret } from "./gate";
import { type Answer, type Call, HttpError, redirect } from "./http";
import type { LabPage } from "./labpage";
import { type Route, route } from "./router";

/** What a page of JupyterLab opens with. */
export interface LabAddress {
  /** API path of the document to open. */
  readonly treePath?: string;
  readonly workspace?: string;
}

/** Makes the page, and the headers (its CSP above all) that it must be sent with. */
export type MakeLabPage = (address: LabAddress) => LabPage;

/** `/`, `/lab` and below, `/login`. */
export function pageRoutes(gate: Gate, page: MakeLabPage): Route[] {
  const lab = (call: Call, address: LabAddress): Answer => withCookie(page(address), gate, call);
  return [
    route("GET", "/", () => redirect("/lab"), "page"),
    route("GET", "/lab", (call) => lab(call, {}), "page"),
    route("GET", "/lab/tree/*path", (call) => lab(call, { treePath: call.params.path ?? "" }), "page"),
    route("GET", "/lab/workspaces/:workspace", (call) => lab(call, { workspace: call.params.workspace ?? "" }), "page"),
    route(
      "GET",
      "/lab/workspaces/:workspace/tree/*path",
      (call) => lab(call, { workspace: call.params.workspace ?? "", treePath: call.params.path ?? "" }),
      "page",
    ),
    route("GET", "/login", (call) => loginForm(gate, call), "open"),
    route("POST", "/login", (call) => login(gate, call), "open"),
  ];
}

/** A page, with the cookie that its scripts must send back with every write. */
function withCookie(page: LabPage, gate: Gate, call: Call, status = 200): Answer {
  const cookies = gate.forgeryCookie(call.headers);
  const headers = { "Cross-Origin-Opener-Policy": "same-origin", ...page.headers };
  return { status, headers: cookies.length > 0 ? { ...headers, "Set-Cookie": cookies } : headers, body: page.html };
}

/** Where somebody who comes with a good token in the address goes on: the same place without it, so that no history or log keeps it. */
export function withoutToken(path: string, query: URLSearchParams): string {
  const rest = new URLSearchParams(query);
  rest.delete("token");
  return safeNext(rest.size === 0 ? path : `${path}?${rest}`);
}

/**
 * Gives a browser its cookies and sends it on from a page of our own. A redirect would not do: after a link on another
 * site (or the file that opens the browser) it would be a request of that site, without its SameSite=Strict cookie.
 */
export function welcome(to: string, cookies: readonly string[]): Answer {
  const place = escaped(to);
  return {
    status: 200,
    headers: { "Content-Type": "text/html; charset=UTF-8", "Set-Cookie": cookies },
    body:
      `<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${place}">` +
      `<title>kubebook</title><a href="${place}">kubebook</a>\n`,
  };
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

function loginForm(gate: Gate, call: Call, problem = ""): Answer {
  if (call.visitor !== "nobody") return redirect(safeNext(call.query.get("next")));
  const fresh = gate.forgeryCookie(call.headers);
  const xsrf = fresh[0]?.slice("_xsrf=".length).split(";")[0] ?? parseCookies(call.headers.cookie).get("_xsrf") ?? "";
  const next = safeNext(call.query.get("next"));
  const text = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>kubebook</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:32em;margin:4em auto;padding:0 1em;color-scheme:light dark}
input,button{font:inherit;padding:.3em .6em}[role=alert]{color:#c00}</style></head><body>
<h1>kubebook</h1>
<p>This server asks for its token. <code>npm start</code> printed an address that holds it.</p>
${problem === "" ? "" : `<p role="alert">${escaped(problem)}</p>`}
<form method="post" action="/login?next=${escaped(encodeURIComponent(next))}">
<input type="hidden" name="_xsrf" value="${escaped(xsrf)}">
<label>Token <input name="password" type="password" autocomplete="off" autofocus required></label>
<button>Log in</button></form></body></html>
`;
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
  const headers = {
    "Content-Type": "text/html; charset=UTF-8",
    "Content-Security-Policy": policy,
    "X-Frame-Options": "DENY",
  };
  const answer = withCookie({ html: text, headers }, gate, call, problem === "" ? 200 : 401);
  return fresh.length > 0 ? { ...answer, headers: { ...answer.headers, "Set-Cookie": fresh } } : answer;
}

async function login(gate: Gate, call: Call): Promise<Answer> {
  const form = new URLSearchParams(await call.text(10_000));
  const cookie = parseCookies(call.headers.cookie).get("_xsrf") ?? "";
  if (!sameSecret(form.get("_xsrf") ?? "", cookie))
    throw new HttpError(403, "XSRF cookie does not match POST argument");
  if (!sameSecret(form.get("password") ?? "", gate.token)) return loginForm(gate, call, "Invalid credentials");
  return redirect(safeNext(call.query.get("next")), gate.cookies());
}
