/**
 * Owns the service controller of a cloud (k8s.io/cloud-provider, controllers/service): it has a load balancer made for each
 * Service of that type, writes where it is, and has it taken away again.
 */
import type { Again, Controller } from "../../api/controller";
import { recordEvent } from "../../api/events";
import type { Kinds } from "../../api/kinds";
import { type Key, keyOf } from "../../api/meta";
import { second, type Time } from "../../sim/clock";
import type { Context } from "../context";
import { changeNote, wantsBalancer } from "./changes";

type Service = Kinds["Service"];
export type Ingress = NonNullable<NonNullable<Service["status"]["loadBalancer"]>["ingress"]>[number];

/** What every cloud's load balancers are asked: the contract of all forms. */
export interface CloudBalancer {
  /** How long the cloud takes to make one. */
  readonly creation: Time;
  /** Makes it what the Service asks for, or lets it be that; gives where it is. @throws CloudError */
  ensure(key: Key, service: Service, nodes: readonly string[]): readonly Ingress[];
  remove(key: Key): void;
}

/** What a cloud refuses, in its words. */
export class CloudError extends Error {}

const component = "service-controller";
const finalizer = "service.kubernetes.io/load-balancer-cleanup";
const excluded = "node.kubernetes.io/exclude-from-external-load-balancers";
const toBeDeleted = "ToBeDeletedByClusterAutoscaler";
/** The key of "nodes have come or gone". */
const nodesKey: Key = "nodes";

export function serviceControllerOf(context: Context, cloud: CloudBalancer): Controller {
  return new ServiceController(context, cloud);
}

