/** Owns the words in which curl tells how a try failed (lib/connect.c, lib/strerror.c). */
import { millisecond, type Time } from "../../sim/clock";
import type { FailureKind, TrafficTry } from "./outcome";

/** `(52) Empty reply from server`. @param host as it stands in the URL */
export function curlSays(
  kind: FailureKind,
  during: TrafficTry["during"],
  took: Time,
  { host, port, status }: { readonly host: string; readonly port: number; readonly status?: number },
): string {
  const waited = Math.floor(took / millisecond);
  // curl's own clock notices a time-out a millisecond late.
  const late = waited + 1;
  switch (kind) {
    case "resolve":
      return `(6) Could not resolve host: ${host}`;
    case "timeout":
      if (during === "resolve") return `(28) Resolving timed out after ${late} milliseconds`;
      if (during === "connect") return `(28) Connection timed out after ${late} milliseconds`;
      return `(28) Operation timed out after ${late} milliseconds with 0 bytes received`;
    case "refused":
    case "unreachable":
      return `(7) Failed to connect to ${host} port ${port} after ${waited} ms: Could not connect to server`;
    case "reset":
      return "(56) Recv failure: Connection reset by peer";
    case "closed":
      return "(52) Empty reply from server";
    case "malformed":
      return "(1) Received HTTP/0.9 when not allowed";
    case "5xx":
      return `(22) The requested URL returned error: ${status}`;
  }
}
