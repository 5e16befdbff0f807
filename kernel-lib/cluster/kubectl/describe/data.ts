/** Owns the description of what only holds data: ConfigMaps, Secrets, ServiceAccounts, Namespaces. */
import type { Kinds } from "../../../api/kinds";
import { metadataLines } from "./describe";
import { type Line, line, text } from "./lines";

export function describeConfigMap(map: Kinds["ConfigMap"]): Line[] {
  const lines = [...metadataLines(map), text("\nData\n====")];
  for (const [key, value] of inOrder(map.data)) lines.push(text(`${key}:\n----\n${value}\n`));
  lines.push(text("\nBinaryData\n===="));
  for (const [key, value] of inOrder(map.binaryData)) lines.push(text(`${key}: ${octetsOf(value)} bytes`));
  lines.push(text(""));
  return lines;
}

export function describeSecret(secret: Kinds["Secret"]): Line[] {
  const lines = [...metadataLines(secret), text(""), line(0, "Type:", secret.type ?? ""), text("\nData\n====")];
  for (const [key, value] of inOrder(secret.data)) {
    // A service account's token is what somebody looks for here.
    const shown = secret.type === "kubernetes.io/service-account-token" && key === "token";
    lines.push(line(0, `${key}:`, shown ? atob(value) : `${octetsOf(value)} bytes`));
  }
  return lines;
}

export function describeServiceAccount(account: Kinds["ServiceAccount"]): Line[] {
  const names = (title: string, list: readonly { readonly name?: string }[] | undefined): Line[] => {
    const all = (list ?? []).map(({ name }) => name ?? "");
    return all.length === 0
      ? [line(0, `${title}:`, "<none>")]
      : all.map((name, at) => line(0, at === 0 ? `${title}:` : "", name));
  };
  return [
    ...metadataLines(account),
    ...names("Image pull secrets", account.imagePullSecrets),
    ...names("Mountable secrets", account.secrets),
    line(0, "Tokens:", "<none>"),
  ];
}

export function describeNamespace(namespace: Kinds["Namespace"]): Line[] {
  return [
    ...metadataLines(namespace, false),
    line(0, "Status:", namespace.status.phase ?? ""),
    text("\nNo resource quota.\n\nNo LimitRange resource."),
  ];
}

function inOrder(data: Readonly<Record<string, string>> | undefined): readonly (readonly [string, string])[] {
  return Object.entries(data ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));
}

/** How many octets a base64 text stands for. */
function octetsOf(base64: string): number {
  const text = base64.replace(/\s/g, "");
  return Math.floor((text.length * 3) / 4) - (/=*$/.exec(text)?.[0].length ?? 0);
}
