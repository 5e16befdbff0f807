/** Owns wget: BusyBox' in its images, GNU's elsewhere. */
import { second } from "../../sim/clock";
import { resolvePath } from "../shell/filesystem";
import { type Call, Failed, type Tool } from "../shell/tool";
import { exchange, type Outcome, parseUrl, type Url } from "./http";

export const wget: Tool = async (call) => {
  const args = [...call.args];
  let quiet = false;
  let output: string | undefined;
  let timeout: number | undefined;
  const urls: string[] = [];
  for (let arg = args.shift(); arg !== undefined; arg = args.shift()) {
    const long = /^--(timeout|output-document)=(.*)$/.exec(arg);
    if (long?.[1] === "timeout") timeout = Number(long[2]) * second;
    else if (long) output = long[2];
    else if (/^-[a-zA-Z]/.test(arg)) {
      for (let at = 1; at < arg.length; at++) {
        const letter = arg[at];
        if (letter === "q") quiet = true;
        else if (letter === "O" || letter === "T" || letter === "t" || letter === "P") {
          const value = at + 1 < arg.length ? arg.slice(at + 1) : (args.shift() ?? "");
          if (letter === "O") output = value;
          if (letter === "T") timeout = Number(value) * second;
          break;
        }
      }
    } else if (!arg.startsWith("--")) urls.push(arg);
    else if (arg === "--quiet") quiet = true;
  }
  const [text] = urls;
  if (text === undefined) throw new Failed("wget: missing URL\nUsage: wget [OPTION]... [URL]...");
  const url = parseUrl(text);
  if (!url || url.host === "") throw new Failed(`wget: bad address '${text}'`);
  if (url.scheme !== "http" && url.scheme !== "https") throw new Failed(`wget: not an http or ftp url: ${text}`);
  const secure = url.scheme === "https";
  // BusyBox's has TLS, but looks at no certificate, and says so.
  if (secure && !quiet) call.err("wget: note: TLS certificate validation not implemented\n");
  const outcome = await exchange(call, {
    url,
    method: "GET",
    headers: [
      ["Host", url.port === (secure ? 443 : 80) ? url.host : `${url.host}:${url.port}`],
      ["User-Agent", "Wget"],
      ["Connection", "close"],
    ],
    body: "",
    connectTimeout: undefined,
    timeout: timeout ?? 900 * second,
    ...(secure && { tls: { host: url.host, protocols: [], check: () => undefined, secured: () => true } }),
  });
  if (outcome.result === "stopped") return 130;
  const name = output ?? (/([^/?]+)(\?.*)?$/.exec(url.path)?.[1] || "index.html");
  if (!quiet && "ip" in outcome && outcome.ip !== undefined)
    call.err(`Connecting to ${url.host} (${outcome.ip}:${url.port})\n`);
  const problem = problemOf(outcome, url);
  if (problem) throw new Failed(`wget: ${problem}`);
  if (outcome.result !== "response") return 1;
  return save(call, name, outcome.response.body, quiet);
};

function save(call: Call, name: string, body: string, quiet: boolean): number {
  if (name === "-") call.out(body);
  else if (name !== "/dev/null") call.place.files.write(resolvePath(call.folder, name), body);
  const size = String(new TextEncoder().encode(body).length).padStart(5);
  if (!quiet) {
    const what = name === "-" ? "writing to stdout" : `saving to '${name}'`;
    call.err(
      `${what}\n${(name === "-" ? "-" : name).padEnd(20)} 100% |********************************| ${size}  0:00:00 ETA\n`,
    );
    call.err(name === "-" ? "written to stdout\n" : `'${name}' saved\n`);
  }
  return 0;
}

function problemOf(outcome: Outcome, url: Url): string | undefined {
  switch (outcome.result) {
    case "response": {
      const { status, reason } = outcome.response;
      return status >= 400 ? `server returned error: HTTP/1.1 ${status} ${reason ?? ""}`.trimEnd() : undefined;
    }
    case "tls":
      if (outcome.why.failure === "alert") return `TLS error from peer (alert code ${outcome.why.alert})`;
      return outcome.why.failure === "closed" ? "connection closed prematurely" : "error getting response";
    case "no-host":
      return `bad address '${url.host}'`;
    case "timeout":
      return "download timed out";
    case "failed": {
      const words = {
        ECONNREFUSED: "Connection refused",
        EHOSTUNREACH: "No route to host",
        ENETUNREACH: "Network is unreachable",
      } as const;
      const why = words[outcome.failure.errno as keyof typeof words] ?? "Operation timed out";
      return outcome.connected
        ? "error getting response: Connection reset by peer"
        : `can't connect to remote host (${outcome.ip}): ${why}`;
    }
    default:
      return "error getting response";
  }
}
