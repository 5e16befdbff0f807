/** Owns what a node's kube-proxy knows of a pod: whether it sends new connections there, by the rules it wrote last. */
import type { Store } from "../../api/store";
import { family as familyOf, parseIp } from "../../net/address";
import type { KubeProxy } from "../../node/proxy/proxy";
import type { Time } from "../../sim/clock";
import type { PodRecord } from "./lanes";
import { serviceNameOf } from "./objects";

/** Notes what the proxy has in its node's kernel of this pod now. */
export function readProxy(record: PodRecord, proxy: KubeProxy, namespace: string, store: Store, at: Time): void {
  const services = new Set<string>();
  for (const slice of store.list("EndpointSlice", { namespace })) {
    const service = serviceNameOf(slice);
    if (service !== undefined) services.add(`${namespace}/${service}`);
  }
  let state: string | undefined;
  for (const ip of record.ips) {
    const view = proxy.view(familyOf(parseIp(ip)));
    for (const service of view ? services : []) {
      for (const port of view?.portsOf(service) ?? []) {
        const endpoint = port.reachable.find((each) => each.ip === ip);
        if (endpoint) state = endpoint.terminating ? "sends to it (terminating)" : "sends to it";
      }
    }
  }
  record.set(`kube-proxy/${proxy.node.name}`, state, at);
}
