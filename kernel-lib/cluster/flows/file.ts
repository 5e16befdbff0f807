/** Owns files of flow cases: their text becomes cases, and cases become answers with what differs. */
import type { Kinds } from "../../api/kinds";
import type { ProxyMode } from "../../node/proxy/mode";
import { type FlowConfig, readConfig, readIp } from "./config";
import { askCaseFlow, type CaseFlow, differences, type Expectation, type FlowAnswer, verdicts } from "./flow";
import { InputError, readInput, type Value } from "./input";
import { loneNode, type RuleObjects } from "./node";

/** One case: objects, and flows that are asked of one node. */
export interface FlowCase {
  readonly name: string;
  readonly config: FlowConfig;
  readonly objects: RuleObjects;
  readonly flows: readonly CaseFlow[];
  /** Of iptables mode: whether KUBE-FIREWALL keeps others from 127.0.0.0/8. */
  readonly martianRule: boolean | undefined;
}

/** A flow that was asked. */
export interface AskedCase {
  readonly case: string;
  readonly flow: CaseFlow;
  readonly answer: FlowAnswer;
  /** Empty: as expected, or nothing was. */
  readonly differences: readonly string[];
}

const remarks = ["source", "notes", "note", "derived", "alsoIn", "description"];
const caseKeys = ["name", "config", "objects", "flows", "expectMartianFirewallRule", ...remarks];

/**
 * Reads a file of cases, or of one case; several documents are read one after another.
 * @param written `asGiven`: Services that no API server would have let through, or given an address, are taken too
 * @throws InputError with file and line
 */
export function readFlowFile(text: string, file: string, written?: "asGiven"): readonly FlowCase[] {
  const readCase = (value: Value, at: number): FlowCase => readOne(value, at, written === "asGiven");
  const { documents } = readInput(text, file);
  const cases = documents.flatMap((document): readonly FlowCase[] => {
    const fields = (document.value ?? {}) as object;
    if (typeof fields === "object" && Object.hasOwn(fields, "cases")) {
      document.mapping(["cases", "format", ...remarks]);
      return document.at("cases").list().map(readCase);
    }
    return [readCase(document, 0)];
  });
  if (cases.length === 0) throw new InputError(`${file}: no case in it`);
  return cases;
}

function readOne(value: Value, at: number, asGiven: boolean): FlowCase {
  value.mapping(caseKeys);
  if (!value.at("flows").exists) value.fail("a case needs flows: a list of what is asked");
  if (!value.at("objects").exists) value.fail("a case needs objects: Services and their EndpointSlices");
  const martian = value.at("expectMartianFirewallRule");
  const objects = value.at("objects").list();
  return {
    name: value.at("name").exists ? value.at("name").text() : `case ${at + 1}`,
    config: withZone(readConfig(value.at("config")), objects),
    objects: readObjects(objects, asGiven),
    flows: value.at("flows").list().map(readFlow),
    martianRule: martian.exists ? martian.bool() : undefined,
  };
}

/** Objects as given, Lists taken apart; kinds that kube-proxy does not look at are left aside. */
function readObjects(values: readonly Value[], asGiven: boolean): RuleObjects {
  const services: Kinds["Service"][] = [];
  const slices: Kinds["EndpointSlice"][] = [];
  for (const value of values.flatMap(items)) {
    const kind = fieldsOf(value).at("kind").text();
    if (kind !== "Service" && kind !== "EndpointSlice") continue;
    const metadata = value.at("metadata");
    metadata.mapping(Object.keys((metadata.value as object | null) ?? {}));
    if (!metadata.at("name").exists) metadata.fail("an object needs a name");
    const namespace = metadata.at("namespace").exists ? metadata.at("namespace").text() : "default";
    const object = { ...(value.value as object), metadata: { ...(metadata.value as object), namespace } };
    if (kind === "Service") services.push(checkService(value, object as unknown as Kinds["Service"], asGiven));
    else slices.push(checkSlice(value, object as unknown as Kinds["EndpointSlice"]));
  }
  return { services, slices };
}

function items(value: Value): readonly Value[] {
  const fields = fieldsOf(value);
  return /List$/.test(String(fields.at("kind").value)) && fields.at("items").exists
    ? fields.at("items").list()
    : [value];
}

/** Any fields are taken: an object comes as it was printed. */
function fieldsOf(value: Value): Value {
  return value.mapping(Object.keys((value.value as object | null) ?? {}));
}

