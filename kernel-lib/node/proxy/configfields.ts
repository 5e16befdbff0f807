/** Owns the reading of KubeProxyConfiguration: which fields there are, of which type, and the decoder's words for what is not. */

import { parseDocument } from "yaml";
import type { Time } from "../../sim/clock";
import { readDuration } from "../../sim/duration";

/** What a field may hold; null is "not set" for all of them. */
type FieldType = "string" | "bool" | "int" | "number" | "duration" | "strings" | "any";
type Fields = { readonly [name: string]: FieldType | Fields };

/** KubeProxyConfiguration v1alpha1 (staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go). */
const fields: Fields = {
  apiVersion: "string",
  kind: "string",
  featureGates: "any",
  clientConnection: {
    kubeconfig: "string",
    acceptContentTypes: "string",
    contentType: "string",
    qps: "number",
    burst: "int",
  },
  logging: "any",
  hostnameOverride: "string",
  bindAddress: "string",
  healthzBindAddress: "string",
  metricsBindAddress: "string",
  bindAddressHardFail: "bool",
  enableProfiling: "bool",
  showHiddenMetricsForVersion: "string",
  mode: "string",
  iptables: {
    masqueradeBit: "int",
    masqueradeAll: "bool",
    localhostNodePorts: "bool",
    syncPeriod: "duration",
    minSyncPeriod: "duration",
  },
  ipvs: {
    syncPeriod: "duration",
    minSyncPeriod: "duration",
    scheduler: "string",
    excludeCIDRs: "strings",
    strictARP: "bool",
    tcpTimeout: "duration",
    tcpFinTimeout: "duration",
    udpTimeout: "duration",
  },
  nftables: { masqueradeBit: "int", masqueradeAll: "bool", syncPeriod: "duration", minSyncPeriod: "duration" },
  winkernel: {
    networkName: "string",
    sourceVip: "string",
    enableDSR: "bool",
    rootHnsEndpointName: "string",
    forwardHealthCheckVip: "bool",
  },
  detectLocalMode: "string",
  detectLocal: { bridgeInterface: "string", interfaceNamePrefix: "string" },
  clusterCIDR: "string",
  nodePortAddresses: "strings",
  oomScoreAdj: "int",
  conntrack: {
    maxPerCore: "int",
    min: "int",
    tcpEstablishedTimeout: "duration",
    tcpCloseWaitTimeout: "duration",
    tcpBeLiberal: "bool",
    udpTimeout: "duration",
    udpStreamTimeout: "duration",
  },
  configSyncPeriod: "duration",
  portRange: "string",
  windowsRunAsService: "bool",
};

/** The text is no KubeProxyConfiguration: kube-proxy says so and ends. */
export class ConfigError extends Error {}

/** The fields of one level, types checked; those that are not set are left out. */
export interface Section {
  text(name: string): string | undefined;
  flag(name: string): boolean | undefined;
  integer(name: string): number | undefined;
  duration(name: string): Time | undefined;
  list(name: string): readonly string[] | undefined;
  section(name: string): Section;
}

type Json = { readonly [name: string]: unknown };

/** @returns the fields, and what a strict reader would refuse: unknown fields are passed over, as kube-proxy does. @throws ConfigError */
export function readFields(text: string): { readonly root: Section; readonly strict: readonly string[] } {
  const document = parseDocument(text, { schema: "yaml-1.1", uniqueKeys: false });
  const [broken] = document.errors;
  if (broken) throw new ConfigError(`couldn't get version/kind; json parse error: ${yamlWords(broken)}`);
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (!isObject(value)) throw new ConfigError(`couldn't get version/kind; json parse error: ${notAn(value)}`);
  const { apiVersion, kind } = value;
  if (typeof kind !== "string" || kind === "")
    throw new ConfigError(`Object 'Kind' is missing in '${JSON.stringify(value)}'`);
  if (apiVersion !== "kubeproxy.config.k8s.io/v1alpha1" || kind !== "KubeProxyConfiguration") {
    const scheme = 'in scheme "k8s.io/kubernetes/pkg/proxy/apis/config/scheme/scheme.go:28"';
    throw new ConfigError(`no kind "${kind}" is registered for version "${apiVersion ?? ""}" ${scheme}`);
  }
  const strict: string[] = [];
  check(value, fields, "", strict);
  return { root: sectionOf(value), strict };
}

