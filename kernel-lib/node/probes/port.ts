/** Owns which port a probe or a hook means: a number, or the name of one of the container's (pkg/probe/util.go). */
import type { SpecContainer } from "../stages";

/** The port's number; or text: the kubelet's sentence why there is none. */
export function resolvePort(port: number | string, { ports }: Pick<SpecContainer, "ports">): number | string {
  const named = typeof port === "string" ? ports?.find(({ name }) => name === port)?.containerPort : port;
  // A number may have been written as text.
  const number = named ?? (/^[+-]?\d+$/.test(String(port)) ? Number(port) : undefined);
  if (number === undefined) return `strconv.Atoi: parsing ${JSON.stringify(port)}: invalid syntax`;
  return number > 0 && number < 65_536 ? number : `invalid port number: ${number}`;
}
