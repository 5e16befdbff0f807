/** Owns reading the data of ConfigMaps and Secrets as text. */
import { keyFor } from "../api/meta";
import type { Store } from "../api/store";
import { textOf } from "../apps/octets";

/** Key → text; undefined if there is no such object. */
export function dataOf(
  store: Store,
  kind: "ConfigMap" | "Secret",
  namespace: string,
  name: string,
): { readonly [key: string]: string } | undefined {
  const key = keyFor(namespace, name);
  if (kind === "ConfigMap") {
    const object = store.get("ConfigMap", key);
    return object && (object.data ?? {});
  }
  const secret = store.get("Secret", key);
  return (
    secret && Object.fromEntries(Object.entries(secret.data ?? {}).map(([name, value]) => [name, fromBase64(value)]))
  );
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** RFC 4648 base64; octets that are no UTF-8 stay what they are (`textOf`). */
function fromBase64(text: string): string {
  let binary = "";
  let bits = 0;
  let held = 0;
  for (const letter of text.replace(/[=\s]/g, "")) {
    held = ((held << 6) | base64Letters.indexOf(letter)) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    binary += String.fromCharCode((held >> bits) & 255);
  }
  return textOf(binary);
}
