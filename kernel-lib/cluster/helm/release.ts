/** Owns releases as they are kept: one Secret for each revision, of type helm.sh/release.v1. */
import type { Kinds } from "../../api/kinds";
import type { Api } from "../../api/rest";
import { rfc3339Micro } from "../../api/time";
import type { Time } from "../../sim/clock";
import { second } from "../../sim/clock";
import type { GoMap } from "../gotemplate/values";
import type { Chart } from "./chart";
import { gunzip, gzip } from "./gzip";

export type Status =
  | "deployed"
  | "failed"
  | "superseded"
  | "uninstalled"
  | "uninstalling"
  | "pending-install"
  | "pending-upgrade"
  | "pending-rollback";

/** A release, in the fields of Helm's JSON. */
export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly version: number;
  readonly info: {
    readonly first_deployed: string;
    readonly last_deployed: string;
    readonly deleted: string;
    readonly description: string;
    readonly status: Status;
    readonly notes?: string;
  };
  readonly chart: {
    readonly metadata: Chart["metadata"];
    readonly values: GoMap;
    readonly templates: readonly { readonly name: string; readonly data: string }[];
  };
  readonly config: GoMap;
  readonly manifest: string;
  readonly hooks: readonly Hook[];
  readonly apply_method: "ssa";
}

/** A manifest that Helm runs beside the release (`helm.sh/hook`). */
export interface Hook {
  readonly name: string;
  readonly kind: string;
  readonly path: string;
  readonly manifest: string;
  readonly events: readonly string[];
}

const type = "helm.sh/release.v1";

function base64(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) text += String.fromCharCode(octet);
  return btoa(text);
}

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Text of any characters in base64. */
export function encoded(text: string): string {
  return base64(new TextEncoder().encode(text));
}

/** JSON, gzip, base64: and base64 once more, as all data of a Secret. */
function dataOf(release: Release): string {
  const octets = gzip(new TextEncoder().encode(JSON.stringify(release)));
  return encoded(base64(octets));
}

function releaseOf(secret: Kinds["Secret"]): Release | undefined {
  try {
    const inner = octetsOf(atob(secret.data?.release ?? ""));
    return JSON.parse(new TextDecoder().decode(gunzip(inner) ?? inner)) as Release;
  } catch {
    return undefined;
  }
}

function secretName({ name, version }: Release): string {
  return `sh.helm.release.v1.${name}.v${version}`;
}

/** Writes a revision: a new Secret, or what its Secret holds now. */
export function storeRelease(api: Api, release: Release, now: Time): void {
  const labels = { name: release.name, owner: "helm", status: release.info.status, version: String(release.version) };
  const metadata = { name: secretName(release), namespace: release.namespace };
  const object = { apiVersion: "v1", kind: "Secret", type, data: { release: dataOf(release) } };
  const options = { namespace: release.namespace, by: "helm" };
  const old = api.store.get("Secret", `${metadata.namespace}/${metadata.name}`);
  const stamp = String(Math.floor(now / second));
  if (old) {
    const changed = {
      ...object,
      metadata: {
        ...metadata,
        labels: { ...labels, createdAt: old.metadata.labels?.createdAt ?? stamp, modifiedAt: stamp },
      },
    };
    api.update("Secret", changed, options);
  } else
    api.create(
      "Secret",
      { ...object, metadata: { ...metadata, labels: { ...labels, createdAt: stamp, modifiedAt: stamp } } },
      options,
    );
}

/** Forgets a revision. */
export function forgetRelease(api: Api, release: Release): void {
  if (api.store.get("Secret", `${release.namespace}/${secretName(release)}`)) {
    api.delete("Secret", release.namespace, secretName(release), { by: "helm" });
  }
}

/** All revisions of all releases of a namespace (undefined: of all), by name and revision. */
export function releasesIn(api: Api, namespace: string | undefined, name?: string): readonly Release[] {
  const labelSelector = name === undefined ? "owner=helm" : `owner=helm,name=${name}`;
  const secrets = api.list("Secret", { ...(namespace !== undefined && { namespace }), labelSelector });
  const found = secrets.filter((secret) => secret.type === type).flatMap((secret) => releaseOf(secret) ?? []);
  return found.sort((one, other) =>
    one.name !== other.name
      ? one.name < other.name
        ? -1
        : 1
      : one.namespace !== other.namespace
        ? one.namespace < other.namespace
          ? -1
          : 1
        : one.version - other.version,
  );
}

/** A moment as Go's time.Time is in JSON: without the zeros at the end of its fraction. */
export function goTime(time: Time): string {
  return rfc3339Micro(time).replace(/\.?0+Z$/, "Z");
}
