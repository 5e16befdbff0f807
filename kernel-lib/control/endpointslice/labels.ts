/** Owns the labels that a Service's slices carry. */
import { same } from "../../api/equal";
import type { Kinds } from "../../api/kinds";
import type { Labels } from "../../api/meta";
import { hasClusterIp } from "./endpoint";

export const serviceNameLabel = "kubernetes.io/service-name";
export const managedByLabel = "endpointslice.kubernetes.io/managed-by";
export const headlessLabel = "service.kubernetes.io/headless";
/** The value of managed-by of slices that follow from a Service's selector. */
export const managedBy = "endpointslice-controller.k8s.io";
/** Its value of slices that mirror Endpoints. */
export const mirrorManagedBy = "endpointslicemirroring-controller.k8s.io";

const reserved = [serviceNameLabel, managedByLabel, headlessLabel];

function plain(labels: Labels | undefined): Labels {
  return Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !reserved.includes(key)));
}

/** What a slice's labels should be, and whether the Service's own labels changed since (reserved ones do not count). */
export function sliceLabels(
  slice: { readonly metadata: { readonly labels?: Labels } },
  service: Kinds["Service"],
  controller: string,
): { readonly labels: Labels; readonly changed: boolean } {
  const own = plain(service.metadata.labels);
  const labels = {
    ...own,
    ...(!hasClusterIp(service.spec) && { [headlessLabel]: "" }),
    [managedByLabel]: controller,
    [serviceNameLabel]: service.metadata.name,
  };
  return { labels, changed: !same(plain(slice.metadata.labels), own) };
}
