/** Owns what MetalLB's definitions and webhooks refuse: required fields, and addresses that are none. */
import { type FieldError, invalidValue, required } from "../errors";
import type { Kinds } from "../kinds";
import { check, ipAddress } from "./names";

export function validateAddressPool({ metadata, spec }: Kinds["IPAddressPool"]): FieldError[] {
  const { addresses } = spec as { readonly addresses?: readonly string[] };
  if (addresses === undefined) return [required("spec.addresses")];
  return addresses.flatMap((range, at) => {
    const wrong = rangeError(range);
    const detail = `invalid CIDR ${JSON.stringify(range)} in pool ${JSON.stringify(metadata.name)}: ${wrong}`;
    return wrong === undefined ? [] : [invalidValue(`spec.addresses[${at}]`, range, detail)];
  });
}

/** internal/config ParseCIDR. */
function rangeError(range: string): string | undefined {
  const isIp = (text: string): boolean => check("", text, ipAddress).length === 0;
  if (!range.includes("-")) {
    const [ip = "", length = "", more] = range.split("/");
    const widest = ip.includes(":") ? 128 : 32;
    const good = more === undefined && isIp(ip) && /^\d{1,3}$/.test(length) && Number(length) <= widest;
    return good ? undefined : `invalid CIDR ${JSON.stringify(range)}`;
  }
  const [first = "", last = "", more] = range.split("-").map((text) => text.trim());
  if (more !== undefined) return `invalid IP range ${JSON.stringify(range)}`;
  if (!isIp(first)) return `invalid IP range ${JSON.stringify(range)}: invalid start IP ${JSON.stringify(first)}`;
  if (!isIp(last)) return `invalid IP range ${JSON.stringify(range)}: invalid end IP ${JSON.stringify(last)}`;
  return undefined;
}

export function validateBgpPeer({ spec }: Kinds["BGPPeer"]): FieldError[] {
  const { myASN, peerASN, peerAddress } = spec as Partial<typeof spec>;
  const errors: FieldError[] = [];
  if (myASN === undefined) errors.push(required("spec.myASN"));
  if (peerASN === undefined) errors.push(required("spec.peerASN"));
  if (peerAddress === undefined) errors.push(required("spec.peerAddress"));
  else errors.push(...check("spec.peerAddress", peerAddress, ipAddress));
  return errors;
}
