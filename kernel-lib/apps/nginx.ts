/** Owns nginx as its official image runs it: a web server of files, with its log. */
import { rfc3339 } from "../api/time";
import { SocketError } from "../net/socket";
import { millisecond } from "../sim/clock";
import type { App, Program } from "./app";
import { type Headers, type HttpResponse, header, httpDate, logDate } from "./http";
import { type Exchange, serveHttp } from "./httpserver";

const root = "/usr/share/nginx/html";

/** What a browser shows of a new nginx. */
const welcome = `<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
<style>
html { color-scheme: light dark; }
body { width: 35em; margin: 0 auto; font-family: sans-serif; }
</style>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page comes from a web server in a container: it is up, and it answers.
What it serves lies in ${root}; put your own pages there.</p>
</body>
</html>
`;

/** The files of the image that matter here. */
export const nginxFiles: { readonly [path: string]: string } = {
  [`${root}/index.html`]: welcome,
  [`${root}/50x.html`]: errorPage(502, ""),
};

const types: { readonly [extension: string]: string } = {
  html: "text/html",
  css: "text/css",
  txt: "text/plain",
  js: "application/javascript",
  json: "application/json",
  svg: "image/svg+xml",
};

/** How often, and after how long, it tries again to have its port (ngx_open_listening_sockets). */
const bindTries = 5;
const bindPause = 500 * millisecond;

type Say = (level: string, text: string) => void;

/** nginx of a version (`1.29.3`). SIGQUIT ends it once all requests are answered, SIGTERM at once. */
export function nginx(version: string): App {
  return (program) => {
    const say: Say = (level, text) => {
      const at = rfc3339(program.clock.now).slice(0, 19).replace(/-/g, "/").replace("T", " ");
      program.write(`${at} [${level}] 1#1: ${text}\n`, "stderr");
    };
    program.title(["nginx: master process", ...program.argv].join(" "));
    bind(program, say, bindTries, () => serve(program, version, say));
  };
}

/** Goes on once it has port 80; if somebody else in the pod keeps it, nginx says so, waits, and in the end gives up. */
function bind(program: Program, say: Say, tries: number, ready: () => void): void {
  if (!portTaken(program)) {
    ready();
    return;
  }
  // What is an emergency before the workers run goes to the terminal too.
  const emergency = (text: string): void => {
    say("emerg", text);
    program.write(`nginx: [emerg] ${text}\n`, "stderr");
  };
  for (const address of ["0.0.0.0", "[::]"]) emergency(`bind() to ${address}:80 failed (98: Address already in use)`);
  say("notice", "try again to bind() after 500ms");
  const next = program.clock.after(bindPause, () => {
    program.disown(waiting);
    if (tries > 1) bind(program, say, tries - 1, ready);
    else {
      emergency("still could not bind()");
      program.exit(1);
    }
  });
  const waiting = program.own({ close: () => next.cancel() });
}

function portTaken(program: Program): boolean {
  try {
    program.netns.sockets.listenTcp({ port: 80, owner: "nginx" }, () => ({})).close();
    return false;
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    return true;
  }
}

function serve(program: Program, version: string, say: Say): void {
  let requests = 0;
  const server = serveHttp(program, { port: 80, owner: "nginx" }, (asked) => {
    requests++;
    const response = respond(program, version, asked, (text) => say("error", `*${requests} ${text}`));
    program.write(`${accessLine(program, asked, response)}\n`);
    return response;
  });
  for (const text of ['using the "epoll" event method', `nginx/${version}`, "OS: Linux", "start worker processes"]) {
    say("notice", text);
  }
  // `worker_processes auto`: one for each CPU of the node.
  for (let cpu = 0; cpu < 4; cpu++) program.spawn("nginx: worker process");
  program.onSignal("SIGQUIT", () => {
    say("notice", "signal 3 (SIGQUIT) received, shutting down");
    server.drain(() => program.exit(0));
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    program.onSignal(signal, () => {
      say("notice", `signal ${signal === "SIGTERM" ? 15 : 2} (${signal}) received, exiting`);
      program.exit(0);
    });
  }
}

function respond(program: Program, version: string, asked: Exchange, fail: (text: string) => void): HttpResponse {
  const { method, target } = asked.request;
  const base: Headers = [
    ["Server", `nginx/${version}`],
    ["Date", httpDate(program.clock.now)],
  ];
  const refuse = (status: number): HttpResponse => ({
    status,
    headers: [...base, ["Content-Type", "text/html"], ["Connection", "keep-alive"]],
    body: errorPage(status, `nginx/${version}`),
  });
  if (method !== "GET" && method !== "HEAD") return refuse(405);
  const asks = (target.split("?")[0] ?? "/").replace(/\/$/, "/index.html");
  const path = `${root}${asks}`;
  const file = program.files.entry(path);
  if (!file) {
    const line = `request: "${method} ${target} HTTP/1.1", host: "${header(asked.request.headers, "host") ?? ""}"`;
    fail(`open() "${path}" failed (2: No such file or directory), client: ${asked.client}, server: localhost, ${line}`);
    return refuse(404);
  }
  const seconds = Math.floor(file.modified / 1_000_000);
  const type = types[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  const headers: Headers = [
    ...base,
    ["Content-Type", type],
    ["Last-Modified", httpDate(file.modified)],
    ["Connection", "keep-alive"],
    ["ETag", `"${seconds.toString(16)}-${file.text.length.toString(16)}"`],
    ["Accept-Ranges", "bytes"],
  ];
  return { status: 200, headers, body: file.text };
}

/** The image's `main` format: combined, and who the request was forwarded for. */
function accessLine(program: Program, { request, client }: Exchange, response: HttpResponse): string {
  const field = (name: string): string => header(request.headers, name) ?? "-";
  const line = `${request.method} ${request.target} ${request.version}`;
  const size = request.method === "HEAD" ? 0 : response.body.length;
  const at = logDate(program.clock.now);
  return `${client} - - [${at}] "${line}" ${response.status} ${size} "${field("referer")}" "${field("user-agent")}" "${field("x-forwarded-for")}"`;
}

function errorPage(status: number, server: string): string {
  const words: { readonly [status: number]: string } = {
    404: "404 Not Found",
    405: "405 Not Allowed",
    502: "502 Bad Gateway",
  };
  const title = words[status] ?? String(status);
  const parts = [
    "<html>",
    `<head><title>${title}</title></head>`,
    "<body>",
    `<center><h1>${title}</h1></center>`,
    `<hr><center>${server || "nginx"}</center>`,
    "</body>",
    "</html>",
    "",
  ];
  return parts.join("\r\n");
}
