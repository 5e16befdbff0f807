/** Owns what volumes of ConfigMaps, Secrets and the pod's own fields show: paths, texts and permissions. */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { accountToken } from "./accounttoken";
import { dataOf } from "./data";

type Pod = Kinds["Pod"];
type Volume = NonNullable<Pod["spec"]["volumes"]>[number];
type Projection = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];
type Downward = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>;

/** Path in the volume → what is there. */
export type Payload = ReadonlyMap<string, { readonly text: string; readonly mode: number }>;

/** A volume cannot be mounted: a FailedMount event with this message, and another try. */
export class MountError extends Error {}

/** An object that a volume shows something of. */
export interface Shown {
  readonly kind: "ConfigMap" | "Secret";
  readonly name: string;
  readonly optional?: boolean | undefined;
  readonly items?: readonly { readonly key: string; readonly path: string; readonly mode?: number }[] | undefined;
}

const usualMode = 0o644;

/** The account's token with what belongs to it, which every pod has: nothing waits for it, and nothing follows it. */
export function isTokenVolume({ projected }: Volume): boolean {
  return projected?.sources?.some(({ serviceAccountToken }) => serviceAccountToken) ?? false;
}

/** The ConfigMaps and Secrets of a volume. */
export function shownBy(volume: Volume): readonly Shown[] {
  const { configMap, secret, projected } = volume;
  if (isTokenVolume(volume)) return [];
  const { optional, items } = secret ?? {};
  return [
    ...(configMap?.name ? [{ ...configMap, kind: "ConfigMap", name: configMap.name } as const] : []),
    ...(secret?.secretName ? [{ kind: "Secret", name: secret.secretName, optional, items } as const] : []),
    ...(projected?.sources ?? []).flatMap((source): readonly Shown[] => projectedBy(source)),
  ];
}

function projectedBy({ configMap, secret }: Projection): readonly Shown[] {
  return [
    ...(configMap?.name ? [{ ...configMap, kind: "ConfigMap", name: configMap.name } as const] : []),
    ...(secret?.name ? [{ ...secret, kind: "Secret", name: secret.name } as const] : []),
  ];
}

/** What a volume shows now; undefined for kinds that are no copies. @throws MountError */
export function payloadOf(volume: Volume, pod: Pod, store: Store): Payload | undefined {
  const { configMap, secret, downwardAPI, projected } = volume;
  const source = configMap ?? secret ?? downwardAPI ?? projected;
  if (!source) return undefined;
  if (isTokenVolume(volume)) return tokenFiles(pod, store)();
  const mode = source.defaultMode ?? usualMode;
  const payload = new Map<string, { text: string; mode: number }>();
  for (const shown of shownBy(volume)) {
    for (const [path, file] of objectFiles(shown, volume, mode, pod, store)) payload.set(path, file);
  }
  const fields = [downwardAPI, ...(projected?.sources ?? []).map(({ downwardAPI }) => downwardAPI)];
  for (const { path, fieldRef, mode: own } of fields.flatMap((one): Downward => one?.items ?? [])) {
    payload.set(path, { text: fieldText(pod, fieldRef?.fieldPath ?? ""), mode: own ?? mode });
  }
  return payload;
}

/**
 * What programs read to speak with the API server: whom to trust, who they are, and where they belong; as it is now, but not
 * written before it is asked for.
 */
export function tokenFiles(pod: Pod, store: Store): () => Payload {
  const { namespace = "default" } = pod.metadata;
  const authority = dataOf(store, "ConfigMap", namespace, "kube-root-ca.crt")?.["ca.crt"];
  const file = (text: string) => ({ text, mode: usualMode });
  return () =>
    new Map([
      ...(authority === undefined ? [] : [["ca.crt", file(authority)] as const]),
      ["namespace", file(namespace)],
      ["token", file(accountToken(pod))],
    ]);
}

function objectFiles(
  { kind, name, items, optional }: Shown,
  volume: Volume,
  mode: number,
  pod: Pod,
  store: Store,
): readonly (readonly [string, { readonly text: string; readonly mode: number }])[] {
  const failed = (why: string): MountError =>
    new MountError(`MountVolume.SetUp failed for volume "${volume.name}" : ${why}`);
  const data = dataOf(store, kind, pod.metadata.namespace ?? "default", name);
  if (!data) {
    if (optional) return [];
    throw failed(`${kind.toLowerCase()} "${name}" not found`);
  }
  if (!items) return Object.entries(data).map(([path, text]) => [path, { text, mode }]);
  return items.flatMap(({ key, path, mode: own }) => {
    const text = Object.hasOwn(data, key) ? data[key] : undefined;
    if (text === undefined && !optional) throw failed(`references non-existent ${kind.toLowerCase()} key: ${key}`);
    return text === undefined ? [] : [[path, { text, mode: own ?? mode }] as const];
  });
}

/** A field of the pod as its file has it: maps as `key="value"`, a line each, sorted (pkg/fieldpath FormatMap). */
function fieldText({ metadata }: Pod, path: string): string {
  const [, map, key] = /^metadata\.(labels|annotations)(?:\['(.*)'\])?$/.exec(path) ?? [];
  if (map === "labels" || map === "annotations") {
    const pairs = metadata[map] ?? {};
    if (key !== undefined) return pairs[key] ?? "";
    const names = Object.keys(pairs).sort();
    return names.map((name) => `${name}=${JSON.stringify(pairs[name])}`).join("\n");
  }
  const fields: { readonly [path: string]: string | undefined } = {
    "metadata.name": metadata.name,
    "metadata.namespace": metadata.namespace,
    "metadata.uid": metadata.uid,
  };
  return fields[path] ?? "";
}
