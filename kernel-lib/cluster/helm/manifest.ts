/** Owns rendered manifests: taken apart, put in the order in which Helm installs kinds, and read as objects. */

import type { Resource } from "../../api/kinds";
import { type Manifest, ManifestError, parseManifests, resourceFor } from "../../api/manifest";
import { Failed } from "../shell/tool";
import type { Hook } from "./release";

/** One document of a template. */
export interface Piece {
  /** `chart/templates/service.yaml`. */
  readonly path: string;
  readonly text: string;
  readonly kind: string;
  readonly name: string;
}

/** pkg/release/v1/util: InstallOrder. What is not in it comes last. */
const installOrder =
  "PriorityClass Namespace NetworkPolicy ResourceQuota LimitRange PodSecurityPolicy PodDisruptionBudget ServiceAccount Secret SecretList ConfigMap StorageClass PersistentVolume PersistentVolumeClaim CustomResourceDefinition ClusterRole ClusterRoleList ClusterRoleBinding ClusterRoleBindingList Role RoleList RoleBinding RoleBindingList Service DaemonSet Pod ReplicationController ReplicaSet Deployment HorizontalPodAutoscaler StatefulSet Job CronJob IngressClass Ingress APIService".split(
    " ",
  );

interface Head {
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly annotations?: Readonly<Record<string, string>> };
}

/** The manifests of rendered templates, in install order, and the hooks among them. @throws Failed */
export function piecesOf(rendered: ReadonlyMap<string, string>): {
  readonly pieces: readonly Piece[];
  readonly hooks: readonly Hook[];
} {
  const pieces: Piece[] = [];
  const hooks: Hook[] = [];
  for (const path of [...rendered.keys()].sort()) {
    if (path.slice(path.lastIndexOf("/") + 1).startsWith("_") || path.endsWith("NOTES.txt")) continue;
    for (const text of documentsOf(rendered.get(path) ?? "")) {
      const head = headOf(text, path);
      const [kind, name] = [head.kind ?? "", head.metadata?.name ?? ""];
      const hook = head.metadata?.annotations?.["helm.sh/hook"];
      if (hook === undefined) pieces.push({ path, text, kind, name });
      else hooks.push({ name, kind, path, manifest: text, events: hook.split(",").map((event) => event.trim()) });
    }
  }
  const rank = (kind: string): number => {
    const at = installOrder.indexOf(kind);
    return at < 0 ? installOrder.length : at;
  };
  const sorted = pieces
    .map((piece, at) => ({ piece, at }))
    .sort((one, other) => rank(one.piece.kind) - rank(other.piece.kind) || one.at - other.at)
    .map(({ piece }) => piece);
  return { pieces: sorted, hooks };
}

function documentsOf(text: string): readonly string[] {
  return `\n${text.trim()}`
    .split(/(?:^|\s*\n)---[^\S\n]*(?=\n|$)/)
    .map((part) => part.trim())
    .filter((part) => part.split("\n").some((line) => line.trim() !== "" && !line.trim().startsWith("#")));
}

function headOf(text: string, path: string): Head {
  try {
    return (parseManifests(text, path)[0]?.object ?? {}) as Head;
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const yaml = /error converting YAML to JSON: .*$/s.exec(error.message)?.[0];
    if (yaml !== undefined) throw new Failed(`YAML parse error on ${path}: ${yaml}`);
    return {};
  }
}

/** The release's manifest: every piece with the template that it is from. */
export function manifestText(pieces: readonly Piece[]): string {
  return pieces.map(({ path, text }) => `---\n# Source: ${path}\n${text}\n`).join("");
}

export interface Wanted {
  readonly manifest: Manifest;
  readonly resource: Resource;
}

/** The objects of a release's manifest. @throws Failed in Helm's words */
export function objectsOf(manifest: string): readonly Wanted[] {
  try {
    return parseManifests(manifest, "").map((each) => ({ manifest: each, resource: resourceFor(each, "") }));
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    throw new Failed(`unable to build kubernetes objects from release manifest: ${error.message}`);
  }
}
