/** Owns the little of URLs that probes and hooks need: where a request goes, and where a redirect leads (RFC 3986, Go's net/url). */
import { hostPort } from "./dial";

export interface ProbeUrl {
  readonly scheme: "http" | "https";
  readonly host: string;
  readonly port: number;
  /** With its query, beginning with a slash. */
  readonly path: string;
  /** `host:port` as it was written: a redirect may have left the port out. */
  readonly authority: string;
}

/** The URL of a probe. A path without its slash gets one, as Go writes it; what follows `#` is not sent. */
export function probeUrl(scheme: string, host: string, port: number, path: string): ProbeUrl {
  const asked = path.replace(/#.*$/, "");
  return {
    scheme: scheme.toLowerCase() === "https" ? "https" : "http",
    host,
    port,
    path: asked.startsWith("/") || asked === "" ? asked : `/${asked}`,
    authority: hostPort({ host, port }),
  };
}

export function urlText({ scheme, authority, path }: ProbeUrl): string {
  return `${scheme}://${authority}${path}`;
}

/** Where a `Location` leads from here; undefined: that is no address of the web. */
export function redirected(from: ProbeUrl, location: string): ProbeUrl | undefined {
  const absolute = /^(?:(https?):)?\/\/(\[[^\]]+\]|[^:/?#]+)(?::(\d+))?([/?][^#]*)?(?:#.*)?$/i.exec(location);
  if (absolute) {
    const [, given = from.scheme, name = "", port, path = ""] = absolute;
    const scheme = given.toLowerCase() === "https" ? "https" : "http";
    const host = name.replace(/^\[|\]$/g, "");
    const number = port === undefined ? (scheme === "https" ? 443 : 80) : Number(port);
    return { scheme, host, port: number, path, authority: port === undefined ? name : `${name}:${port}` };
  }
  if (/^[a-z][a-z0-9+.-]*:/i.test(location)) return undefined;
  const path = location.replace(/#.*$/, "");
  if (path.startsWith("/")) return { ...from, path };
  const here = from.path.replace(/\?.*$/, "");
  if (path.startsWith("?")) return { ...from, path: `${here}${path}` };
  return { ...from, path: withoutDots(`${here.slice(0, here.lastIndexOf("/") + 1) || "/"}${path}`) };
}

/** RFC 3986, section 5.2.4. */
function withoutDots(path: string): string {
  const [before = "", ...query] = path.split("?");
  const kept: string[] = [];
  for (const part of before.split("/")) {
    if (part === "..") kept.pop();
    else if (part !== ".") kept.push(part);
  }
  return [kept.join("/") || "/", ...query].join("?");
}
