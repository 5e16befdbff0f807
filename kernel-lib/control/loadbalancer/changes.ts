/** Owns what a cloud's service controller tells of a changed Service (k8s.io/cloud-provider controllers/service: needsUpdate). */
import type { Kinds } from "../../api/kinds";

type Service = Kinds["Service"];

/** One event's reason and message. */
export interface ChangeNote {
  readonly reason: string;
  readonly message: string;
}

/** A class of its own is somebody else's: a cloud's controller leaves such Services alone. */
export function wantsBalancer({ spec }: Service): boolean {
  return spec.type === "LoadBalancer" && spec.loadBalancerClass === undefined;
}

/** The first of the changes that are told, in upstream's order; most changes are made without a word. */
export function changeNote(before: Service, now: Service): ChangeNote | undefined {
  if (!wantsBalancer(before) && !wantsBalancer(now)) return undefined;
  const [old, spec] = [before.spec, now.spec];
  if (wantsBalancer(before) !== wantsBalancer(now)) return arrow("Type", old.type, spec.type);
  const ranges = [list(old.loadBalancerSourceRanges), list(spec.loadBalancerSourceRanges)] as const;
  if (ranges[0] !== ranges[1]) return arrow("LoadBalancerSourceRanges", ...ranges);
  if (!same(old.ports, spec.ports) || old.sessionAffinity !== spec.sessionAffinity) return undefined;
  if (!same(old.sessionAffinityConfig, spec.sessionAffinityConfig)) return undefined;
  if (old.loadBalancerIP !== spec.loadBalancerIP)
    return arrow("LoadbalancerIP", old.loadBalancerIP, spec.loadBalancerIP);
  const [ips, then] = [spec.externalIPs ?? [], old.externalIPs ?? []];
  if (ips.length !== then.length) {
    return { reason: "ExternalIP", message: `Count: ${then.length} -> ${ips.length}` };
  }
  const other = ips.find((ip, at) => ip !== then[at]);
  if (other !== undefined) return { reason: "ExternalIP", message: `Added: ${other}` };
  if (!same(before.metadata.annotations, now.metadata.annotations)) return undefined;
  if (before.metadata.uid !== now.metadata.uid) return arrow("UID", before.metadata.uid, now.metadata.uid);
  if (old.externalTrafficPolicy !== spec.externalTrafficPolicy) {
    return arrow("ExternalTrafficPolicy", old.externalTrafficPolicy, spec.externalTrafficPolicy);
  }
  const [port, oldPort] = [spec.healthCheckNodePort ?? 0, old.healthCheckNodePort ?? 0];
  return port === oldPort ? undefined : arrow("HealthCheckNodePort", String(oldPort), String(port));
}

function arrow(reason: string, from = "", to = ""): ChangeNote {
  return { reason, message: `${from} -> ${to}` };
}

/** As Go prints a slice of strings. */
function list(words: readonly string[] = []): string {
  return `[${words.join(" ")}]`;
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}
