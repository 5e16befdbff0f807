/** Owns the validation of what a kubelet does to a container: probes, and hooks (pkg/apis/core/validation/validation.go, v1.36). */
import type { Container, LifecycleHandler, Probe } from "kubernetes-types/core/v1";
import { type FieldError, forbiddenField, invalidValue, notSupported, required } from "../errors";
import type { Immutable } from "../meta";
import { check, nonNegative, portName, portNumber } from "./names";

type Handler = Immutable<Pick<Probe, "exec" | "httpGet" | "tcpSocket" | "grpc"> & LifecycleHandler>;
type HttpGet = NonNullable<Handler["httpGet"]>;

/** In the order in which the server looks at them: the first one counts. */
const handlers = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;

/** @param grace the pod's, in seconds: nothing may sleep longer */
function validateHandler(field: string, handler: Handler, grace: number | undefined): FieldError[] {
  const [first, ...others] = handlers.filter((one) => handler[one] !== undefined);
  if (first === undefined) return [required(field, "must specify a handler type")];
  const errors = validateAction(`${field}.${first}`, handler, first, grace);
  for (const other of others) {
    errors.push(forbiddenField(`${field}.${other}`, "may not specify more than 1 handler type"));
  }
  return errors;
}

function validateAction(
  field: string,
  { exec, httpGet, tcpSocket, grpc, sleep }: Handler,
  kind: (typeof handlers)[number],
  grace: number | undefined,
): FieldError[] {
  switch (kind) {
    case "exec":
      return exec?.command?.length ? [] : [required(`${field}.command`)];
    case "httpGet":
      return httpGet ? validateHttpGet(field, httpGet) : [];
    case "tcpSocket":
      return validatePort(`${field}.port`, tcpSocket?.port ?? 0);
    case "grpc":
      return validatePort(`${field}.port`, grpc?.port ?? 0);
    case "sleep": {
      const seconds = sleep?.seconds ?? 0;
      if (grace === undefined || (seconds >= 0 && seconds <= grace)) return [];
      const why = `must be non-negative and less than terminationGracePeriodSeconds (${grace})`;
      return [invalidValue(field, seconds, why)];
    }
  }
}

function validateHttpGet(field: string, { path, port, scheme, httpHeaders }: HttpGet): FieldError[] {
  const errors: FieldError[] = path ? [] : [required(`${field}.path`)];
  errors.push(...validatePort(`${field}.port`, port));
  if (scheme !== "HTTP" && scheme !== "HTTPS")
    errors.push(notSupported(`${field}.scheme`, scheme ?? "", ["HTTP", "HTTPS"]));
  for (const { name } of httpHeaders ?? []) {
    if (!/^[-A-Za-z0-9]+$/.test(name)) errors.push(invalidValue(`${field}.httpHeaders`, name, headerName));
  }
  return errors;
}

const headerName =
  "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";

function validatePort(field: string, port: number | string): FieldError[] {
  if (typeof port === "string") return check(field, port, portName);
  return portNumber(port).map((message) => invalidValue(field, port, message));
}

const counts = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

export type ProbeField = "livenessProbe" | "readinessProbe" | "startupProbe";

function validateProbe(
  field: string,
  probe: Immutable<Probe>,
  kind: ProbeField,
  grace: number | undefined,
): FieldError[] {
  const errors = validateHandler(field, probe, grace);
  for (const name of counts) {
    const value = probe[name];
    if (value !== undefined && value < 0) errors.push(invalidValue(`${field}.${name}`, value, nonNegative));
  }
  const { terminationGracePeriodSeconds: own, successThreshold = 1 } = probe;
  const ownField = `${field}.terminationGracePeriodSeconds`;
  if (own !== undefined && own <= 0) errors.push(invalidValue(ownField, own, "must be greater than 0"));
  if (kind === "readinessProbe") {
    if (own !== undefined) errors.push(invalidValue(ownField, own, "must not be set for readinessProbes"));
  } else if (successThreshold !== 1) {
    errors.push(invalidValue(`${field}.successThreshold`, successThreshold, "must be 1"));
  }
  return errors;
}

const probeFields: readonly ProbeField[] = ["livenessProbe", "readinessProbe", "startupProbe"];

/** Errors of a container's hooks and probes. @param grace the pod's, in seconds */
export function validateHandlers(
  field: string,
  container: Immutable<Container>,
  grace: number | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const hook of ["postStart", "preStop"] as const) {
    const handler = container.lifecycle?.[hook];
    if (handler) errors.push(...validateHandler(`${field}.lifecycle.${hook}`, handler, grace));
  }
  for (const kind of probeFields) {
    const probe = container[kind];
    if (probe) errors.push(...validateProbe(`${field}.${kind}`, probe, kind, grace));
  }
  return errors;
}

/** An init container that runs to its end has no hooks and is not probed. */
export function refuseHandlers(field: string, container: Immutable<Container>): FieldError[] {
  return (["lifecycle", ...probeFields] as const).flatMap((name) => {
    if (container[name] === undefined) return [];
    return [forbiddenField(`${field}.${name}`, "may not be set for init containers without restartPolicy=Always")];
  });
}
