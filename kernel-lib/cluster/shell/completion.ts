/** Owns completion at a prompt: what a Tab may make of a line, from commands, kubectl's words, names in the cluster, and files. */
import { resources as allResources, findResource, isServed, type Resource } from "../../api/kinds";
import { verbs } from "../kubectl/kubectl";
import { resolvePath } from "./filesystem";
import type { Shell } from "./shell";

/** The possible last words (each as it would stand in the line), and the part of the line that they replace. */
export type Completions = readonly [words: readonly string[], typed: string];

/** Words of bash's own that no list of commands has. */
const keywords = [
  "case",
  "cd",
  "do",
  "done",
  "else",
  "exit",
  "export",
  "fi",
  "for",
  "if",
  "in",
  "read",
  "set",
  "then",
  "until",
  "while",
];

/** kubectl's verbs that are followed by pods, or by `TYPE NAME`. */
const podVerbs = new Set(["exec", "logs", "attach", "port-forward"]);
const typeVerbs = new Set([
  "get",
  "describe",
  "delete",
  "scale",
  "expose",
  "label",
  "annotate",
  "wait",
  "patch",
  "edit",
]);
/** Options of kubectl whose value is a word of the cluster. */
const namespaceOption = /^(-n|--namespace)$/;

/** What may come in the place of the last word of `line`. */
export function complete(line: string, shell: Shell): Completions {
  const [, command = ""] = /(?:^|.*?(?:[;&|(`]|\bdo\b|\bthen\b))([^;&|(`]*)$/s.exec(line) ?? [];
  const words = command.trimStart().split(/\s+/);
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  return [suggestions(shell, before, typed).filter((word) => word.startsWith(typed)), typed];
}

function suggestions(shell: Shell, before: readonly string[], typed: string): readonly string[] {
  const [given] = before;
  if (given === undefined) {
    if (typed.includes("/")) return files(shell, typed);
    return spaced([...new Set([...shell.commands, ...shell.functions, ...shell.aliases.keys(), ...keywords])].sort());
  }
  const alias = shell.aliases.get(given)?.split(/\s+/) ?? [given];
  const words = [...alias, ...before.slice(1)];
  const [name = ""] = words;
  if (name === "kubectl") return kubectlWords(shell, words.slice(1), typed);
  if (name === "ssh" && words.length === 1) return spaced([...shell.cluster.nodes.keys()]);
  return files(shell, typed);
}

function kubectlWords(shell: Shell, words: readonly string[], typed: string): readonly string[] {
  const last = words.at(-1) ?? "";
  const { store } = shell.cluster;
  if (namespaceOption.test(last)) return spaced(store.list("Namespace").map(({ metadata }) => metadata.name));
  if (/^(-f|--filename)$/.test(last)) return files(shell, typed);
  if (words.includes("--")) return files(shell, typed);
  const at = words.findIndex((word) => namespaceOption.test(word));
  const namespace = at >= 0 ? (words[at + 1] ?? "default") : "default";
  const plain = words.filter(
    (word, index) => !word.startsWith("-") && (index === 0 || !namespaceOption.test(words[index - 1] ?? "")),
  );
  const [name = ""] = plain;
  const verb = verbs.find((one) => one.name === name);
  if (!verb) return plain.length === 0 ? spaced(verbs.map((one) => one.name)) : [];
  if (typed.startsWith("-")) return spaced(verb.flags.map((flag) => `--${flag.name}`));
  const rest = plain.slice(1);
  if (podVerbs.has(name)) {
    if (last === "-c") return spaced(containers(shell, namespace, rest[0]));
    return rest.length === 0 ? spaced(names(shell, findResource("pods"), namespace)) : [];
  }
  if (name === "rollout") {
    if (rest.length === 0) return spaced(["status", "restart", "history", "undo"]);
    return slashed(shell, ["deployment", "daemonset"], namespace);
  }
  if (!typeVerbs.has(name)) return files(shell, typed);
  if (typed.includes("/")) return slashed(shell, [typed.slice(0, typed.indexOf("/"))], namespace);
  const served = (resource: Resource): boolean => isServed(resource, shell.cluster.store);
  if (rest.length === 0) return spaced(allResources.filter(served).map(({ plural }) => plural));
  return spaced(names(shell, findResource(rest[0] ?? ""), namespace));
}

function names(shell: Shell, resource: Resource | undefined, namespace: string): readonly string[] {
  if (!resource) return [];
  const { store } = shell.cluster;
  const objects = resource.namespaced ? store.list(resource.kind, { namespace }) : store.list(resource.kind);
  return objects.map(({ metadata }) => metadata.name);
}

function slashed(shell: Shell, types: readonly string[], namespace: string): readonly string[] {
  return spaced(types.flatMap((type) => names(shell, findResource(type), namespace).map((name) => `${type}/${name}`)));
}

function containers(shell: Shell, namespace: string, pod: string | undefined): readonly string[] {
  const found = pod === undefined ? undefined : shell.cluster.store.get("Pod", `${namespace}/${pod}`);
  return found?.spec.containers.map(({ name }) => name) ?? [];
}

/** Files of the shell's place; a folder ends with its slash, so that completion can go on. */
function files(shell: Shell, typed: string): readonly string[] {
  const folder = typed.slice(0, typed.lastIndexOf("/") + 1);
  const home = shell.place.env.get("HOME") ?? "/";
  const at = resolvePath(shell.folder, folder.startsWith("~/") ? `${home}/${folder.slice(2)}` : folder || ".");
  const hidden = typed.slice(folder.length).startsWith(".");
  return (shell.place.files.list(at) ?? [])
    .filter((name) => hidden || !name.startsWith("."))
    .map((name) => `${folder}${name}${shell.place.files.isFolder(`${at}/${name}`) ? "/" : " "}`);
}

function spaced(words: readonly string[]): readonly string[] {
  return words.map((word) => `${word} `);
}