class ServiceController implements Controller {
  readonly name = component;
  readonly watches: Controller["watches"] = {
    Service: (key, now, before) => {
      if (now?.spec.type !== "LoadBalancer" && before?.spec.type !== "LoadBalancer") return [];
      if (before && !this.#before.has(key)) this.#before.set(key, before);
      return [key];
    },
    // What else excludes a node counts when something has the balancers updated anyway (shouldSyncUpdatedNode): so a node
    // that is about to be taken away keeps its connections while its health checks fail.
    Node: (_key, now, before) => (now && before && isExcluded(now) === isExcluded(before) ? [] : [nodesKey]),
  };
  readonly #context: Context;
  readonly #cloud: CloudBalancer;
  /** Those that there are, with the nodes that each was last told of; and those that are being made, and since when. */
  readonly #made = new Map<Key, string>();
  readonly #making = new Map<Key, Time>();
  /** What a Service was before the changes that nobody has looked at yet. */
  readonly #before = new Map<Key, Service>();

  constructor(context: Context, cloud: CloudBalancer) {
    this.#context = context;
    this.#cloud = cloud;
  }

  reconcile(key: Key): Again | undefined {
    if (key === nodesKey) {
      for (const service of [...this.#made.keys()]) this.#update(service);
      return undefined;
    }
    const service = this.#context.store.get("Service", key);
    const before = this.#before.get(key);
    this.#before.delete(key);
    const note = service && before && changeNote(before, service);
    if (note) this.#tell(service, "Normal", note.reason, note.message);
    if (!service || service.metadata.deletionTimestamp !== undefined || !wantsBalancer(service)) {
      this.#takeAway(key, service);
      return undefined;
    }
    if (this.#made.has(key)) {
      this.#update(key);
      return undefined;
    }
    return this.#make(key, service);
  }

  #make(key: Key, service: Service): Again | undefined {
    const { sim } = this.#context;
    const since = this.#making.get(key);
    if (since === undefined) {
      this.#making.set(key, sim.clock.now);
      this.#tell(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer");
      this.#mark(service, [...(service.metadata.finalizers ?? []), finalizer]);
      return { after: this.#cloud.creation };
    }
    const left = since + this.#cloud.creation - sim.clock.now;
    if (left > 0) return { after: left };
    this.#making.delete(key);
    if (!this.#ensure(key, service)) return { after: 5 * second, kind: "background" };
    this.#tell(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
    return undefined;
  }

  #ensure(key: Key, service: Service): boolean {
    const { store } = this.#context;
    const nodes = this.#nodes();
    try {
      const ingress = this.#cloud.ensure(key, service, nodes);
      this.#made.set(key, told(service, nodes));
      if (JSON.stringify(service.status.loadBalancer?.ingress) === JSON.stringify(ingress)) return true;
      const change = (now: Service) => ({ ...now, status: { ...now.status, loadBalancer: { ingress } } });
      store.update("Service", key, change, component);
      return true;
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      const why = `Error syncing load balancer: failed to ensure load balancer: ${error.message}`;
      this.#tell(service, "Warning", "SyncLoadBalancerFailed", why);
      return false;
    }
  }

  #update(key: Key): void {
    const service = this.#context.store.get("Service", key);
    if (!service || this.#made.get(key) === told(service, this.#nodes())) return;
    const sameSpec = this.#made.get(key)?.startsWith(specText(service));
    if (!sameSpec) this.#tell(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer");
    if (!this.#ensure(key, service)) return;
    if (!sameSpec) this.#tell(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer");
    else if (this.#nodes().length > 0)
      this.#tell(service, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts");
    else this.#tell(service, "Warning", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer");
  }

  #takeAway(key: Key, service: Service | undefined): void {
    this.#making.delete(key);
    const had = this.#made.delete(key);
    const marked = service?.metadata.finalizers?.includes(finalizer) ?? false;
    if (had && service) this.#tell(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer");
    if (had) this.#cloud.remove(key);
    if (had && service) this.#tell(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer");
    if (!service || !marked) return;
    this.#mark(service, service.metadata.finalizers?.filter((name) => name !== finalizer) ?? []);
  }

  /** The finalizer keeps a deleted Service until its load balancer is gone. */
  #mark(service: Service, finalizers: readonly string[]): void {
    const { store } = this.#context;
    const key = keyOf(service);
    if (service.metadata.deletionTimestamp !== undefined && finalizers.length === 0) {
      store.update("Service", key, (now) => ({ ...now, metadata: bare(now.metadata) }), component);
      if (store.get("Service", key)) store.delete("Service", key, component);
      return;
    }
    store.update(
      "Service",
      key,
      (now) => ({
        ...now,
        metadata: finalizers.length > 0 ? { ...now.metadata, finalizers } : bare(now.metadata),
        ...(!wantsBalancer(now) && { status: { ...now.status, loadBalancer: {} } }),
      }),
      component,
    );
  }

  /** The nodes that load balancers may send to: not the control plane. Whether each is well they find out themselves. */
  #nodes(): readonly string[] {
    const eligible = this.#context.store.list("Node").filter(isEligible);
    return eligible.map(({ metadata }) => metadata.name);
  }

  #tell(about: Service, type: "Normal" | "Warning", reason: string, message: string): void {
    const { sim, store } = this.#context;
    recordEvent(sim, store, { about, type, reason, message, component });
  }
}

function bare({ finalizers: _, ...rest }: Service["metadata"]): Service["metadata"] {
  return rest;
}

function isExcluded({ metadata }: Kinds["Node"]): boolean {
  return metadata.labels?.[excluded] !== undefined;
}

/** stableNodeSetPredicates (KEP-3458): whether a node is ready, or takes new pods, plays no part. */
function isEligible(node: Kinds["Node"]): boolean {
  const leaves = node.spec.taints?.some(({ key }) => key === toBeDeleted) ?? false;
  return !isExcluded(node) && node.metadata.deletionTimestamp === undefined && !leaves;
}

function specText({ spec, metadata }: Service): string {
  return JSON.stringify([spec, metadata.annotations ?? {}]);
}

function told(service: Service, nodes: readonly string[]): string {
  return `${specText(service)} ${nodes.join()}`;
}
