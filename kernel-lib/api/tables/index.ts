/** Owns the door to the tables: objects in, the Table that `kubectl get` prints out. */
import type { Time } from "../../sim/clock";
import type { Kind, Kinds, KubeObject } from "../kinds";
import { columnsOf } from "./columns";
import { addressPoolCells, bgpAdvertisementCells, bgpPeerCells, l2AdvertisementCells } from "./metallb";
import { endpointSliceCells, endpointsCells, serviceCells } from "./network";
import { podCells } from "./pod";
import { disruptionBudgetCells } from "./policy";
import { configMapCells, eventCells, namespaceCells, nodeCells, secretCells, serviceAccountCells } from "./rest";
import { controllerRevisionCells, jobCells, statefulSetCells } from "./stateful";
import type { Cell, Table } from "./table";
import { daemonSetCells, deploymentCells, replicaSetCells } from "./workloads";

const cellsOf: { readonly [K in Kind]: (object: Kinds[K], now: Time) => readonly Cell[] } = {
  Pod: podCells,
  Service: serviceCells,
  Deployment: deploymentCells,
  ReplicaSet: replicaSetCells,
  DaemonSet: daemonSetCells,
  StatefulSet: statefulSetCells,
  ControllerRevision: controllerRevisionCells,
  Job: jobCells,
  Node: nodeCells,
  Namespace: namespaceCells,
  Endpoints: endpointsCells,
  EndpointSlice: endpointSliceCells,
  ConfigMap: configMapCells,
  Secret: secretCells,
  ServiceAccount: serviceAccountCells,
  Event: eventCells,
  PodDisruptionBudget: disruptionBudgetCells,
  IPAddressPool: addressPoolCells,
  L2Advertisement: l2AdvertisementCells,
  BGPAdvertisement: bgpAdvertisementCells,
  BGPPeer: bgpPeerCells,
};

/** The Table of some objects of one kind; all columns, those of priority 1 for `-o wide` only. */
export function tableOf<K extends Kind>(kind: K, objects: readonly Kinds[K][], now: Time, version: number): Table {
  const cells = cellsOf[kind] as (object: Kinds[K], now: Time) => readonly Cell[];
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: { resourceVersion: String(version) },
    columnDefinitions: columnsOf[kind],
    rows: objects.map((object) => ({ cells: cells(object, now), object: object as unknown as KubeObject })),
  };
}

export { podStatus } from "./pod";
export type { Cell, Column, Row, Table } from "./table";
