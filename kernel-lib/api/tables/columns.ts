/**
 * Owns the columns of each kind's table, as Kubernetes v1.36 prints them (pkg/printers/internalversion/printers.go).
 */
import type { Kind } from "../kinds";
import type { Column } from "./table";

type Short = readonly [name: string, type?: Column["type"]];

function columns(always: readonly Short[], wide: readonly Short[] = []): readonly Column[] {
  const make = ([name, type = "string"]: Short, priority: number): Column => {
    return { name, type, format: name === "Name" ? "name" : "", description: "", priority };
  };
  return [...always.map((short) => make(short, 0)), ...wide.map((short) => make(short, 1))];
}

const podTemplate: readonly Short[] = [["Containers"], ["Images"], ["Selector"]];
const age: Short = ["Age"];
const name: Short = ["Name"];

export const columnsOf: { readonly [K in Kind]: readonly Column[] } = {
  Pod: columns(
    [name, ["Ready"], ["Status"], ["Restarts"], age],
    [["IP"], ["Node"], ["Nominated Node"], ["Readiness Gates"]],
  ),
  Service: columns([name, ["Type"], ["Cluster-IP"], ["External-IP"], ["Port(s)"], age], [["Selector"]]),
  Deployment: columns([name, ["Ready"], ["Up-to-date", "integer"], ["Available", "integer"], age], podTemplate),
  ReplicaSet: columns([name, ["Desired", "integer"], ["Current", "integer"], ["Ready", "integer"], age], podTemplate),
  DaemonSet: columns(
    [
      name,
      ["Desired", "integer"],
      ["Current", "integer"],
      ["Ready", "integer"],
      ["Up-to-date", "integer"],
      ["Available", "integer"],
      ["Node Selector"],
      age,
    ],
    podTemplate,
  ),
  StatefulSet: columns([name, ["Ready"], age], [["Containers"], ["Images"]]),
  ControllerRevision: columns([name, ["Controller"], ["Revision"], age]),
  Job: columns([name, ["Status"], ["Completions"], ["Duration"], age], podTemplate),
  Node: columns(
    [name, ["Status"], ["Roles"], age, ["Version"]],
    [["Internal-IP"], ["External-IP"], ["OS-Image"], ["Kernel-Version"], ["Container-Runtime"]],
  ),
  Namespace: columns([name, ["Status"], age]),
  Endpoints: columns([name, ["Endpoints"], age]),
  EndpointSlice: columns([name, ["AddressType"], ["Ports"], ["Endpoints"], age]),
  ConfigMap: columns([name, ["Data"], age]),
  Secret: columns([name, ["Type"], ["Data", "integer"], age]),
  ServiceAccount: columns([name, ["Secrets", "integer"], age]),
  PodDisruptionBudget: columns([name, ["Min Available"], ["Max Unavailable"], ["Allowed Disruptions", "integer"], age]),
  IPAddressPool: columns([name, ["Auto Assign", "boolean"], ["Avoid Buggy IPs", "boolean"], ["Addresses"]]),
  L2Advertisement: columns(
    [name, ["IPAddressPools"], ["IPAddressPool Selectors"], ["Interfaces"]],
    [["Node Selectors"]],
  ),
  BGPAdvertisement: columns([name, ["IPAddressPools"], ["IPAddressPool Selectors"], ["Peers"]], [["Node Selectors"]]),
  BGPPeer: columns([name, ["Address"], ["ASN"], ["BFD Profile"], ["Multi Hops"]]),
  Event: [
    ...columns([["Last Seen"], ["Type"], ["Reason"], ["Object"]], [["Subobject"], ["Source"]]),
    ...columns([["Message"]], [["First Seen"], ["Count"], name]),
  ],
};
