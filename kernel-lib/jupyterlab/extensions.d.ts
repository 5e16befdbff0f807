/** Owns the shape of the one module that the bundler makes up: JupyterLab's extensions. */
declare module "kubebook:extensions" {
  import type { JupyterFrontEndPlugin } from "@jupyterlab/application";
  import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";

  interface ExtensionModule<T> {
    readonly name: string;
    readonly module: { readonly default: T | T[] };
  }

  export const plugins: readonly ExtensionModule<JupyterFrontEndPlugin<unknown>>[];
  export const renderers: readonly ExtensionModule<IRenderMime.IExtension>[];
}
