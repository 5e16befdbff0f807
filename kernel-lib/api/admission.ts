/**
 * Owns what happens to an object before it is stored: defaults for what it leaves out, and everything that is wrong
 * with it.
 */
import { defaultJob } from "./defaults/job";
import { defaultDisruptionBudget } from "./defaults/policy";
import { defaultEndpointSlice, defaultEndpoints, defaultNamespace, defaultNode, defaultSecret } from "./defaults/rest";
import { defaultService } from "./defaults/service";
import { defaultStatefulSet } from "./defaults/statefulset";
import { defaultDaemonSet, defaultDeployment, defaultReplicaSet } from "./defaults/workloads";
import { same } from "./equal";
import { type FieldError, forbiddenField } from "./errors";
import type { Kind, Kinds } from "./kinds";
import type { Fresh } from "./mutable";
import { validateEndpointSlice, validateEndpointSliceUpdate } from "./validation/endpointslice";
import { validateJob, validateJobUpdate } from "./validation/job";
import { validateAddressPool, validateBgpPeer } from "./validation/metallb";
import { validatePodSpec } from "./validation/pod";
import { validateDisruptionBudget } from "./validation/policy";
import {
  validateConfigMap,
  validateConfigMapUpdate,
  validateEndpoints,
  validateNode,
  validateSecret,
} from "./validation/rest";
import { validateService } from "./validation/service";
import { validateServiceUpdate } from "./validation/serviceips";
import { validateStatefulSet, validateStatefulSetUpdate } from "./validation/statefulset";
import {
  validateDaemonSet,
  validateDeployment,
  validateReplicaSet,
  validateSelectorUpdate,
} from "./validation/workloads";

interface Rules<K extends Kind> {
  readonly defaults?: (fresh: Fresh<K>) => void;
  /** Errors beyond metadata. */
  readonly validate?: (object: Kinds[K]) => readonly FieldError[];
  readonly validateUpdate?: (now: Kinds[K], before: Kinds[K]) => readonly FieldError[];
}

const rules: { readonly [K in Kind]: Rules<K> } = {
  Pod: { validate: ({ spec }) => validatePodSpec("spec", spec), validateUpdate: podUpdate },
  Service: {
    defaults: defaultService,
    validate: (service) => validateService(service).filter(({ field }) => !isMetaField(field)),
    validateUpdate: (now, before) => validateServiceUpdate(now.spec, before.spec),
  },
  Deployment: {
    defaults: defaultDeployment,
    validate: validateDeployment,
    validateUpdate: (now, before) => validateSelectorUpdate(now.spec.selector, before.spec.selector),
  },
  ReplicaSet: {
    defaults: defaultReplicaSet,
    validate: validateReplicaSet,
    validateUpdate: (now, before) => validateSelectorUpdate(now.spec.selector, before.spec.selector),
  },
  DaemonSet: {
    defaults: defaultDaemonSet,
    validate: validateDaemonSet,
    validateUpdate: (now, before) => validateSelectorUpdate(now.spec.selector, before.spec.selector),
  },
  StatefulSet: {
    defaults: defaultStatefulSet,
    validate: validateStatefulSet,
    validateUpdate: validateStatefulSetUpdate,
  },
  ControllerRevision: {},
  Job: { defaults: defaultJob, validate: validateJob, validateUpdate: validateJobUpdate },
  Node: { defaults: defaultNode, validate: validateNode },
  Namespace: { defaults: defaultNamespace },
  Endpoints: { defaults: defaultEndpoints, validate: validateEndpoints },
  EndpointSlice: {
    defaults: defaultEndpointSlice,
    validate: validateEndpointSlice,
    validateUpdate: validateEndpointSliceUpdate,
  },
  ConfigMap: { validate: validateConfigMap, validateUpdate: validateConfigMapUpdate },
  Secret: { defaults: defaultSecret, validate: validateSecret },
  ServiceAccount: {},
  Event: {},
  PodDisruptionBudget: { defaults: defaultDisruptionBudget, validate: validateDisruptionBudget },
  IPAddressPool: { validate: validateAddressPool },
  L2Advertisement: { defaults: defaultSpec },
  BGPAdvertisement: { defaults: defaultSpec },
  BGPPeer: { validate: validateBgpPeer },
};

function defaultSpec(fresh: Fresh<"L2Advertisement"> | Fresh<"BGPAdvertisement">): void {
  fresh.spec ??= {};
}

/** Metadata's own errors come from validateMeta; a Service's annotations about topology are the Service's. */
function isMetaField(field: string): boolean {
  return field.startsWith("metadata.") && !field.startsWith("metadata.annotations[");
}

/** Fills in what the object leaves out; the object is a fresh copy and is changed in place. */
export function applyDefaults<K extends Kind>(kind: K, fresh: Fresh<K>): void {
  (rules[kind] as Rules<K>).defaults?.(fresh);
}

/** All that is wrong with an object's own fields. */
export function validate<K extends Kind>(kind: K, object: Kinds[K]): readonly FieldError[] {
  return (rules[kind] as Rules<K>).validate?.(object) ?? [];
}

/** All that may not change from `before` to `now`. */
export function validateUpdate<K extends Kind>(kind: K, now: Kinds[K], before: Kinds[K]): readonly FieldError[] {
  return (rules[kind] as Rules<K>).validateUpdate?.(now, before) ?? [];
}

const podUpdateText =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
  "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

function podUpdate(now: Kinds["Pod"], before: Kinds["Pod"]): readonly FieldError[] {
  const rest = (spec: Kinds["Pod"]["spec"]): unknown => ({
    ...spec,
    containers: spec.containers.map((container) => ({ ...container, image: "" })),
    initContainers: spec.initContainers?.map((container) => ({ ...container, image: "" })),
    activeDeadlineSeconds: 0,
    tolerations: spec.tolerations?.slice(0, before.spec.tolerations?.length ?? 0),
  });
  return same(rest(now.spec), rest(before.spec)) ? [] : [forbiddenField("spec", podUpdateText)];
}
