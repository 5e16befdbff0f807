/** Owns image references: reading `nginx`, and writing `docker.io/library/nginx:latest`. */

/** An image reference in full, as a container runtime knows it. */
export interface Reference {
  /** `docker.io`, `registry.k8s.io`. */
  readonly domain: string;
  /** `library/nginx`. */
  readonly path: string;
  /** `latest` unless given; undefined beside a digest. */
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

/** Why a text is no reference, in the words of the reference library that the kubelet uses. */
export interface BadReference {
  readonly problem: string;
}

const pathPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const domainPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/;

/** Reads a reference as Docker does (distribution/reference, ParseNormalizedNamed and TagNameOnly). */
export function parseReference(text: string): Reference | BadReference {
  const bad: BadReference = { problem: "invalid reference format" };
  const [named = "", digest, ...more] = text.split("@");
  if (more.length > 0 || (digest !== undefined && !digestPattern.test(digest))) return bad;
  const colon = named.lastIndexOf(":");
  const tagged = colon > named.lastIndexOf("/");
  const name = tagged ? named.slice(0, colon) : named;
  const tag = tagged ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !tagPattern.test(tag)) return bad;

  const { domain, path } = splitDomain(name);
  if (path !== path.toLowerCase() && pathPattern.test(path.toLowerCase()))
    return { problem: `invalid reference format: repository name (${path}) must be lowercase` };
  if (!pathPattern.test(path) || !domainPattern.test(domain)) return bad;
  return { domain, path, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

/** The first part is a registry if it looks like a host; else the image is Docker Hub's, and its own if it has one name. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (slash < 0 || !isHost) return { domain: "docker.io", path: slash < 0 ? `library/${name}` : name };
  const domain = first === "index.docker.io" ? "docker.io" : first;
  const rest = name.slice(slash + 1);
  return { domain, path: domain === "docker.io" && !rest.includes("/") ? `library/${rest}` : rest };
}

/** `docker.io/library/nginx:latest`. */
export function formatReference({ domain, path, tag, digest }: Reference): string {
  return `${repositoryOf({ domain, path })}${tag === undefined ? "" : `:${tag}`}${digest ? `@${digest}` : ""}`;
}

/** `docker.io/library/nginx`. */
export function repositoryOf({ domain, path }: Pick<Reference, "domain" | "path">): string {
  return `${domain}/${path}`;
}