function check(value: Json, known: Fields, path: string, strict: string[]): void {
  for (const [name, content] of Object.entries(value)) {
    const type = Object.hasOwn(known, name) ? known[name] : undefined;
    if (type === undefined) strict.push(`unknown field "${path}${name}"`);
    else if (content === null) continue;
    else if (typeof type === "object") {
      if (!isObject(content)) throw wrongType(jsonWord(content), `${path}${name}`, goTypes[name] ?? "struct");
      check(content, type, `${path}${name}.`, strict);
    } else checkType(content, type, `${path}${name}`);
  }
}

const goTypes: { readonly [name: string]: string } = {
  iptables: "v1alpha1.KubeProxyIPTablesConfiguration",
  ipvs: "v1alpha1.KubeProxyIPVSConfiguration",
  nftables: "v1alpha1.KubeProxyNFTablesConfiguration",
  conntrack: "v1alpha1.KubeProxyConntrackConfiguration",
  detectLocal: "v1alpha1.DetectLocalConfiguration",
};

function checkType(value: unknown, type: FieldType, path: string): void {
  if (type === "any") return;
  if (type === "strings") {
    if (!Array.isArray(value)) throw wrongType(jsonWord(value), path, "[]string");
    for (const one of value) checkType(one, "string", path);
    return;
  }
  if (type === "duration") {
    if (typeof value !== "string")
      throw new ConfigError(`json: cannot unmarshal ${jsonWord(value)} into Go value of type string`);
    durationOf(value);
    return;
  }
  const isRight = type === "int" ? Number.isInteger(value) : typeof value === (type === "bool" ? "boolean" : type);
  if (isRight) return;
  const word = type === "int" && typeof value === "number" ? `number ${value}` : jsonWord(value);
  throw wrongType(word, path, { string: "string", bool: "bool", int: "int32", number: "float32" }[type]);
}

function wrongType(word: string, path: string, go: string): ConfigError {
  return new ConfigError(
    `json: cannot unmarshal ${word} into Go struct field KubeProxyConfiguration.${path} of type ${go}`,
  );
}

function jsonWord(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return value === null ? "null" : typeof value === "boolean" ? "bool" : typeof value;
}

function notAn(value: unknown): string {
  return `json: cannot unmarshal ${jsonWord(value)} into Go value of type struct { APIVersion string "json:"apiVersion,omitempty""; Kind string "json:"kind,omitempty"" }`;
}

function yamlWords(error: {
  readonly message: string;
  readonly linePos?: readonly [{ readonly line: number }, ...unknown[]];
}): string {
  const [what = ""] = error.message.split(" at line");
  return `error converting YAML to JSON: yaml: line ${error.linePos?.[0].line ?? 1}: ${what.charAt(0).toLowerCase()}${what.slice(1)}`;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sectionOf(value: Json): Section {
  const get = (name: string): unknown => (Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined);
  return {
    text: (name) => get(name) as string | undefined,
    flag: (name) => get(name) as boolean | undefined,
    integer: (name) => get(name) as number | undefined,
    list: (name) => get(name) as readonly string[] | undefined,
    duration: (name) => {
      const text = get(name);
      return text === undefined ? undefined : durationOf(text as string);
    },
    section: (name) => sectionOf((get(name) ?? {}) as Json),
  };
}

/** As `readDuration`. @throws ConfigError in Go's words */
function durationOf(text: string): Time {
  const span = readDuration(text);
  if (typeof span === "string") throw new ConfigError(span);
  return span;
}
