/** Owns the figures of a node: how long things take and how large things are, as data in one place. */
import { millisecond, minute, second, type Time } from "../sim/clock";

/** Durations of a node's work. All in microseconds. */
export interface NodeFigures {
  /** From "a pod is mine" to its sandbox asked for (admission, volumes, cgroups). */
  readonly podAdmission: Time;
  /** Making the sandbox: namespaces, the pause container, the CNI plugin. */
  readonly sandbox: Time;
  /** Making a container from an image that is there. */
  readonly createContainer: Time;
  readonly startContainer: Time;
  /** Asking a registry for a manifest: all that a pull costs when every layer is there. */
  readonly registryRequest: Time;
  /** Octets of an image pulled and unpacked per second. */
  readonly pullRate: number;
  /** A pull that fails. */
  readonly pullFailure: Time;
  /** First wait after a failed pull or a crash; doubled each time, up to the longest. */
  readonly imageBackOff: { readonly first: Time; readonly longest: Time };
  readonly crashBackOff: { readonly first: Time; readonly longest: Time };
  /** A container that ran so long starts its back-off anew (twice the longest back-off). */
  readonly crashForgiven: Time;
  /** How often a container whose configuration names what is not there is tried again. */
  readonly configRetry: Time;
  /** From a container's start until the kubelet has looked: what ends sooner is never told as running. */
  readonly look: Time;
  /** From a container's end until the kubelet has noticed and reported it. */
  readonly notice: Time;
  /** What a pod that was deleted by force gets for its hooks; its program has two seconds more (node/ending/grace.ts). */
  readonly orphanGrace: Time;
  /** Taking down the sandbox of a pod whose containers have ended. */
  readonly removeSandbox: Time;
  /** Volumes and cgroups of a pod that has ended, and the question to the API server whether it may go. */
  readonly cleanUp: Time;
  /** How often a failed sandbox is tried again. */
  readonly sandboxRetry: Time;
  /** How long the kubelet may not know that the runtime lost its network, or has one again. */
  readonly runtimeCheck: Time;
  /** How often the Lease and the Node's status are renewed. */
  readonly leasePeriod: Time;
  readonly statusPeriod: Time;
}

/**
 * A small cluster on good hardware: a pod whose image is there is Running after a second or two (the kubelet's own
 * start-up objective is 5 s without pulls), Docker Hub gives some 60 MB/s with unpacking. The back-offs, the Lease's
 * period and the status's are the kubelet's own (pkg/kubelet/kubelet.go, KubeletConfiguration).
 */
export const defaultFigures: NodeFigures = {
  podAdmission: 40 * millisecond,
  sandbox: 350 * millisecond,
  createContainer: 90 * millisecond,
  startContainer: 60 * millisecond,
  registryRequest: 450 * millisecond,
  pullRate: 60_000_000,
  pullFailure: 900 * millisecond,
  imageBackOff: { first: 10 * second, longest: 5 * minute },
  crashBackOff: { first: 10 * second, longest: 5 * minute },
  crashForgiven: 10 * minute,
  configRetry: 12 * second,
  look: 0,
  notice: 700 * millisecond,
  orphanGrace: second,
  removeSandbox: 250 * millisecond,
  cleanUp: 700 * millisecond,
  sandboxRetry: 10 * second,
  runtimeCheck: 5 * second,
  leasePeriod: 10 * second,
  statusPeriod: 5 * minute,
};
