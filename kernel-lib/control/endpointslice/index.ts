/**
 * Owns the EndpointSlice controller: it hears of Services, pods and nodes, and writes what `reconcileSlices` decides.
 */
import type { Again, Controller } from "../../api/controller";
import { StatusError } from "../../api/errors";
import { type Key, keyFor, keyOf } from "../../api/meta";
import type { Context } from "../context";
import { endpointSliceController as by } from "../names";
import { ServiceSelectors, servicesOf } from "../selected";
import { managedBy, managedByLabel, serviceNameLabel } from "./labels";
import { reconcileSlices } from "./reconcile";
import { TriggerTimes } from "./trigger";

/** --max-endpoints-per-slice */
const maxEndpointsPerSlice = 100;

export function endpointSliceControllerOf({ sim: _sim, store }: Context): Controller {
  const selectors = new ServiceSelectors(store);
  const triggers = new TriggerTimes();

  function reconcile(key: Key): Again | undefined {
    const service = store.get("Service", key);
    if (!service) {
      triggers.forget(key);
      return undefined;
    }
    if (service.spec.type === "ExternalName" || !service.spec.selector) return undefined;
    const namespace = service.metadata.namespace ?? "";
    const pods = store.list("Pod", { namespace, labels: service.spec.selector });
    const labels = { [serviceNameLabel]: service.metadata.name, [managedByLabel]: managedBy };
    const existing = store.list("EndpointSlice", { namespace, labels });
    const trigger = triggers.of(key, service, pods);
    const options = { controller: managedBy, maxEndpointsPerSlice, ...(trigger !== undefined && { trigger }) };
    const writes = reconcileSlices(service, pods, (name) => store.get("Node", name), existing, options);
    for (const slice of writes.create) store.create("EndpointSlice", slice, by);
    for (const slice of writes.update) store.update("EndpointSlice", keyOf(slice), () => slice, by);
    for (const slice of writes.remove) store.delete("EndpointSlice", keyOf(slice), by);
    if (writes.errors.length > 0) throw new StatusError("InternalError", `[${writes.errors.join(", ")}]`);
    return undefined;
  }

  return {
    name: by,
    watches: {
      Service: (key) => [key],
      Pod: (_key, now, before) => servicesOf(selectors, now, before),
      Node: (_key, now, before) => {
        if (now && before && now.metadata.labels === before.metadata.labels) return [];
        const name = (now ?? before)?.metadata.name ?? "";
        return store.list("Pod", { node: name }).flatMap((pod) => servicesOf(selectors, pod, undefined));
      },
      EndpointSlice: (_key, now, before) => {
        const { labels, namespace } = (now ?? before)?.metadata ?? {};
        const name = labels?.[serviceNameLabel];
        return name !== undefined && labels?.[managedByLabel] === managedBy ? [keyFor(namespace, name)] : [];
      },
    },
    reconcile,
  };
}
