/** Owns what a request and an answer are to a handler, and how an answer is written to Node's http. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

export type JsonObject = Readonly<Record<string, unknown>>;

/** A refusal: the status and the words the client reads. Never holds a path of this machine. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reason: string | null = null,
  ) {
    super(message);
    this.name = "HttpError";
  }
}

/** One request, as a handler sees it. */
export interface Call {
  readonly method: string;
  /** The path as it came, still percent-encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The parts of the path that the route's pattern names, decoded once. */
  readonly params: Readonly<Record<string, string>>;
  /** Who asks: by token, by cookie, or nobody we know (only open routes see that). */
  readonly visitor: Visitor;
  /** The body as text. @throws HttpError 413 above `limit` bytes (1 MB unless told), 400 where it is not UTF-8 */
  text(limit?: number): Promise<string>;
  /** The body as a JSON object, `null` when it is empty. @throws HttpError 400 where it is no JSON object, 413 */
  json(limit?: number): Promise<JsonObject | null>;
}

export type Visitor = "token" | "cookie" | "nobody";

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array | Readable;
}

export const megabyte = 1024 * 1024;

/** An answer in JSON. */
export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(value) };
}

/** An answer without a body. */
export function empty(status = 204, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers };
}

/** Sends the browser somewhere on this server. `to` must be a path that is known to be ours. */
export function redirect(to: string, cookies: readonly string[] = []): Answer {
  return { status: 302, headers: { Location: to, ...(cookies.length > 0 ? { "Set-Cookie": cookies } : {}) } };
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a request's body. What comes beyond `limit` bytes is let through to nowhere, so that the client can hear of it. */
export async function readBody(request: IncomingMessage, limit: number): Promise<string> {
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const tooLarge = new HttpError(413, `The request's body is larger than ${limit} bytes`);
    const chunks: Buffer[] = [];
    let size = 0;
    if (Number(request.headers["content-length"] ?? 0) > limit) reject(tooLarge);
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else reject(tooLarge);
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("close", () => reject(new HttpError(400, "The request ended in the middle of its body")));
  });
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError(400, "The request's body is not UTF-8");
  }
}

/** A body as a JSON object; `null` where there is none. */
export function parseBody(text: string): JsonObject | null {
  if (text.trim() === "") return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new HttpError(400, "Invalid JSON in body of request");
  }
  if (value === null) return null;
  if (!isObject(value)) throw new HttpError(400, "The body of the request is not a JSON object");
  return value;
}

/**
 * What every answer carries unless it says otherwise: nothing is guessed, framed by others or included by others
 * (Fetch, "Cross-Origin-Resource-Policy"; CSP level 3).
 */
const defaultHeaders = {
  "X-Content-Type-Options": "nosniff",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "same-origin",
  "Content-Security-Policy": "frame-ancestors 'self'; default-src 'none'",
  "Cache-Control": "no-store",
} as const;

/** Writes an answer. A HEAD request gets the headers alone. */
export async function send(answer: Answer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries({ ...defaultHeaders, ...answer.headers })) {
    response.setHeader(name, value);
  }
  // What was not read of the body would be taken for the next request.
  if (!request.complete && answer.status >= 400) response.setHeader("Connection", "close");
  const { body } = answer;
  const streamed = body !== undefined && typeof body !== "string" && !(body instanceof Uint8Array);
  if (!streamed) {
    const bytes = typeof body === "string" ? Buffer.from(body) : (body ?? new Uint8Array(0));
    if (answer.status !== 204 && answer.status !== 304) response.setHeader("Content-Length", bytes.length);
    response.end(request.method === "HEAD" ? undefined : bytes);
  } else if (request.method === "HEAD") {
    body.destroy();
    response.end();
  } else {
    await pipeline(body, response);
  }
}

/** The answer for what a handler threw. What is not a refusal of ours is told to the log alone. */
export function errorAnswer(error: unknown): Answer {
  const refusal = error instanceof HttpError ? error : new HttpError(500, "Unhandled error");
  return json({ message: refusal.message, reason: refusal.reason }, refusal.status);
}
