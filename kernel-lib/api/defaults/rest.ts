/** Owns the defaults of the kinds that need few. */
import type { Fresh } from "../mutable";

export function defaultNamespace(namespace: Fresh<"Namespace">): void {
  namespace.spec = { ...namespace.spec };
  namespace.spec.finalizers ??= ["kubernetes"];
  namespace.status = { phase: "Active", ...namespace.status };
  const name = namespace.metadata.name;
  if (name) namespace.metadata.labels = { ...namespace.metadata.labels, "kubernetes.io/metadata.name": name };
}

export function defaultNode(node: Fresh<"Node">): void {
  node.spec ??= {};
  node.status ??= {};
}

/** `stringData` is a write-only convenience: it becomes `data`. */
export function defaultSecret(secret: Fresh<"Secret">): void {
  secret.type ??= "Opaque";
  const { stringData } = secret;
  if (!stringData) return;
  const encoded = Object.entries(stringData).map(([key, value]) => [key, base64(value)]);
  secret.data = { ...secret.data, ...Object.fromEntries(encoded) };
  delete secret.stringData;
}

export function defaultEndpoints(endpoints: Fresh<"Endpoints">): void {
  for (const subset of endpoints.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ??= "TCP";
}

export function defaultEndpointSlice(slice: Fresh<"EndpointSlice">): void {
  for (const endpoint of slice.endpoints ?? []) endpoint.conditions ??= {};
  for (const port of slice.ports ?? []) {
    port.name ??= "";
    port.protocol ??= "TCP";
  }
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Text as base64 of its UTF-8 (the platform's own encoders are not the core's). */
export function base64(text: string): string {
  const bytes = unescape(encodeURIComponent(text));
  let out = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a, b, c] = [bytes.charCodeAt(at), bytes.charCodeAt(at + 1), bytes.charCodeAt(at + 2)];
    const bits = (a << 16) | ((b || 0) << 8) | (c || 0);
    out += letters.charAt(bits >> 18) + letters.charAt((bits >> 12) & 63);
    out += at + 1 < bytes.length ? letters.charAt((bits >> 6) & 63) : "=";
    out += at + 2 < bytes.length ? letters.charAt(bits & 63) : "=";
  }
  return out;
}
