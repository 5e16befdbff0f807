/** Owns what curl makes of an answer: the meter, what `-w` asks for, and where it is sent next. */
import type { HttpResponse } from "../../apps/http";
import { second } from "../../sim/clock";
import type { Outcome, Url } from "./http";

/** Whether a URL need not name its port. */
export function isDefaultPort({ scheme, port }: Url): boolean {
  return port === (scheme === "https" ? 443 : 80);
}

/** The meter, as it stands when all has come. */
export function progress(response: HttpResponse): string {
  const size = String(new TextEncoder().encode(response.body).length).padStart(5);
  return `  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed
100 ${size}  100 ${size}    0     0   ${size.trim().padStart(4)}      0 --:--:-- --:--:-- --:--:--  ${size.trim().padStart(4)}
`;
}

/** The text of `-w`; `outcome` undefined: there was no answer. */
export function writeOut(
  format: string,
  url: Url,
  outcome: Extract<Outcome, { result: "response" }> | undefined,
): string {
  const seconds = ((outcome?.took ?? 0) / second).toFixed(6);
  const header = outcome?.response.headers.find(([name]) => name.toLowerCase() === "content-type")?.[1] ?? "";
  const values: Readonly<Record<string, string>> = {
    http_code: String(outcome?.response.status ?? 0).padStart(3, "0"),
    response_code: String(outcome?.response.status ?? 0).padStart(3, "0"),
    time_total: seconds,
    time_connect: seconds,
    remote_ip: outcome?.ip ?? "",
    remote_port: String(url.port),
    local_port: outcome?.local ?? "0",
    size_download: String(outcome ? new TextEncoder().encode(outcome.response.body).length : 0),
    content_type: header,
    url_effective: `${url.scheme}://${url.host}${isDefaultPort(url) ? "" : `:${url.port}`}${url.path}`,
    exitcode: outcome ? "0" : "7",
  };
  return format
    .replace(/%\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
    .replaceAll("\\n", "\n")
    .replaceAll("\\t", "\t")
    .replaceAll("%%", "%");
}

/** Where an answer sends its client; undefined if nowhere. */
export function redirection({ status, headers }: HttpResponse, url: Url): string | undefined {
  const to = headers.find(([name]) => name.toLowerCase() === "location")?.[1];
  if (to === undefined || to === "" || ![301, 302, 303, 307, 308].includes(status)) return undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(to)) return to;
  const port = isDefaultPort(url) ? "" : `:${url.port}`;
  const host = url.host.includes(":") ? `[${url.host}]` : url.host;
  const path = to.startsWith("/") ? to : `${url.path.slice(0, url.path.lastIndexOf("/") + 1)}${to}`;
  return `${url.scheme}://${host}${port}${path}`;
}
