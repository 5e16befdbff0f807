/** Owns the commands that ask DNS: nslookup as BusyBox and as BIND have it, dig, host, getent. */
import type { Call, Tool, Tools } from "../../shell/tool";
import { busyboxNslookup, oldBusyboxNslookup } from "./busybox";
import { dig } from "./dig";
import { getent, host } from "./host";
import { bindNslookup } from "./nslookup";

/** Which nslookup a place has: BusyBox' of before 1.29, BusyBox' of today, or BIND's. */
const nslookup: Tool = (call) => nslookupOf(call)(call);

function nslookupOf(call: Call): Tool {
  const reference = call.place.container?.spec.image.reference ?? "";
  if (/busyboxplus|busybox:1\.(1\d|2[0-8])(\D|$)/.test(reference)) return oldBusyboxNslookup;
  return /library\/(busybox|alpine):|curlimages\/curl/.test(reference) ? busyboxNslookup : bindNslookup;
}

export const dnsTools: Tools = { nslookup, dig, host, getent };
