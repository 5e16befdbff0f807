/** Owns the API server's errors, in its own words (k8s.io/apimachinery pkg/api/errors and util/validation/field). */
import { qualifiedName, type Resource } from "./kinds";

export type Reason =
  | "BadRequest"
  | "Forbidden"
  | "NotFound"
  | "AlreadyExists"
  | "Conflict"
  | "Invalid"
  | "MethodNotAllowed"
  | "UnsupportedMediaType"
  | "RequestEntityTooLarge"
  | "Expired"
  | "TooManyRequests"
  | "InternalError"
  /** What the server itself has no word for, such as an error of etcd's. */
  | "Unknown";

const codes: { readonly [R in Reason]: number } = {
  BadRequest: 400,
  Forbidden: 403,
  NotFound: 404,
  AlreadyExists: 409,
  Conflict: 409,
  Invalid: 422,
  MethodNotAllowed: 405,
  UnsupportedMediaType: 415,
  RequestEntityTooLarge: 413,
  Expired: 410,
  TooManyRequests: 429,
  InternalError: 500,
  Unknown: 500,
};

/** One wrong field. `message` is the sentence after the path, as Kubernetes prints it. */
export interface FieldError {
  readonly type:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueDuplicate"
    | "FieldValueForbidden"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueNotFound"
    | "FieldValueTypeInvalid"
    | "InternalError";
  readonly field: string;
  readonly message: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly causes?: readonly { readonly reason: string; readonly message: string; readonly field?: string }[];
  /** After so many seconds the client may ask again (the header `Retry-After` of HTTP). */
  readonly retryAfterSeconds?: number;
}

/** A metav1.Status of failure: what the API answers instead of an object. */
export class StatusError extends Error {
  readonly code: number;

  constructor(
    readonly reason: Reason,
    message: string,
    readonly details: StatusDetails = {},
  ) {
    super(message);
    this.name = "StatusError";
    this.code = codes[reason];
  }

  /** The Status object, as the REST API sends it. */
  toStatus(): object {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      reason: this.reason,
      details: this.details,
      code: this.code,
    };
  }
}

function about(resource: Resource, name: string): StatusDetails {
  return { name, ...(resource.group && { group: resource.group }), kind: resource.plural };
}

/** `deployments.apps "x" not found` */
export function notFound(resource: Resource, name: string): StatusError {
  return new StatusError("NotFound", `${qualifiedName(resource)} "${name}" not found`, about(resource, name));
}

/** There is no such path: the kind is not defined here, or has no such subresource. */
export function notServed(): StatusError {
  return new StatusError("NotFound", "the server could not find the requested resource");
}

/** `services "x" already exists` */
export function alreadyExists(resource: Resource, name: string): StatusError {
  const text = `${qualifiedName(resource)} "${name}" already exists`;
  return new StatusError("AlreadyExists", text, about(resource, name));
}

/** `Operation cannot be fulfilled on services "x": the object has been modified; …` */
export function conflict(resource: Resource, name: string, why = modified): StatusError {
  const text = `Operation cannot be fulfilled on ${qualifiedName(resource)} "${name}": ${why}`;
  return new StatusError("Conflict", text, about(resource, name));
}
const modified = "the object has been modified; please apply your changes to the latest version and try again";

/** `pods "x" is forbidden: …` */
export function forbidden(resource: Resource, name: string, why: string): StatusError {
  const text = name
    ? `${qualifiedName(resource)} "${name}" is forbidden: ${why}`
    : `${qualifiedName(resource)} is forbidden: ${why}`;
  return new StatusError("Forbidden", text, about(resource, name));
}

export function badRequest(why: string): StatusError {
  return new StatusError("BadRequest", why);
}

/** `Internal error occurred: failed to allocate a serviceIP: range is full` */
export function internalError(why: string): StatusError {
  return new StatusError("InternalError", `Internal error occurred: ${why}`);
}

/** `Deployment.apps "x" is invalid: spec.selector: Invalid value: …: field is immutable`; several in brackets. */
export function invalid(resource: Resource, name: string, errors: readonly FieldError[]): StatusError {
  const kind = resource.group ? `${resource.kind}.${resource.group}` : resource.kind;
  const lines = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const list = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
  return new StatusError("Invalid", `${kind} "${name}" is invalid: ${list}`, {
    name,
    ...(resource.group && { group: resource.group }),
    kind: resource.kind,
    causes: errors.map(({ type, message, field }) => ({ reason: type, message, field })),
  });
}

/** A value as field errors print it: strings quoted as Go does, everything else as JSON. */
function shown(value: unknown): string {
  return value === undefined ? "null" : JSON.stringify(value);
}

/** `spec.ports: Required value` */
export function required(field: string, detail = ""): FieldError {
  return { type: "FieldValueRequired", field, message: `Required value${detail && `: ${detail}`}` };
}

/** `metadata.name: Invalid value: "X": a lowercase RFC 1123 …` */
export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return { type: "FieldValueInvalid", field, message: `Invalid value: ${shown(value)}${detail && `: ${detail}`}` };
}

/** `spec.type: Unsupported value: "X": supported values: "ClusterIP", "NodePort"` */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((word) => JSON.stringify(word)).join(", ");
  const detail = supported.length > 0 ? `: supported values: ${list}` : "";
  return { type: "FieldValueNotSupported", field, message: `Unsupported value: ${shown(value)}${detail}` };
}

/** `spec.ports[1].name: Duplicate value: "http"` */
export function duplicate(field: string, value: unknown): FieldError {
  return { type: "FieldValueDuplicate", field, message: `Duplicate value: ${shown(value)}` };
}

/** `spec.clusterIP: Forbidden: may not be used when …` */
export function forbiddenField(field: string, detail: string): FieldError {
  return { type: "FieldValueForbidden", field, message: `Forbidden: ${detail}` };
}

/** `metadata.annotations: Too long: may not be more than 262144 bytes` */
export function tooLong(field: string, limit: number): FieldError {
  return { type: "FieldValueTooLong", field, message: `Too long: may not be more than ${limit} bytes` };
}

/** `spec.externalIPs: Too many: 33: must have at most 32 items` */
export function tooMany(field: string, actual: number, limit: number): FieldError {
  return { type: "FieldValueTooMany", field, message: `Too many: ${actual}: must have at most ${limit} items` };
}
