/**
 * Owns the token of a pod's account as its file shows it: a JSON Web Token (RFC 7519) bound to the pod (KEP-1205).
 *
 * Not simulated: its signature. It has the length of one, is the same for the same words, and nobody here checks it.
 */
import { sha256 } from "@noble/hashes/sha2";
import { base64 } from "../api/defaults/rest";
import type { Kinds } from "../api/kinds";
import { parseTime } from "../api/time";
import { second } from "../sim/clock";

const issuer = "https://kubernetes.default.svc.cluster.local";
/** A pod's tokens are said to last 3,607 s, and are given a year (--service-account-extend-token-expiration). */
const lifetime = 365 * 86_400 + 7;

/** The token that a pod is given when it starts. */
export function accountToken({ metadata, spec, status }: Kinds["Pod"]): string {
  const { namespace = "default", name, uid } = metadata;
  const account = spec.serviceAccountName ?? "default";
  const given = Math.floor((parseTime(status.startTime ?? metadata.creationTimestamp) ?? 0) / second);
  const claims = {
    aud: [issuer],
    exp: given + lifetime,
    iat: given,
    iss: issuer,
    "kubernetes.io": {
      namespace,
      ...(spec.nodeName && { node: { name: spec.nodeName } }),
      pod: { name, uid },
      serviceaccount: { name: account },
      warnafter: given + 3_607,
    },
    nbf: given,
    sub: `system:serviceaccount:${namespace}:${account}`,
  };
  const words = `${encoded({ alg: "RS256", kid: "kubebook" })}.${encoded(claims)}`;
  return `${words}.${signature(words)}`;
}

function encoded(value: object): string {
  return urlSafe(base64(JSON.stringify(value)));
}

function urlSafe(text: string): string {
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** As long as 256 octets, of a key of 2,048 bits, in six bits each. */
function signature(words: string): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const hash = sha256(words);
  let text = "";
  for (let at = 0, mixed = 0; at < 342; at++) {
    mixed = Math.imul(mixed ^ (hash[at & 31] ?? 0) ^ at, 0x01000193);
    text += letters.charAt((mixed >>> 16) & 63);
  }
  return text;
}