/** A Service as it stands in a manifest has no cluster IP: nothing that can be asked. */
function checkService(value: Value, service: Kinds["Service"], asGiven: boolean): Kinds["Service"] {
  const spec = fieldsOf(value.at("spec"));
  if (asGiven) return service;
  const { type, clusterIP } = service.spec;
  if (type !== "ExternalName" && (clusterIP === undefined || clusterIP === "")) {
    spec.fail("a Service needs the clusterIP that it has, or is to have (no API server is here to give it one)");
  }
  if (clusterIP !== undefined && clusterIP !== "" && clusterIP !== "None") readIp(spec.at("clusterIP"));
  if (spec.at("ports").exists) for (const port of spec.at("ports").list()) fieldsOf(port).at("port").port();
  return service;
}

function checkSlice(value: Value, slice: Kinds["EndpointSlice"]): Kinds["EndpointSlice"] {
  value.at("addressType").oneOf(["IPv4", "IPv6", "FQDN"]);
  const endpoints = value.at("endpoints");
  if (!endpoints.exists) return { ...slice, endpoints: [] };
  for (const endpoint of endpoints.list()) for (const each of fieldsOf(endpoint).at("addresses").list()) each.text();
  return slice;
}

/** The node's zone is what its Node object says, where the configuration does not. */
function withZone(config: FlowConfig, objects: readonly Value[]): FlowConfig {
  if (config.zone !== undefined) return config;
  for (const { value } of objects.flatMap(items)) {
    const { kind, metadata } = value as Kinds["Node"];
    const zone = metadata?.labels?.["topology.kubernetes.io/zone"];
    if (kind === "Node" && metadata.name === config.nodeName && zone !== undefined) return { ...config, zone };
  }
  return config;
}

function readFlow(value: Value, at: number): CaseFlow {
  value.mapping(["name", "sourceIP", "destIP", "destPort", "protocol", "expect", ...remarks]);
  const [source, target] = [readIp(value.at("sourceIP")), readIp(value.at("destIP"))];
  if (typeof source !== typeof target) value.fail("sourceIP and destIP are of different families");
  return {
    name: value.at("name").exists ? value.at("name").text() : `flow ${at + 1}`,
    ...{ source, target },
    port: value.at("destPort").port(),
    protocol: value.at("protocol").exists ? value.at("protocol").oneOf(["TCP", "UDP", "SCTP"]) : "TCP",
    expect: value.at("expect").exists ? readExpectation(value.at("expect")) : undefined,
    line: value.line,
  };
}

function readExpectation(value: Value): Expectation {
  value.mapping(["endpoints", "verdict", "masquerade", ...remarks]);
  const [endpoints, verdict, masquerade] = ["endpoints", "verdict", "masquerade"].map((name) => value.at(name)) as [
    Value,
    Value,
    Value,
  ];
  if (endpoints.exists && verdict.exists) value.fail("says endpoints and a verdict: a flow has one of them");
  if (!endpoints.exists && !verdict.exists && !masquerade.exists) value.fail("says nothing that could be expected");
  return {
    ...(endpoints.exists && { endpoints: endpoints.list().map((each) => each.text()) }),
    ...(verdict.exists && { verdict: verdict.oneOf(verdicts) }),
    ...(masquerade.exists && { masquerade: masquerade.bool() }),
  };
}

/** Asks all flows of a case. @param mode another than the configuration's own */
export function askCase(one: FlowCase, mode?: ProxyMode): readonly AskedCase[] {
  const lone = loneNode(one.config, one.objects, mode);
  return one.flows.map((flow) => {
    const answer = askCaseFlow(lone, flow);
    return { case: one.name, flow, answer, differences: differences(answer, flow.expect) };
  });
}

/** What the rule that guards 127.0.0.0/8 is expected to be, and is not. */
export function martianDifference({ config, objects, martianRule }: FlowCase): readonly string[] {
  if (martianRule === undefined) return [];
  const { netns } = loneNode(config, objects).node;
  const tables = config.family === "IPv4" ? netns.iptables : netns.ip6tables;
  const guarded = / -d 127\.0\.0\.0\/8 .*-j DROP$/m.test(tables.save({ tables: ["filter"] }));
  if (guarded === martianRule) return [];
  return [`expectMartianFirewallRule: expected ${martianRule}, got ${guarded}`];
}
