/** Owns the objects of a cluster that somebody else runs: what `kubectl get … -o yaml|json` prints, taken as it is. */
import type { Kinds } from "../../api/kinds";
import { InputError, readInput } from "../flows/input";
import { withoutUnseen } from "./unseen";

/** A text with the name that errors call it by. */
export interface ManifestText {
  readonly text: string;
  readonly file: string;
}

/** What is looked at of a cluster. */
export interface ClusterObjects {
  readonly services: readonly Kinds["Service"][];
  readonly slices: readonly Kinds["EndpointSlice"][];
  readonly endpoints: readonly Kinds["Endpoints"][];
  readonly pods: readonly Kinds["Pod"][];
  readonly nodes: readonly Kinds["Node"][];
  readonly configMaps: readonly Kinds["ConfigMap"][];
  /** Of ServiceCIDR objects. */
  readonly serviceCidrs: readonly string[];
  /** How many objects of each kind were left aside. */
  readonly others: ReadonlyMap<string, number>;
}

type Fields = { readonly [name: string]: unknown };

/** What is wrong, and where in the document. */
class Problem extends Error {
  constructor(
    readonly path: readonly (string | number)[],
    message: string,
  ) {
    super(message);
  }
}

const looked = ["Service", "EndpointSlice", "Endpoints", "Pod", "Node", "ConfigMap", "ServiceCIDR"] as const;
type Looked = (typeof looked)[number];

/** Reads all texts; what comes twice counts as it came last. @throws InputError with file and line */
export function readObjects(texts: readonly ManifestText[]): ClusterObjects {
  const found = new Map<Looked, Map<string, Fields>>(looked.map((kind) => [kind, new Map()]));
  const others = new Map<string, number>();
  for (const given of texts) {
    documentsOf(given).forEach((document, at) => {
      try {
        collect(document, [], "", (kind, object, path) => {
          const list = found.get(kind as Looked);
          if (list) list.set(keyOf(object, path), checked(kind as Looked, object, path));
          else others.set(kind, (others.get(kind) ?? 0) + 1);
        });
      } catch (error) {
        if (error instanceof Problem) throw placed(given, at, error);
        throw error;
      }
    });
  }
  const list = <K extends Exclude<Looked, "ServiceCIDR">>(kind: K): readonly Kinds[K][] => {
    return [...(found.get(kind)?.values() ?? [])] as unknown as readonly Kinds[K][];
  };
  const ranges = [...(found.get("ServiceCIDR")?.values() ?? [])] as readonly { spec?: { cidrs?: readonly string[] } }[];
  return {
    services: list("Service"),
    slices: list("EndpointSlice"),
    endpoints: list("Endpoints"),
    pods: list("Pod"),
    nodes: list("Node"),
    configMaps: list("ConfigMap"),
    serviceCidrs: ranges.flatMap(({ spec }) => spec?.cidrs ?? []),
    others,
  };
}

/** From so many characters on, what nobody looks at is passed over. */
const largeText = 500_000;

