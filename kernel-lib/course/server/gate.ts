/** Owns who may come in: Host, Origin, token, cookie, and that a write comes from our own page. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIPv4 } from "node:net";
import { HttpError, type Visitor } from "./http";
import type { Access } from "./router";

/** Compares in a time that does not tell where two texts begin to differ, nor how long the secret one is. */
export function sameSecret(given: string, secret: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return secret !== "" && timingSafeEqual(digest(given), digest(secret));
}

/**
 * Whether a Host header names this machine. Anything else is somebody's domain that was pointed at 127.0.0.1
 * (DNS rebinding). The port is free, as it is behind an SSH tunnel.
 */
export function isLoopbackHost(host: string | undefined): boolean {
  const parts = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host ?? "");
  const name = parts?.[1] ?? parts?.[2]?.toLowerCase();
  return name === "localhost" || name === "::1" || (name !== undefined && isIPv4(name) && name.startsWith("127."));
}

/** Whether an Origin header is this server's own: exactly the Host that was asked, never a pattern. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && origin.toLowerCase() === `http://${host.toLowerCase()}`;
}

/** Cookies by name. Of two with one name the later counts, as JupyterLab and Jupyter Server have it. */
export function parseCookies(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  for (const part of (header ?? "").split(";")) {
    const [name, ...value] = part.split("=");
    if (name !== undefined && value.length > 0) cookies.set(name.trim(), value.join("=").trim());
  }
  return cookies;
}

/**
 * A place on this server to go on to after the log-in; anything that a browser could read as another host is `/lab`.
 */
export function safeNext(next: string | null): string {
  if (next === null || !/^\/(?![/\\])[^\\\p{Cc}]*$/u.test(next)) return "/lab";
  const base = "http://127.0.0.1";
  try {
    const url = new URL(next, base);
    if (url.origin !== base || url.pathname.startsWith("//")) return "/lab";
    return url.pathname + url.search + url.hash;
  } catch {
    return "/lab";
  }
}

export class Gate {
  private readonly session = randomBytes(32).toString("hex");

  /** @param port of this server: the cookies of two servers on one machine share a host, so their names differ */
  constructor(
    readonly token: string,
    private readonly port: () => number,
  ) {}

  private get cookieName(): string {
    return `kubebook-${this.port()}`;
  }

  /** Who asks. A wrong token is nobody, even with a good cookie. */
  visitor(headers: IncomingHttpHeaders, query: URLSearchParams): Visitor {
    const given = query.get("token") ?? /^(?:token|bearer)\s+(\S+)$/i.exec(headers.authorization ?? "")?.[1];
    if (given !== undefined) return sameSecret(given, this.token) ? "token" : "nobody";
    const cookie = parseCookies(headers.cookie).get(this.cookieName);
    return cookie !== undefined && sameSecret(cookie, this.session) ? "cookie" : "nobody";
  }

  /** The cookies that a browser gets with its first good token. */
  cookies(): string[] {
    return [`${this.cookieName}=${this.session}; Path=/; HttpOnly; SameSite=Strict`];
  }

  /** The cookie that scripts of our page read and send back as a header: none but our page can. */
  forgeryCookie(headers: IncomingHttpHeaders): string[] {
    const old = parseCookies(headers.cookie).get("_xsrf");
    return old !== undefined && old !== "" ? [] : [`_xsrf=${randomBytes(16).toString("hex")}; Path=/; SameSite=Strict`];
  }

  /** @throws HttpError 403 for a Host that is not this machine, 404 for a page of another origin (as Jupyter says it) */
  checkOrigin(headers: IncomingHttpHeaders): void {
    if (!isLoopbackHost(headers.host)) throw new HttpError(403, "Forbidden");
    if (headers.origin !== undefined && !isOwnOrigin(headers.origin, headers.host))
      throw new HttpError(404, "Not Found");
  }

  /**
   * Whether a request that is let in by its cookie alone was really made by our page: browsers send cookies with
   * requests that other pages cause, and another port of this machine is the same site to them.
   * @throws HttpError 403
   */
  checkForgery(method: string, headers: IncomingHttpHeaders, query: URLSearchParams, access: Access): void {
    const cookie = parseCookies(headers.cookie).get("_xsrf") ?? "";
    const header = headers["x-xsrftoken"];
    const given = typeof header === "string" ? header : undefined;
    if (method !== "GET" && method !== "HEAD") {
      if (given === undefined) throw new HttpError(403, `'_xsrf' argument missing from ${method}`);
      if (!sameSecret(given, cookie)) throw new HttpError(403, `XSRF cookie does not match ${method} argument`);
      return;
    }
    if (access !== "api" && access !== "data") return;
    const site = headers["sec-fetch-site"];
    if (site === "same-origin" || site === "none") return;
    if (site === undefined && sameSecret(given ?? query.get("_xsrf") ?? "", cookie)) return;
    const from = headers.referer;
    if (site === undefined && from !== undefined && from.startsWith(`http://${headers.host}/`)) return;
    throw new HttpError(
      403,
      site === undefined ? "Blocking request from unknown origin" : "Blocking Cross Origin request",
    );
  }

  /** Whether a WebSocket may open. Browsers always say where one comes from. @throws HttpError 403, 404 */
  checkSocket(headers: IncomingHttpHeaders, query: URLSearchParams): void {
    this.checkOrigin(headers);
    const visitor = this.visitor(headers, query);
    if (visitor === "nobody" || (visitor === "cookie" && headers.origin === undefined)) {
      throw new HttpError(403, "Forbidden");
    }
  }
}
