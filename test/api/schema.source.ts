/** Owns the way from the type package's declarations to the schema text that the API decodes by. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const roots = [
  "core/v1 Pod Node Namespace Service Endpoints ConfigMap Secret Event ServiceAccount",
  "discovery/v1 EndpointSlice",
  "policy/v1 PodDisruptionBudget",
  "apps/v1 Deployment ReplicaSet DaemonSet StatefulSet ControllerRevision",
  "batch/v1 Job",
];

/** What Kubernetes v1.36 has and the package's release has not. */
const newer: Readonly<Record<string, string>> = {
  "discovery/v1 EndpointHints": "forNodes:ForNode[]",
  "core/v1 PodStatus":
    "observedGeneration:number extendedResourceClaimStatus:any resources:ResourceRequirements allocatedResources:{string}",
  "core/v1 PodCondition": "observedGeneration:number",
  "core/v1 ContainerStatus": "user:any allocatedResourcesStatus:any[] stopSignal:string",
  "core/v1 Lifecycle": "stopSignal:string",
  "core/v1 Container": "restartPolicyRules:any[]",
  "core/v1 PodSpec": "resources:ResourceRequirements hostnameOverride:string workloadRef:any",
  "core/v1 NodeStatus": "runtimeHandlers:any[] features:any declaredFeatures:string[]",
  "core/v1 NodeSystemInfo": "swap:any",
  "core/v1 VolumeMount": "recursiveReadOnly:string",
  "core/v1 Volume": "image:any",
  "apps/v1 DeploymentStatus": "terminatingReplicas:number",
  "apps/v1 ReplicaSetStatus": "terminatingReplicas:number",
};

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("kubernetes-types/package.json"));

function fields(module: string, name: string): { field: string; type: string }[] {
  const text = readFileSync(join(folder, `${module}.d.ts`), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const body = new RegExp(`export interface ${name} \\{\\n([\\s\\S]*?)\\n\\}`).exec(text)?.[1];
  if (body === undefined) throw new Error(`no interface ${name} in ${module}`);
  const flat = body.replace(/\{\s*\[name: string\]: ([^;]+);\s*\}/g, "{$1}");
  return [...flat.matchAll(/^\s*(?:readonly )?"?([$\w-]+)"?\??: (.+);$/gm)].map(([, field, type]) => {
    return { field: field as string, type: type as string };
  });
}

function moduleOf(module: string, type: string): string | undefined {
  const text = readFileSync(join(folder, `${module}.d.ts`), "utf8");
  if (new RegExp(`export interface ${type} `).test(text)) return module;
  const from = new RegExp(`import \\{[^}]*\\b${type}\\b[^}]*\\} from "\\.\\./([^"]+)"`).exec(text)?.[1];
  return from;
}

/** `string`, `number`, `boolean`, `any`, `port` (IntOrString), `quantity`, a type's name; `[]` and `{}` around them. */
function word(module: string, type: string, visit: (module: string, name: string) => void): string {
  const array = /^Array<(.+)>$/.exec(type);
  if (array) return `${word(module, array[1] as string, visit)}[]`;
  const map = /^\{(.+)\}$/.exec(type);
  if (map) return `{${word(module, map[1] as string, visit)}}`;
  if (type.startsWith('"') || type === "Time" || type === "MicroTime") return "string";
  if (type === "Quantity") return "quantity";
  if (type === "IntOrString" || type === "number | string" || type === "string | number") return "port";
  if (type === "string" || type === "number" || type === "boolean") return type;
  const from = moduleOf(module, type);
  if (from === undefined || /FieldsV1|RawExtension|JSON/.test(type)) return "any";
  const aliased =
    from === "api/resource" ||
    new RegExp(`export type ${type} =`).test(readFileSync(join(folder, `${from}.d.ts`), "utf8"));
  if (aliased) return "any";
  const name = from === "discovery/v1" && type === "EndpointPort" ? "discovery.EndpointPort" : type;
  visit(from, type);
  return name;
}

/** One line a type: its name, then its fields as `name:type`. */
export function schemaText(): string {
  const done = new Map<string, string>();
  const open: [string, string][] = [];
  const visit = (module: string, name: string): void => void open.push([module, name]);
  for (const root of roots) {
    const [module, ...names] = root.split(" ") as [string, ...string[]];
    for (const name of names) visit(module, name);
  }
  for (let next = open.shift(); next; next = open.shift()) {
    const [module, name] = next;
    const shown = module === "discovery/v1" && name === "EndpointPort" ? "discovery.EndpointPort" : name;
    if (done.has(shown)) continue;
    const words = fields(module, name).map(({ field, type }) => `${field}:${word(module, type, visit)}`);
    words.push(...(newer[`${module} ${name}`]?.split(" ") ?? []));
    done.set(shown, [...new Set(words)].sort().join(" "));
  }
  done.set("ForNode", "name:string");
  const lines = [...done].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, words]) => wrap(`${name} ${words}`));
  return `${lines.join("\n")}\n`;
}

/** Lines of at most 120 columns; what continues is indented. */
function wrap(line: string): string {
  const lines: string[] = [];
  let current = "";
  for (const part of line.split(" ")) {
    if (current && current.length + part.length + 1 > 118) {
      lines.push(current);
      current = ` ${part}`;
    } else current = current ? `${current} ${part}` : part;
  }
  return [...lines, current].join("\n");
}
