/** Owns which Kubernetes this cluster is. */

export const kubernetesVersion = "v1.36.0";
