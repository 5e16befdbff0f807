/** Owns the controller that mirrors Endpoints which somebody wrote for a Service without a selector. */
import type { Controller } from "../../api/controller";
import { type EventNote, recordEvent } from "../../api/events";
import type { Kinds } from "../../api/kinds";
import { type Key, keyFor, keyOf } from "../../api/meta";
import type { Context } from "../context";
import { endpointSliceMirroringController as by } from "../names";
import { hasSelector } from "../selected";
import { managedByLabel, mirrorManagedBy, serviceNameLabel } from "./labels";
import { mirrorSlices } from "./mirror";

/** --mirroring-max-endpoints-per-subset */
const maxEndpointsPerSubset = 1000;
const skipLabel = "endpointslice.kubernetes.io/skip-mirror";
const leaderAnnotation = "control-plane.alpha.kubernetes.io/leader";

export function endpointSliceMirroringControllerOf({ sim, store }: Context): Controller {
  let writing = false;

  function reconcile(key: Key): undefined {
    const endpoints = store.get("Endpoints", key);
    const service = store.get("Service", key);
    const [namespace = "", name = ""] = key.split("/");
    const labels = { [serviceNameLabel]: name, [managedByLabel]: mirrorManagedBy };
    const existing = store.list("EndpointSlice", { namespace, labels });
    const mirrors = endpoints && isMirrored(endpoints) && service && !hasSelector(service);
    const writes = mirrors ? mirrorSlices(endpoints, existing, maxEndpointsPerSubset) : undefined;
    writing = true;
    try {
      if (!endpoints?.metadata.deletionTimestamp) {
        for (const slice of writes?.create ?? []) store.create("EndpointSlice", slice, by);
      }
      for (const slice of writes?.update ?? []) store.update("EndpointSlice", keyOf(slice), () => slice, by);
      for (const slice of writes?.remove ?? existing) store.delete("EndpointSlice", keyOf(slice), by);
    } finally {
      writing = false;
    }
    if (endpoints && writes) tell(endpoints, writes.invalid, writes.skipped);
    return undefined;
  }

  function tell(about: Kinds["Endpoints"], invalid: number, skipped: number): void {
    const warn = (reason: string, message: string): void => {
      const component = "endpoint-slice-mirroring-controller";
      const note: EventNote = { about, type: "Warning", reason, message, component };
      recordEvent(sim, store, note);
    };
    if (invalid > 0) {
      warn("InvalidIPAddress", `Skipped ${invalid} invalid IP addresses when mirroring to EndpointSlices`);
    }
    if (skipped > invalid) {
      const most = `A max of ${maxEndpointsPerSubset} addresses can be mirrored to EndpointSlices per Endpoints subset`;
      warn("TooManyAddressesToMirror", `${most}. ${skipped} addresses were skipped`);
    }
  }

  return {
    name: by,
    watches: {
      Service: (key, now, before) => {
        const [free, wasFree] = [now && !hasSelector(now), before && !hasSelector(before)];
        return free !== wasFree ? [key] : [];
      },
      Endpoints: (key, now, before) => {
        return [now, before].some((endpoints) => endpoints && isMirrored(endpoints)) ? [key] : [];
      },
      EndpointSlice: (_key, now, before) => (writing ? [] : [...new Set([now, before].flatMap(endpointsOf))]),
    },
    reconcile,
  };
}

function isMirrored({ metadata }: Kinds["Endpoints"]): boolean {
  return metadata.labels?.[skipLabel] !== "true" && metadata.annotations?.[leaderAnnotation] === undefined;
}

/** The Endpoints that a slice mirrors. */
function endpointsOf(slice: Kinds["EndpointSlice"] | undefined): readonly Key[] {
  const { labels, namespace } = slice?.metadata ?? {};
  const name = labels?.[serviceNameLabel];
  return name !== undefined && labels?.[managedByLabel] === mirrorManagedBy ? [keyFor(namespace, name)] : [];
}
