/** Owns amounts of resources as describe shows them: canonical quantities, what pods ask for, and their share of a node. */
import type { Kinds } from "../../../api/kinds";
import { quantityValue } from "../../../api/quantity";

/** What a pod requests and may use at most, by resource, in base units (cores, octets). */
export interface PodAmounts {
  readonly requests: ReadonlyMap<string, number>;
  readonly limits: ReadonlyMap<string, number>;
}

/** What counts for a pod: the sum of its containers, or its greediest init container (resourcehelper.PodRequests). */
export function podAmounts({ spec }: Kinds["Pod"]): PodAmounts {
  const of = (kind: "requests" | "limits"): ReadonlyMap<string, number> => {
    const amounts = new Map<string, number>();
    for (const { resources } of spec.containers) {
      for (const [name, text] of Object.entries(resources?.[kind] ?? {})) {
        amounts.set(name, (amounts.get(name) ?? 0) + quantityValue(String(text)));
      }
    }
    for (const { resources } of spec.initContainers ?? []) {
      for (const [name, text] of Object.entries(resources?.[kind] ?? {})) {
        amounts.set(name, Math.max(amounts.get(name) ?? 0, quantityValue(String(text))));
      }
    }
    return amounts;
  };
  return { requests: of("requests"), limits: of("limits") };
}

/** `100m (2%)`: an amount and its share of what a node has. */
export function shareText(name: string, value: number, room: Readonly<Record<string, string>>): string {
  const all = quantityValue(room[name]);
  const percent = all > 0 ? Math.trunc((value / all) * 100) : 0;
  return `${amountOf(name, value)} (${percent}%)`;
}

/** An amount in the unit in which a quantity of that resource is written. */
export function amountOf(name: string, value: number): string {
  if (name === "cpu") return decimal(value);
  return value % 1024 === 0 ? binary(value) : decimal(value);
}

/** A quantity as the API writes it again: the largest unit that needs no fraction (resource.Quantity). */
export function amountText(text: string): string {
  const value = quantityValue(text);
  return /[KMGTPE]i$/.test(text) ? binary(value) : decimal(value);
}

function binary(value: number): string {
  let rest = value;
  let unit = 0;
  while (rest !== 0 && rest % 1024 === 0 && unit < 6) {
    rest /= 1024;
    unit++;
  }
  return `${rest}${["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][unit]}`;
}

function decimal(value: number): string {
  if (!Number.isInteger(value)) return `${Math.ceil(value * 1000 - 1e-6)}m`;
  let rest = value;
  let unit = 0;
  while (rest !== 0 && rest % 1000 === 0 && unit < 6) {
    rest /= 1000;
    unit++;
  }
  return `${rest}${["", "k", "M", "G", "T", "P", "E"][unit]}`;
}
