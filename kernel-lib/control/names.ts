/** Owns the words by which controllers are known: in the journal, in events, and as writers. */

export const deploymentController = "deployment-controller";
export const replicaSetController = "replicaset-controller";
export const daemonSetController = "daemonset-controller";
export const disruptionController = "disruption-controller";
export const statefulSetController = "statefulset-controller";
export const jobController = "job-controller";
export const ttlAfterFinishedController = "ttl-after-finished-controller";
export const scheduler = "default-scheduler";
export const endpointSliceController = "endpointslice-controller";
export const endpointSliceMirroringController = "endpointslice-mirroring-controller";
export const endpointsController = "endpoints-controller";
export const garbageCollector = "generic-garbage-collector";
export const namespaceController = "namespace-controller";
export const serviceAccountController = "serviceaccount-controller";
export const taintEvictionController = "taint-eviction-controller";
export const podGarbageCollector = "pod-garbage-collector";
export const nodeIpamController = "node-ipam-controller";

/** apps/v1 Deployment: how its ReplicaSets know which of its revisions they are. */
export const revisionAnnotation = "deployment.kubernetes.io/revision";
export const desiredAnnotation = "deployment.kubernetes.io/desired-replicas";
export const maxAnnotation = "deployment.kubernetes.io/max-replicas";
export const hashLabel = "pod-template-hash";
