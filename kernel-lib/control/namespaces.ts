/**
 * Owns what every namespace has (its default ServiceAccount, the cluster's CA), and the end of one with all its
 * content.
 */
import type { Controller } from "../api/controller";
import { type Kind, resources } from "../api/kinds";
import { type Key, keyFor, keyOf } from "../api/meta";
import type { Context } from "./context";
import { namespaceController, serviceAccountController } from "./names";

export const caConfigMap = "kube-root-ca.crt";
const content: readonly Kind[] = resources.filter(({ namespaced }) => namespaced).map(({ kind }) => kind);

/** Creates `default` and `kube-root-ca.crt` in every living namespace, again if somebody deletes them. */
export function serviceAccountControllerOf({ store }: Context, caCertificate: string): Controller {
  const by = serviceAccountController;
  return {
    name: by,
    watches: {
      Namespace: (key) => [key],
      ServiceAccount: (_key, now, before) => (now ? [] : [before?.metadata.namespace ?? ""]),
      ConfigMap: (_key, now, before) =>
        now || before?.metadata.name !== caConfigMap ? [] : [before.metadata.namespace ?? ""],
    },
    reconcile(namespace) {
      const found = store.get("Namespace", namespace);
      if (!found || found.metadata.deletionTimestamp !== undefined) return undefined;
      if (!store.get("ServiceAccount", keyFor(namespace, "default"))) {
        store.create("ServiceAccount", { kind: "ServiceAccount", metadata: { name: "default", namespace } }, by);
      }
      if (!store.get("ConfigMap", keyFor(namespace, caConfigMap))) {
        const annotations = {
          "kubernetes.io/description":
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the " +
            "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of " +
            "Kubernetes clusters.",
        };
        const metadata = { name: caConfigMap, namespace, annotations };
        store.create("ConfigMap", { kind: "ConfigMap", metadata, data: { "ca.crt": caCertificate } }, by);
      }
      return undefined;
    },
  };
}

/** Empties a namespace that is being deleted, then lets it go. */
export function namespaceControllerOf({ store }: Context): Controller {
  const by = namespaceController;
  const ending = (namespace: string): readonly Key[] => {
    return store.get("Namespace", namespace)?.metadata.deletionTimestamp === undefined ? [] : [namespace];
  };
  const gone = (
    _key: Key,
    now: unknown,
    before: { readonly metadata: { readonly namespace?: string } } | undefined,
  ) => {
    return now ? [] : ending(before?.metadata.namespace ?? "");
  };
  return {
    name: by,
    watches: { Namespace: (key) => [key], ...Object.fromEntries(content.map((kind) => [kind, gone])) },
    reconcile(namespace) {
      if (ending(namespace).length === 0) return undefined;
      let left = 0;
      for (const kind of content) {
        for (const object of store.list(kind, { namespace })) {
          if (object.metadata.deletionTimestamp === undefined) store.delete(kind, keyOf(object), by);
          if (store.get(kind, keyOf(object))) left++;
        }
      }
      if (left > 0) return undefined;
      store.update("Namespace", namespace, (now) => ({ ...now, spec: { ...now.spec, finalizers: [] } }), by);
      return undefined;
    },
  };
}
