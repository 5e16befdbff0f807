/** Owns a container's environment: what its image, its spec and the Services of its namespace say. */
import type { Kinds } from "../api/kinds";
import type { Store } from "../api/store";
import { dataOf } from "./data";

type Pod = Kinds["Pod"];
type ContainerSpec = Pod["spec"]["containers"][number];
type EnvVar = NonNullable<ContainerSpec["env"]>[number];

/** The container cannot be made: a CreateContainerConfigError with this message. */
export class EnvError extends Error {}

/** What the values may refer to. */
export interface EnvSource {
  readonly store: Store;
  readonly pod: Pod;
  /** What the Services of the pod's namespace say, as of the moment that counts. */
  readonly services: () => ReadonlyMap<string, string>;
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
}

/**
 * The variables that the kubelet gives a container, in its order: envFrom, then the spec's, then what is left of the
 * Services' (pkg/kubelet/kubelet_pods.go, makeEnvironmentVariables). Services are those of this moment: a Service
 * made later is not among them.
 * @throws EnvError
 */
export function containerEnv(spec: ContainerSpec, source: EnvSource): ReadonlyMap<string, string> {
  const services = source.services();
  const env = new Map<string, string>();
  for (const from of spec.envFrom ?? []) for (const [name, value] of valuesFrom(from, source)) env.set(name, value);
  const known = (name: string): string | undefined => env.get(name) ?? services.get(name);
  for (const variable of spec.env ?? []) {
    const value =
      variable.valueFrom === undefined ? expand(variable.value ?? "", known) : valueFrom(variable, spec, source);
    if (value !== undefined) env.set(variable.name, value);
  }
  for (const [name, value] of services) if (!env.has(name)) env.set(name, value);
  return env;
}

/** Puts variables in the place of `$(NAME)`; `$$(NAME)` stays as `$(NAME)`, and so does what is not known. */
export function expand(text: string, known: (name: string) => string | undefined): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, after: string, name: string | undefined) => {
    if (after === "$") return "$";
    return known(name ?? "") ?? whole;
  });
}

type EnvFrom = NonNullable<ContainerSpec["envFrom"]>[number];

function valuesFrom(from: EnvFrom, source: EnvSource): ReadonlyMap<string, string> {
  const named = (from.configMapRef ?? from.secretRef)?.name ?? "";
  const kind = from.configMapRef ? "ConfigMap" : "Secret";
  const data = dataOf(source.store, kind, source.pod.metadata.namespace ?? "default", named);
  const optional = (from.configMapRef ?? from.secretRef)?.optional;
  if (!data && !optional) throw new EnvError(`${kind.toLowerCase()} "${named}" not found`);
  const values = Object.entries(data ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
  return new Map(values.map(([name, value]) => [`${from.prefix ?? ""}${name}`, value]));
}

function valueFrom(variable: EnvVar, spec: ContainerSpec, source: EnvSource): string | undefined {
  const from = variable.valueFrom;
  if (from?.fieldRef) return fieldValue(from.fieldRef.fieldPath, source);
  if (from?.resourceFieldRef) {
    const [list, name] = from.resourceFieldRef.resource.split(".") as ["limits" | "requests", string];
    return String(spec.resources?.[list]?.[name] ?? "0");
  }
  const ref = from?.configMapKeyRef ?? from?.secretKeyRef;
  if (!ref) return undefined;
  const kind = from?.configMapKeyRef ? "ConfigMap" : "Secret";
  const data = dataOf(source.store, kind, source.pod.metadata.namespace ?? "default", ref.name ?? "");
  const value = data && Object.hasOwn(data, ref.key) ? data[ref.key] : undefined;
  if (value !== undefined || ref.optional) return value;
  if (!data) throw new EnvError(`${kind.toLowerCase()} "${ref.name}" not found`);
  throw new EnvError(`couldn't find key ${ref.key} in ${kind} ${source.pod.metadata.namespace}/${ref.name}`);
}

/** The downward API: metadata and addresses of the pod itself. */
function fieldValue(path: string, { pod, podIps, hostIps }: EnvSource): string {
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (keyed) return pod.metadata[keyed[1] as "labels" | "annotations"]?.[keyed[2] as string] ?? "";
  const values: { readonly [path: string]: string | undefined } = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "spec.nodeName": pod.spec.nodeName,
    "spec.serviceAccountName": pod.spec.serviceAccountName ?? "default",
    "status.hostIP": hostIps[0] ?? "",
    "status.hostIPs": hostIps.join(","),
    "status.podIP": podIps[0] ?? "",
    "status.podIPs": podIps.join(","),
  };
  const value = values[path];
  if (value === undefined) throw new EnvError(`unsupported fieldPath: ${path}`);
  return value;
}
