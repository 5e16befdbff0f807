/** Owns the judgement of the rows that ask one function of upstream's: one pod, one slice, one list of hints. */
import {
  type AddressType,
  addressTypes,
  belongs,
  endpointOf,
  portsOf,
  setsHostname,
} from "../../kernel-lib/control/endpointslice/endpoint";
import {
  hintByDistribution,
  hintsEnabled,
  type Slicing,
  withoutHints,
} from "../../kernel-lib/control/endpointslice/hints";
import { managedBy, sliceLabels } from "../../kernel-lib/control/endpointslice/labels";
import { newSlice } from "../../kernel-lib/control/endpointslice/slice";
import { ZoneHints, zoneShares } from "../../kernel-lib/control/endpointslice/zones";
import { findPort } from "../../kernel-lib/control/pods";
import { differences, only } from "./compare";
import type { CaseObject } from "./endpointslice";

type Row = Readonly<Record<string, unknown>>;

/** What differs; a function that is not known is a difference. */
export function checkTable(one: CaseObject): readonly string[] {
  const wanted = one.expect as Row;
  const got = answer(one, wanted);
  if (!got) return [`unknown function ${one.function}`];
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(got)])];
  return keys.flatMap((key) => {
    if (!(key in got)) return [`unknown expectation ${key}`];
    if (key === "events") return checkEvents(wanted[key] as readonly Row[], got[key] as readonly Row[]);
    return differences(key, wanted[key], got[key]);
  });
}

/** Upstream compares the beginnings of messages: counts and address types come after them. */
function checkEvents(wanted: readonly Row[] | undefined, got: readonly Row[]): readonly string[] {
  const list = wanted ?? [];
  const fits =
    list.length === got.length &&
    list.every(({ EventType, Reason, Message }, at) => {
      const event = got[at];
      return (
        event?.type === EventType && event?.reason === Reason && String(event?.message).startsWith(String(Message))
      );
    });
  return fits ? [] : [`events: expected ${JSON.stringify(list)}, got ${JSON.stringify(got)}`];
}

function answer(one: CaseObject, wanted: Row): Row | undefined {
  const [service] = only(one.objects, "Service");
  const [pod] = only(one.objects, "Pod");
  const input = (one.input ?? {}) as Record<string, never>;
  switch (one.function) {
    case "PodToEndpoint": {
      if (!service || !pod) return undefined;
      const type = (input.addressType as AddressType | undefined) ?? "IPv4";
      return { endpoint: endpointOf(pod, only(one.objects, "Node")[0], service, type) };
    }
    case "GetEndpointPorts":
      return service && pod && { ports: portsOf(service, pod) };
    case "getAddressTypesForService": {
      const order = (wanted.addressTypes ?? []) as readonly string[];
      const types = service ? [...addressTypes(service)] : [];
      return { addressTypes: types.sort((a, b) => order.indexOf(a) - order.indexOf(b)) };
    }
    case "setEndpointSliceLabels": {
      if (!service) return undefined;
      const { labels, changed } = sliceLabels(input.endpointSlice as never, service, managedBy);
      return { labels, updated: changed };
    }
    case "NewEndpointSlice": {
      if (!service) return undefined;
      const slice = newSlice(service, input.ports as never, input.addressType as never, managedBy);
      return { slice: { apiVersion: "discovery.k8s.io/v1", ...slice } };
    }
    case "FindPort":
      return ports(input, wanted);
    case "ShouldPodBeInEndpoints":
      return pod && { inEndpoints: belongs(pod, Boolean(input.includeTerminating)) };
    case "ShouldSetHostname":
      return service && pod && { setHostname: setsHostname(pod, service) };
    default:
      return hints(one, input);
  }
}

function ports(input: Record<string, never>, wanted: Row): Row {
  const { containers, initContainers, servicePort } = input as Record<string, { targetPort: never; protocol: never }>;
  const spec = { containers, initContainers } as never;
  const port = findPort({ spec } as never, servicePort?.targetPort, servicePort?.protocol);
  if (port !== undefined) return { port };
  return "port" in wanted ? { error: true, port: 0 } : { error: true };
}

function hints(one: CaseObject, input: Record<string, never>): Row | undefined {
  const slicing: Slicing = {
    create: (input.slicesToCreate ?? []) as never,
    update: (input.slicesToUpdate ?? []) as never,
    unchanged: (input.slicesUnchanged ?? []) as never,
  };
  const lists = ({ create, update }: Slicing): Row => ({ slicesToCreate: create, slicesToUpdate: update });
  switch (one.function) {
    case "hintsEnabled":
      return { enabled: hintsEnabled(input.annotations) };
    case "SetNodes": {
      const shares = zoneShares(only(one.objects, "Node"));
      const cpus = [...(shares?.millicores ?? [])].map(([zone, cpu]): [string, string] => [zone, quantity(cpu)]);
      return {
        sufficientNodeInfo: shares !== undefined,
        cpuByZone: shares && Object.fromEntries(cpus),
        cpuRatiosByZone: shares && Object.fromEntries(shares.ratios),
      };
    }
    case "AddHints": {
      const zones = new ZoneHints();
      const ratios = input.cpuRatiosByZone as unknown as Readonly<Record<string, number>> | null;
      if (ratios) zones.setRatios(new Map(Object.entries(ratios)));
      const { events, ...after } = zones.add(input.serviceKey as never, input.addressType as never, slicing);
      const given = zones.given(input.serviceKey as never, input.addressType as never);
      const counts = given && { [input.addressType as never]: Object.fromEntries(given) };
      return { ...lists(after), events, endpointsByAddressTypeAndZone: counts };
    }
    case "RemoveHintsFromSlices":
      return lists(withoutHints(slicing));
    case "ReconcileHints": {
      const after = hintByDistribution(slicing, input.trafficDistribution);
      return { ...lists(after), slicesUnchanged: after.unchanged };
    }
    default:
      return undefined;
  }
}

/** Millicores as a quantity prints. */
function quantity(millicores: number): string {
  return millicores % 1000 === 0 ? String(millicores / 1000) : `${millicores}m`;
}
