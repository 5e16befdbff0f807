/**
 * Owns what every namespace has (its default ServiceAccount, the cluster's CA), and the end of one with all its
 * content.
 */
import type { Controller } from "../api/controller";
import { type Kind, resources } from "../api/kinds";
import { keyFor, keyOf } from "../api/meta";
import { parseTime } from "../api/time";
import { second } from "../sim/clock";
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

/** After anything of an ending namespace changes, it is looked at so much later (namespaceDeletionGracePeriod). */
const deletionGrace = 5 * second;

/**
 * Empties a namespace that is being deleted, then lets it go. As upstream it first waits, so that every API server
 * knows of the end, and looks again after as long while pods take their time: it is `Terminating` for 5 s at least.
 */
export function namespaceControllerOf({ sim, store }: Context): Controller {
  const by = namespaceController;
  return {
    name: by,
    watches: { Namespace: (key) => [key] },
    reconcile(namespace) {
      const ends = store.get("Namespace", namespace)?.metadata.deletionTimestamp;
      if (ends === undefined) return undefined;
      const wait = (parseTime(ends) ?? 0) + deletionGrace - sim.clock.now;
      if (wait > 0) return { after: wait };
      let left = 0;
      for (const kind of content) {
        for (const object of store.list(kind, { namespace })) {
          if (object.metadata.deletionTimestamp === undefined) store.delete(kind, keyOf(object), by);
          if (store.get(kind, keyOf(object))) left++;
        }
      }
      if (left > 0) return { after: deletionGrace };
      store.update("Namespace", namespace, (now) => ({ ...now, spec: { ...now.spec, finalizers: [] } }), by);
      return undefined;
    },
  };
}
