/**
 * Owns patches: JSON merge patch (RFC 7386) and Kubernetes' strategic merge patch, which merges lists by their keys.
 */
import { same } from "./equal";
import { badRequest } from "./errors";

type Json = { readonly [name: string]: unknown };

/**
 * By which field the items of a list are told apart, by the list's path from the root (patchMergeKey in the Go types).
 */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  env: "name",
  "containers.ports": "containerPort",
  "initContainers.ports": "containerPort",
  "spec.ports": "port",
  imagePullSecrets: "name",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
  ownerReferences: "uid",
  conditions: "type",
  "status.addresses": "type",
  secrets: "name",
};
/** Lists of plain values that are merged as sets. */
const mergedSets = ["finalizers", "podCIDRs"];

/** The field that tells a list's items apart; undefined: the list is replaced as a whole. */
export function mergeKeyOf(way: readonly string[]): string | undefined {
  const name = way[way.length - 1] ?? "";
  return mergeKeys[`${way[way.length - 2]}.${name}`] ?? mergeKeys[name];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** RFC 7386: null removes, objects merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (name === "__proto__") continue;
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

/**
 * The strategic merge of a patch into an object (k8s.io/apimachinery pkg/util/strategicpatch), with its directives
 * `$patch: delete|replace|merge`, `$deleteFromPrimitiveList/…`, `$retainKeys`; `$setElementOrder/…` orders lists.
 * @throws StatusError BadRequest: a list item without its merge key
 */
export function strategicMerge(target: unknown, patch: unknown, way: readonly string[] = []): unknown {
  if (!isObject(patch)) return patch;
  if (patch.$patch === "replace") {
    const { $patch: _directive, ...rest } = patch;
    return rest;
  }
  if (patch.$patch === "delete") return {};
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  const retained = patch.$retainKeys;
  if (Array.isArray(retained))
    for (const name of Object.keys(result)) if (!retained.includes(name)) delete result[name];
  for (const [name, value] of Object.entries(patch)) {
    if (name === "__proto__" || name === "$retainKeys" || name.startsWith("$setElementOrder/")) continue;
    if (name.startsWith("$deleteFromPrimitiveList/")) {
      const list = name.slice(name.indexOf("/") + 1);
      const gone = Array.isArray(value) ? value : [];
      const old = result[list];
      if (Array.isArray(old)) result[list] = old.filter((item) => !gone.includes(item));
    } else if (value === null) delete result[name];
    else if (Array.isArray(value)) result[name] = mergeList(result[name], value, [...way, name]);
    else result[name] = strategicMerge(result[name], value, [...way, name]);
  }
  for (const [name, order] of Object.entries(patch)) {
    if (name.startsWith("$setElementOrder/")) sortList(result, name.slice(name.indexOf("/") + 1), order, way);
  }
  return result;
}

function mergeList(old: unknown, patch: readonly unknown[], way: readonly string[]): unknown {
  const before = Array.isArray(old) ? old : [];
  if (mergedSets.includes(way[way.length - 1] ?? "")) {
    return [...before, ...patch.filter((item) => !before.includes(item))];
  }
  const key = mergeKeyOf(way);
  if (key === undefined) return patch;
  if (patch.some((item) => isObject(item) && item.$patch === "replace")) {
    return patch.filter((item) => isObject(item) && item.$patch === undefined);
  }
  const result: unknown[] = [...before];
  for (const item of patch) {
    if (!isObject(item) || item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const at = result.findIndex((known) => isObject(known) && known[key] === item[key]);
    if (item.$patch === "delete") {
      if (at >= 0) result.splice(at, 1);
    } else if (at >= 0) result[at] = strategicMerge(result[at], item, way);
    else result.push(strategicMerge({}, item, way));
  }
  return result;
}

/** Items that the order names come in that order; others keep their place behind what they followed. */
function sortList(result: Record<string, unknown>, name: string, order: unknown, way: readonly string[]): void {
  const list = result[name];
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const key = mergeKeyOf([...way, name]);
  const nameOf = (item: unknown): unknown => (key !== undefined && isObject(item) ? item[key] : item);
  const named = order.map(nameOf);
  const rank = new Map<unknown, number>();
  let last = -1;
  for (const item of list) {
    const at = named.indexOf(nameOf(item));
    if (at >= 0) last = at;
    rank.set(item, at >= 0 ? at : last + 0.5);
  }
  result[name] = [...list].sort((a, b) => (rank.get(a) ?? 0) - (rank.get(b) ?? 0));
}

/**
 * The strategic patch that `kubectl apply` sends: what `modified` adds or changes in `current`, and what `original`
 * (the last applied) had and `modified` no longer has (CreateThreeWayMergePatch).
 */
export function threeWayPatch(original: unknown, modified: unknown, current: unknown): Json {
  return difference(
    isObject(original) ? original : {},
    isObject(modified) ? modified : {},
    isObject(current) ? current : {},
    [],
  );
}

function difference(original: Json, modified: Json, current: Json, way: readonly string[]): Json {
  const patch: Record<string, unknown> = {};
  for (const name of Object.keys(original)) {
    if (modified[name] === undefined && current[name] !== undefined) patch[name] = null;
  }
  for (const [name, wanted] of Object.entries(modified)) {
    const now = current[name];
    if (wanted === undefined || wanted === null || same(wanted, now)) continue;
    if (isObject(wanted) && isObject(now)) {
      const old = original[name];
      const inner = difference(isObject(old) ? old : {}, wanted, now, [...way, name]);
      if (Object.keys(inner).length > 0) patch[name] = inner;
    } else if (Array.isArray(wanted) && mergeKeyOf([...way, name]) !== undefined) {
      const inner = listDifference(original[name], wanted, now, [...way, name]);
      if (inner.length > 0) {
        const key = mergeKeyOf([...way, name]) as string;
        patch[`$setElementOrder/${name}`] = wanted.map((item) => ({ [key]: (item as Json)[key] }));
        patch[name] = inner;
      }
    } else patch[name] = wanted;
  }
  return patch;
}

function listDifference(
  original: unknown,
  modified: readonly unknown[],
  current: unknown,
  way: readonly string[],
): Json[] {
  const key = mergeKeyOf(way) as string;
  const items = (list: unknown): Json[] => (Array.isArray(list) ? list.filter(isObject) : []);
  const find = (list: unknown, id: unknown): Json | undefined => items(list).find((item) => item[key] === id);
  const patch: Json[] = [];
  for (const wanted of items(modified)) {
    const now = find(current, wanted[key]);
    if (!now) patch.push(wanted);
    else {
      const inner = difference(find(original, wanted[key]) ?? {}, wanted, now, way);
      if (Object.keys(inner).length > 0) patch.push({ ...inner, [key]: wanted[key] });
    }
  }
  for (const old of items(original)) {
    if (!find(modified, old[key]) && find(current, old[key])) patch.push({ $patch: "delete", [key]: old[key] });
  }
  return patch;
}
