/** Owns the kubeconfig that kubectl and helm read: clusters, contexts, and which of them is current. */
import { parse } from "yaml";
import { resolvePath } from "../shell/filesystem";
import { type Call, Failed } from "../shell/tool";
import { printYaml } from "./print/yaml";

interface Named<T> {
  readonly name: string;
  readonly value: T;
}

export interface KubeContext {
  readonly cluster: string;
  readonly user: string;
  readonly namespace?: string;
}

/** What a kubeconfig says; `document` is the whole of it. */
export interface Kubeconfig {
  readonly path: string;
  readonly document: Readonly<Record<string, unknown>>;
  readonly current: string;
  readonly contexts: readonly Named<KubeContext>[];
  readonly clusters: readonly Named<{ readonly server?: string }>[];
}

/** Reads `$KUBECONFIG` or `~/.kube/config`; a file that is not there says nothing. @throws Failed if it is no YAML */
export function readKubeconfig(call: Call, given?: string): Kubeconfig {
  const wanted = given ?? call.env.get("KUBECONFIG") ?? `${call.env.get("HOME") ?? "/root"}/.kube/config`;
  const path = resolvePath(call.folder, wanted.split(":")[0] ?? wanted);
  const text = call.place.files.read(path);
  if (text === undefined && given !== undefined) throw new Failed(`error: stat ${given}: no such file or directory`);
  const document = documentOf(text ?? "", path);
  const named = <T>(list: unknown, field: string): readonly Named<T>[] =>
    (Array.isArray(list) ? list : []).map((each: Readonly<Record<string, unknown>>) => ({
      name: String(each.name),
      value: (each[field] ?? {}) as T,
    }));
  return {
    path,
    document,
    current: String(document["current-context"] ?? ""),
    contexts: named<KubeContext>(document.contexts, "context"),
    clusters: named<{ readonly server?: string }>(document.clusters, "cluster"),
  };
}

function documentOf(text: string, path: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch {
    throw new Failed(`error: error loading config file "${path}": yaml: it is not YAML`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Failed(`error: error loading config file "${path}": couldn't get version/kind; json parse error`);
  }
  return value as Readonly<Record<string, unknown>>;
}

/** The context that is used. */
export function currentContext(config: Kubeconfig): KubeContext | undefined {
  return config.contexts.find(({ name }) => name === config.current)?.value;
}

/** Writes a changed kubeconfig. */
export function writeKubeconfig(call: Call, config: Kubeconfig, document: Readonly<Record<string, unknown>>): void {
  call.place.files.write(config.path, printYaml(document));
}