/** JSON is read by the faster reader; the other one knows lines, and is asked when something is wrong. */
function documentsOf({ text, file }: ManifestText): readonly unknown[] {
  if (/^\s*[{[]/.test(text)) {
    try {
      return [JSON.parse(text)];
    } catch {
      // Told below, with its line.
    }
  }
  const seen = text.length > largeText ? withoutUnseen(text) : text;
  const documents = readInput(seen, file).documents.map(({ value }) => value);
  if (documents.length === 0) throw new InputError(`${file}: nothing in it`);
  return documents;
}

function placed({ text, file }: ManifestText, at: number, { path, message }: Problem): InputError {
  let value = readInput(text, file).documents[at];
  for (const step of path) {
    value = typeof step === "number" ? value?.list()[step] : value?.at(step);
  }
  const where = value?.where ?? "";
  return new InputError(`${file}:${value?.line ?? 1}: ${where === "" ? "" : `${where}: `}${message}`);
}

type Path = readonly (string | number)[];

/** Takes Lists apart; the items of a `PodList` need not say that they are Pods. */
function collect(
  value: unknown,
  path: Path,
  kindOf: string,
  tell: (kind: string, object: Fields, path: Path) => void,
): void {
  if (!isFields(value)) throw new Problem(path, "must be an object with apiVersion and kind");
  const kind = value.kind ?? kindOf;
  if (typeof kind !== "string" || kind === "") throw new Problem(path, "has no kind: is it a Kubernetes object?");
  if (!kind.endsWith("List") || value.items === undefined) {
    tell(kind, value, path);
    return;
  }
  if (!Array.isArray(value.items)) throw new Problem([...path, "items"], "must be a list");
  value.items.forEach((item, at) => {
    collect(item, [...path, "items", at], kind.slice(0, -"List".length), tell);
  });
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function keyOf(object: Fields, path: Path): string {
  const { metadata } = object;
  if (!isFields(metadata) || typeof metadata.name !== "string" || metadata.name === "") {
    throw new Problem([...path, "metadata", "name"], "an object needs a name");
  }
  return `${metadata.namespace ?? "default"}/${metadata.name}`;
}

/** What we look into must have the shape that it has; all else may be as it likes. */
function checked(kind: Looked, object: Fields, path: Path): Fields {
  const field = (name: string): Fields => optional(object, name, path);
  switch (kind) {
    case "Service":
      listIn(field("spec"), "ports", [...path, "spec"], "port", "number");
      break;
    case "EndpointSlice": {
      if (typeof object.addressType !== "string") throw new Problem([...path, "addressType"], "must be a text");
      listIn(object, "ports", path);
      const endpoints = listIn(object, "endpoints", path);
      endpoints.forEach((each, at) => {
        if (isFields(each) && Array.isArray(each.addresses)) return;
        throw new Problem([...path, "endpoints", at, "addresses"], "must be a list of addresses");
      });
      return { ...withDefaults(kind, object), endpoints };
    }
    case "Pod":
      listIn(field("spec"), "containers", [...path, "spec"]);
      listIn(field("status"), "podIPs", [...path, "status"], "ip", "string");
      listIn(field("status"), "conditions", [...path, "status"]);
      break;
    case "Node":
      listIn(field("status"), "addresses", [...path, "status"], "address", "string");
      listIn(field("spec"), "podCIDRs", [...path, "spec"]);
      break;
    default:
  }
  return withDefaults(kind, object);
}

function withDefaults(kind: Looked, object: Fields): Fields {
  const metadata = object.metadata as Fields;
  const clusterWide = kind === "Node" || kind === "ServiceCIDR";
  const namespace = clusterWide ? {} : { namespace: metadata.namespace ?? "default" };
  const filled = kind === "EndpointSlice" || kind === "Endpoints" || kind === "ConfigMap";
  return {
    ...object,
    kind,
    metadata: { ...metadata, ...namespace },
    ...(!filled && { spec: object.spec ?? {}, status: object.status ?? {} }),
  };
}

function optional(object: Fields, name: string, path: Path): Fields {
  const value = object[name] ?? {};
  if (!isFields(value)) throw new Problem([...path, name], "must be a mapping");
  return value;
}

/** A list that may be missing; each of its items has this field of this type, if one is named. */
function listIn(
  object: Fields,
  name: string,
  path: Path,
  field?: string,
  type?: "string" | "number",
): readonly unknown[] {
  const value = object[name] ?? [];
  if (!Array.isArray(value)) throw new Problem([...path, name], "must be a list");
  value.forEach((item: unknown, at) => {
    if (field === undefined || (isFields(item) && typeof item[field] === type)) return;
    throw new Problem([...path, name, at, field], `must be a ${type === "string" ? "text" : "number"}`);
  });
  return value;
}
