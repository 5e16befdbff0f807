/** Owns how a value becomes what a notebook shows: a MIME bundle. */
import { inspect } from "node:util";
import type { MimeBundle } from "../protocol";
import type { Output } from "./output";

const displayMethod = Symbol.for("Jupyter.display");

/** What code hands to the kernel to show (the contract of `Symbol.for("kubebook.display")`). */
export interface DisplayRequest {
  readonly data?: MimeBundle;
  readonly metadata?: Record<string, unknown>;
  readonly displayId?: string;
  /** Change the display with this id where it stands, rather than showing a new one. */
  readonly update?: boolean;
  /** Clear the cell's output; with `wait` only when the next output comes. */
  readonly clear?: boolean;
  readonly wait?: boolean;
}

/**
 * What a cell's last expression looks like: its own `[Symbol.for("Jupyter.display")]()`, else as Node inspects it.
 * An empty bundle means: show nothing.
 */
export async function bundleOf(value: unknown): Promise<MimeBundle> {
  const method = displayMethodOf(value);
  if (method) {
    const bundle: unknown = await method.call(value);
    if (typeof bundle !== "object" || bundle === null || Array.isArray(bundle)) {
      throw new TypeError(`[Symbol.for("Jupyter.display")]() returned ${inspect(bundle)}; a MIME bundle is an object`);
    }
    return bundle as MimeBundle;
  }
  const text = inspect(value);
  return text === "" ? {} : { "text/plain": text };
}

/** Publishes what code wants shown. */
export function showRequest(request: DisplayRequest, output: Output): void {
  if (request.clear) {
    output.publish("clear_output", { wait: request.wait ?? false });
    return;
  }
  output.publish(request.update ? "update_display_data" : "display_data", {
    data: request.data ?? {},
    metadata: request.metadata ?? {},
    transient: request.displayId === undefined ? {} : { display_id: request.displayId },
  });
}

function displayMethodOf(value: unknown): ((this: unknown) => unknown) | undefined {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return undefined;
  const method: unknown = (value as Record<symbol, unknown>)[displayMethod];
  return typeof method === "function" ? (method as (this: unknown) => unknown) : undefined;
}
