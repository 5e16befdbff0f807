/** Owns how a value gets onto the notebook's page: several MIME types in one bundle, under our kernel and under tslab's. */

/** What one value looks like, by MIME type: text is a string, JSON types are values. */
export type MimeBundle = { readonly [mime: string]: unknown };

/** A value that says itself how it looks (Deno's convention). */
export interface Displayable {
  [key: symbol]: () => MimeBundle | Promise<MimeBundle>;
}

/** One message to the notebook's page. */
interface DisplayMessage {
  readonly data: MimeBundle;
  readonly metadata?: Record<string, unknown>;
  readonly displayId?: string;
  readonly update?: boolean;
  readonly clear?: boolean;
  readonly wait?: boolean;
}

interface Tslab {
  readonly display: { raw(mime: string, data: unknown): void };
}

interface Host {
  readonly __tslab__?: { require(name: "tslab"): Tslab };
  readonly console?: { log(text: string): void };
  readonly [kubebookDisplay]?: (message: DisplayMessage) => void;
}

const kubebookDisplay = Symbol.for("kubebook.display");
const jupyterDisplay = Symbol.for("Jupyter.display");
const inspectCustom = Symbol.for("nodejs.util.inspect.custom");

/** The richest first: a front end that shows one type only gets the first that there is. */
const richest = [
  "application/vnd.vegalite.v5+json",
  "image/svg+xml",
  "text/html",
  "text/markdown",
  "image/png",
  "application/json",
  "text/plain",
];

/** Shows a value below the cell: what `Symbol.for("Jupyter.display")` says of it, or its text. */
export async function display(value: unknown): Promise<void> {
  send({ data: await bundleOf(value) });
}

/** A place on the page that can be written again. */
export interface DisplayPlace {
  /** Replaces what is shown there. */
  update(value: unknown): Promise<void>;
}

let places = 0;

/** Makes a place below the cell that can be updated; it begins with `value`, if one is given. */
export async function newDisplay(value: unknown = ""): Promise<DisplayPlace> {
  const displayId = `kubebook-${++places}`;
  send({ data: await bundleOf(value), displayId });
  return {
    update: async (next) => send({ data: await bundleOf(next), displayId, update: true }),
  };
}

/** The MIME bundle of a value. */
export async function bundleOf(value: unknown): Promise<MimeBundle> {
  if (typeof value === "object" && value !== null && jupyterDisplay in value) {
    const show = (value as Displayable)[jupyterDisplay];
    if (typeof show === "function") return await show.call(value);
  }
  return { "text/plain": typeof value === "string" ? value : (JSON.stringify(value, undefined, 2) ?? String(value)) };
}

/**
 * Makes an object of `properties` that shows itself as `bundle` where a notebook can, and as its plain text elsewhere.
 * The methods are not enumerable: they are no part of the data.
 */
export function displayable<T extends object>(
  properties: T,
  bundle: () => MimeBundle | Promise<MimeBundle>,
  text: () => string,
): T {
  Object.defineProperty(properties, jupyterDisplay, { value: bundle, enumerable: false });
  Object.defineProperty(properties, inspectCustom, { value: text, enumerable: false });
  return properties;
}

function send(message: DisplayMessage): void {
  const host = globalThis as unknown as Host;
  const ours = host[kubebookDisplay];
  if (ours) {
    ours(message);
    return;
  }
  const mime = richest.find((type) => type in message.data);
  if (!mime) return;
  if (host.__tslab__) host.__tslab__.require("tslab").display.raw(mime, message.data[mime]);
  else if (typeof message.data["text/plain"] === "string") host.console?.log(message.data["text/plain"]);
}
