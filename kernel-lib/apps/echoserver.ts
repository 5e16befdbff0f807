/** Owns echoserver 1.4: it answers every request with what it knows of it, the client's address first. */
import type { App } from "./app";
import { header } from "./http";
import { type Exchange, serveHttp } from "./httpserver";

/** Listens on 8080. SIGTERM ends it. */
export const echoserver: App = (program) => {
  serveHttp(program, { port: 8080, owner: "nginx" }, (asked) => ({
    status: 200,
    headers: [
      ["Server", "nginx"],
      ["Content-Type", "text/plain"],
      ["Connection", "keep-alive"],
    ],
    body: describe(asked),
  }));
  program.onSignal("SIGTERM", () => program.exit(0));
  program.onSignal("SIGQUIT", () => program.exit(0));
};

function describe({ request, client }: Exchange): string {
  const host = header(request.headers, "host") ?? "";
  const fields = request.headers.map(([name, value]) => `${name.toLowerCase()}=${value}`).sort();
  return [
    "CLIENT VALUES:",
    `client_address=${client}`,
    `command=${request.method}`,
    `real path=${request.target}`,
    "query=nil",
    `request_version=${request.version.replace("HTTP/", "")}`,
    `request_uri=http://${host.split(":")[0]}:8080${request.target}`,
    "",
    "SERVER VALUES:",
    "server_version=nginx: 1.10.0 - lua: 10001",
    "",
    "HEADERS RECEIVED:",
    ...fields,
    "BODY:",
    request.body === "" ? "-no body in request-" : request.body,
  ].join("\n");
}
