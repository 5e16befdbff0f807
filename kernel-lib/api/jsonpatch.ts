/** Owns JSON patch (RFC 6902) as the API server takes it: a list of operations, all of them or none. */
import { applyPatch, type Operation } from "rfc6902";
import { badRequest, StatusError } from "./errors";

/** An operation may name a place below here, and an object's prototype is not part of it. */
const unnameable = /\/(__proto__|constructor|prototype)(\/|$)/;

/**
 * The object after all operations; the one given is left as it is.
 * @throws StatusError BadRequest: no list of operations; Invalid: one cannot be done, or a `test` fails
 */
export function jsonPatch(target: object, operations: unknown): unknown {
  if (!Array.isArray(operations)) {
    throw badRequest("json: cannot unmarshal object into Go value of type jsonpatch.Patch");
  }
  const patched = structuredCopy(target);
  for (const operation of operations as readonly Operation[]) {
    const why = failure(patched, operation);
    if (why !== undefined) throw rejected(why);
  }
  return patched;
}

function failure(document: unknown, operation: Operation): string | undefined {
  if (typeof operation !== "object" || operation === null) return "Unexpected kind: unknown";
  const { path, from } = operation as { readonly path?: unknown; readonly from?: unknown };
  if ([path, from].some((place) => typeof place === "string" && unnameable.test(place))) return "missing path";
  try {
    const [error] = applyPatch(document, [operation]);
    return error === null || error === undefined ? undefined : error.message;
  } catch (error) {
    // A path that is no JSON pointer.
    return error instanceof Error ? error.message : String(error);
  }
}

/** What went wrong the server tells only among the causes: kubectl prints the general sentence. */
function rejected(why: string): StatusError {
  return new StatusError("Invalid", "the server rejected our request due to an error in our request", {
    causes: [{ reason: "UnexpectedServerResponse", message: why, field: "" }],
  });
}

/** Objects of the API are plain JSON. */
function structuredCopy(value: object): unknown {
  return JSON.parse(JSON.stringify(value));
}
